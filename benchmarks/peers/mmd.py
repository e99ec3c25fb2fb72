"""Squared maximum mean discrepancy of two samples, with the Gaussian kernel."""

import numpy as np
import torch

from jaxgen import divergences
from jaxgen.typing import Array
from peers.comparison import JAXGEN, Comparison, by_jax, by_torch

DIMENSIONS, LARGE_DIMENSIONS = 64, 2048


def inputs(points: int, dimensions: int = DIMENSIONS) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((points, dimensions), dtype=np.float32) for _ in range(2))
    y += np.float32(0.3)
    return x, y


def bandwidth(dimensions: int) -> float:
    """About the median distance, and the same for both sides."""
    return (2.0 * dimensions) ** 0.5


def of_jaxgen(x: Array, y: Array) -> Array:
    return divergences.mmd(x, y, bandwidth=bandwidth(x.shape[1]))


def of_whole_kernels(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The three n x n kernels, and their means without the diagonal."""
    scale = -0.5 / bandwidth(x.shape[1]) ** 2
    within_x, within_y, between = (torch.exp(scale * torch.cdist(a, b) ** 2) for a, b in ((x, x), (y, y), (x, y)))
    pairs_x, pairs_y = len(x) * (len(x) - 1), len(y) * (len(y) - 1)
    within = (within_x.sum() - within_x.trace()) / pairs_x + (within_y.sum() - within_y.trace()) / pairs_y
    return within - 2 * between.mean()


COMPARISON = Comparison(
    name="mmd",
    growing=f"points, of {DIMENSIONS} dimensions",
    sizes=[2000, 4000, 8000],
    inputs=inputs,
    sides={JAXGEN: by_jax(of_jaxgen), "PyTorch n x n": by_torch(of_whole_kernels)},
    tolerance=1e-3,
)
