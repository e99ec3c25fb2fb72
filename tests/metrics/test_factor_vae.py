"""The FactorVAE score against its definition, written as a loop, and latents whose score is known."""

import jax
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.metrics import factor_vae_score

KEY = jax.random.key(0)
GRID = np.indices((3, 4, 5)).reshape(3, -1).T


def test_a_factor_in_each_latent_has_the_score_one_and_votes_for_it_alone():
    found = factor_vae_score(KEY, (GRID[:, [2, 0, 1]] - 1.5).astype(np.float32), GRID, train_votes=600, test_votes=300)
    assert (found.score, found.train_score) == (1, 1)
    assert found.votes.sum() == 600
    assert found.votes[[0, 1, 2], [2, 0, 1]].min() > 150  # 200 each, sd 12.
    assert np.count_nonzero(found.votes) == 3


def test_a_factor_without_a_latent_is_never_predicted():
    """With the third factor fixed, votes are divided between the latents of the others, which predict those."""
    found = factor_vae_score(KEY, GRID[:, :2] * 1.0, GRID, train_votes=3000, test_votes=3000)
    np.testing.assert_array_equal(found.votes[[0, 1], [1, 0]], 0)
    assert found.votes[:, 2].min() > 100
    assert found.score == pytest.approx(2 / 3, abs=0.03)
    assert found.train_score == (found.votes[0, 0] + found.votes[1, 1]) / 3000


def test_score_is_that_of_the_definition_for_a_mixed_code_and_factors_of_uneven_frequency():
    rng = np.random.default_rng(0)
    factors = GRID[rng.choice(60, 600, p=(np.arange(60) + 1) / 1830)]
    latents = factors @ np.array([[1.0, 0.3, 0.0, 0.2], [0.2, 1.0, 0.7, 0.0], [0.0, 0.4, 0.6, 0.0]])
    latents += 0.3 * rng.normal(size=latents.shape)
    latents[:, 3] *= 0.01
    scale = latents.std(axis=0, ddof=1)
    assert scale[3] < 0.05

    def vote():
        factor, example = rng.integers(3), rng.integers(600)
        same = np.flatnonzero(factors[:, factor] == factors[example, factor])
        batch = latents[rng.choice(same, 10), :3]
        return factor, (batch.std(axis=0, ddof=1) / scale[:3]).argmin()

    votes = np.zeros((2, 3, 3))
    for part in range(2):
        for _ in range(2000):
            votes[(part, *vote())] += 1
    expected = votes[1][votes[0].argmax(axis=0), range(3)].sum() / 2000
    found = factor_vae_score(KEY, latents, factors, train_votes=2000, test_votes=2000, batch_size=10)
    assert found.active.tolist() == [True, True, True, False]
    assert found.votes[3].sum() == 0
    assert 0.5 < expected < 0.95
    assert found.score == pytest.approx(expected, abs=4 * (2 * expected * (1 - expected) / 2000) ** 0.5)
    shares = votes[0].T / 2000
    assert np.abs(found.votes[:3] / 2000 - shares).max() < 4 * (2 * 0.25 / 2000) ** 0.5


def test_an_unrelated_code_predicts_no_better_than_chance():
    latents = np.random.default_rng(0).normal(size=(6000, 4))
    found = factor_vae_score(KEY, latents, np.tile(GRID, (100, 1)), train_votes=3000, test_votes=3000)
    assert found.score == pytest.approx(1 / 3, abs=0.05)


def test_latents_that_hardly_vary_are_left_out():
    latents = np.column_stack([GRID * 0.01, np.full(60, 0.1)])
    assert factor_vae_score(KEY, latents, GRID, train_votes=9, test_votes=9)[:2] == (0, 0)
    found = factor_vae_score(KEY, latents, GRID, train_votes=90, test_votes=9, least_scale=0)
    assert found.score == 1
    assert found.active.tolist() == [True, True, True, False]  # Its variance, of rounding errors, is no scale.


def test_batches_depend_on_the_key_alone():
    latents = GRID[:, :2] * 1.0
    first, again, other = (
        factor_vae_score(jax.random.key(i), latents, GRID, train_votes=200, test_votes=100) for i in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.votes, again.votes)
    assert (first.votes != other.votes).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": 0}, "key must be a typed PRNG key"),
        ({"latents": np.ones((5, 3))}, r"factors must be .* \[n, factors\] with n 5"),
        ({"latents": np.full((60, 3), np.inf)}, "latents must be finite"),
        ({"latents": np.ones((60, 1))}, "latents must be at least 2 examples of at least 2 dimensions"),
        ({"factors": GRID * 1.0}, "factors must be an array of integers"),
        ({"factors": GRID * [1, 1, 0]}, "each factor must have at least 2 values, got one value of factor 2"),
        ({"factors": GRID + np.eye(60, 3, dtype=int) * 9}, "at least 2 examples, got a value of factor 0 with one"),
        ({"train_votes": 0}, "train_votes must be at least 1, got 0"),
        ({"test_votes": 1.5}, "test_votes must be an integer"),
        ({"train_votes": 10**11}, "TiB for batches of 100000000000 votes, .* give fewer votes"),
        ({"batch_size": 1}, "batch_size must be at least 2, got 1"),
        ({"least_scale": -1}, "least_scale must be at least 0, got -1"),
        ({"least_scale": np.nan}, "least_scale must be at least 0, got nan"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    arguments = {"key": KEY, "latents": GRID * 1.0, "factors": GRID} | options
    with pytest.raises(InputError, match=message):
        factor_vae_score(**arguments)
