"""The moving average of the generator: its samples use the statistics that belong to the averaged parameters."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.averaging import with_averages
from jaxgen.data import load
from jaxgen.game import Model, State
from jaxgen.models.gan import Config, build
from jaxgen.nn.dcgan import Generator

STEPS = 150
DECAY = 0.95
GENERATOR = Generator(shape=(8, 8, 1), width=4)


class Trained(NamedTuple):
    """A DCGAN of digits with a moving average, after a short training.

    Attributes:
        model: the model.
        state: its state.
        previous: the state one step before.
    """

    model: Model
    state: State
    previous: State


@pytest.fixture(scope="module")
def trained() -> Trained:
    images = load("digits")["image"]
    batch = {"image": images[:64]}
    model = build(Config(width=4, latent_dim=8, learning_rate=5e-3, ema=DECAY), batch)
    step, random = jax.jit(model.step), np.random.default_rng(0)
    state = previous = jax.jit(model.init)(jax.random.key(0), batch)
    for i in range(STEPS):
        previous = state
        batch = {"image": images[random.integers(0, len(images), 64)]}
        state, _ = step(jax.random.fold_in(jax.random.key(1), i), state, batch)
    return Trained(model, state, previous)


def applied(variables: Any, latent: jax.Array) -> np.ndarray:
    """Apply the generator by hand, outside training; images in [0, 1]."""
    output = jax.jit(lambda v, z: GENERATOR.apply(v, z, train=False))(variables, latent)
    return (np.tanh(np.float64(output)) + 1) / 2


def test_samples_are_those_of_the_averaged_variables(trained: Trained) -> None:
    model, state, _ = trained
    key = jax.random.key(2)
    samples = jax.jit(model.sample, static_argnums=2)(key, state, 20)
    latent = jax.random.normal(key, (20, 8))
    averaged, live = state.ema["generator"], {"params": state.params["generator"], **state.stats["generator"]}
    np.testing.assert_allclose(samples, applied(averaged, latent), rtol=1e-4, atol=1e-5)
    # Neither with the statistics of the training nor without averaging.
    mixed = averaged | {"batch_stats": live["batch_stats"]}
    assert np.abs(samples - applied(mixed, latent)).max() > 0.01
    assert np.abs(samples - applied(live, latent)).max() > 0.01
    # The discriminator has no average.
    assert set(state.ema) == {"generator"}
    np.testing.assert_allclose(jax.jit(model.decode)(with_averages(state), latent), samples, rtol=1e-5, atol=1e-6)


def test_parameters_are_averaged_once_per_step(trained: Trained) -> None:
    _, state, previous = trained
    expected = jax.tree.map(
        lambda mean, value: DECAY * np.float64(mean) + (1 - DECAY) * np.float64(value),
        previous.ema["generator"]["params"],
        state.params["generator"],
    )
    chex.assert_trees_all_close(state.ema["generator"]["params"], expected, rtol=1e-5, atol=1e-7)
    assert set(state.ema["generator"]) == {"params", "batch_stats"}


def test_running_statistics_of_the_average_are_those_of_its_parameters(trained: Trained) -> None:
    """The true statistics are those of one batch of 5,000 latents, on which batch normalization is evaluated."""
    _, state, _ = trained
    averaged = state.ema["generator"]
    # One pass gives running = 0.9 running + 0.1 statistics of the batch.
    latent = jax.random.normal(jax.random.key(3), (5000, 8))
    _, updated = jax.jit(lambda v, z: GENERATOR.apply(v, z, train=True, mutable=["batch_stats"]))(averaged, latent)
    true = jax.tree.map(
        lambda new, old: (np.float64(new) - 0.9 * np.float64(old)) / 0.1,
        updated["batch_stats"],
        averaged["batch_stats"],
    )

    def distance(stats: Any) -> float:
        """Return the mean distance of means and variances, in standard deviations and relative to the variance."""
        found = []
        for layer, expected in true.items():
            found.append(np.abs(np.float64(stats[layer]["mean"]) - expected["mean"]) / np.sqrt(expected["var"]))
            found.append(np.abs(np.float64(stats[layer]["var"]) / expected["var"] - 1))
        return float(np.mean(np.concatenate(found)))

    assert distance(averaged["batch_stats"]) < 0.5 * distance(state.stats["generator"]["batch_stats"])


def test_average_with_half_life_follows_its_decay_and_start() -> None:
    batch = {"point": np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)}
    config = Config(hidden=(4,), learning_rate=0.1, ema_half_life=20.0, ema_start=2)
    model = build(config, batch)
    step, state = jax.jit(model.step), jax.jit(model.init)(jax.random.key(0), batch)
    average = state.ema["generator"]["params"]
    for i in range(5):
        state, _ = step(jax.random.key(i), state, batch)
        # 10 examples per step are half of the half-life.
        decay = 0.0 if i < 2 else 0.5**0.5
        average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, state.params["generator"])  # noqa: B023
        chex.assert_trees_all_close(state.ema["generator"]["params"], average, rtol=1e-5, atol=1e-6)


def test_average_with_spectral_normalization_has_the_current_singular_vectors() -> None:
    """An average of vectors would not have norm 1."""
    batch = {"point": np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)}
    model = build(Config(hidden=(4,), learning_rate=0.1, generator_normalization="spectral", ema=0.9), batch)
    step, state = jax.jit(model.step), jax.jit(model.init)(jax.random.key(0), batch)
    for i in range(3):
        state, _ = step(jax.random.key(i), state, batch)
    chex.assert_trees_all_equal(state.ema["generator"]["spectral"], state.stats["generator"]["spectral"])
    assert np.isfinite(np.asarray(model.sample(jax.random.key(0), state, 4))).all()


def test_models_without_average_have_none() -> None:
    batch = {"point": jnp.zeros((4, 2))}
    assert jax.eval_shape(build(Config(hidden=(4,)), batch).init, jax.random.key(0), batch).ema == {}
