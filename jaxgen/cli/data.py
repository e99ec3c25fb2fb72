"""`jaxgen data prepare NAME`."""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxgen.cli.parse import parse
from jaxgen.data import prepare
from jaxgen.errors import InputError, suggest


@dataclass(frozen=True)
class Options:
    """Prepare a data set, so that training finds it.

    Attributes:
        name: a data set, e.g. mnist.
        data_dir: where data sets are kept.
        source: a folder that holds the original files, where they are not to be downloaded.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    data_dir: Path | None = None
    source: Path | None = None


def run(arguments: list[str]) -> None:
    """Prepare, and say where the result is."""
    actions = ("prepare",)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: jaxgen data prepare NAME [--data-dir DIR] [--source FOLDER]")
        return
    if arguments[0] not in actions:
        raise InputError(f"jaxgen data has no action '{arguments[0]}': {suggest(arguments[0], actions)}")
    options = parse(Options, arguments[1:], command="jaxgen data prepare")
    with contextlib.redirect_stdout(sys.stderr):  # What tensorflow-datasets tells is not the result.
        place = prepare(options.name, data_dir=options.data_dir, source=options.source)
    print(place)
