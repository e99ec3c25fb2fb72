"""Sliced Wasserstein distance, both sides along the same lines."""

import jax
import numpy as np
import ot
import torch

from jaxgen import divergences
from jaxgen.typing import Array
from peers.comparison import JAXGEN, Comparison, by_jax, by_numpy, by_torch

DIMENSIONS, PROJECTIONS = 64, 128


def inputs(points: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, points, DIMENSIONS), dtype=np.float32)
    return x, y + np.float32(0.3)


def of_jaxgen(x: Array, y: Array) -> Array:
    return divergences.sliced_wasserstein(jax.random.key(0), x, y, n_projections=PROJECTIONS)


def lines() -> np.ndarray:
    """The directions that jaxgen's key stands for, one a column."""
    directions = np.asarray(jax.random.normal(jax.random.key(0), (PROJECTIONS, DIMENSIONS)))
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T


def of_pot(x: np.ndarray, y: np.ndarray) -> float:
    return ot.sliced_wasserstein_distance(x, y, projections=lines())


def of_sorted_projections(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """What is short to write where both have as many points."""
    directions = torch.from_numpy(lines())
    difference = (x @ directions).sort(dim=0).values - (y @ directions).sort(dim=0).values
    return difference.square().mean().sqrt()


COMPARISON = Comparison(
    name="sliced_wasserstein",
    growing=f"points, of {DIMENSIONS} dimensions",
    sizes=[1000, 10_000, 100_000],
    inputs=inputs,
    sides={JAXGEN: by_jax(of_jaxgen), "POT": by_numpy(of_pot), "PyTorch sort": by_torch(of_sorted_projections)},
    tolerance=1e-4,
)
