"""The example of a family outside the package: it is trained as the families of the package are."""

from pathlib import Path
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.game import Model, State, game
from jaxgen.models.family import Family, load_family
from jaxgen.training.loop import Fit, fit

EXAMPLE = Path(__file__).parents[1] / "examples" / "adversarial_autoencoder.py"
DIGITS = load("digits")
BATCH = {"image": DIGITS["image"][:20]}


@pytest.fixture(scope="module")
def family() -> Family:
    return load_family(str(EXAMPLE))


class Trained(NamedTuple):
    """The model, its initial state, and the result of a training on digits."""

    model: Model
    start: State
    result: Fit


@pytest.fixture(scope="module")
def trained(family: Family) -> Trained:
    model = family.build(family.config(hidden=(64,), latent_dim=2, learning_rate=3e-3), DIGITS)
    start = jax.jit(model.init)(jax.random.key(0), BATCH)
    result = fit(model, DIGITS, key=jax.random.key(1), steps=300, batch_size=64, state=start)
    return Trained(model, start, result)


def test_example_is_short_enough_to_be_read_at_once() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 120


def test_players_are_those_of_the_paper(trained: Trained) -> None:
    found = [(player.name, player.trains, player.updates) for player in trained.model.players]
    assert found == [
        ("reconstruction", ("encoder", "decoder"), 1),
        ("discriminator", ("discriminator",), 1),
        ("regularization", ("encoder",), 1),
    ]
    assert trained.model.slices == 1


def test_losses_match_the_paper(trained: Trained) -> None:
    """Against NumPy in float64, on the outputs of the networks."""
    model, state = trained.model, trained.result.state
    key, x = jax.random.key(5), BATCH["image"] / 255.0
    reconstruction, discriminator, regularization = model.players

    def logits(latent: np.ndarray) -> np.ndarray:
        layers = jax.tree.map(np.float64, state.params["discriminator"])
        hidden = np.maximum(latent @ layers["Dense_0"]["kernel"] + layers["Dense_0"]["bias"], 0)
        return (hidden @ layers["Dense_1"]["kernel"] + layers["Dense_1"]["bias"])[:, 0]

    error = (np.float64(model.reconstruct(state, BATCH)) - x) ** 2
    value, _ = reconstruction.loss(key, state.params, state, BATCH)
    assert float(value) == pytest.approx(error.sum(axis=(1, 2, 3)).mean(), rel=1e-4)
    real, fake = (logits(np.float64(z)) for z in (model.sample_latent(key, 20), model.encode(state, BATCH)))
    value, _ = discriminator.loss(key, state.params, state, BATCH)
    assert float(value) == pytest.approx((np.logaddexp(0, -real) + np.logaddexp(0, fake)).mean(), rel=1e-4)
    value, _ = regularization.loss(key, state.params, state, BATCH)
    assert float(value) == pytest.approx(np.logaddexp(0, -fake).mean(), rel=1e-4)


def test_encoder_is_updated_by_two_players_with_separate_optimizer_states(trained: Trained) -> None:
    model, start, _ = trained
    changed = {}
    for player in model.players:
        init, step = game(lambda key, batch: {name: {"params": p} for name, p in start.params.items()}, [player])
        end, _ = jax.jit(step)(jax.random.key(0), init(jax.random.key(0), BATCH), BATCH)
        changed[player.name] = {
            name for name in start.params if any(jax.tree.leaves(differs(start.params[name], end.params[name])))
        }
    assert changed == {
        "reconstruction": {"encoder", "decoder"},
        "discriminator": {"discriminator"},
        "regularization": {"encoder"},
    }
    after, _ = jax.jit(model.step)(jax.random.key(0), start, BATCH)
    means = [after.opt[name][0].mu["encoder"] for name in ("reconstruction", "regularization")]
    assert all(jax.tree.leaves(differs(*means)))


def differs(a: object, b: object) -> object:
    return jax.tree.map(lambda x, y: bool(np.any(x != y)), a, b)


def test_training_reduces_the_error_and_matches_the_latents_to_the_prior(trained: Trained) -> None:
    model, start, result = trained
    test = load("digits", split="test")
    errors = [float(model.evaluate(jax.random.key(0), state, test)["mse"].mean()) for state in (start, result.state)]
    assert errors[1] < 0.6 * errors[0]
    assert result.history["reconstruction/loss"].shape == (300,)
    latent = np.float64(model.encode(result.state, test))
    assert np.abs(latent.mean(axis=0)).max() < 0.5
    assert np.abs(np.cov(latent.T) - np.eye(2)).max() < 0.5


def test_all_functions_of_the_model_are_consistent(trained: Trained) -> None:
    model, state = trained.model, trained.result.state
    key = jax.random.key(3)
    samples, latent = model.sample(key, state, 5), model.encode(state, BATCH)
    assert (samples.shape, latent.shape) == ((5, 8, 8, 1), (20, 2))
    assert float(samples.min()) >= 0.0
    assert float(samples.max()) <= 1.0
    np.testing.assert_allclose(model.decode(state, model.sample_latent(key, 5)), samples, rtol=1e-5)
    np.testing.assert_allclose(model.reconstruct(state, BATCH), model.decode(state, latent), rtol=1e-5)
    chex.assert_trees_all_equal(model.sample_posterior(key, state, BATCH), latent)
    metrics = model.evaluate(key, state, BATCH)
    assert {name: value.shape for name, value in metrics.items()} == {"mse": (20,), "fake_output": (20,)}
    expected = np.square(np.asarray(model.reconstruct(state, BATCH)) - BATCH["image"] / 255).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(metrics["mse"], expected, rtol=1e-4)


def test_seeds_and_steps_are_those_of_the_training_loop(trained: Trained, family: Family) -> None:
    assert family.name == "adversarial-autoencoder"
    assert int(trained.result.state.step) == 300
    keys = jnp.stack([jax.random.key(0), jax.random.key(1)])
    result = fit(trained.model, DIGITS, key=keys, steps=3, batch_size=32)
    assert result.history["regularization/loss"].shape == (2, 3)
