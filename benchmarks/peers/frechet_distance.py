"""Fréchet distance of two Gaussians, in up to the 2,048 dimensions of the Fréchet inception distance."""

import numpy as np
import scipy.linalg
import torch

from jaxgen import divergences
from peers.comparison import JAXGEN, Comparison, by_jax, by_numpy, by_torch

EXAMPLES = 10_000


def inputs(dimensions: int) -> tuple[np.ndarray, ...]:
    """Return means and covariances of examples; the axes of the second are slightly rotated."""
    rng = np.random.default_rng(0)
    deviations = np.arange(1, dimensions + 1, dtype=np.float32) ** -0.5
    gaussians = []
    for rotation in (0.0, 0.1):
        examples = rng.standard_normal((EXAMPLES, dimensions), dtype=np.float32) * deviations
        examples += rotation * np.roll(examples, 1, axis=1)
        mean = examples.mean(axis=0)
        centred = examples - mean
        gaussians += [mean, centred.T @ centred / (EXAMPLES - 1)]
    return tuple(gaussians)


def by_eigenvalues(
    mean_p: torch.Tensor, cov_p: torch.Tensor, mean_q: torch.Tensor, cov_q: torch.Tensor
) -> torch.Tensor:
    """Use the square roots of the eigenvalues of the product, like torchmetrics."""
    root_trace = torch.linalg.eigvals(cov_p @ cov_q).sqrt().real.sum()
    return torch.sum((mean_p - mean_q) ** 2) + torch.trace(cov_p) + torch.trace(cov_q) - 2 * root_trace


def by_root(mean_p: np.ndarray, cov_p: np.ndarray, mean_q: np.ndarray, cov_q: np.ndarray) -> float:
    """Use the square root of the product, in double precision, like pytorch-fid."""
    root = scipy.linalg.sqrtm(cov_p.astype(np.float64) @ cov_q.astype(np.float64))
    return float(np.sum((mean_p - mean_q) ** 2) + np.trace(cov_p) + np.trace(cov_q) - 2 * np.trace(root).real)


COMPARISON = Comparison(
    name="frechet_distance",
    growing="dimensions",
    sizes=[512, 1024, 2048],
    inputs=inputs,
    sides={
        JAXGEN: by_jax(divergences.frechet_distance),
        "PyTorch eigvals": by_torch(by_eigenvalues),
        "SciPy sqrtm": by_numpy(by_root),
    },
    tolerance=1e-3,
)
