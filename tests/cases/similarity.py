"""References of `jaxgen/losses/similarity.py`."""

import math

import scipy.stats

from jaxgen import losses
from tests.contract import Case, real

CASES = [
    Case(
        "losses.feature_similarity",
        losses.feature_similarity,
        {"real_features": real(), "reconstructed_features": real()},
        [(4,), (3, 2, 2)],
        {
            "SciPy": lambda x, y: (
                (-scipy.stats.norm.logpdf(x, y) - math.log(2 * math.pi) / 2).reshape(len(x), -1).sum(axis=1)
            )
        },
        floor=1e-3,  # relative to SciPy's constant, which float64 represents to 1e-16
        finite_at=[([[1.0, -1e4]], [[1.0, 1e4]])],
    )
]
