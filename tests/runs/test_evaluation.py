"""What a run is worth: modes where the truth is known, seeds that diverged left out, test splits that do not fit."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import SYNTHETIC, load
from jaxgen.errors import InputError
from jaxgen.game import Model
from jaxgen.runs import Run, RunConfig, evaluate_run
from jaxgen.runs.evaluation import load_test_split, with_data_in
from jaxgen.training.loop import Divergence

RING = SYNTHETIC["ring"]()


def sampler(sample, *, seeds=None, state=None):
    """A run on the ring whose model does nothing but sample."""
    config = RunConfig(model_config=None, data="ring", seeds=seeds)
    return Run(None, "any", config, {"point": np.zeros((1, 2))}, Model(None, None, sample), state, 0, {}, ())


def test_samples_of_the_truth_cover_it():
    metrics = evaluate_run(sampler(lambda key, state, n: RING.sample(key, n)["point"]))
    assert metrics["modes"] == 8
    assert metrics["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.01)  # Within 3 sigma, in the plane.
    assert metrics["mode_kl"] == pytest.approx(0, abs=0.01)


def test_of_several_seeds_each_is_counted_for_itself():
    """Run i has found the first i + 1 modes and gives each the same weight."""

    def sample(key, state, n):
        return jnp.asarray(RING.centers)[jnp.arange(n) % state]

    metrics = evaluate_run(sampler(sample, seeds=4, state=jnp.array([1, 2, 4, 5])))
    assert metrics["modes"]["runs"] == [1, 2, 4, 5]
    expected = [math.log(8 / modes) for modes in (1, 2, 4, 5)]
    assert metrics["mode_kl"]["runs"] == pytest.approx(expected, abs=1e-5)
    assert metrics["modes"]["worst"] == 1
    assert metrics["mode_kl"]["worst"] == pytest.approx(math.log(8), abs=1e-5)


def test_stacked_digits_are_read_in_samples():
    """Real pictures of the test split as samples: nearly all are read right, whole and where one class is left out."""
    stacked = load("stacked_digits", split="test")
    without = stacked["label"] % 10 != 7

    def run(kept):
        images = jnp.asarray(stacked["image"][kept])

        def sample(key, state, n):
            return images[jax.random.randint(key, (n,), 0, len(images))] / 255

        config = RunConfig(model_config=None, data="stacked_digits")
        return Run(None, "any", config, {"image": images[:1]}, Model(None, None, sample), None, 0, {}, ())

    whole, lacking = evaluate_run(run(slice(None))), evaluate_run(run(without))
    assert whole["modes"] >= 990
    assert whole["mode_kl"] < 0.2
    assert whole["high_quality"] > 0.8
    # A tenth of the classes are lacking: log(10 / 9) of divergence more, and only misreadings reach them.
    assert lacking["modes"] < 960
    assert lacking["mode_kl"] - whole["mode_kl"] == pytest.approx(np.log(10 / 9), abs=0.05)


def test_what_diverged_does_not_count(fresh):
    run = fresh("vae", seeds=2)
    both, one = evaluate_run(run), evaluate_run(run._replace(diverged={0: Divergence(3, "vae", "loss")}))
    assert one["elbo"]["runs"] == [None, both["elbo"]["runs"][1]]
    assert one["elbo"]["mean"] == both["elbo"]["runs"][1]


def test_what_is_not_finite_is_nothing(fresh):
    run = fresh("vae")
    broken = jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), run.state)
    assert set(evaluate_run(run._replace(state=broken)).values()) == {None}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"image": (9, 9, 1), "label": ()}, r"has examples of shape \(9, 9, 1\), the training split of \(8, 8, 1\)"),
        ({"image": (8, 8, 1)}, "has no labels, unlike the training split"),
    ],
)
def test_data_that_have_changed_since_the_training_are_named(arrays, said, fresh, tmp_path):
    np.savez(tmp_path / "x.npz", **{name: np.zeros((30, *shape), np.uint8) for name, shape in arrays.items()})
    with pytest.raises(InputError, match=said):
        load_test_split(RunConfig(model_config=None, data=str(tmp_path / "x.npz")), fresh("vae").example)


def test_the_data_may_have_moved(tmp_path, fresh):
    run = fresh("vae")
    lost = run._replace(config=dataclasses.replace(run.config, data_dir="/nowhere"))
    moved = with_data_in(lost, str(tmp_path))
    assert moved.config.data_dir == str(tmp_path)
    found = load_test_split(moved.config, moved.example)
    np.testing.assert_array_equal(found["image"], load("digits", split="test")["image"])
