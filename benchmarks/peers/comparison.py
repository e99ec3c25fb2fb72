"""What a comparison is: one function of jaxgen, and how else a user would compute the same."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import torch

JAXGEN = "jaxgen"

Side = Callable[..., Callable[[], Any]]
"""Inputs -> a function without arguments that computes, waits, and returns the result."""


class Comparison(NamedTuple):
    """One function and its peers.

    Attributes:
        name: of the function.
        growing: what a size counts, in words.
        sizes: three, from small to large.
        inputs: size -> the arguments, on the host.
        sides: name -> how it is computed, jaxgen first.
        tolerance: largest relative difference of results that counts as agreement.
    """

    name: str
    growing: str
    sizes: list[int]
    inputs: Callable[..., tuple[np.ndarray, ...]]
    sides: Mapping[str, Side]
    tolerance: float

    def difference(self, result: np.ndarray, other: np.ndarray) -> float:
        """Largest difference of two results, relative to the largest number in the first."""
        return float(np.max(np.abs(result - other)) / np.max(np.abs(result)))


def by_jax(function: Callable) -> Side:
    """A side that calls a function of JAX arrays, compiled beforehand."""

    def prepare(*inputs: np.ndarray) -> Callable[[], Any]:
        arrays = [jax.device_put(array) for array in inputs]
        program = jax.jit(function).lower(*arrays).compile()
        return lambda: jax.block_until_ready(program(*arrays))

    return prepare


def by_torch(function: Callable) -> Side:
    """A side that calls a function of PyTorch's tensors."""

    def prepare(*inputs: np.ndarray) -> Callable[[], Any]:
        tensors = [torch.from_numpy(array) for array in inputs]
        return lambda: function(*tensors)

    return prepare


def by_numpy(function: Callable) -> Side:
    """A side that calls a function of NumPy arrays."""
    return lambda *inputs: lambda: function(*inputs)
