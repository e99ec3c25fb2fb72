"""Memorization against SciPy's rank test in scikit-learn's cells, and samples that are copies or are not."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

from jaxgen.errors import InputError
from jaxgen.metrics import (
    data_copying,
    memorization,
    memorization_metrics,
    nearest_neighbours,
    training_distances,
)


@pytest.fixture(scope="module")
def sets():
    """Samples, training and held-out examples of one distribution."""
    generator = np.random.default_rng(0)
    return [generator.standard_normal((n, 20)).astype(np.float32) for n in (150, 200, 120)]


def z_score(samples, train, held_out):
    distances = [NearestNeighbors(n_neighbors=1).fit(train).kneighbors(x)[0][:, 0] for x in (samples, held_out)]
    n, m = map(len, distances)
    return (mannwhitneyu(*distances).statistic - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12)


def test_score_is_the_rank_statistic_of_scipy(sets):
    score = data_copying(*sets)
    assert score.score == pytest.approx(z_score(*sets), rel=1e-12)
    assert score.scores.tolist() == [score.score]


def test_lists_have_the_score_of_their_arrays(sets):
    lists = [features.tolist() for features in sets]
    assert data_copying(*lists).score == pytest.approx(data_copying(*sets).score, rel=1e-6)


def test_score_of_cells_is_their_mean_weighted_by_held_out_examples(sets):
    """The definition of the authors' program, but for its continuity correction."""
    means = KMeans(2, n_init=2, random_state=0).fit(sets[1])
    cells = [means.predict(x) for x in sets]
    scores = [z_score(*(x[of == cell] for x, of in zip(sets, cells, strict=True))) for cell in range(2)]
    found = data_copying(*sets, centers=means.cluster_centers_)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-12)
    assert found.score == pytest.approx(np.average(scores, weights=np.bincount(cells[2])), rel=1e-12)
    smallest = np.bincount(cells[0]).min() / 150
    without = data_copying(*sets, centers=means.cluster_centers_, least_share=smallest)
    assert np.isnan(without.scores).tolist() == (np.bincount(cells[0]) == 150 * smallest).tolist()


def test_score_falls_and_ratio_shrinks_as_samples_approach_training_examples(sets):
    samples, train, held_out = sets
    mixed = [share * samples + (1 - share) * train[:150] for share in (1.0, 0.5, 0.1, 0.0)]
    scores = [data_copying(x, train, held_out).score for x in mixed]
    ratios = [training_distances(x, train, held_out).ratio for x in mixed]
    assert abs(scores[0]) < 3  # Standard normal for samples of the distribution.
    assert ratios[0] == pytest.approx(1, abs=0.1)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == pytest.approx(z_score(train[:150], train, held_out))
    assert scores[-1] < -10
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] == 0
    assert data_copying(3 * samples, train, held_out).score > 10  # Underfitting.


def test_ratios_name_the_copied_examples(sets):
    _, train, held_out = sets
    found = training_distances(train[[7, 3]] + np.float32(1e-3), train, held_out)
    assert found.indices.tolist() == [7, 3]
    distances, _ = NearestNeighbors(n_neighbors=1).fit(train).kneighbors(held_out)
    near = np.linalg.norm(np.float64(train[[7, 3]] + np.float32(1e-3)) - train[[7, 3]], axis=1)
    np.testing.assert_allclose(found.ratios, near / np.median(distances), rtol=1e-6)


def test_both_metrics_of_one_search_are_those_of_two(sets, monkeypatch):
    searched = []

    def counted(points, of):
        searched.append((len(points), len(of)))
        return nearest_neighbours(points, of)

    expected = training_distances(*sets), data_copying(*sets)
    monkeypatch.setattr(memorization, "nearest_neighbours", counted)
    found = memorization_metrics(*sets)
    assert searched == [(150, 200), (120, 200)]
    assert found.distances.ratio == expected[0].ratio
    np.testing.assert_array_equal(found.distances.indices, expected[0].indices)
    assert found.copying.score == expected[1].score == pytest.approx(z_score(*sets), rel=1e-12)


def test_wrong_arguments_are_refused(sets):
    samples, train, held_out = sets
    for function in (data_copying, training_distances, memorization_metrics):
        with pytest.raises(InputError, match="train must have at least one example, got none"):
            function(samples, train[:0], held_out)
        with pytest.raises(InputError, match=r"held_out must be an array of numbers \[h, features\] with features 20"):
            function(samples, train, held_out[:, :3])
    for function in (training_distances, memorization_metrics):
        with pytest.raises(InputError, match="held_out must differ from train, got at least half of its examples at"):
            function(samples, train, train)
    with pytest.raises(InputError, match="each cell must have training examples, got none in cell 1; choose fewer"):
        data_copying(samples, train[:1], held_out, centers=np.stack([train[0], -train[0]]))
    with pytest.raises(InputError, match=r"a cell must have more than 0\.9 of the samples"):
        data_copying(samples, train, held_out, centers=np.stack([train[0], -train[0]]), least_share=0.9)
    with pytest.raises(InputError, match="least_share must be at least 0 and below 1, got 1"):
        data_copying(samples, train, held_out, least_share=1)
