"""`jaxgen list`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxgen.cli.parse import parse
from jaxgen.data import DATASETS
from jaxgen.models import PRESETS, REGISTRY


@dataclass(frozen=True)
class Options:
    """Show the models, the presets among them and the data sets, one line each."""


def run(arguments: list[str]) -> None:
    """Print the lists."""
    parse(Options, arguments, command="jaxgen list")
    lists: dict[str, Mapping[str, Any]] = {"models": REGISTRY, "presets of gan": PRESETS, "data": DATASETS}
    width = max(len(name) for entries in lists.values() for name in entries)
    for title, entries in lists.items():
        print(title)
        for name, entry in entries.items():
            print(f"  {name:<{width}}  {entry.description}")
    print(f"  {'PATH':<{width}}  a folder of PNG or JPEG pictures (subfolders = labels), or an .npz with `image`")
