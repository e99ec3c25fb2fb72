"""What importing the package costs and gives: heavy libraries only where they are used, and functions by name."""

import json
import subprocess
import sys
from importlib import metadata

import pytest

HEAVY = ("tensorflow", "tensorflow_datasets", "grain", "matplotlib", "orbax", "sklearn", "tensorboardX", "tyro", "PIL")
NETWORKS = ("jaxgen.nn.efficientnet_lite0", "jaxgen.nn.inception_2015")
FOLDERS = (
    "typing", "data", "augmentation", "losses", "divergences", "metrics", "plot", "models", "training", "analysis",
    "callbacks", "runs", "report", "recipes",
)  # fmt: skip
"""Folders of the package, those first that others import."""

EXPORTS = {"Family", "Model", "Player", "Regularizer", "RunConfig", "State", "fit", "game", "load_run", "train"}


def output_of(program: str) -> str:
    """The output of a program in another process."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """Folder -> modules that its import adds to those of JAX, Flax and optax and of the folders before it."""
    program = f"""
import importlib, json, sys
import jax, flax, flax.linen, optax
before, added = set(sys.modules), {{}}
for folder in {FOLDERS}:
    importlib.import_module(f"jaxgen.{{folder}}")
    added[folder] = sorted(set(sys.modules) - before)
    before = set(sys.modules)
print(json.dumps(added))
"""
    return {folder: set(modules) for folder, modules in json.loads(output_of(program)).items()}


def test_the_package_alone_imports_nothing() -> None:
    modules = set(output_of("import sys, jaxgen; print(*sys.modules)").split())
    assert not {"jax", "numpy", "flax"} & modules
    assert not {module for module in modules if module.startswith("jaxgen.")}


@pytest.mark.parametrize("folder", FOLDERS)
def test_heavy_libraries_are_imported_where_they_are_used(folder: str, imported: dict[str, set[str]]) -> None:
    assert not {*HEAVY, *NETWORKS} & imported[folder]


def test_exported_names_are_the_same_objects_whatever_was_imported_before() -> None:
    """Also `game`, which is the name of a module and of the function in it."""
    program = f"""
import importlib, sys
import jax, flax.linen, optax

EXPORTS = {sorted(EXPORTS)}
ORDERS = [
    ["from jaxgen import game"],
    ["import jaxgen.game", "from jaxgen import game"],
    ["from jaxgen import fit", "import jaxgen.training", "from jaxgen import game"],
    ["from jaxgen.game import State", "import jaxgen", "game = jaxgen.game"],
    ["import jaxgen.runs, jaxgen.models, jaxgen.cli.main", "from jaxgen import *"],
    ["import jaxgen", "game = jaxgen.game", "import jaxgen.game as module", "from jaxgen import game as again"],
]
for order in ORDERS:
    for name in [name for name in sys.modules if name.partition(".")[0] == "jaxgen"]:
        del sys.modules[name]
    names = {{}}
    for statement in order:
        exec(statement, names)
    import jaxgen
    from jaxgen.game import Model, Player, Regularizer, State
    module = sys.modules["jaxgen.game"]
    assert names["game"] is jaxgen.game is module.game, order
    assert type(jaxgen.game).__name__ == "function", order
    assert (jaxgen.Model, jaxgen.Player, jaxgen.Regularizer, jaxgen.State) == (Model, Player, Regularizer, State)
    for name in EXPORTS:
        found = getattr(jaxgen, name)
        assert callable(found) and found.__name__ == name, (order, name)
        assert found is getattr(sys.modules[found.__module__], name), (order, name)
    assert set(jaxgen.__all__) == set(EXPORTS)
print("done")
"""
    assert output_of(program) == "done\n"


def test_the_version_is_that_of_the_installed_package() -> None:
    assert output_of("import jaxgen; print(jaxgen.__version__)") == metadata.version("jaxgen") + "\n"


def test_unknown_names_are_refused() -> None:
    import jaxgen

    with pytest.raises(AttributeError, match="module 'jaxgen' has no attribute 'gamee'"):
        jaxgen.gamee  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'fitt' from 'jaxgen'"):
        from jaxgen import fitt  # noqa: F401
