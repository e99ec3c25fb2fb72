"""Every test that the page of known errors names is in its file: by text, as an import of all would take a minute."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "known_errors.md"


def names_in(path: Path) -> set[str]:
    """Return the tests of a file, those of a class with its name before them."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        methods = node.body if isinstance(node, ast.ClassDef) else ()
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {f"{prefix}{function.name}" for function in (node, *methods) if isinstance(function, ast.FunctionDef)}
    return found


def test_every_named_test_exists():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    rows = [row for row in rows if not re.match(r"\| (Error|---) ", row)]
    assert len(rows) > 60
    for row in rows:
        error, source, tests = (cell.strip() for cell in row.strip("|").split("|"))
        assert error
        assert source
        named = re.findall(r"`(tests/[^`:]+\.py)::([^`]+)`", tests)
        assert named, row
        assert ", ".join(f"`{path}::{name}`" for path, name in named) == tests
        for path, name in named:
            assert name in names_in(ROOT / path), f"{path}::{name}"
