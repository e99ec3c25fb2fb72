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
    """Return about the median distance, for both sides."""
    return (2.0 * dimensions) ** 0.5


def of_jaxgen(x: Array, y: Array) -> Array:
    return divergences.mmd(x, y, bandwidth=bandwidth(x.shape[1]))


def of_complete_kernels(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the result from three n x n kernels without their diagonals, each computed in one buffer."""
    scale = -0.5 / bandwidth(x.shape[1]) ** 2

    def total(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        squared = torch.addmm(b.square().sum(dim=1), a, b.T, alpha=-2).add_(a.square().sum(dim=1, keepdim=True))
        return squared.mul_(scale).exp_().sum()

    n, m = len(x), len(y)
    within = (total(x, x) - n) / (n * (n - 1)) + (total(y, y) - m) / (m * (m - 1))
    return within - 2 * total(x, y) / (n * m)


COMPARISON = Comparison(
    name="mmd",
    growing=f"points, of {DIMENSIONS} dimensions",
    sizes=[2000, 4000, 8000],
    inputs=inputs,
    sides={JAXGEN: by_jax(of_jaxgen), "PyTorch n x n": by_torch(of_complete_kernels)},
    tolerance=1e-3,
)
