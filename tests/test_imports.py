"""What an import costs: a library that is slow to import is slow to use."""

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "tensorflow_datasets", "grain", "matplotlib", "orbax", "sklearn", "tensorboardX", "tyro", "PIL")


def imported_by(statement):
    """Names of all modules that a fresh interpreter has after a statement."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


def test_the_package_alone_imports_nothing():
    assert not {"jax", "numpy", "flax"} & imported_by("import jaxgen")


@pytest.mark.parametrize(
    "module", ["models", "training", "data", "plot", "losses", "divergences", "metrics", "analysis", "run", "recipes"]
)
def test_heavy_libraries_are_imported_where_they_are_used(module):
    extra = imported_by(f"import jaxgen.{module}") - imported_by("import jax, flax, flax.linen, optax")
    assert not set(HEAVY) & extra
