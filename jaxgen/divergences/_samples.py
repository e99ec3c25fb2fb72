"""What divergences between two sets of examples ask of them, and of the numbers that come with them."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_batch, check_number
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Scalar, Shaped


def check_samples(*, smallest: int = 1, **samples: Shaped[Array, " n *event"]) -> None:
    """Raise a ValueError with the names and shapes unless all hold events of one shape, and enough of them."""
    check_batch(**samples)
    listed = " and ".join(f"{name} {jnp.shape(sample)}" for name, sample in samples.items())
    if len({jnp.shape(sample)[1:] for sample in samples.values()}) > 1:
        raise ValueError(f"events must have one shape, got {listed}")
    if min(jnp.shape(sample)[0] for sample in samples.values()) < smallest:
        raise ValueError(f"there must be at least {smallest} of each, got {listed}")


def check_masses(**masses: Shaped[AnyArray, " n"]) -> None:
    """Raise a ValueError with the name where a mass is negative; under `jit` masses cannot be seen."""
    for name, mass in masses.items():
        if not isinstance(mass, jax.core.Tracer) and (least := float(np.asarray(mass).min())) < 0:
            raise ValueError(f"{name} must not be negative, got a minimum of {least:g}")


def known_number(name: str, value: Scalar, *, at_least: float) -> float:
    """A hyperparameter that what is computed depends on, checked, from a number or an array of one."""
    check_number(name, value, at_least=at_least)
    if isinstance(value, jax.core.Tracer):
        raise InputError(f"{name} must be known while tracing, so give jit a number or a static argument")
    return float(value)


def whole_number(name: str, value: Scalar, *, at_least: int) -> int:
    """The same for a number of things."""
    number = known_number(name, value, at_least=at_least)
    if not number.is_integer():
        raise InputError(f"{name} must be a whole number, got {value}")
    return int(number)
