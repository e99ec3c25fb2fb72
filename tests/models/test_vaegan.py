"""The three players against the published equations, written down again from the outputs of the networks."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats as scipy_stats
from scipy.spatial.distance import cdist
from scipy.special import expit

from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.game import Player, State
from jaxgen.models.vaegan import Config, build
from jaxgen.nn.dcgan import HIDDEN, Discriminator, Generator

BATCH = {"image": np.random.default_rng(0).integers(0, 256, (6, 16, 16, 1), np.uint8)}
CONFIG = Config(width=4, latent=3, layer=2, gamma=0.01)
KEY = jax.random.key(5)

NETWORKS = {
    "encoder": Discriminator(width=4, shape=(6,)),
    "decoder": Generator(shape=(16, 16, 1), width=4),
    "discriminator": Discriminator(width=4),
}


def draws() -> tuple[jax.Array, jax.Array]:
    """epsilon and z_p of the turn, in which all players have one key."""
    epsilon_key, prior_key = jax.random.split(jax.random.fold_in(KEY, 0))
    return jax.random.normal(epsilon_key, (6, 3)), jax.random.normal(prior_key, (6, 3))


def outputs(params: dict[str, Any], start: State) -> dict[str, jax.Array]:
    """Everything that the equations are about, by batch statistics, from one network after the other."""

    def run(name: str, x: Any) -> Any:
        variables = {"params": params[name], **start.stats[name]}
        return NETWORKS[name].apply(variables, x, mutable=["batch_stats", HIDDEN])

    def judge(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits, updated = run("discriminator", x)
        return logits, updated[HIDDEN]["layer_2"][0].reshape(len(x), -1)

    epsilon, z_prior = draws()
    x = jnp.float32(BATCH["image"]) / 255 * 2 - 1
    encoded, _ = run("encoder", x)
    mean, log_var = encoded[:, :3], encoded[:, 3:]
    reconstruction = jnp.tanh(run("decoder", mean + jnp.sqrt(jnp.exp(log_var)) * epsilon)[0])
    sampled = jnp.tanh(run("decoder", z_prior)[0])
    real, features = judge(x)
    fake, fake_features = judge(reconstruction)
    return {
        "mean": mean,
        "log_var": log_var,
        "features": features,
        "reconstructed_features": fake_features,
        "real": real,
        "reconstructed": fake,
        "sampled": judge(sampled)[0],
    }


def published_losses(o: dict[str, Any], gamma: float) -> dict[str, float]:
    """Equations 2, 7 and 8 of the paper in float64, by SciPy's densities, and the sums of Algorithm 1.

    L_like is given up to the constant of the normal density.
    """
    o = {name: np.asarray(value, np.float64) for name, value in o.items()}
    variance = np.exp(o["log_var"])
    prior = 0.5 * (variance + o["mean"] ** 2 - 1 - o["log_var"]).sum(-1)
    constant = o["features"].shape[-1] / 2 * np.log(2 * np.pi)
    like = -scipy_stats.norm.logpdf(o["features"], o["reconstructed_features"], 1.0).sum(-1) - constant
    adversarial = np.log(expit(o["real"])) + np.log(1 - expit(o["reconstructed"])) + np.log(1 - expit(o["sampled"]))
    return {
        "encoder": (prior + like).mean(),
        "decoder": (gamma * like + adversarial).mean(),
        "discriminator": -adversarial.mean(),
    }


def differentiable_losses(o: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The same up to constants, for gradients."""
    prior = (0.5 * (jnp.exp(o["log_var"]) + o["mean"] ** 2 - o["log_var"])).sum() / 6
    like = (0.5 * (o["features"] - o["reconstructed_features"]) ** 2).sum() / 6
    sigmoid = jax.nn.sigmoid
    adversarial = (
        jnp.log(sigmoid(o["real"])) + jnp.log(1 - sigmoid(o["reconstructed"])) + jnp.log(1 - sigmoid(o["sampled"]))
    )
    return {
        "encoder": prior + like,
        "decoder": CONFIG.gamma * like + adversarial.mean(),
        "discriminator": -adversarial.mean(),
    }


@pytest.fixture(scope="module")
def turn() -> tuple[State, State, dict[str, float]]:
    model = build(CONFIG, BATCH)
    start = model.init(jax.random.key(3), BATCH)
    end, metrics = jax.jit(model.step)(KEY, start, BATCH)
    return start, end, {name: float(value) for name, value in metrics.items()}


Turn = tuple[State, State, dict[str, float]]


def test_the_losses_are_the_published_ones(turn: Turn) -> None:
    start, _, metrics = turn
    for name, value in published_losses(outputs(start.params, start), CONFIG.gamma).items():
        assert metrics[f"{name}/loss"] == pytest.approx(value, rel=1e-5)


def test_every_player_follows_the_gradient_of_its_own_loss_at_the_start_of_the_turn(turn: Turn) -> None:
    """So L_GAN does not reach the encoder, L_like not the discriminator, and nobody what the others have just done."""
    start, _, metrics = turn
    for player in build(CONFIG, BATCH).players:

        def expected_loss(own: Any, name: str = player.name) -> jax.Array:
            return differentiable_losses(outputs(start.params | {name: own}, start))[name]

        def loss(own: Any, player: Player = player) -> jax.Array:
            key = jax.random.fold_in(KEY, 0)
            return player.loss(key, start.params | {player.name: own}, start, BATCH)[0]

        assert player.trains == (player.name,)
        expected, actual = (jax.jit(jax.grad(f))(start.params[player.name]) for f in (expected_loss, loss))
        largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
        chex.assert_trees_all_close(actual, expected, rtol=1e-3, atol=1e-5 * largest)
        assert metrics[f"{player.name}/gradient_norm"] == pytest.approx(float(optax.tree.norm(expected)), rel=1e-3)


def test_every_player_moves_its_own_running_averages_through_all_its_forward_passes(turn: Turn) -> None:
    """0.1 of the newest batch, 0.09 of the one before, 0.081 of the one before that."""
    start, end, _ = turn
    epsilon, z_prior = draws()
    x = jnp.float32(BATCH["image"]) / 255 * 2 - 1

    def run(name: str, inputs: Any) -> tuple[jax.Array, Any]:
        fresh = {"params": start.params[name], **start.stats[name]}
        output, updated = NETWORKS[name].apply(fresh, inputs, mutable=["batch_stats"])
        # The averages start at mean 0 and variance 1.
        batch = jax.tree.map(lambda new, old: (new - 0.9 * old) / 0.1, updated, dict(start.stats[name]))
        return output, batch

    encoded, encoder_batch = run("encoder", x)
    reconstruction, first = run("decoder", encoded[:, :3] + jnp.exp(encoded[:, 3:] / 2) * epsilon)
    sampled, second = run("decoder", z_prior)
    judged = [run("discriminator", pictures)[1] for pictures in (x, jnp.tanh(reconstruction), jnp.tanh(sampled))]
    for name, batches in (("encoder", [encoder_batch]), ("decoder", [first, second]), ("discriminator", judged)):
        average = start.stats[name]
        for batch in batches:
            average = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, average, batch)
        chex.assert_trees_all_close(end.stats[name], average, rtol=1e-4, atol=1e-6)


def test_evaluation_is_per_example_and_measures_pixels_in_the_unit_interval(turn: Turn) -> None:
    _, state, _ = turn
    model = build(CONFIG, BATCH)
    metrics = model.evaluate(KEY, state, BATCH)
    np.testing.assert_allclose(
        model.evaluate(KEY, state, {"image": BATCH["image"][:1]})["real_output"], metrics["real_output"][:1], rtol=1e-4
    )
    # The variance of q(z|x) is made tiny, so that the one code drawn is its mean.
    certain = jax.tree.map(jnp.copy, state.params)
    last = certain["encoder"]["Conv_2"]
    last["kernel"], last["bias"] = last["kernel"].at[..., 3:].set(0), last["bias"].at[3:].set(-40.0)
    state = state.replace(params=certain)
    metrics = model.evaluate(KEY, state, BATCH)
    error = np.asarray(model.reconstruct(state, BATCH), np.float64) - BATCH["image"] / 255
    np.testing.assert_allclose(metrics["mse"], (error**2).mean((1, 2, 3)), rtol=1e-4)
    mean = np.asarray(model.encode(state, BATCH), np.float64)
    np.testing.assert_allclose(metrics["kl"], 0.5 * (np.exp(-40) + mean**2 - 1 + 40).sum(-1), rtol=1e-5)


def test_training_on_digits_improves_reconstructions_and_samples() -> None:
    digits, held_out = load("digits"), load("digits", split="test")
    images = jnp.asarray(digits["image"])
    model = build(Config(width=16, latent=8), digits)
    state = model.init(jax.random.key(0), digits)

    def turn(state: State, key: jax.Array) -> tuple[State, None]:
        batch = {"image": images[jax.random.randint(key, (64,), 0, len(images))]}
        return model.step(key, state, batch)[0], None

    @jax.jit
    def measured(state: State) -> tuple[jax.Array, jax.Array]:
        mse = model.evaluate(jax.random.key(1), state, held_out)["mse"].mean()
        return mse, model.sample(jax.random.key(2), state, 360)

    mse_before, samples_before = measured(state)
    state, _ = jax.jit(lambda state: jax.lax.scan(turn, state, jax.random.split(jax.random.key(3), 300)))(state)
    mse, samples = measured(state)
    real = held_out["image"] / 255
    print("MSE", mse_before, mse, "ENERGY", energy_distance(samples_before, real), energy_distance(samples, real))
    assert mse < mse_before / 3
    assert energy_distance(samples, real) < energy_distance(samples_before, real) / 3


def energy_distance(x: Any, y: Any) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, at least 0, and 0 for equal distributions."""
    x, y = np.reshape(x, (len(x), -1)), np.reshape(y, (len(y), -1))
    return float(2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean())


@pytest.mark.parametrize(
    ("choices", "example", "message"),
    [
        ({}, {"point": np.zeros((1, 2))}, "these data are points"),
        ({"layer": 3}, BATCH, "layer must be from 1 to 2, .* 16x16 pictures, got 3"),
        ({"layer": 0}, BATCH, "layer must be from 1 to 2"),
        ({"gamma": -1.0}, BATCH, "gamma must not be negative, got -1.0"),
        ({}, {"image": np.zeros((1, 7, 7, 1), np.uint8)}, "too small"),
    ],
)
def test_choices_that_cannot_work_are_refused_with_the_reason(
    choices: dict[str, Any], example: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build(Config(**choices), example)
