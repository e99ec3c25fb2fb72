"""Metrics between two chunks: masks, histories, divergences and means, against values written by hand."""

import numpy as np
import pytest

from jaxgen.game import Player, Regularizer
from jaxgen.training.chunk import (
    Chunk,
    Divergence,
    assemble_history,
    describe_chunk,
    find_divergence,
    format_duration,
    mask_skipped,
    mean_over_seeds,
    mean_over_steps,
)


def player(name, *regularizers, every=1):
    return Player(name, (), None, None, regularizers=tuple(Regularizer(term, None, every) for term in regularizers))


def arrays(metrics):
    return {name: np.array(values) for name, values in metrics.items()}


def chunk(step, metrics, diverged=()):
    return Chunk(step, None, arrays(metrics), 1.0, dict(diverged))


class TestDivergence:
    @pytest.mark.parametrize(
        ("metrics", "expected"),
        [
            ({"a/loss": [1, np.nan], "b/loss": [np.inf, np.nan]}, {0: Divergence(41, "b", "loss")}),
            ({"a/loss": [1, np.nan], "b/loss": [1, np.nan]}, {0: Divergence(42, "a", "loss")}),
            ({"a/loss": [1, 1], "a/gradient_norm": [1, -np.inf]}, {0: Divergence(42, "a", "gradient_norm")}),
            ({"a/loss": [1, 1], "a/other": [np.nan, 1]}, {}),
            ({"a/loss": [[1, 1], [1, np.nan]], "b/loss": [[1, 1], [1, 1]]}, {1: Divergence(42, "a", "loss")}),
        ],
    )
    def test_the_first_value_that_is_not_finite_is_found(self, metrics, expected):
        assert find_divergence(arrays(metrics), [player("a"), player("b")], 40) == expected

    @pytest.mark.parametrize(
        ("metrics", "expected"),
        [
            ({"a/r1/loss": [np.nan, np.nan]}, {0: Divergence(42, "a", "r1 loss")}),
            ({"a/r1/loss": [np.nan, 1.0]}, {}),
            ({"a/r1/loss": [1.0, np.nan]}, {0: Divergence(42, "a", "r1 loss")}),
            ({"a/r1/gradient_norm": [1.0, np.inf]}, {0: Divergence(42, "a", "r1 gradient_norm")}),
            ({"a/r1/loss": [1.0, np.inf], "b/loss": [1.0, np.inf]}, {0: Divergence(42, "a", "r1 loss")}),
            ({"a/r1/loss": [1.0, np.inf], "a/loss": [1.0, np.inf]}, {0: Divergence(42, "a", "loss")}),
            ({"a/r1/loss": [1.0, np.inf], "b/loss": [np.inf, np.inf]}, {0: Divergence(41, "b", "loss")}),
        ],
    )
    def test_values_of_regularizers_count_at_the_steps_that_compute_them(self, metrics, expected):
        """The two steps are 40, at which nothing is due, and 41."""
        players = [player("a", "r1", every=41), player("b")]
        masked = mask_skipped({name: np.array([values]) for name, values in metrics.items()}, players, range(40, 42))
        assert find_divergence(masked, players, 40) == expected

    def test_a_divergence_is_a_sentence(self):
        assert str(Divergence(42, "a", "r1 gradient_norm")) == (
            "the r1 gradient norm of player 'a' is not finite at step 42"
        )


class TestMasks:
    def test_metrics_of_regularizers_are_masked_at_the_steps_between_their_updates(self):
        values = np.arange(12.0).reshape(2, 6)
        players = [player("d", "r1", "path", every=4), player("g", "r1", every=3)]
        metrics = {name: values.copy() for name in ("d/loss", "d/r1/loss", "d/path/norm", "g/r1/loss", "dd/r1/loss")}
        masked = mask_skipped(metrics, players, range(3, 9))
        for name in ("d/loss", "dd/r1/loss"):
            assert not np.ma.isMaskedArray(masked[name])
        for name in ("d/r1/loss", "d/path/norm"):
            np.testing.assert_array_equal(masked[name].mask, [[True, False, True, True, True, False]] * 2)
        np.testing.assert_array_equal(masked["g/r1/loss"].mask, [[False, True, True, False, True, True]] * 2)
        assert all(np.array_equal(np.ma.getdata(masked[name]), values) for name in metrics)

    def test_metrics_of_regularizers_of_every_step_are_not_masked(self):
        metrics = {"d/r1/loss": np.ones((1, 3))}
        assert not np.ma.isMaskedArray(mask_skipped(metrics, [player("d", "r1")], range(5, 8))["d/r1/loss"])
        assert not np.ma.isMaskedArray(mask_skipped(metrics, [player("d", "r1", every=9)], range(9, 10))["d/r1/loss"])


class TestHistory:
    def test_a_history_holds_the_values_of_all_chunks_at_their_steps(self):
        masked = np.ma.array([[7.0, 8.0]], mask=[[True, False]])
        chunks = [
            (7, {"a": np.array([[5, 6]], np.float32), "r": masked, "late": np.array([[70.0]])}),
            (10, {"a": np.array([[7, 8, 9]], np.float32), "r": np.array([[1.0, 2.0, 3.0]])}),
            (11, {"a": np.array([[10]], np.float32), "new": np.array([[4]])}),
        ]
        history = assemble_history(chunks, 5, 12, 1)
        assert all(values.shape == (1, 7) for values in history.values())
        assert history["a"].tolist() == [[5, 6, 7, 8, 9, 10, None]]
        assert history["r"].tolist() == [[None, 8, 1, 2, 3, None, None]]
        assert history["late"].tolist() == [[None, 70, None, None, None, None, None]]
        assert history["new"].tolist() == [[None] * 5 + [4, None]]
        assert [history[name].dtype for name in ("a", "new")] == [np.float32, np.int64]

    def test_a_history_has_a_row_for_each_seed(self):
        history = assemble_history([(2, {"a": np.array([[1, 2], [3, 4], [5, 6]])})], 0, 2, 3)
        assert history["a"].tolist() == [[1, 2], [3, 4], [5, 6]]

    def test_a_training_without_chunks_has_no_history(self):
        assert assemble_history([], 5, 5, 1) == {}


class TestChunk:
    def test_the_number_of_steps_is_that_of_the_first_metric(self):
        assert chunk(9, {"a/loss": [1, 2, 3], "fid": [5]}).steps == 3
        assert chunk(9, {"a/loss": [[1, 2], [3, 4], [5, 6]]}).steps == 2

    @pytest.mark.parametrize(
        ("step", "steps", "reached"),
        [(9, 3, []), (10, 3, [10]), (12, 3, [10]), (13, 3, []), (20, 10, [10]), (21, 1, [])],
    )
    def test_a_chunk_reaches_a_multiple_that_lies_after_its_first_state(self, step, steps, reached):
        assert [every for every in (10,) if chunk(step, {"a": [0] * steps}).reaches(every)] == reached
        assert chunk(step, {"a": [0] * steps}).reaches(1)
        assert not chunk(step, {"a": [0] * steps}).reaches(100)

    def test_only_divergences_within_the_chunk_are_new(self):
        places = {seed: Divergence(step, "a", "loss") for seed, step in enumerate((7, 8, 10))}
        assert chunk(10, {"a/loss": [1, 2, 3]}, places).newly_diverged == {1: places[1], 2: places[2]}

    def test_the_description_is_the_mean_loss_of_every_player_over_finite_seeds(self):
        metrics = {"d/loss": [[8, 6], [np.nan, 1]], "d/x": [[0, 0]] * 2, "g/loss": [[1e5, 2e5], [np.inf, 0]]}
        assert describe_chunk(chunk(50, metrics)) == "d 7  g 1.5e+05"
        lost = {1: Divergence(3, "g", "loss")}
        assert describe_chunk(chunk(50, metrics, lost)) == "d 7  g 1.5e+05  (1 diverged)"
        assert describe_chunk(chunk(50, {"d/loss": [np.nan, 1]})) == "d -"

    def test_the_description_has_the_mean_of_a_regularizer_over_the_steps_that_compute_it(self):
        values = np.ma.array([[4.0, np.nan, 2.0, np.nan]], mask=[[False, True, False, True]])
        assert describe_chunk(Chunk(50, None, {"d/r1/loss": values}, 1.0, {})) == "d/r1 3"


def test_means_leave_out_masked_and_diverged_values():
    values = np.ma.array([[1, np.nan, 3], [4, 5, np.inf], [7, 8, 9]], mask=[[0, 1, 0], [0, 0, 0], [1, 1, 1]])
    assert mean_over_steps(values) == [2, None, None]
    assert mean_over_steps(values, {0}) == [None, None, None]
    assert mean_over_steps(np.array([2.0, 5.0])) == [3.5]
    assert mean_over_steps(np.array([np.inf, -np.inf])) == [None]
    assert mean_over_seeds(np.array([[1.0, 3.0], [4.0, 8.0], [np.nan, 0.0]])) == 4.0
    assert mean_over_seeds(np.array([[1.0, 3.0], [4.0, 8.0]]), {0}) == 6.0
    assert mean_over_seeds(values, {0}) is None


def test_means_of_many_steps_are_computed_in_float64():
    assert mean_over_steps(np.full(10**5, 0.1, np.float32)) == [pytest.approx(0.1, rel=1e-7)]


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0:00"), (59.6, "1:00"), (75, "1:15"), (3599, "59:59"), (3661, "1:01:01")]
)
def test_durations_have_minutes_and_seconds(seconds, expected):
    assert format_duration(seconds) == expected


def test_description_leaves_out_losses_that_no_step_of_the_chunk_computes() -> None:
    skipped = np.ma.masked_all((1, 2))
    chunk = Chunk(2, None, {"d/loss": np.ones((1, 2)), "d/r1/loss": skipped}, 0.1, {})
    assert describe_chunk(chunk) == "d 1"
