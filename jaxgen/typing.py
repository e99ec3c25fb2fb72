"""The names that signatures use: arrays with their shapes (jaxtyping), keys, batches and pytrees."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree, Shaped, UInt8

__all__ = [
    "AnyArray",
    "Array",
    "Batch",
    "Float",
    "Int",
    "KeyArray",
    "Metrics",
    "Params",
    "PyTree",
    "Scalar",
    "Shaped",
    "Stats",
    "UInt8",
]

AnyArray: TypeAlias = jax.Array | np.ndarray
"""An array on a device or on the host."""

KeyArray: TypeAlias = Key[Array, ""]
"""One typed key, as `jax.random.key` makes it."""

Batch: TypeAlias = Mapping[str, Any]
"""Arrays under the names `image` or `point`, and `label`; leading axis = examples."""

Scalar: TypeAlias = float | Float[Array, ""]
"""One number, which `jit` and `vmap` may trace."""

Params: TypeAlias = dict[str, Any]
"""Network name -> pytree of what gradients move."""

Stats: TypeAlias = dict[str, Any]
"""Network name -> pytree of what forward passes move (running averages of batch norm, spectral vectors)."""

Metrics: TypeAlias = dict[str, jax.Array]
"""Metric name -> array."""
