from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxgen.models.corruption import CORRUPTIONS, CorruptionName, gaussian_noise, masking_noise, salt_and_pepper

FALSE_ALARM = 1e-6
"""The keys are fixed, so a p-value below this means a bias and not bad luck."""

GREY = jnp.linspace(0.2, 0.8, 100_000)


def test_gaussian_noise_is_normal_with_the_given_standard_deviation() -> None:
    noise = np.asarray(gaussian_noise(jax.random.key(0), GREY, scale=0.3) - GREY)
    assert stats.kstest(noise, stats.norm(0, 0.3).cdf).pvalue > FALSE_ALARM
    assert stats.spearmanr(noise, GREY).pvalue > FALSE_ALARM


def test_masking_loses_each_value_with_the_given_probability_and_keeps_the_others() -> None:
    masked = np.asarray(masking_noise(jax.random.key(0), GREY, probability=0.25))
    lost = masked == 0
    assert stats.binomtest(int(lost.sum()), lost.size, 0.25).pvalue > FALSE_ALARM
    assert stats.pointbiserialr(lost, GREY).pvalue > FALSE_ALARM
    np.testing.assert_array_equal(masked[~lost], np.asarray(GREY)[~lost])


def test_salt_and_pepper_are_equally_frequent_and_the_other_values_stay() -> None:
    spoiled = np.asarray(salt_and_pepper(jax.random.key(0), GREY, probability=0.3))
    salt, pepper = spoiled == 1, spoiled == 0
    counts = [salt.sum(), pepper.sum(), spoiled.size - salt.sum() - pepper.sum()]
    assert stats.chisquare(counts, np.array([0.15, 0.15, 0.7]) * spoiled.size).pvalue > FALSE_ALARM
    kept = ~(salt | pepper)
    np.testing.assert_array_equal(spoiled[kept], np.asarray(GREY)[kept])


def test_salt_and_pepper_can_have_another_range() -> None:
    spoiled = salt_and_pepper(jax.random.key(0), jnp.zeros(100), probability=1.0, low=-1.0, high=2.0)
    assert set(spoiled.tolist()) == {-1.0, 2.0}


@pytest.mark.parametrize("name", get_args(CorruptionName))
def test_corruptions_depend_on_the_key_alone_and_keep_the_type(name: str) -> None:
    corrupt = CORRUPTIONS[name]
    x = jnp.full((50, 4), 0.5, jnp.bfloat16)
    first = corrupt(jax.random.key(0), x, 0.5)
    assert first.dtype == x.dtype
    np.testing.assert_array_equal(first, jax.jit(corrupt, static_argnums=2)(jax.random.key(0), x, 0.5))
    assert (name == "none") == bool(jnp.all(first == corrupt(jax.random.key(1), x, 0.5)))


@pytest.mark.parametrize("name", get_args(CorruptionName))
def test_at_level_zero_nothing_happens(name: str) -> None:
    np.testing.assert_array_equal(CORRUPTIONS[name](jax.random.key(0), GREY, 0.0), GREY)


def test_at_probability_one_nothing_is_left() -> None:
    assert not masking_noise(jax.random.key(0), GREY, probability=1.0).any()
    assert set(salt_and_pepper(jax.random.key(0), GREY, probability=1.0).tolist()) == {0.0, 1.0}
