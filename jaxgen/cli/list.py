"""`jaxgen list`."""

from dataclasses import dataclass

from jaxgen.cli.parse import parse
from jaxgen.data import DATASETS
from jaxgen.models import REGISTRY


@dataclass(frozen=True)
class Options:
    """Show the families of models and the data sets, one line each."""


def run(arguments: list[str]) -> None:
    """Print both lists."""
    parse(Options, arguments, command="jaxgen list")
    width = max(map(len, [*REGISTRY, *DATASETS]))
    print("models")
    for name, family in REGISTRY.items():
        print(f"  {name:<{width}}  {family.description}")
    print("data")
    for name, dataset in DATASETS.items():
        print(f"  {name:<{width}}  {dataset.description}")
    print(f"  {'PATH':<{width}}  a folder of PNG or JPEG pictures (subfolders = labels), or an .npz with `image`")
