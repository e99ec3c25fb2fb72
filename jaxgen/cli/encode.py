"""`jaxgen encode RUN`."""

from dataclasses import dataclass
from pathlib import Path

from jaxgen import plot
from jaxgen.callbacks.image_grid import latent_size
from jaxgen.cli.options import RunFolder
from jaxgen.cli.output import (
    FIGURE_SUFFIXES,
    check_count,
    check_output,
    load_with_notice,
    notice_of_few,
    notice_of_seed,
    select_shown,
    write_arrays,
    write_figure,
)
from jaxgen.cli.parse import parse
from jaxgen.data import count_examples, first_examples
from jaxgen.errors import InputError
from jaxgen.runs.evaluation import load_test_split, with_data_in

EXAMPLES = 10_000
"""Examples that are encoded by default."""


@dataclass(frozen=True)
class Options:
    """Encode test examples by a trained run.

    Example: jaxgen encode runs/vae-digits --out latents.npz

    Attributes:
        run: run folder.
        out: output file: a figure (.png, .pdf, .svg) of two-dimensional latents, each in the colour of its label; or
            .npz for the arrays, under `latents`, with a leading axis of seeds for a run of several, and `label` if the
            data have labels.
        n: number of examples; by default the whole test split, but at most 10000.
        run_index: number of the seed to use, for a run of several, counted from 0; by default a figure shows the first
            seed that has not diverged, and arrays have all.
        data_dir: folder of the data sets, if it is not that of the training.
        best: use the state that --keep-best kept in place of the newest one.
        family: file, module or entry point that defines the run's family, if it is not part of jaxgen.
    """

    run: RunFolder
    out: Path = Path("latents.png")
    n: int | None = None
    run_index: int | None = None
    data_dir: str | None = None
    best: bool = False
    family: str | None = None


def run(arguments: list[str]) -> None:
    """Encode test examples and write their latents."""
    options = parse(Options, arguments, command="jaxgen encode")
    check_output(options.out)
    count = check_count(options.n, EXAMPLES)
    trained = every = with_data_in(load_with_notice(options.run, options.family, best=options.best), options.data_dir)
    figure, title = options.out.suffix in FIGURE_SUFFIXES, ""
    if figure and (size := latent_size(trained.model, trained.example)) not in (2, None):
        raise InputError(f"a figure shows latents of 2 dimensions, and these have {size}: give --out latents.npz")
    if figure or options.run_index is not None:
        trained, title = select_shown(trained, options.run_index)
    test = load_test_split(trained.config, trained.example)
    batch = first_examples(test, count)
    latents = trained.encode(batch)
    notice_of_few(options.n, count, count_examples(test))
    if figure:
        notice_of_seed(every, options.run_index)
        names = trained.class_names
        write_figure(
            options.out, plot.scatter_by_label(latents, label=batch.get("label"), class_names=names, title=title)
        )
    else:
        write_arrays(options.out, {"latents": latents} | {name: batch[name] for name in ("label",) if name in batch})
