"""The Vendi score against vendi-score 0.0.3 and closed forms."""

import functools
import math

import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from jaxgen.errors import InputError
from jaxgen.metrics import vendi_score

RBF = functools.partial(rbf_kernel, gamma=0.02)


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).standard_normal((300, 24)).astype(np.float32)[:40]


@pytest.mark.parametrize(
    ("order", "by_features", "by_examples", "rbf"),
    [
        (0.5, 20.42807637910821, 8.654405886218008, 25.146530406797407),
        (1.0, 18.120061076394926, 7.7502483802563, 13.348539422563995),
        (2.0, 15.438723655176883, 6.655508755144795, 4.9081110895237),
        (math.inf, 8.578704969755258, 4.111661061246963, 2.291063093420162),
    ],
)
def test_scores_are_those_of_the_published_program(features, order, by_features, by_examples, rbf):
    """The numbers that vendi-score 0.0.3 printed, by `score_dual` if examples outnumber features."""
    assert vendi_score(features, order=order) == pytest.approx(by_features, rel=1e-12)
    assert vendi_score(features[:10], order=order) == pytest.approx(by_examples, rel=1e-12)
    assert vendi_score(np.float64(features), kernel=RBF, order=order) == pytest.approx(rbf, rel=1e-12)


@pytest.mark.parametrize("order", [0, 0.3, 1, 2, 300, math.inf])
def test_score_counts_equally_frequent_kinds(order):
    kinds = np.repeat(np.eye(5) * [[1.0], [2.0], [1e-30], [4.0], [1e30]], 7, axis=0)
    assert vendi_score(kinds, order=order) == pytest.approx(5, rel=1e-9)
    assert vendi_score(kinds[:7], order=order) == pytest.approx(1, rel=1e-9)


def test_score_of_kinds_is_the_exponential_of_the_entropy_of_their_shares():
    shares = np.array([0.5, 0.3, 0.2])
    kinds = np.repeat(np.eye(3, 60), (50, 30, 20), axis=0)
    assert vendi_score(kinds) == pytest.approx(np.exp(-np.sum(shares * np.log(shares))), rel=1e-12)
    assert vendi_score(kinds, order=2) == pytest.approx(1 / np.sum(shares**2), rel=1e-12)


def test_blocks_and_a_kernel_give_the_same_score(features):
    repeated = np.tile(features, (60, 1))
    assert vendi_score(repeated) == pytest.approx(vendi_score(features), rel=1e-12)
    normalized = np.float64(features) / np.linalg.norm(np.float64(features), axis=1, keepdims=True)
    assert vendi_score(normalized, kernel=lambda x, y: x @ y.T) == pytest.approx(vendi_score(features), rel=1e-12)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.ones(3), {}, r"features must be an array of numbers \[n, features\], got float64 of shape \(3,\)"),
        (np.ones((0, 3)), {}, "features must have at least one example, got none"),
        (np.full((2, 3), np.nan), {}, "features must be finite, got NaN or infinite values; leave these examples out"),
        (np.eye(2, 3) * [[0.0], [1.0]], {}, "features must not be 0 in all of an example, .* got 1 such examples"),
        (np.ones((2, 3)), {"order": -1}, "order must be at least 0, got -1"),
        (np.ones((2, 3)), {"kernel": lambda x, y: x}, r"kernel must return .* \[2, 2\], got shape \(2, 3\)"),
        (np.ones((2, 3)), {"kernel": lambda x, y: x @ y.T}, "kernel must be 1 for an example with itself, got a diff"),
        (np.ones((2, 3)), {"kernel": lambda x, y: np.array([[1, 0.5], [0, 1]])}, "kernel must be symmetric, got a"),
        (np.ones((2, 3)), {"kernel": lambda x, y: np.full((2, 2), np.nan)}, "kernel must return finite similarities"),
    ],
)
def test_wrong_arguments_are_refused(values, options, message):
    with pytest.raises(InputError, match=message):
        vendi_score(values, **options)
