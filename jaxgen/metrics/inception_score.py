"""Inception score of generated examples, from the logits of a classifier."""

from itertools import pairwise
from typing import NamedTuple

import jax
import numpy as np

from jaxgen._arrays import check_number
from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Float, Int, KeyArray


class InceptionScore(NamedTuple):
    """Inception score over splits of the examples.

    Attributes:
        mean: mean of the scores of the splits, from 1 to the number of classes.
        sd: standard deviation of the scores of the splits.
    """

    mean: float
    sd: float


@checked
def inception_score(
    logits: Float[AnyArray, "n classes"],
    *,
    splits: int = 10,
    key: KeyArray | None = None,
    order: Int[AnyArray, " n"] | None = None,
    ddof: int = 0,
) -> InceptionScore:
    """Compute the inception score of generated examples from the logits of a classifier, in float64.

    `exp(mean KL(p(y | x) || p(y)))` of each split, p(y) being the mean of p(y | x) over the split. Split i of s has the
    examples from `i n // s` to `(i + 1) n // s`, as in the implementations that are cited.

    What is published as Inception score differs: the original and StyleGAN's metrics of NVIDIA remove the bias of the
    last layer, so give logits without it for those numbers. The original and StyleGAN's keep the order of the examples;
    torch-fidelity shuffles it. Scores of classifiers with other weights or other data are not comparable.

    Args:
        logits: logits of the classes of each example, [n, classes].
        splits: number of splits. StudioGAN's numbers have 1; their standard deviation is then 0 here.
        key: PRNG key by which the examples are shuffled. None keeps their order.
        order: the order of the examples, all numbers from 0 to n - 1, instead of a drawn one, [n].
        ddof: the divisor of the variance is `splits - ddof`: 0 for NumPy's standard deviation, as in most of the
            implementations, 1 for PyTorch's, as in StudioGAN and torchmetrics.

    Returns:
        Mean and standard deviation of the scores of the splits.

    Raises:
        InputError: if the logits are not a matrix with at least one row per split, or not finite, the order is not one
            of the examples, or both a key and an order are given.

    Reference:
        Salimans et al. 2016, arXiv:1606.03498, section 4.

    Example:
        >>> score = inception_score(np.tile(40.0 * np.eye(4), (5, 1)), splits=5)
        >>> f"{score.mean:.3f}, {score.sd:.3f}"
        '4.000, 0.000'
    """
    logits = logits if isinstance(logits, jax.Array) else np.asarray(logits)
    n = len(logits)
    if 0 in logits.shape:
        raise InputError(f"logits must have at least one row and one class, got shape {logits.shape}")
    check_number("splits", splits, at_least=1)
    if n < splits:
        raise InputError(f"splits must be at most {n}, the number of examples, got {splits}")
    check_number("ddof", ddof, at_least=0)
    if ddof and ddof >= splits:
        raise InputError(f"ddof must be less than {splits}, the number of splits, got {ddof}")
    rows = _rows(key, order, n)
    bounds = np.arange(splits + 1) * n // splits
    scores = [_score(np.asarray(logits[rows[a:b]], np.float64)) for a, b in pairwise(bounds)]
    return InceptionScore(float(np.mean(scores)), float(np.std(scores, ddof=ddof)))


def _rows(key: KeyArray | None, order: Int[AnyArray, " n"] | None, n: int) -> np.ndarray:
    if key is not None and order is not None:
        raise InputError("order must be None if a key is given, got both; the key draws an order")
    if key is not None:
        return np.asarray(jax.random.permutation(key, n))
    rows = np.arange(n) if order is None else np.asarray(order)
    if not np.array_equal(np.sort(rows), np.arange(n)):
        raise InputError(f"order must have every number from 0 to {n - 1} once, got {rows.min()} to {rows.max()}")
    return rows


def _score(logits: np.ndarray) -> float:
    from scipy.special import log_softmax

    if not np.isfinite(logits).all():
        raise InputError("logits must be finite, got NaN or infinite values; leave diverged samples out")
    log_p = log_softmax(logits, axis=1)
    p = np.exp(log_p)
    marginal = p.mean(axis=0)
    # The mean of the entropies subtracted from the entropy of the mean; a class of probability 0 adds 0.
    log_marginal = np.log(np.where(marginal > 0, marginal, 1.0))
    return float(np.exp(np.sum(p * log_p) / len(p) - marginal @ log_marginal))
