"""`jaxgen data prepare NAME`."""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from jaxgen.cli.options import Positional
from jaxgen.cli.parse import parse
from jaxgen.data import prepare
from jaxgen.errors import InputError, printable, suggest
from jaxgen.runs.outputs import check_writable


@dataclass(frozen=True)
class Options:
    """Prepare a data set, so that it can be loaded by its name.

    Example: jaxgen data prepare mnist --source mnist-files

    Attributes:
        name: name of a data set, e.g. mnist.
        data_dir: folder of the data sets; by default $TFDS_DATA_DIR, or ~/tensorflow_datasets.
        source: folder of the original files (mnist, fashion_mnist, kmnist, cifar10); by default they are downloaded.
    """

    name: Annotated[str, Positional("NAME")]
    data_dir: Path | None = None
    source: Path | None = None


def run(arguments: list[str]) -> None:
    """Prepare a data set and print its folder."""
    actions = ("prepare",)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(
            "usage: jaxgen data prepare NAME [OPTIONS]\n\njaxgen data prepare --help shows the options.\n\n"
            "Example: jaxgen data prepare mnist --source mnist-files"
        )
        return
    if arguments[0] not in actions:
        raise InputError(f"jaxgen data has no action '{arguments[0]}': {suggest(arguments[0], actions)}")
    options = parse(Options, arguments[1:], command="jaxgen data prepare")
    if options.data_dir is not None:
        check_writable(options.data_dir)
    with contextlib.redirect_stdout(sys.stderr):  # The messages of tensorflow-datasets are not the result.
        folder = prepare(
            options.name,
            data_dir=options.data_dir,
            source=options.source,
            notify=lambda line: print(printable(line), file=sys.stderr, flush=True),
            progress_bars=sys.stderr.isatty(),
        )
    print(printable(folder))
