"""Sample metrics in the log: those of the state at their step, for every seed, also in a resumed run."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from jaxgen.callbacks.keys import callback_key
from jaxgen.callbacks.sample_metrics import SampleMetrics, has_modes, stacked_classifier, stacked_metrics
from jaxgen.data import SYNTHETIC, DataSource, load
from jaxgen.game import Model
from jaxgen.metrics import mode_coverage
from jaxgen.runs import RunConfig, load_run, train
from jaxgen.training.seeds import select_seed
from tests.small_runs import LINEAR, LinearConfig, log_lines

DUE = {"every": 30, "last": 60, "seed": 0}


def sampling_model(sample):
    return Model(None, None, (), sample=sample)


class TestLog:
    CONFIG = RunConfig(
        LinearConfig(),
        data="ring",
        seed=5,
        seeds=2,
        steps=70,
        batch_size=32,
        log_every=10,
        checkpoint_every=20,
        image_every=30,
    )

    @pytest.fixture(scope="class")
    @classmethod
    def ring_run(cls, tmp_path_factory):
        """Folder of a model of two seeds, trained on the ring for 70 steps."""
        folder = tmp_path_factory.mktemp("ring") / "run"
        train(folder, LINEAR, cls.CONFIG)
        return folder

    def test_the_log_has_the_modes_of_samples_of_the_state(self, ring_run):
        line, run, ring = log_lines(ring_run)[-1], load_run(ring_run, family=LINEAR), SYNTHETIC["ring"]()

        @jax.jit
        def coverage(state, seed):
            key = jax.random.split(callback_key(5, "sample_metrics"), 4)[0]
            samples = run.model.sample(key, select_seed(state, seed), 2500)
            return mode_coverage(samples, ring.centers, scale=ring.scales)

        for seed in range(2):
            found = coverage(run.state, seed)
            logged = {name: values[seed] for name, values in line["seeds"].items()}
            # A sample at three standard deviations may count or not, because of rounding.
            assert logged["samples/modes"] == pytest.approx(found.covered, abs=1)
            assert logged["samples/high_quality"] == pytest.approx(float(found.high_quality), abs=1e-3)
            assert logged["samples/mode_kl_all"] == pytest.approx(float(found.kl), abs=1e-3)
        assert line["samples/mode_kl_all"] == pytest.approx(np.mean(line["seeds"]["samples/mode_kl_all"]))

    def test_the_summary_has_the_modes_of_samples_of_each_seed(self, ring_run):
        summary = json.loads((ring_run / "summary.json").read_text())
        assert set(summary["test"]) >= {"modes", "high_quality", "mode_kl_all"}
        assert len(summary["test"]["modes"]["seeds"]) == 2
        assert load_run(ring_run, family=LINEAR).sample(jax.random.key(0), 7).shape == (2, 7, 2)

    def test_a_resumed_run_has_the_metrics_of_one_without_an_interruption(self, ring_run, tmp_path):
        def measured(folder):
            def of_samples(metrics):
                return {name: value for name, value in metrics.items() if name.startswith("samples/")}

            return {line["step"]: (of_samples(line), of_samples(line["seeds"])) for line in log_lines(folder)}

        train(tmp_path / "parts", LINEAR, dataclasses.replace(self.CONFIG, steps=30))
        train(tmp_path / "parts", LINEAR, self.CONFIG, resume=True)
        complete = measured(ring_run)
        # At the steps of the figures, and at the end.
        assert [step for step, (mean, seeds) in complete.items() if mean and seeds] == [30, 60, 70]
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
def test_modes_of_stacked_digits_are_counted_during_the_training(seeds, monkeypatch):
    """Real images as samples, of all modes and without a tenth of them, which adds log(10 / 9) to the divergence."""
    monkeypatch.setattr("jaxgen.callbacks.sample_metrics.CLASSIFIED", 3000)
    stacked = load("stacked_digits")
    kept = np.flatnonzero(stacked["label"] % 10 != 7)
    # The images are the state, one set for each seed.
    states = np.stack([stacked["image"][: len(kept)], stacked["image"][kept]])
    model = sampling_model(lambda key, state, n: state[jax.random.randint(key, (n,), 0, len(kept))] / 255)
    metrics = SampleMetrics(model, DataSource("stacked_digits"), stacked, **DUE)
    found = [metrics.measure(of_seeds) for of_seeds in np.split(states, 2 // seeds)]
    for measured in found:
        assert set(measured) == {"modes", "high_quality", "mode_kl_all", "sliced_wasserstein"}
        assert {value.shape for value in measured.values()} == {(seeds,)}
    modes, mode_kl_all = (np.concatenate([measured[name] for measured in found]) for name in ("modes", "mode_kl_all"))
    # Of 3,000 samples, 1 - exp(-3) of 1,000 equally probable modes are expected, or 1 - exp(-30 / 9) of 900.
    assert modes[0] == pytest.approx(950, abs=15)
    assert modes[1] == pytest.approx(868, abs=15)
    assert mode_kl_all[1] - mode_kl_all[0] == pytest.approx(np.log(10 / 9), abs=0.05)


def test_modes_of_a_seed_whose_samples_are_not_finite_are_missing():
    stacked = load("stacked_digits", examples=20)
    images = stacked["image"].astype(np.float32) / 255
    broken = images.copy()
    broken[3, 0, 0, 0] = np.nan
    parts = [np.stack([images[:10], broken[:10]]), np.stack([images[10:], broken[10:]])]
    found = stacked_metrics(stacked_classifier("stacked_digits", stacked), parts)
    assert found["modes"][0] == len(np.unique(stacked["label"]))
    assert np.isnan([values[1] for values in found.values()]).all()


def test_stacked_digits_have_modes_in_the_size_of_the_classifier():
    for data, size, expected in (
        ("stacked_digits", 8, True),
        ("stacked_digits", 4, False),
        ("stacked_mnist", 28, True),
    ):
        assert has_modes(data, {"image": np.zeros((1, size, size, 3), np.uint8)}) == expected
    small = load("stacked_digits", examples=2000, image_size=4)
    metrics = SampleMetrics(sampling_model(lambda key, state, n: state[:n]), DataSource("stacked_digits"), small, **DUE)
    assert set(metrics.measure(small["image"][None, :1000] / np.float32(255))) == {"sliced_wasserstein"}


def test_the_distance_of_one_dimensional_points_matches_scipy():
    """In one dimension there is one direction, and a shift has the same distance in every order."""
    points = np.random.default_rng(0).normal(size=(1000, 1)).astype(np.float32)
    model = sampling_model(lambda key, state, n: points[:n] + state)
    metrics = SampleMetrics(model, DataSource("mine"), {"point": points}, **DUE)
    expected = [wasserstein_distance(points[:, 0], points[:, 0] + shift) for shift in (0.75, 2.0)]
    found = metrics.measure(jnp.array([0.75, 2.0]))
    assert set(found) == {"sliced_wasserstein"}
    np.testing.assert_allclose(found["sliced_wasserstein"], expected, rtol=1e-5)
