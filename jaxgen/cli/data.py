"""`jaxgen data prepare NAME`."""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from jaxgen.cli.options import Positional
from jaxgen.cli.parse import parse
from jaxgen.data import prepare
from jaxgen.errors import printable
from jaxgen.runs.outputs import check_writable


@dataclass(frozen=True)
class Options:
    """Prepare a data set, so that it can be loaded by its name.

    Example: jaxgen data prepare mnist --source mnist-files

    Attributes:
        action: prepare.
        name: name of a data set, e.g. mnist.
        data_dir: folder of the data sets; by default $TFDS_DATA_DIR, or ~/tensorflow_datasets.
        source: folder of the original files (mnist, fashion_mnist, kmnist, cifar10); by default they are downloaded.
    """

    action: Annotated[Literal["prepare"], Positional("ACTION")]
    name: Annotated[str, Positional("NAME")]
    data_dir: Path | None = None
    source: Path | None = None


def run(arguments: list[str]) -> None:
    """Prepare a data set and print its folder."""
    options = parse(Options, arguments, command="jaxgen data")
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
