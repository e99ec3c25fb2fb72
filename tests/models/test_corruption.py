from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxgen.models.corruption import CORRUPTIONS, CorruptionName, gaussian_noise, masking_noise, salt_and_pepper

FALSE_ALARM = 1e-6
"""Smallest p-value that passes; the keys are fixed, so a smaller one is the result of a bias."""

GREY = jnp.linspace(0.2, 0.8, 100_000)


def test_gaussian_noise_is_normal_with_the_given_standard_deviation() -> None:
    noise = np.asarray(gaussian_noise(jax.random.key(0), GREY, scale=0.3) - GREY)
    assert stats.kstest(noise, stats.norm(0, 0.3).cdf).pvalue > FALSE_ALARM
    assert stats.spearmanr(noise, GREY).pvalue > FALSE_ALARM


def test_masking_sets_values_to_zero_with_given_probability_and_keeps_the_others() -> None:
    masked = np.asarray(masking_noise(jax.random.key(0), GREY, probability=0.25))
    zero = masked == 0
    assert stats.binomtest(int(zero.sum()), zero.size, 0.25).pvalue > FALSE_ALARM
    assert stats.pointbiserialr(zero, GREY).pvalue > FALSE_ALARM
    np.testing.assert_array_equal(masked[~zero], np.asarray(GREY)[~zero])


def test_salt_and_pepper_are_equally_frequent_and_other_values_unchanged() -> None:
    corrupted = np.asarray(salt_and_pepper(jax.random.key(0), GREY, probability=0.3))
    salt, pepper = corrupted == 1, corrupted == 0
    counts = [salt.sum(), pepper.sum(), corrupted.size - salt.sum() - pepper.sum()]
    assert stats.chisquare(counts, np.array([0.15, 0.15, 0.7]) * corrupted.size).pvalue > FALSE_ALARM
    kept = ~(salt | pepper)
    np.testing.assert_array_equal(corrupted[kept], np.asarray(GREY)[kept])


def test_salt_and_pepper_take_values_of_given_range() -> None:
    corrupted = salt_and_pepper(jax.random.key(0), jnp.zeros(100), probability=1.0, low=-1.0, high=2.0)
    assert set(corrupted.tolist()) == {-1.0, 2.0}


@pytest.mark.parametrize("name", get_args(CorruptionName))
def test_corruptions_are_functions_of_the_key_and_keep_the_dtype(name: str) -> None:
    corrupt = CORRUPTIONS[name]
    x = jnp.full((50, 4), 0.5, jnp.bfloat16)
    first = corrupt(jax.random.key(0), x, 0.5)
    assert first.dtype == x.dtype
    np.testing.assert_array_equal(first, jax.jit(corrupt, static_argnums=2)(jax.random.key(0), x, 0.5))
    assert (name == "none") == bool(jnp.all(first == corrupt(jax.random.key(1), x, 0.5)))


@pytest.mark.parametrize("name", get_args(CorruptionName))
def test_corruption_at_level_zero_is_the_identity(name: str) -> None:
    np.testing.assert_array_equal(CORRUPTIONS[name](jax.random.key(0), GREY, 0.0), GREY)


def test_probability_one_replaces_every_value() -> None:
    assert not masking_noise(jax.random.key(0), GREY, probability=1.0).any()
    assert set(salt_and_pepper(jax.random.key(0), GREY, probability=1.0).tolist()) == {0.0, 1.0}
