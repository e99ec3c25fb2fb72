"""Loading families from files, modules and entry points outside the package."""

import dataclasses
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import REGISTRY, family
from jaxgen.models.family import ENTRY_POINTS, Family, load_family, option_types

SOURCE = """
from dataclasses import dataclass

from jaxgen.game import Model
from jaxgen.models.family import Family


@dataclass(frozen=True)
class Config:
    latent_dim: int = 3
    hidden: tuple[int, ...] = (4,)


def build(config, example):
    return Model(init=None, step=None, players=())


FAMILY = Family(name="own", config=Config, build=build, summary="a family of one's own")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path; modules imported during the test are removed after it."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def announce(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Replace the installed entry points, name -> `module` or `module:attribute`."""
    points = [importlib.metadata.EntryPoint(name, value, ENTRY_POINTS) for name, value in values.items()]

    def entry_points(*, group: str) -> importlib.metadata.EntryPoints:
        return importlib.metadata.EntryPoints(points).select(group=group)

    monkeypatch.setattr(family, "entry_points", entry_points)


def check(loaded: Family) -> None:
    assert (loaded.name, loaded.summary) == ("own", "a family of one's own")
    assert dataclasses.asdict(loaded.config()) == {"latent_dim": 3, "hidden": (4,)}
    assert loaded.build(loaded.config(latent_dim=5), {"point": np.zeros((1, 2))}).players == ()


def test_family_is_loaded_from_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "own.py").write_text(SOURCE)
    check(load_family(str(folder / "own.py")))
    monkeypatch.chdir(folder)
    check(load_family("own.py"))
    monkeypatch.setenv("HOME", str(folder))
    check(load_family("~/own.py"))


def test_file_that_shadows_a_module_of_the_standard_library_is_loaded_beside_it(folder: Path) -> None:
    (folder / "dataclasses.py").write_text(SOURCE)
    sys.path.remove(str(folder))
    check(load_family(str(folder / "dataclasses.py")))
    assert sys.modules["dataclasses"] is dataclasses


@pytest.mark.parametrize("module", ["own_family", "own_package.models.own_family"])
def test_family_is_loaded_from_a_module(folder: Path, module: str) -> None:
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SOURCE)
    check(load_family(module))


@pytest.mark.parametrize("value", ["own_family", "own_family:FAMILY"])
def test_family_is_loaded_from_an_entry_point(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    (folder / "own_family.py").write_text(SOURCE)
    announce(monkeypatch, announced=value)
    check(load_family("announced"))


def test_only_the_named_source_is_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "own_family.py").write_text(SOURCE)
    (folder / "other_family.py").write_text("raise RuntimeError")
    announce(monkeypatch, own="own_family", other="other_family")
    assert not {"own_family", "other_family"} & set(sys.modules)
    check(load_family("own"))
    assert "other_family" not in sys.modules
    with pytest.raises(InputError):
        load_family("othr")
    assert "other_family" not in sys.modules


def test_families_of_the_package_are_not_replaced(folder: Path) -> None:
    before = dict(REGISTRY)
    (folder / "vae.py").write_text(SOURCE.replace('"own"', '"vae"'))
    assert load_family(str(folder / "vae.py")).name == "vae"
    assert before == REGISTRY


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.py", "there is no file 'missing.py' that could define a family"),
        (
            "no_such_module",
            "there is no family 'no_such_module': give the path of a .py file, an importable module",
        ),
        ("no.such.module", "there is no family 'no.such.module': .*; choices are announced"),
        ("anounced", "there is no family 'anounced': .* did you mean 'announced'?"),
        ("", "there is no family '': give the path of a .py file"),
        ("..", "there is no family '..': give the path of a .py file"),
        ("a folder/model", "there is no family 'a folder/model': give the path of a .py file"),
    ],
)
def test_unknown_sources_raise_input_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    announce(monkeypatch, announced="own_family")
    with pytest.raises(InputError, match=message) as raised:
        load_family(source)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "must define FAMILY = jaxgen.Family\\(.*\\), got no FAMILY"),
        ("FAMILY = 'own'", "must define FAMILY = jaxgen.Family\\(.*\\), got str"),
        ("raise RuntimeError('first\\nsecond')", "could not be imported: RuntimeError: first second"),
        ("import no_such_module", "could not be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def", "could not be imported: SyntaxError: invalid syntax"),
        (
            SOURCE.replace("config=Config", "config=dict"),
            "the config of the family in '.*' must be a dataclass, got",
        ),
        (
            SOURCE.replace("    hidden", "    def __post_init__(self):\n        raise KeyError('x')\n\n    hidden"),
            "the default options of the family in '.*' must be valid: KeyError: 'x'",
        ),
        (
            "import dataclasses\n"
            + SOURCE.replace("    hidden", "    area: int = dataclasses.field(init=False, default=9)\n    hidden"),
            "the field 'area' of Config must not have init=False: use a property",
        ),
        (
            "import dataclasses\n" + SOURCE.replace("    hidden", "    seen: dataclasses.InitVar[int] = 3\n    hidden"),
            "the option 'seen' of the family in '.*' must be an int, float, str",
        ),
        (SOURCE.replace("int = 3", "int"), "every option of the family in '.*' must have a default, got none for 'lat"),
    ],
)
@pytest.mark.parametrize("how", ["file", "module", "entry point"])
def test_sources_that_define_no_family_raise_input_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str, how: str
) -> None:
    (folder / "own_family.py").write_text(text)
    announce(monkeypatch, announced="own_family")
    source = {"file": str(folder / "own_family.py"), "module": "own_family", "entry point": "announced"}[how]
    with pytest.raises(InputError, match=message) as raised:
        load_family(source)
    assert "\n" not in str(raised.value)


def test_class_variables_are_no_options(folder: Path) -> None:
    fields = "\n    SIZES: typing.ClassVar[dict] = {}\n    hidden"
    (folder / "own.py").write_text("import typing\n" + SOURCE.replace("\n    hidden", fields))
    assert option_types(load_family(str(folder / "own.py")).config) == {"latent_dim": int, "hidden": tuple[int, ...]}


def test_input_error_of_the_source_is_not_wrapped(folder: Path) -> None:
    (folder / "own_family.py").write_text("import jaxgen.errors\nraise jaxgen.errors.InputError('install the extra')")
    with pytest.raises(InputError, match=r"^install the extra$"):
        load_family("own_family")


def test_package_that_raises_while_a_module_in_it_is_imported_raises_input_error(folder: Path) -> None:
    (folder / "broken_package").mkdir()
    (folder / "broken_package" / "__init__.py").write_text("raise OSError('no licence')")
    with pytest.raises(InputError, match=r"'broken_package.own' could not be imported: OSError: no licence"):
        load_family("broken_package.own")
