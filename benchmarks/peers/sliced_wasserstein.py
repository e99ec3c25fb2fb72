"""Sliced Wasserstein distance, with the same directions on all sides."""

from collections.abc import Callable

import jax
import numpy as np
import ot
import torch

from jaxgen import divergences
from jaxgen.typing import Array
from peers.comparison import JAXGEN, Comparison, by_jax

DIMENSIONS, PROJECTIONS = 64, 128


def inputs(points: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, points, DIMENSIONS), dtype=np.float32)
    return x, y + np.float32(0.3)


def of_jaxgen(x: Array, y: Array) -> Array:
    return divergences.sliced_wasserstein(jax.random.key(0), x, y, n_projections=PROJECTIONS)


def directions_of_key() -> np.ndarray:
    """Return the directions that jaxgen draws from its key, one per column."""
    directions = np.asarray(jax.random.normal(jax.random.key(0), (PROJECTIONS, DIMENSIONS)))
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T


def by_pot(x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
    projections = directions_of_key()
    return lambda: ot.sliced_wasserstein_distance(x, y, projections=projections)


def by_sorted_projections(x: np.ndarray, y: np.ndarray) -> Callable[[], torch.Tensor]:
    """Return the short implementation for equally many points; the projections onto each direction are contiguous."""
    directions = torch.from_numpy(np.ascontiguousarray(directions_of_key().T))
    x_columns, y_columns = torch.from_numpy(x).T, torch.from_numpy(y).T

    def distance() -> torch.Tensor:
        difference = (directions @ x_columns).sort(dim=1).values - (directions @ y_columns).sort(dim=1).values
        return difference.square().mean().sqrt()

    return distance


COMPARISON = Comparison(
    name="sliced_wasserstein",
    growing=f"points, of {DIMENSIONS} dimensions",
    sizes=[1000, 10_000, 100_000],
    inputs=inputs,
    sides={JAXGEN: by_jax(of_jaxgen), "POT": by_pot, "PyTorch sort": by_sorted_projections},
    tolerance=1e-3,  # POT adds up the masses of 1 / n in float32, which at 100,000 points is 5e-4 of the distance.
)
