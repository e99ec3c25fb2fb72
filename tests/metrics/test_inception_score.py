"""Inception scores against published implementations, the definition in float64, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxgen.errors import InputError
from jaxgen.metrics import inception_score

LOGITS = 3 * np.random.default_rng(20).standard_normal((203, 7)).astype(np.float32)


@pytest.mark.parametrize(
    ("splits", "mean", "sd"), [(1, 3.1140162998712, 0.0), (10, 2.9053307740771572, 0.2041156562131701)]
)
def test_it_matches_torch_fidelity_in_order(splits, mean, sd):
    """Printed by torch-fidelity 0.4.0; 203 is no multiple of 10."""
    assert inception_score(LOGITS, splits=splits) == pytest.approx((mean, sd), rel=1e-12, abs=1e-14)


def test_it_matches_torch_fidelity_in_its_shuffled_order():
    """Printed by torch-fidelity 0.4.0 with its default seed."""
    order = np.random.RandomState(2020).permutation(203)
    assert inception_score(LOGITS, order=order) == pytest.approx((2.9600728681845174, 0.26158479763921794), rel=1e-12)


def test_it_matches_torchmetrics_with_the_divisor_of_pytorch():
    """Printed by torchmetrics 1.9.0, without its shuffling; its splits are the same where n is a multiple of them."""
    got = inception_score(LOGITS[:200], ddof=1)
    assert got == pytest.approx((2.9312142616484884, 0.19334691175302035), rel=1e-12)


def test_it_is_the_exponential_of_the_mean_divergence_from_the_mean():
    p = scipy.special.softmax(np.float64(LOGITS), axis=1)
    divergences = [scipy.stats.entropy(row, p.mean(axis=0)) for row in p]
    assert inception_score(LOGITS, splits=1).mean == pytest.approx(np.exp(np.mean(divergences)), rel=1e-12)


def test_confident_and_even_predictions_have_the_number_of_classes():
    """Large logits, whose probabilities underflow, are 0 log 0."""
    even = np.tile(1e4 * np.eye(5, dtype=np.float32), (4, 1))
    assert inception_score(even, splits=4) == pytest.approx((5, 0), rel=1e-12, abs=1e-12)
    assert inception_score(np.repeat(even[:1], 20, axis=0)) == pytest.approx((1, 0), abs=1e-12)
    assert inception_score(np.zeros((20, 5))) == pytest.approx((1, 0), abs=1e-12)


def test_a_constant_added_to_the_logits_of_an_example_changes_nothing():
    shifted = np.float64(LOGITS) + np.linspace(-1e3, 1e3, 203)[:, None]
    assert inception_score(shifted) == pytest.approx(inception_score(LOGITS), rel=1e-10)


def test_a_key_shuffles_the_examples():
    """Sorted by class, each split has one class; shuffled, it has nearly all of them."""
    in_order = np.repeat(40 * np.eye(10, dtype=np.float32), 100, axis=0)
    assert inception_score(in_order) == pytest.approx((1, 0), abs=1e-12)
    first, again, other = (inception_score(in_order, key=jax.random.key(seed)) for seed in (0, 0, 1))
    assert 9 < first.mean < 10
    assert first == again != other


def test_arrays_of_devices_and_narrow_ones_are_computed_in_double_precision():
    narrow = jnp.asarray(LOGITS, jnp.bfloat16)
    assert inception_score(narrow) == pytest.approx(inception_score(np.asarray(narrow, np.float64)), rel=1e-14)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"splits": 204}, "splits must be at most 203, the number of examples, got 204"),
        ({"splits": 0}, "splits must be at least 1, got 0"),
        ({"splits": 3, "ddof": 3}, "ddof must be less than 3, the number of splits, got 3"),
        ({"order": np.arange(203), "key": jax.random.key(0)}, "order must be None if a key is given"),
        ({"order": np.arange(203) // 2}, "order must have every number from 0 to 202 once, got 0 to 101"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        inception_score(LOGITS, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(value):
    logits = LOGITS.copy()
    logits[7, 2] = value
    with pytest.raises(InputError, match=r"^logits must be finite, got NaN or infinite values"):
        inception_score(logits)
