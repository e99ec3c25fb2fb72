"""The numbers of samples in the log: those of the very state, for every seed, however often the run was killed."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import wasserstein_distance
from tests.run.test_training import SETTINGS

from jaxgen.callbacks.sample_metrics import SampleMetrics, some_examples
from jaxgen.data import SYNTHETIC, Stream, load
from jaxgen.data.streaming import ArraySource
from jaxgen.game import Model
from jaxgen.metrics import mode_coverage
from jaxgen.models import REGISTRY
from jaxgen.runs import RunConfig, load_run, train
from jaxgen.training.loop import run_keys

RING = dataclasses.replace(
    SETTINGS, config=REGISTRY["gan"].config(hidden=(16,), latent_dim=2), data="ring", seed=5, image_every=30
)


def log(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def judged(folder):
    return {line["step"]: {k: v for k, v in line.items() if k.startswith("samples/")} for line in log(folder)}


def test_the_log_has_the_modes_of_the_samples_of_the_state(tmp_path):
    train(tmp_path / "run", "gan", dataclasses.replace(RING, seeds=2, steps=10))
    lines, run, ring = log(tmp_path / "run"), load_run(tmp_path / "run"), SYNTHETIC["ring"]()
    for seed in range(2):
        state = jax.tree.map(lambda x, seed=seed: x[seed], run.state)
        samples = run.model.sample(jax.random.split(run_keys(jax.random.key(5)).judging, 4)[0], state, 2500)
        found = mode_coverage(samples, ring.centers, scale=ring.scales)
        logged = {name: values[seed] for name, values in lines[-1]["runs"].items()}
        assert logged["samples/modes"] == pytest.approx(found.covered, abs=1)  # A sample at the edge may fall aside.
        assert logged["samples/high_quality"] == pytest.approx(float(found.high_quality), abs=1e-3)
        assert logged["samples/mode_kl"] == pytest.approx(float(found.kl), abs=1e-3)
    assert lines[-1]["samples/mode_kl"] == pytest.approx(np.mean(lines[-1]["runs"]["samples/mode_kl"]))


def test_a_resumed_run_has_the_numbers_of_one_that_never_stopped(tmp_path):
    train(tmp_path / "whole", "gan", dataclasses.replace(RING, steps=70))
    train(tmp_path / "parts", "gan", dataclasses.replace(RING, steps=30))
    train(tmp_path / "parts", "gan", dataclasses.replace(RING, steps=70), resume=True)
    whole = judged(tmp_path / "whole")
    assert [step for step, numbers in whole.items() if numbers] == [30, 60, 70]  # As pictures, and at the end.
    assert judged(tmp_path / "parts") == whole


def test_pictures_have_a_distance_and_no_modes(fresh):
    run = fresh("vae")
    assert set(SampleMetrics(None, run.model, run.config, load("digits")).discriminate(run.state)) == {
        "sliced_wasserstein"
    }


@pytest.mark.parametrize("seeds", [None, 2])
def test_classes_of_stacked_digits_are_read_while_it_is_trained(seeds):
    """Real pictures as samples, of all classes and without a tenth of them: log(10 / 9) of divergence more."""
    stacked = load("stacked_digits")
    without = stacked["label"] % 10 != 7

    def judged(kept):
        images = jnp.asarray(stacked["image"][kept])
        model = Model(None, None, lambda key, state, n: images[jax.random.randint(key, (n,), 0, len(images))] / 255)
        config = RunConfig(model_config=None, data="stacked_digits", seeds=seeds)
        found = SampleMetrics(None, model, config, stacked).discriminate(
            jnp.zeros(()) if seeds is None else jnp.zeros(seeds)
        )
        assert {value.shape for value in found.values()} == {() if seeds is None else (seeds,)}
        return {name: float(np.mean(value)) for name, value in found.items()}

    whole, lacking = judged(slice(None)), judged(without)
    assert whole["modes"] >= 990
    assert lacking["modes"] < 960
    assert lacking["mode_kl"] - whole["mode_kl"] == pytest.approx(np.log(10 / 9), abs=0.05)


def test_the_distance_on_the_line_is_that_of_scipy():
    """On the line there is one direction; a shift has the same distance in every order."""
    points = np.random.default_rng(0).normal(size=(1000, 1)).astype(np.float32)
    model = Model(None, None, lambda key, state, n: points[:n] + state)
    judged = SampleMetrics(None, model, RunConfig(model_config=None, data="mine", seeds=2), {"point": points})
    expected = [wasserstein_distance(points[:, 0], points[:, 0] + shift) for shift in (0.75, 2.0)]
    np.testing.assert_allclose(judged.discriminate(jnp.array([0.75, 2.0]))["sliced_wasserstein"], expected, rtol=1e-5)


def test_examples_of_a_stream_are_those_of_memory_and_none_comes_twice():
    digits = load("digits")
    held, streamed = (some_examples(jax.random.key(1), data, 300) for data in (digits, Stream(ArraySource(digits))))
    for name in digits:
        np.testing.assert_array_equal(held[name], streamed[name])
    assert len(np.unique(np.asarray(held["image"]).reshape(300, -1), axis=0)) == len(
        np.unique(digits["image"].reshape(len(digits["image"]), -1), axis=0)
    ) - (len(digits["image"]) - 300)
    assert len(set(np.asarray(held["label"]).tolist())) == 10
    assert len(some_examples(jax.random.key(1), digits, 10**6)["label"]) == len(digits["label"])
