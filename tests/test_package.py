"""What the package says of itself: one version, types, and names that users type."""

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
