"""`jaxgen export RUN`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from jaxgen.cli.options import Metavar, RunFolder
from jaxgen.cli.output import check_run_index, load_with_notice, print_line
from jaxgen.cli.parse import parse
from jaxgen.runs.exporting import check_export, export_run


@dataclass(frozen=True)
class Options:
    """Export a trained run: its weights and its config in one file, with a model card.

    The file has what the model needs to sample, encode and evaluate, and no states of optimizers. `jaxgen
    import-weights jaxgen FILE` makes a run folder of it, whose samples are equal in every bit.

    Example: jaxgen export runs/vae-digits --to exported/vae.safetensors

    Attributes:
        run: run folder.
        to: file to write, .safetensors, in a folder that is made where there is none; the model card README.md is
            written beside it, and neither may exist. By default export/model.safetensors in the run folder.
        run_index: number of the seed to export, for a run of several, counted from 0; by default all.
        samples_only: leave out what samples do not depend on, such as the discriminator, for a smaller file.
        best: use the state that --keep-best kept in place of the newest one.
        family: file, module or entry point that defines the run's family, if it is not part of jaxgen.
    """

    run: RunFolder
    to: Annotated[Path | None, Metavar("FILE")] = None
    run_index: int | None = None
    samples_only: bool = False
    best: bool = False
    family: str | None = None


def run(arguments: list[str]) -> None:
    """Export a run and print the paths of its files."""
    options = parse(Options, arguments, command="jaxgen export")
    path = options.to or options.run / "export" / "model.safetensors"
    if options.to is not None:
        check_export(path)
    trained = load_with_notice(options.run, options.family, best=options.best)
    run_index = check_run_index(trained, options.run_index)
    card = export_run(trained, path, run_index=run_index, samples_only=options.samples_only)
    print_line(path)
    print_line(card)
