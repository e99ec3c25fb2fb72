"""`jaxgen import-weights MODEL FILE`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from jaxgen.cli.options import Metavar, Positional
from jaxgen.cli.output import notice, print_line
from jaxgen.cli.parse import parse
from jaxgen.errors import InputError
from jaxgen.models import load_family
from jaxgen.runs.config import NO_DATA
from jaxgen.runs.exporting import import_run
from jaxgen.runs.import_published import import_published
from jaxgen.runs.outputs import file_name

EXPORTED = "jaxgen"
"""Stands for the model of files that `jaxgen export` has written, which have their config."""


@dataclass(frozen=True)
class Options:
    """Make a run folder of weights: of an exported run, or of the program of the authors of a model.

    The run samples, and a new training can start from it (--init-from); it cannot be resumed.

    Example: jaxgen import-weights stylegan2 network.safetensors --out runs/imported

    Attributes:
        model: jaxgen for a file that `jaxgen export` has written; or the model of weights of its authors' program,
            biggan, progressive, stylegan or stylegan2, whose options are found from their shapes, or style_transfer
            for its decoder; or one of their presets, whose options they must have.
        file: .safetensors, .npz, or .pt and .pth of torch.save. Weights of several networks have names that begin with
            "G_ema.", "G." and "D.".
        out: run folder; by default runs/NAME for NAME.safetensors.
        data: name or path of the data that the weights were trained on, with which the run is then evaluated; by
            default the name in an exported file, and for others it is not known.
        data_dir: folder of the data sets.
        family: file, module or entry point that defines the family of an exported run, if it is not part of jaxgen.
    """

    model: Annotated[str, Positional("MODEL")]
    file: Annotated[Path, Positional("FILE")]
    out: Annotated[Path | None, Metavar("RUN")] = None
    data: str | None = None
    data_dir: str | None = None
    family: str | None = None


def run(arguments: list[str]) -> None:
    """Import weights and print the run folder."""
    options = parse(Options, arguments, command="jaxgen import-weights")
    folder = options.out or Path("runs") / file_name(options.file.stem)
    if options.model == EXPORTED:
        family = None if options.family is None else load_family(options.family)
        import_run(options.file, folder, data=options.data, data_dir=options.data_dir, family=family, notify=notice)
    else:
        if options.family is not None:
            raise InputError("--family applies to exported runs, MODEL jaxgen: leave it out")
        import_published(
            options.model,
            options.file,
            folder,
            data=options.data or NO_DATA,
            data_dir=options.data_dir,
            notify=notice,
        )
    print_line(folder)
