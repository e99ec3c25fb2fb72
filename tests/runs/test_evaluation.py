"""Evaluation of runs: modes where the truth is known, diverged seeds left out, and test splits that do not fit."""

import dataclasses
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import SYNTHETIC, load
from jaxgen.errors import InputError
from jaxgen.game import Model
from jaxgen.runs import Run, RunConfig, evaluate_run
from jaxgen.runs.evaluation import load_test_split, with_data_in
from jaxgen.training.chunk import Divergence

RING = SYNTHETIC["ring"]()


def sampling_run(sample, *, data="ring", seeds=None, state=None):
    """A run whose model only samples; its state is an array with an axis of seeds."""
    config = RunConfig(None, data=data, seeds=seeds)
    state = jnp.zeros(seeds or 1) if state is None else state
    model = Model(None, None, (), sample=sample)
    return Run(Path("absent"), "any", config, {"point": np.zeros((1, 2))}, model, state, 0, {}, ())


class TestModes:
    def test_samples_of_the_mixture_itself_cover_it(self):
        metrics = evaluate_run(sampling_run(lambda key, state, n: RING.sample(key, n)["point"]))
        assert metrics["modes"] == 8
        assert metrics["high_quality"] == pytest.approx(
            1 - math.exp(-4.5), abs=0.01
        )  # Within 3 sigma, in 2 dimensions.
        assert metrics["mode_kl_all"] == pytest.approx(0, abs=0.01)

    def test_modes_of_several_seeds_are_counted_for_each(self):
        """The samples of seed i are the centres of the first `state[i]` modes, equally often."""

        def sample(key, state, n):
            return jnp.asarray(RING.centers)[jnp.arange(n) % state]

        metrics = evaluate_run(sampling_run(sample, seeds=4, state=jnp.array([1, 2, 4, 5])))
        assert metrics["modes"]["seeds"] == [1, 2, 4, 5]
        expected = [math.log(8 / modes) for modes in (1, 2, 4, 5)]
        assert metrics["mode_kl_all"]["seeds"] == pytest.approx(expected, abs=1e-5)
        assert metrics["modes"]["worst"] == 1
        assert metrics["mode_kl_all"]["worst"] == pytest.approx(math.log(8), abs=1e-5)

    def test_real_stacked_digits_cover_nearly_all_modes_and_fewer_without_a_digit(self, monkeypatch):
        monkeypatch.setattr("jaxgen.runs.evaluation.STACKED_SAMPLES", 4000)
        stacked = load("stacked_digits")
        kept = np.flatnonzero(stacked["label"] % 10 != 7)
        # The images are the state, one set for each seed.
        state = np.stack([stacked["image"][: len(kept)], stacked["image"][kept]])
        run = sampling_run(
            lambda key, state, n: state[jax.random.randint(key, (n,), 0, len(kept))] / 255,
            data="stacked_digits",
            seeds=2,
            state=state,
        )
        metrics = evaluate_run(run._replace(example={"image": state[0, :1]}))
        (modes, lacking), mode_kl_all = (metrics[name]["seeds"] for name in ("modes", "mode_kl_all"))
        # Of 4,000 samples, 1 - exp(-4) of 1,000 equally probable modes are expected, or 1 - exp(-40 / 9) of 900.
        assert modes == pytest.approx(981, abs=15)
        assert mode_kl_all[0] < 0.2
        assert metrics["high_quality"]["seeds"][0] > 0.8
        # Only misclassified images are in the tenth of the modes that is lacking, which adds log(10 / 9) in divergence.
        assert lacking == pytest.approx(889, abs=15)
        assert mode_kl_all[1] - mode_kl_all[0] == pytest.approx(np.log(10 / 9), abs=0.05)

    def test_a_model_without_samples_and_metrics_has_an_empty_evaluation(self):
        assert evaluate_run(sampling_run(None)) == {}
        assert evaluate_run(sampling_run(None, seeds=2)) == {}


class TestSeveralSeeds:
    def test_diverged_seeds_are_left_out(self, fresh):
        run = fresh("vae", seeds=2)
        both, one = evaluate_run(run), evaluate_run(run._replace(diverged={0: Divergence(3, "vae", "loss")}))
        assert one["elbo"]["seeds"] == [None, both["elbo"]["seeds"][1]]
        assert one["elbo"]["mean"] == both["elbo"]["seeds"][1]
        assert both["elbo"]["worst"] == min(both["elbo"]["seeds"])
        assert both["mse"]["worst"] == max(both["mse"]["seeds"])

    @pytest.mark.parametrize(
        ("family", "undirected"), [("gan", {"real_output", "fake_output", "discriminator_loss"}), ("vae", {"kl"})]
    )
    def test_outputs_of_a_discriminator_and_terms_have_no_worst(self, family, undirected, fresh):
        metrics = evaluate_run(fresh(family, seeds=2))
        assert {name for name, value in metrics.items() if value["worst"] is None} == undirected
        assert None not in {value["mean"] for value in metrics.values()}

    def test_the_worst_accuracy_is_the_smallest(self, fresh):
        found = evaluate_run(fresh("classifier", seeds=2))
        assert set(found) == {"accuracy", "cross_entropy"}
        assert found["accuracy"]["worst"] == min(found["accuracy"]["seeds"])
        assert found["cross_entropy"]["worst"] == max(found["cross_entropy"]["seeds"])


def test_metrics_that_are_not_finite_are_none(fresh):
    run = fresh("vae")
    broken = jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), run.state)
    assert set(evaluate_run(run._replace(state=broken)).values()) == {None}


def test_a_classifier_has_accuracy_and_cross_entropy(fresh):
    run, test = fresh("classifier"), load("digits", split="test")
    logits = np.asarray(run.predict(test), np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert evaluate_run(run) == {
        "accuracy": pytest.approx(np.mean(logits.argmax(axis=1) == test["label"]), rel=1e-6),
        "cross_entropy": pytest.approx(-np.mean(log_p[np.arange(len(logits)), test["label"]]), rel=1e-5),
    }


class TestTestSplit:
    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            (
                {"image": (9, 9, 1), "label": ()},
                r"has examples of shape \(9, 9, 1\), the training split of \(8, 8, 1\)",
            ),
            ({"image": (8, 8, 1)}, "has no labels, unlike the training split"),
        ],
    )
    def test_data_that_differ_from_those_of_the_training_are_refused(self, arrays, message, fresh, tmp_path):
        np.savez(tmp_path / "x.npz", **{name: np.zeros((30, *shape), np.uint8) for name, shape in arrays.items()})
        with pytest.raises(InputError, match=message):
            load_test_split(RunConfig(None, data=str(tmp_path / "x.npz")), fresh("vae").example)

    def test_data_may_be_in_another_folder_than_in_the_training(self, tmp_path, fresh):
        run = fresh("vae")
        trained = run._replace(config=dataclasses.replace(run.config, data_dir="/absent"))
        assert with_data_in(trained, None) is trained
        found = with_data_in(trained, str(tmp_path))
        assert found.config.data_dir == str(tmp_path)
        test = load_test_split(found.config, found.example)
        np.testing.assert_array_equal(test["image"], load("digits", split="test")["image"])

    def test_data_that_are_given_are_not_loaded(self, fresh, monkeypatch):
        run, test = fresh("vae"), load("digits", split="test")
        expected = evaluate_run(run)
        monkeypatch.setattr("jaxgen.runs.evaluation.load_test_split", None)
        assert evaluate_run(run, data=test) == expected
        assert evaluate_run(run, data={"image": test["image"][:50]}) != expected
