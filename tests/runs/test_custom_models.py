"""Runs of models that do not sample, of models built in Python, and of families that are not part of the package."""

import dataclasses
import json
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgen
from jaxgen.data import example, load
from jaxgen.errors import InputError
from jaxgen.game import Model, Player, game
from jaxgen.models import REGISTRY, Family, classifier
from jaxgen.models.preprocessing import preprocess
from jaxgen.runs import evaluate_run, load_run, read_config, train
from jaxgen.training.states import run_keys
from tests.small_runs import LINEAR, LinearConfig, assert_same_state, log_lines, untimed

TEST = load("digits", split="test")


def one_sentence(error):
    """The message of an error, which must be one line and one sentence."""
    message = str(error.value)
    assert "\n" not in message
    assert not message.endswith(".")
    return message


class TestClassifier:
    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, linear_config):
        options = classifier.Config(architecture="mlp", hidden=(16,))
        return dataclasses.replace(linear_config, model_config=options, steps=40)

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, config, tmp_path_factory):
        folder = tmp_path_factory.mktemp("classifier") / "run"
        train(folder, "classifier", config)
        return folder

    def test_it_is_trained_and_evaluated(self, folder):
        summary = json.loads((folder / "summary.json").read_text())
        assert set(summary["test"]) == {"accuracy", "cross_entropy"}
        names = {"classifier/loss", "classifier/gradient_norm", "classifier/accuracy"}
        assert all(set(line) == {"step", "seconds"} | names for line in log_lines(folder))
        assert not (folder / "samples").exists()

    def test_it_is_loaded_and_predicts(self, folder):
        run = load_run(folder)
        logits = np.asarray(run.predict(TEST))
        assert logits.shape == (len(TEST["label"]), 10)
        found = evaluate_run(run)
        assert found == json.loads((folder / "summary.json").read_text())["test"]
        assert found["accuracy"] == pytest.approx(np.mean(logits.argmax(axis=-1) == TEST["label"]), rel=1e-6)
        assert found["accuracy"] > 0.2  # Of ten classes, after 40 steps.
        for call in (lambda: run.sample(jax.random.key(0), 1), lambda: run.encode(TEST), lambda: run.reconstruct(TEST)):
            with pytest.raises(InputError, match="the model 'classifier' "):
                call()

    def test_it_is_resumed_with_the_same_bits(self, folder, config, tmp_path):
        train(tmp_path / "run", "classifier", dataclasses.replace(config, steps=20))
        train(tmp_path / "run", "classifier", config, resume=True)
        assert_same_state(load_run(tmp_path / "run"), load_run(folder))
        assert untimed(log_lines(tmp_path / "run")) == untimed(log_lines(folder))


@dataclass(frozen=True)
class EmbeddingConfig:
    """Options of an embedding."""

    margin: float = 1.0


def build_embedding(config, shown):
    """An embedding that only encodes: examples of the same class are near, others at least a margin apart."""
    size = preprocess(shown)[0].size

    def embed(params, batch):
        return preprocess(batch).reshape(-1, size) @ params["embedding"]

    def loss(key, params, state, batch):
        z = embed(params, batch)
        distance = jnp.sqrt(jnp.sum((z[:, None] - z[None]) ** 2, axis=-1) + 1e-6)
        same = batch["label"][:, None] == batch["label"][None]
        return jnp.mean(jnp.where(same, distance**2, jax.nn.relu(config.margin - distance) ** 2)), ({}, {})

    def init_networks(key, batch):
        return {"embedding": {"params": 0.1 * jax.random.uniform(key, (size, 2), minval=-1.0)}}

    players = (Player("embedding", ("embedding",), loss, optax.sgd(0.1)),)
    init, step = game(init_networks, players)
    return Model(init, step, players, encode=lambda state, batch: embed(state.params, batch))


class TestModelBuiltInPython:
    """An embedding with `encode` alone, passed as `model=` for a family without a `build` of its own."""

    FAMILY = Family("embedding", EmbeddingConfig, None, "is built in Python")

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
        return build_embedding(EmbeddingConfig(), example(load("digits")))

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, linear_config):
        return dataclasses.replace(linear_config, model_config=EmbeddingConfig(margin=2.0), steps=20)

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, config, model, tmp_path_factory):
        folder = tmp_path_factory.mktemp("embedding") / "run"
        train(folder, cls.FAMILY, config, model=model)
        return folder

    def test_its_run_is_marked_as_custom(self, folder):
        content = json.loads((folder / "config.json").read_text())
        assert (content["custom"], content["family"]) == (True, "embedding")
        assert content["config"]["model_config"] == {"margin": 2.0}
        assert read_config(folder).custom is True

    def test_it_is_trained_without_samples_and_without_metrics(self, folder):
        assert json.loads((folder / "summary.json").read_text())["test"] == {}
        assert [path.name for path in (folder / "samples").iterdir()] == ["step-00000020-latents.png"]
        assert all(
            set(line) == {"step", "seconds", "embedding/loss", "embedding/gradient_norm"} for line in log_lines(folder)
        )

    def test_it_is_loaded_with_the_model(self, folder, model):
        run = load_run(folder, model=model)
        assert (run.family, run.step, run.config.model_config) == ("embedding", 20, {"margin": 2.0})
        latents = run.encode(TEST)
        weights = run.state.params["embedding"][0]
        np.testing.assert_allclose(latents, preprocess(TEST).reshape(len(latents), -1) @ weights, rtol=1e-4, atol=1e-5)
        assert load_run(folder, model=model, family=self.FAMILY).config.model_config == EmbeddingConfig(margin=2.0)
        assert evaluate_run(run) == {}

    @pytest.mark.parametrize("family", [None, FAMILY])
    def test_it_is_not_loaded_without_the_model(self, folder, family):
        with pytest.raises(InputError, match="was trained from Python") as error:
            load_run(folder, family=family)
        assert "jaxgen.load_run(folder, model=model)" in one_sentence(error)

    def test_it_is_resumed_with_the_model_and_not_without(self, folder, model, config, tmp_path):
        train(tmp_path / "run", self.FAMILY, dataclasses.replace(config, steps=10), model=model)
        with pytest.raises(InputError, match="was trained from Python") as error:
            train(tmp_path / "run", self.FAMILY._replace(build=build_embedding), config, resume=True)
        assert "model=model" in one_sentence(error)
        train(tmp_path / "run", self.FAMILY, config, model=model, resume=True)
        assert_same_state(load_run(tmp_path / "run", model=model), load_run(folder, model=model))

    def test_a_checkpoint_of_another_model_is_refused(self, folder):
        other = LINEAR.build(LinearConfig(), example(load("digits")))
        with pytest.raises(InputError, match="is of another model"):
            load_run(folder, model=other)

    def test_a_model_may_replace_that_of_a_family_of_the_package(self, tmp_path, config):
        shown = example(load("digits"))
        options = classifier.Config(architecture="mlp", hidden=(4,))
        model = classifier.build(options, shown, optimizer=optax.sgd(0.0))
        run_config = dataclasses.replace(config, model_config=options, steps=10)
        train(tmp_path / "run", "classifier", run_config, model=model)
        with pytest.raises(InputError, match="was trained from Python"):
            load_run(tmp_path / "run")
        run = load_run(tmp_path / "run", model=model)
        initial = jax.jit(model.init)(run_keys(jax.random.key(0)).init, shown)
        for x, y in zip(jax.tree.leaves(run.state.params), jax.tree.leaves(initial.params), strict=True):
            np.testing.assert_allclose(x[0], y, rtol=1e-6)  # A learning rate of 0.


class TestFamilyFromOutside:
    def test_its_run_is_not_custom(self, finished):
        content = json.loads((finished / "config.json").read_text())
        assert (content["custom"], content["family"]) == (False, "linear")

    def test_its_run_is_loaded_with_the_family(self, finished, linear_config):
        run = load_run(finished, family=LINEAR)
        assert (run.family, run.step, run.config) == ("linear", 60, linear_config)
        weights = run.state.params["net"][0]
        x = preprocess(TEST).reshape(-1, 64)
        np.testing.assert_allclose(run.encode(TEST), x @ weights, rtol=1e-4, atol=1e-5)
        expected = np.mean((x @ weights @ weights.T - x) ** 2)
        assert evaluate_run(run)["mse"] == pytest.approx(float(expected), rel=1e-5)

    def test_its_run_is_not_loaded_without_the_family(self, finished):
        with pytest.raises(InputError, match="of the family 'linear', which is not part of jaxgen") as error:
            load_run(finished)
        assert "--family" in one_sentence(error)
        assert "load_run(folder, family=...)" in str(error.value)

    def test_its_run_is_not_loaded_with_another_family(self, finished):
        for other in (REGISTRY["vae"], LINEAR._replace(name="other")):
            with pytest.raises(InputError, match=f"holds a run of the model 'linear', not '{other.name}'"):
                load_run(finished, family=other)

    def test_its_name_must_not_be_that_of_a_family_of_the_package(self, tmp_path, linear_config):
        with pytest.raises(InputError, match=r"name of a family .* got 'vae'"):
            train(tmp_path / "run", LINEAR._replace(name="vae"), linear_config)
        assert not (tmp_path / "run").exists()

    def test_train_and_load_run_are_exported(self):
        assert (jaxgen.train, jaxgen.load_run, jaxgen.Family) == (train, load_run, Family)


def test_lines_of_the_log_leave_out_regularizers_that_were_not_computed(tmp_path, linear_config):
    """The regularizer is computed at steps 0, 4 and 8; a line has the mean over the computed steps of its chunk."""
    lines = {}
    for every in (1, 6):
        config = dataclasses.replace(
            linear_config, model_config=LinearConfig(samples=False, regularizer_every=4), steps=12, log_every=every
        )
        train(tmp_path / f"{every}", LINEAR, config)
        lines[every] = log_lines(tmp_path / f"{every}")
    names = {"net/size/loss", "net/size/gradient_norm", "net/size/examples"}
    for line in lines[1]:
        computed = (line["step"] - 1) % 4 == 0
        assert names & set(line) == (names if computed else set())
        assert {"net/loss", "net/gradient_norm"} <= set(line)
    values = {line["step"] - 1: line["net/size/loss"] for line in lines[1] if "net/size/loss" in line}
    assert set(values) == {0, 4, 8}
    assert [line["net/size/loss"] for line in lines[6]] == [
        pytest.approx((values[0] + values[4]) / 2, rel=1e-6),
        pytest.approx(values[8], rel=1e-6),
    ]
    assert all(line["net/size/examples"] == 32 for line in lines[6])
    for i, line in enumerate(lines[6]):
        steps = lines[1][6 * i : 6 * (i + 1)]
        assert line["net/loss"] == pytest.approx(np.mean([one["net/loss"] for one in steps]), rel=1e-6)
