"""Checks of the samples, masses and hyperparameters that divergences between two sets of examples take."""

import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_batch, check_number, is_known
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Scalar, Shaped


def check_samples(*, smallest: int = 1, **samples: Shaped[Array, " n *event"]) -> None:
    """Raise a ValueError with names and shapes unless all samples have at least `smallest` events, all of one shape."""
    check_batch(**samples)
    listed = " and ".join(f"{name} {jnp.shape(sample)}" for name, sample in samples.items())
    if len({jnp.shape(sample)[1:] for sample in samples.values()}) > 1:
        raise ValueError(f"{' and '.join(samples)} must have events of the same shape, got {listed}")
    if min(jnp.shape(sample)[0] for sample in samples.values()) < smallest:
        raise ValueError(f"the size of each sample must be at least {smallest}, got {listed}")


def check_masses(**masses: Shaped[AnyArray, " n"]) -> None:
    """Raise a ValueError with the name where a mass is negative; traced masses are not checked."""
    for name, mass in masses.items():
        if is_known(mass) and (least := float(np.asarray(mass).min())) < 0:
            raise ValueError(f"{name} must not be negative, got a minimum of {least:g}")


def known_number(name: str, value: Scalar, *, at_least: float) -> float:
    """Return a checked hyperparameter that must be known while tracing, given as a number or an array of shape ()."""
    check_number(name, value, at_least=at_least)
    if not is_known(value):
        raise InputError(
            f"{name} must be known while tracing, got a traced value; pass a number or make it a static argument of jit"
        )
    return float(value)


def known_integer(name: str, value: Scalar, *, at_least: int) -> int:
    """Return a checked integer that must be known while tracing, given as a number or an array of shape ()."""
    number = known_number(name, value, at_least=at_least)
    if not number.is_integer():
        raise InputError(f"{name} must be an integer, got {value}")
    return int(number)
