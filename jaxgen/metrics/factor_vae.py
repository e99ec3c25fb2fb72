"""The score of FactorVAE: whether the latent that varies least in a batch identifies the factor that is fixed in it."""

from typing import NamedTuple

import jax
import numpy as np

from jaxgen._arrays import check_integers, check_number
from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.memory import check_memory
from jaxgen.metrics._known_factors import known_factors, known_latents
from jaxgen.typing import AnyArray, Float, Int, KeyArray

VOTES = 1024
"""Batches whose variances are computed at once."""


class FactorVaeScore(NamedTuple):
    """Accuracy of a majority vote that predicts the fixed factor of a batch.

    Attributes:
        score: accuracy on the test batches, in [0, 1].
        train_score: accuracy on the batches from which the majority was taken.
        votes: number of those batches with this fixed factor whose smallest variance is that of this latent,
            [dim, factors].
        active: whether each latent varies enough to be used, [dim].
    """

    score: float
    train_score: float
    votes: Int[np.ndarray, "dim factors"]
    active: np.ndarray


@checked
def factor_vae_score(
    key: KeyArray,
    latents: Float[AnyArray, "n dim"],
    factors: Int[AnyArray, "n factors"],
    *,
    train_votes: int = 10_000,
    test_votes: int = 5_000,
    batch_size: int = 64,
    least_scale: float = 0.05,
) -> FactorVaeScore:
    """Compute the FactorVAE score: whether the latent that varies least identifies the factor that is fixed.

    Each vote is of a batch of examples in which one factor, drawn uniformly, has the value of a random example. The
    vote is the latent with the smallest variance in the batch, divided by its variance in all examples. A latent
    predicts the factor for which it has most votes; the score is the accuracy for other batches. It is at least about
    1 / factors.

    Args:
        key: PRNG key of the batches.
        latents: latent code of each example, [n, dim]. Batches are drawn from these with replacement, so that the
            examples should be all combinations of factors, or many that represent them.
        factors: number of the value of each factor, [n, factors].
        train_votes: number of batches that determine the majority.
        test_votes: number of batches of which the accuracy is measured.
        batch_size: number of examples in a batch.
        least_scale: smallest standard deviation of a latent that is used, in the unit of the prior's. The score is 0
            if there is none.

    Returns:
        The score, and the votes.

    Raises:
        InputError: if shapes do not match, latents are not finite or fewer than 2, a factor is constant or has a value
            with a single example, or a number is too small.

    Reference:
        Kim and Mnih 2018, arXiv:1802.05983, section 4; numbers of votes and the smallest scale of Locatello et al.
        2019, arXiv:1811.12359.

    Example:
        >>> factors = np.indices((4, 4, 4)).reshape(3, -1).T
        >>> factor_vae_score(jax.random.key(0), factors * 1.0, factors, train_votes=100, test_votes=100).score
        1.0
    """
    check_integers(train_votes=train_votes, test_votes=test_votes, batch_size=batch_size)
    check_number("train_votes", train_votes, at_least=1)
    check_number("test_votes", test_votes, at_least=1)
    check_number("batch_size", batch_size, at_least=2)
    check_number("least_scale", least_scale, at_least=0)
    z, values = known_latents("latents", latents), known_factors(factors)
    most = max(train_votes, test_votes)
    # The draws of float32, and their copy of float64.
    check_memory(f"batches of {most} votes", (4 + 8) * most * (2 + batch_size), "give fewer votes")
    variances = z.var(axis=0, ddof=1)
    active = (np.sqrt(variances) >= least_scale) & (np.ptp(z, axis=0) > 0)
    examples = [_ByValue(column, number) for number, column in enumerate(values.T)]
    votes = []
    for vote_key, count in zip(jax.random.split(key), (train_votes, test_votes), strict=True):
        # One row for each batch: its factor, the example whose value is fixed, and the other examples with it.
        uniform = np.asarray(jax.random.uniform(vote_key, (count, 2 + batch_size), np.float32), np.float64)
        counts = np.zeros((len(active), len(examples)), np.int64)
        for first in range(0, count, VOTES) if active.any() else ():
            drawn = uniform[first : first + VOTES]
            fixed = (drawn[:, 0] * len(examples)).astype(int)
            batches = np.empty((len(drawn), batch_size), np.int64)
            for number, by_value in enumerate(examples):
                batches[fixed == number] = by_value.draw(drawn[fixed == number, 1:])
            relative = z[batches][:, :, active].var(axis=1, ddof=1) / variances[active]
            np.add.at(counts, (np.flatnonzero(active)[relative.argmin(axis=1)], fixed), 1)
        votes.append(counts)
    majority = np.arange(len(active)), votes[0].argmax(axis=1)
    train_score, score = (float(counts[majority].sum() / max(counts.sum(), 1)) for counts in votes)
    return FactorVaeScore(score, train_score, votes[0], active)


class _ByValue:
    """The examples ordered by the value of a factor, of which those of one value can be drawn."""

    def __init__(self, values: Int[np.ndarray, " n"], number: int) -> None:
        self._value, counts = np.unique(values, return_inverse=True, return_counts=True)[1:]
        if counts.min() < 2:
            raise InputError(
                f"each value of a factor must have at least 2 examples, got a value of factor {number} with one; give "
                "numbers of values for continuous factors, or more examples"
            )
        self._order = np.argsort(self._value, kind="stable")
        self._counts, self._first = counts, np.cumsum(counts) - counts

    def draw(self, uniform: Float[np.ndarray, "batches size"]) -> Int[np.ndarray, "batches size"]:
        """Draw one example by the first column, and others with its value by the other columns."""
        value = self._value[(uniform[:, :1] * len(self._value)).astype(int)]
        return self._order[self._first[value] + (uniform[:, 1:] * self._counts[value]).astype(int)]
