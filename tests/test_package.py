"""The package states one version, is marked as typed, and has modules with distinct file names."""

from collections import Counter
from importlib.metadata import version
from pathlib import Path

import yaml

import jaxgen

ROOT = Path(jaxgen.__file__).parents[1]


def test_version_is_stated_by_the_package_metadata_and_cited_as_such() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert jaxgen.__version__ == version("jaxgen") == citation["version"]


def test_package_is_marked_as_typed() -> None:
    assert (ROOT / "jaxgen" / "py.typed").is_file()


def test_file_names_of_modules_are_distinct() -> None:
    names = Counter(path.name for path in (ROOT / "jaxgen").rglob("*.py") if path.name != "__init__.py")
    assert names["game.py"] == 1
    assert {name: count for name, count in names.items() if count > 1} == {}
