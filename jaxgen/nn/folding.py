"""Batch normalization with fixed statistics, folded into the convolution before it."""

import numpy as np

from jaxgen.typing import Float


def fold_batch_norm(
    kernel: Float[np.ndarray, "*window channels features"],
    *,
    scale: Float[np.ndarray, " features"],
    bias: Float[np.ndarray, " features"],
    mean: Float[np.ndarray, " features"],
    variance: Float[np.ndarray, " features"],
    epsilon: float,
) -> dict[str, Float[np.ndarray, "..."]]:
    """Return the convolution with a bias that equals a convolution and batch normalization with fixed statistics.

        scale (W x - mean) / sqrt(variance + epsilon) + bias = W' x + b',    W' = g W,  b' = bias - g mean,
        g = scale / sqrt(variance + epsilon)

    Args:
        kernel: weights W of the convolution, features last.
        scale: factor per feature.
        bias: summand per feature.
        mean: running mean.
        variance: running variance.
        epsilon: number that is added to the variance.

    Returns:
        `kernel` W' and `bias` b', float32, computed in float64.

    Example:
        >>> one = np.ones(1)
        >>> fold_batch_norm(np.ones((1, 1, 1, 1)), scale=3 * one, bias=one, mean=one, variance=4 * one, epsilon=0.0)
        {'kernel': array([[[[1.5]]]], dtype=float32), 'bias': array([-0.5], dtype=float32)}
    """
    gain = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    return {"kernel": (kernel * gain).astype(np.float32), "bias": (bias - gain * mean).astype(np.float32)}
