import itertools
from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxgen.data.batching import batch_indices, batches_per_epoch, permute, take
from jaxgen.errors import InputError

FALSE_ALARM = 1e-6
"""Smallest accepted p-value. The keys are fixed, so a smaller p-value indicates a bias, not a chance event."""


def orders(size: int, keys: int, seed: int = 0) -> np.ndarray:
    """Permutations of {0, ..., size - 1} for many keys, [keys, size]."""
    split_keys = jax.random.split(jax.random.key(seed), keys)
    return np.asarray(jax.jit(jax.vmap(lambda key: permute(key, np.arange(size), size=size)))(split_keys))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 15, 16, 17, 64, 65, 256, 257, 4096, 60_000])
def test_permute_is_a_bijection_for_sizes_at_and_beside_powers_of_two(size: int) -> None:
    order = permute(jax.random.key(size), np.arange(size), size=size)
    np.testing.assert_array_equal(np.sort(order), np.arange(size))


@settings(max_examples=5, deadline=None)
@given(size=st.integers(1, 3000), seed=st.integers(0, 2**32 - 1))
def test_permute_is_a_bijection_for_random_sizes_and_keys(size: int, seed: int) -> None:
    order = permute(jax.random.key(seed), np.arange(size), size=size)
    np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_permute_is_uniform_and_in_range_for_the_largest_int32_size() -> None:
    size = 2**31 - 1
    drawn = np.asarray(permute(jax.random.key(0), np.arange(10_000), size=size))
    assert len(np.unique(drawn)) == 10_000
    assert drawn.min() >= 0
    assert stats.kstest(drawn / size, "uniform").pvalue > FALSE_ALARM


@pytest.mark.parametrize("size", [0, 2**31])
def test_permute_rejects_sizes_outside_the_int32_range(size: int) -> None:
    with pytest.raises(ValueError, match="size must be in"):
        permute(jax.random.key(0), np.arange(1), size=size)


@pytest.mark.parametrize("size", [2, 3, 5, 8, 16, 17])
def test_permutations_are_uniform(size: int) -> None:
    drawn = orders(size, keys=50_000)
    # Every value is equally frequent at every position,
    p_values = [stats.chisquare(np.bincount(drawn[:, i], minlength=size)).pvalue for i in range(size)]
    assert min(p_values) > FALSE_ALARM
    # and every pair of different values is equally frequent at two neighbouring positions.
    pairs = np.bincount(drawn[:, 0] * size + drawn[:, 1], minlength=size * size).reshape(size, size)
    assert np.all(np.diag(pairs) == 0)
    assert stats.chisquare(pairs[~np.eye(size, dtype=bool)]).pvalue > FALSE_ALARM


def test_permutation_is_uncorrelated_with_the_identity_and_has_no_serial_correlation() -> None:
    drawn = orders(5000, keys=20)
    for order in drawn:
        assert stats.spearmanr(np.arange(5000), order).pvalue > FALSE_ALARM
        assert stats.spearmanr(order[:-1], order[1:]).pvalue > FALSE_ALARM


@settings(max_examples=5, deadline=None)
@given(examples=st.integers(1, 300), data=st.data())
def test_epoch_draws_each_example_at_most_once(examples: int, data: st.DataObject) -> None:
    batch_size = data.draw(st.integers(1, examples))
    batches = examples // batch_size
    first = batches * data.draw(st.integers(0, 1000))
    key = jax.random.key(7)
    steps = np.arange(first, first + batches)
    draw = jax.jit(jax.vmap(lambda step: batch_indices(key, step, examples=examples, batch_size=batch_size)))
    drawn = np.ravel(draw(steps))
    assert len(np.unique(drawn)) == batches * batch_size
    assert np.all((drawn >= 0) & (drawn < examples))


def test_orders_of_epochs_and_keys_are_different_and_independent() -> None:
    key = jax.random.key(0)
    draw = jax.jit(partial(batch_indices, examples=100, batch_size=100))
    epochs = [np.asarray(draw(key, epoch)) for epoch in range(50)]
    others = [np.asarray(draw(jax.random.key(seed), 0)) for seed in range(1, 50)]
    assert len({tuple(order) for order in epochs + others}) == 99
    # Two independent permutations agree at one position on average: the sum over 49 pairs is Poisson with mean 49.
    agreements = sum(int(np.sum(a == b)) for a, b in itertools.pairwise(epochs))
    assert stats.poisson.cdf(agreements, 49) > FALSE_ALARM
    assert stats.poisson.sf(agreements, 49) > FALSE_ALARM


def test_every_example_is_left_out_of_some_epoch() -> None:
    key = jax.random.key(0)
    draw = jax.jit(jax.vmap(lambda step: batch_indices(key, step, examples=10, batch_size=3)))
    drawn = np.reshape(draw(np.arange(60 * 3)), (60, 9))
    assert {(set(range(10)) - set(epoch.tolist())).pop() for epoch in drawn} == set(range(10))


def test_batch_indices_are_identical_under_jit_vmap_and_scan() -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    steps = np.arange(9, 15)

    def draw(key: jax.Array, step: jax.Array | int) -> jax.Array:
        return batch_indices(key, step, examples=77, batch_size=16)

    plain = np.stack([[draw(key, step) for step in range(9, 15)] for key in keys])
    jitted = np.stack([[jax.jit(draw)(key, step) for step in steps] for key in keys])

    @jax.jit
    def transformed(keys: jax.Array, steps: jax.Array) -> tuple[jax.Array, jax.Array]:
        vmapped = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))(keys, steps)
        scanned = jax.vmap(lambda key: jax.lax.scan(lambda carry, step: (carry, draw(key, step)), 0, steps)[1])(keys)
        return vmapped, scanned

    vmapped, scanned = transformed(keys, steps)
    for other in (jitted, vmapped, scanned):
        np.testing.assert_array_equal(plain, other)


def test_batch_size_must_be_between_one_and_the_number_of_examples() -> None:
    with pytest.raises(InputError, match=r"batch_size must be at most the number of examples \(1437\), got 5000"):
        batch_indices(jax.random.key(0), 0, examples=1437, batch_size=5000)
    with pytest.raises(InputError, match="batch_size must be at least 1, got 0"):
        batches_per_epoch(examples=10, batch_size=0)


def test_take_gathers_the_same_examples_from_every_array() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 2, 3, 1), np.uint8)
    labels = np.arange(20, dtype=np.int32)
    indices = np.array([19, 0, 7, 7])
    batch = jax.jit(take)({"image": images, "label": labels}, indices)
    np.testing.assert_array_equal(batch["image"], images[indices])
    np.testing.assert_array_equal(batch["label"], indices)
    assert batch["image"].dtype == np.uint8
