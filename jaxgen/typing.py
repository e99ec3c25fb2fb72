"""Type aliases for signatures: arrays with shapes (jaxtyping), keys, batches and pytrees."""

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
    "Key",
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
"""One typed PRNG key, as returned by `jax.random.key`."""

Batch: TypeAlias = Mapping[str, Any]
"""Arrays named `image` or `point`, and `label`, with the examples along the leading axis."""

Scalar: TypeAlias = float | Float[Array, ""]
"""One number; may be traced by `jit` and `vmap`."""

Params: TypeAlias = dict[str, Any]
"""Network name -> pytree of the parameters that are changed by gradients."""

Stats: TypeAlias = dict[str, Any]
"""Network name -> pytree of the statistics that are changed by forward passes (running statistics of batch
normalization, vectors of spectral normalization)."""

Metrics: TypeAlias = dict[str, jax.Array]
"""Metric name -> array."""
