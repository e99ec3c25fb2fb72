"""Several independent runs in one compiled program."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.typing import Array, Key, PyTree


def seed_keys(seed: int, runs: int) -> Key[Array, " runs"]:
    """The keys of runs with consecutive seeds: run i has the key of a lone run with seed `seed + i`.

    Example:
        >>> bool(seed_keys(7, 3)[2] == jax.random.key(9))
        True
    """
    return jax.vmap(jax.random.key)(jnp.arange(seed, seed + runs))


def over_seeds(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Apply a function of one run to many runs, stacked along a leading axis.

    Side by side (`vmap`) is fastest for fully connected networks everywhere and for all networks on accelerators. It
    turns convolutions into grouped ones, for which the CPU has no fast kernel: there, runs with convolutions take turns
    (`map`), still inside one program.

    Args:
        function: of the pytree of one run.

    Returns:
        The function of the pytree of all runs.

    Example:
        >>> over_seeds(lambda run: run["a"] + run["b"].sum())({"a": jnp.array([1, 2]), "b": jnp.ones((2, 3))})
        Array([4., 5.], dtype=float32)
    """

    def all_runs(runs: PyTree) -> PyTree:
        one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), runs)
        if jax.default_backend() == "cpu" and convolves(function, one):
            return jax.lax.map(function, runs)
        return jax.vmap(function)(runs)

    return all_runs


def convolves(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a function contains a convolution, at any depth.

    Args:
        function: to look into; it is traced, not run.
        *arguments: pytrees of arrays, or of their shapes and types alone.

    Example:
        >>> convolves(lambda x: jnp.convolve(x, x), jnp.ones(3)), convolves(jnp.sum, jnp.ones(3))
        (True, False)
    """
    return "conv_general_dilated" in str(jax.make_jaxpr(function)(*arguments))
