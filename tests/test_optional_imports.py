import sys

import pytest

from jaxgen.errors import InputError
from jaxgen.optional_imports import require


def test_require_returns_an_installed_module() -> None:
    assert require("json", extra="data") is sys.modules["json"]


def test_error_names_the_missing_package_that_the_module_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fractions", None)
    monkeypatch.delitem(sys.modules, "statistics", raising=False)
    with pytest.raises(InputError, match=r"fractions must be installed; .*'jaxgen\[data\]'"):
        require("statistics", extra="data")
