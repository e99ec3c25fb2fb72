"""`jaxgen list`."""

from dataclasses import dataclass

from jaxgen.cli.parse import parse
from jaxgen.data import DATASETS
from jaxgen.models import PRESETS, REGISTRY


@dataclass(frozen=True)
class Options:
    """List the models, their presets and the data sets, one line each.

    Example: jaxgen list
    """


def run(arguments: list[str]) -> None:
    """Print the lists."""
    parse(Options, arguments, command="jaxgen list")
    lists = {
        "models": {name: family.summary for name, family in REGISTRY.items()},
        **{f"presets of {family}": _presets(family) for family in REGISTRY if _presets(family)},
        "data": {name: dataset.description for name, dataset in DATASETS.items()},
    }
    width = max(len(name) for entries in lists.values() for name in entries)
    for title, entries in lists.items():
        print(title)
        for name, description in entries.items():
            print(f"  {name:<{width}}  {description}")
    own = "a folder of images (subfolders: classes, or train, val, test), an .npz, or a .csv of points"
    print(f"  {'PATH':<{width}}  {own}")


def _presets(family: str) -> dict[str, str]:
    return {name: preset.description for name, preset in PRESETS.items() if preset.family == family}
