"""Checks of latents and of the known factors of the same examples, for the metrics of disentanglement."""

import numpy as np

from jaxgen._arrays import is_known
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Float, Int


def check_known_values(name: str, array: AnyArray) -> None:
    """Raise an InputError for an array that is traced, since these functions compute on the host."""
    if not is_known(array):
        raise InputError(f"{name} must be known, got a traced array; call this function outside of jit and vmap")


def known_latents(name: str, latents: AnyArray, *, least: int = 2) -> Float[np.ndarray, "n dim"]:
    """Return latents in float64, of at least so many examples and two dimensions, all finite."""
    check_known_values(name, latents)
    z = np.asarray(latents).astype(np.float64)
    if len(z) < least or z.shape[1] < 2:
        raise InputError(f"{name} must be at least {least} examples of at least 2 dimensions, got shape {z.shape}")
    if not np.isfinite(z).all():
        raise InputError(f"{name} must be finite, got NaN or infinite values; leave these examples out")
    return z


def known_factors(factors: AnyArray) -> Int[np.ndarray, "n factors"]:
    """Return factors on the host, of which each has at least two values."""
    check_known_values("factors", factors)
    values = np.asarray(factors)
    if values.shape[1] == 0:
        raise InputError("factors must have at least one factor, got none")
    constant = np.flatnonzero((values == values[0]).all(axis=0))
    if len(constant):
        raise InputError(f"each factor must have at least 2 values, got one value of factor {constant[0]}")
    return values
