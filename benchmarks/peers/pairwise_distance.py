"""Euclidean distances of all pairs."""

import functools

import numpy as np
import scipy.spatial.distance
import torch

from jaxgen import losses
from peers.comparison import JAXGEN, Comparison, by_jax, by_numpy, by_torch

DIMENSIONS = 128


def inputs(points: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal((points, DIMENSIONS), dtype=np.float32) for _ in range(2))


COMPARISON = Comparison(
    name="pairwise_distance",
    growing=f"points, of {DIMENSIONS} dimensions",
    sizes=[1000, 2000, 4000],
    inputs=inputs,
    sides={
        JAXGEN: by_jax(losses.pairwise_distance),
        "PyTorch cdist": by_torch(torch.cdist),  # by products, which are not accurate for near points
        "PyTorch exact": by_torch(functools.partial(torch.cdist, compute_mode="donot_use_mm_for_euclid_dist")),
        "SciPy cdist": by_numpy(scipy.spatial.distance.cdist),
    },
    tolerance=1e-5,
)
