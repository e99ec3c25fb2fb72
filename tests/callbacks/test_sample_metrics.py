"""Sample metrics in the log: those of the state at their step, for every seed, also in a resumed run."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from jaxgen.callbacks.keys import callback_key
from jaxgen.callbacks.sample_metrics import SampleMetrics
from jaxgen.data import SYNTHETIC, DataSource, load
from jaxgen.game import Model
from jaxgen.metrics import mode_coverage
from jaxgen.models import REGISTRY
from jaxgen.runs import RunConfig, load_run, train
from jaxgen.training.seeds import select_seed
from tests.small_runs import LINEAR, LinearConfig, log_lines

DUE = {"every": 30, "last": 60, "seed": 0}


def sampling_model(sample):
    return Model(None, None, (), sample=sample)


class TestLog:
    CONFIG = RunConfig(None, data="ring", seed=5, batch_size=32, log_every=10, checkpoint_every=20, image_every=30)

    @pytest.fixture(scope="class")
    @classmethod
    def ring_run(cls, tmp_path_factory):
        """Folder of a GAN of two seeds, trained on the ring for 10 steps."""
        folder = tmp_path_factory.mktemp("ring") / "run"
        options = REGISTRY["gan"].config(hidden=(16,), latent_dim=2)
        train(folder, "gan", dataclasses.replace(cls.CONFIG, model_config=options, seeds=2, steps=10))
        return folder

    def test_the_log_has_the_modes_of_samples_of_the_state(self, ring_run):
        line, run, ring = log_lines(ring_run)[-1], load_run(ring_run), SYNTHETIC["ring"]()
        key = jax.random.split(callback_key(5, "sample_metrics"), 4)[0]
        for seed in range(2):
            samples = run.model.sample(key, select_seed(run.state, seed), 2500)
            found = mode_coverage(samples, ring.centers, scale=ring.scales)
            logged = {name: values[seed] for name, values in line["seeds"].items()}
            # A sample at three standard deviations may count or not, because of rounding.
            assert logged["samples/modes"] == pytest.approx(found.covered, abs=1)
            assert logged["samples/high_quality"] == pytest.approx(float(found.high_quality), abs=1e-3)
            assert logged["samples/mode_kl"] == pytest.approx(float(found.kl), abs=1e-3)
        assert line["samples/mode_kl"] == pytest.approx(np.mean(line["seeds"]["samples/mode_kl"]))

    def test_the_summary_has_the_modes_of_samples_of_each_seed(self, ring_run):
        summary = json.loads((ring_run / "summary.json").read_text())
        assert set(summary["test"]) >= {"modes", "high_quality", "mode_kl"}
        assert len(summary["test"]["modes"]["seeds"]) == 2
        assert load_run(ring_run).sample(jax.random.key(0), 7).shape == (2, 7, 2)

    def test_a_resumed_run_has_the_metrics_of_one_without_an_interruption(self, tmp_path):
        def measured(folder):
            prefix = "samples/"
            return {
                line["step"]: {name: value for name, value in line.items() if name.startswith(prefix)}
                for line in log_lines(folder)
            }

        config = dataclasses.replace(self.CONFIG, model_config=LinearConfig())
        train(tmp_path / "complete", LINEAR, dataclasses.replace(config, steps=70))
        train(tmp_path / "parts", LINEAR, dataclasses.replace(config, steps=30))
        train(tmp_path / "parts", LINEAR, dataclasses.replace(config, steps=70), resume=True)
        complete = measured(tmp_path / "complete")
        # At the steps of the figures, and at the end.
        assert [step for step, metrics in complete.items() if metrics] == [30, 60, 70]
        assert measured(tmp_path / "parts") == complete


def test_samples_are_measured_when_due_with_the_same_latents(chunk_of, fresh):
    run = fresh("vae")
    callback = SampleMetrics(run.model, DataSource("digits"), load("digits"), every=30, last=100, seed=0)
    found = {step: callback(chunk_of(run.state, step)) for step in (20, 40, 50, 60, 100)}
    assert [step for step, metrics in found.items() if metrics is not None] == [40, 60, 100]
    # Images have a distance and no modes.
    assert set(found[40]) == {"samples/sliced_wasserstein"}
    assert found[40]["samples/sliced_wasserstein"].shape == (1, 1)
    assert found[40] == found[60] == found[100]


@pytest.mark.parametrize("seeds", [1, 2])
def test_modes_of_stacked_digits_are_counted_during_the_training(seeds):
    """Real images as samples, of all modes and without a tenth of them, which adds log(10 / 9) to the divergence."""
    stacked = load("stacked_digits")
    without = stacked["label"] % 10 != 7

    def measure(kept):
        images = jnp.asarray(stacked["image"][kept])
        model = sampling_model(lambda key, state, n: images[jax.random.randint(key, (n,), 0, len(images))] / 255)
        found = SampleMetrics(model, DataSource("stacked_digits"), stacked, **DUE).measure(jnp.zeros(seeds))
        assert set(found) == {"modes", "high_quality", "mode_kl", "sliced_wasserstein"}
        assert {value.shape for value in found.values()} == {(seeds,)}
        return {name: float(np.mean(value)) for name, value in found.items()}

    complete, lacking = measure(slice(None)), measure(without)
    assert complete["modes"] >= 990
    assert lacking["modes"] < 960
    assert lacking["mode_kl"] - complete["mode_kl"] == pytest.approx(np.log(10 / 9), abs=0.05)


def test_the_distance_of_one_dimensional_points_matches_scipy():
    """In one dimension there is one direction, and a shift has the same distance in every order."""
    points = np.random.default_rng(0).normal(size=(1000, 1)).astype(np.float32)
    model = sampling_model(lambda key, state, n: points[:n] + state)
    metrics = SampleMetrics(model, DataSource("mine"), {"point": points}, **DUE)
    expected = [wasserstein_distance(points[:, 0], points[:, 0] + shift) for shift in (0.75, 2.0)]
    found = metrics.measure(jnp.array([0.75, 2.0]))
    assert set(found) == {"sliced_wasserstein"}
    np.testing.assert_allclose(found["sliced_wasserstein"], expected, rtol=1e-5)
