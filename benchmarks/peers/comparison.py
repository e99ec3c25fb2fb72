"""Definition of a comparison: one function of jaxgen and other implementations of it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import torch

JAXGEN = "jaxgen"

Side = Callable[..., Callable[[], Any]]
"""Function from inputs to a function without arguments that computes, waits, and returns the result."""


class Comparison(NamedTuple):
    """One function and its peers.

    Attributes:
        name: name of the function.
        growing: unit of the size, in words.
        sizes: three sizes, in ascending order.
        inputs: function from a size to the arguments, on the host.
        sides: implementations by name, jaxgen first.
        tolerance: largest relative difference of results that agree.
    """

    name: str
    growing: str
    sizes: list[int]
    inputs: Callable[..., tuple[np.ndarray, ...]]
    sides: Mapping[str, Side]
    tolerance: float

    def difference(self, result: np.ndarray, other: np.ndarray) -> float:
        """Return the largest difference of two results, relative to the largest number in the first."""
        return float(np.max(np.abs(result - other)) / np.max(np.abs(result)))


def by_jax(function: Callable) -> Side:
    """Return a side that calls a function of JAX arrays, compiled in advance."""

    def prepare(*inputs: np.ndarray) -> Callable[[], Any]:
        arrays = [jax.device_put(array) for array in inputs]
        program = jax.jit(function).lower(*arrays).compile()
        return lambda: jax.block_until_ready(program(*arrays))

    return prepare


def by_torch(function: Callable) -> Side:
    """Return a side that calls a function of PyTorch tensors."""

    def prepare(*inputs: np.ndarray) -> Callable[[], Any]:
        tensors = [torch.from_numpy(array) for array in inputs]
        return lambda: function(*tensors)

    return prepare


def by_numpy(function: Callable) -> Side:
    """Return a side that calls a function of NumPy arrays."""
    return lambda *inputs: lambda: function(*inputs)
