"""Checks that the documentation has a page for each module and a row for each function, by text, without Sphinx."""

import inspect
import re
from pathlib import Path

import pytest

from jaxgen import divergences, losses

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("package", [losses, divergences], ids=lambda package: package.__name__)
def test_every_module_has_page(package):
    name = package.__name__.removeprefix("jaxgen.")
    modules = {path.stem for path in Path(package.__file__).parent.glob("[!_]*.py")}
    pages = {path.stem: path.read_text() for path in (DOCS / name).glob("*.md") if path.stem != "index"}
    documented = {module for text in pages.values() for module in re.findall(rf"jaxgen\.{name}\.(\w+)", text)}
    assert documented == modules
    index = (DOCS / name / "index.md").read_text()
    assert set(index[index.index("{toctree}") :].split()) >= set(pages)


@pytest.mark.parametrize("package", [losses, divergences], ids=lambda package: package.__name__)
def test_table_has_row_for_every_function(package):
    table = (DOCS / package.__name__.removeprefix("jaxgen.") / "index.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("|")]
    named = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in rows)))
    functions = {name for name in package.__all__ if not inspect.isclass(getattr(package, name))}
    assert functions <= named
    assert {name for name in named - functions if hasattr(package, name)} == set()


@pytest.mark.parametrize("package", [losses, divergences], ids=lambda package: package.__name__)
def test_bars_occur_in_formulas_only(package):
    """Outside code, reStructuredText reads `|x|` as a substitution, and the build of the documentation fails."""
    for name in package.__all__:
        text = re.sub(r"``?[^`]+``?", "", inspect.getdoc(getattr(package, name)) or "")
        prose = re.sub(r"::\n\n(    .*\n|\n)+|>>> .*", "", text)  # formulas may also be indented blocks
        assert not re.search(r"\|\w[^|\n]*\|", prose), name
