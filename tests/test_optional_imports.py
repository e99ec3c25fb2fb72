import sys

import pytest

from jaxgen.errors import InputError
from jaxgen.optional_imports import require


def test_an_installed_package_is_imported() -> None:
    assert require("json", extra="data") is sys.modules["json"]


def test_the_package_that_is_missing_is_named_also_below_the_one_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fractions", None)
    monkeypatch.delitem(sys.modules, "statistics", raising=False)
    with pytest.raises(InputError, match=r"this needs fractions; .*'jaxgen\[data\]'"):
        require("statistics", extra="data")
