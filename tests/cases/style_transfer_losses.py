"""References of `jaxgen/losses/style_transfer_losses.py`: PyTorch's mean squared error, and statistics of NumPy."""

import numpy as np
import torch

from jaxgen import losses
from tests.contract import Case, real

SHAPES = [(3, 2, 2, 1), (4, 1, 3, 2)]


def mean_squared_error(x, y):
    return np.array(
        [float(torch.nn.functional.mse_loss(torch.tensor(a), torch.tensor(b))) for a, b in zip(x, y, strict=True)]
    )


def distance_of_statistics(x, y):
    """Means and population standard deviations of NumPy, with 1e-5 in the root."""
    means = np.mean(x, axis=(1, 2)) - np.mean(y, axis=(1, 2))
    deviations = [np.sqrt(np.var(array, axis=(1, 2)) + 1e-5) for array in (x, y)]
    return (means**2 + (deviations[0] - deviations[1]) ** 2).sum(axis=1)


CASES = [
    Case(
        "losses.content_loss",
        losses.content_loss,
        {"features": real(), "target": real()},
        [(4,), *SHAPES],
        {"PyTorch": mean_squared_error},
        finite_at=[([[1.0, -1e4]], [[1.0, 1e4]])],
    ),
    Case(
        "losses.style_loss",
        losses.style_loss,
        {"features": real(), "style": real()},
        [*SHAPES, ((2, 2, 3, 2), (2, 4, 1, 2))],
        {"NumPy": distance_of_statistics},
        floor=1e-2,
        finite_at=[(np.zeros((1, 2, 2, 1)), np.ones((1, 2, 2, 1))), (np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1)))],
    ),
]
