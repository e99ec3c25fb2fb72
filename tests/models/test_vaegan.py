"""The three players against the published equations, computed from the outputs of the networks."""

from dataclasses import replace
from typing import Any, NamedTuple

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
from jaxgen.game import Model, State
from jaxgen.models.vaegan import Config, build
from jaxgen.nn import cpu_convolution
from jaxgen.nn.dcgan import Discriminator, Generator

CONFIG = Config(width=32, latent_dim=8, learning_rate=5e-4)
KEY = jax.random.key(5)
BATCH = {"image": load("digits")["image"][:64]}

NETWORKS = {
    "encoder": Discriminator(width=32, shape=(16,)),
    "decoder": Generator(shape=(8, 8, 1), width=32),
    "discriminator": Discriminator(width=32, feature_layer=2),
}


class Step(NamedTuple):
    """The states before and after one step, its metrics, and the compiled step function."""

    model: Model
    step: Any
    start: State
    end: State
    metrics: dict[str, float]


@pytest.fixture(scope="module")
def first() -> Step:
    model = build(CONFIG, BATCH)
    step = jax.jit(model.step)
    start = jax.jit(model.init)(jax.random.key(3), BATCH)
    end, metrics = step(KEY, start, BATCH)
    return Step(model, step, start, end, {name: float(value) for name, value in metrics.items()})


class Reference(NamedTuple):
    """The expected results of one step.

    Attributes:
        outputs: the variables of the equations.
        batches: network -> mean and variance of the inputs of every batch normalization, in each forward pass in order.
        gradients: player -> gradient of its loss.
    """

    outputs: dict[str, jax.Array]
    batches: dict[str, list[Any]]
    gradients: dict[str, Any]


@pytest.fixture(scope="module")
def reference(first: Step) -> Reference:
    def losses(params: dict[str, Any], start: State) -> Any:
        outputs, batches = forward(params, start)
        return differentiable_losses(outputs), (outputs, batches)

    @jax.jit
    def compute(start: State) -> Reference:
        gradients, results = jax.jacrev(losses, has_aux=True)(start.params, start)
        return Reference(*results, {name: gradients[name][name] for name in NETWORKS})

    with pytest.MonkeyPatch.context() as patch:
        # As a single operation of XLA: independent of jaxgen's own convolutions, and compiled faster.
        patch.setattr(cpu_convolution, "is_supported", lambda *args, **options: False)
        return jax.device_get(compute(first.start))


def forward(params: dict[str, Any], start: State) -> tuple[dict[str, jax.Array], dict[str, list[Any]]]:
    """Compute all forward passes with batch statistics, and the statistics of the batches."""
    batches: dict[str, list[Any]] = {name: [] for name in NETWORKS}

    def run(name: str, x: jax.Array) -> Any:
        variables = {"params": params[name], **start.stats[name]}
        output, updated = NETWORKS[name].apply(variables, x, train=True, mutable=["batch_stats"])
        batches[name].append(jax.tree.map(lambda new, old: (new - 0.9 * old) / 0.1, updated, dict(start.stats[name])))
        return output

    def discriminate(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits, features = run("discriminator", x)
        return logits, features.reshape(len(x), -1)

    pass_key, *_ = jax.random.split(KEY, 1 + len(NETWORKS))
    epsilon_key, prior_key = jax.random.split(pass_key)
    epsilon, z_prior = (jax.random.normal(key, (64, 8)) for key in (epsilon_key, prior_key))
    x = jnp.float32(BATCH["image"]) / 255 * 2 - 1
    encoded = run("encoder", x)
    mean, log_var = encoded[:, :8], encoded[:, 8:]
    reconstruction = jnp.tanh(run("decoder", mean + jnp.sqrt(jnp.exp(log_var)) * epsilon))
    sampled = jnp.tanh(run("decoder", z_prior))
    real, features = discriminate(x)
    reconstructed, reconstructed_features = discriminate(reconstruction)
    outputs = {
        "mean": mean,
        "log_var": log_var,
        "features": features,
        "reconstructed_features": reconstructed_features,
        "real": real,
        "reconstructed": reconstructed,
        "sampled": discriminate(sampled)[0],
    }
    return outputs, batches


def published_losses(o: dict[str, Any], gamma: float) -> dict[str, float]:
    """Compute the losses of Algorithm 1 from equations 2, 7 and 8 of the paper in float64, by SciPy's densities.

    L_like is without the constant of the normal density.
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
    """Compute the same losses without constants, for gradients."""
    prior = 0.5 * (jnp.exp(o["log_var"]) + o["mean"] ** 2 - o["log_var"]).sum(-1)
    like = 0.5 * ((o["features"] - o["reconstructed_features"]) ** 2).sum(-1)
    real, *fakes = (jax.nn.sigmoid(o[name]) for name in ("real", "reconstructed", "sampled"))
    adversarial = jnp.log(real) + sum(jnp.log(1 - fake) for fake in fakes)
    return {
        "encoder": (prior + like).mean(),
        "decoder": (CONFIG.gamma * like + adversarial).mean(),
        "discriminator": -adversarial.mean(),
    }


def test_losses_match_the_published_equations(first: Step, reference: Reference) -> None:
    for name, value in published_losses(reference.outputs, CONFIG.gamma).items():
        assert first.metrics[f"{name}/loss"] == pytest.approx(value, rel=1e-5)


def test_every_player_is_updated_by_the_gradient_of_its_own_loss_at_the_initial_parameters(
    first: Step, reference: Reference
) -> None:
    """L_GAN has no effect on the encoder, L_like none on the discriminator, and all updates are simultaneous."""
    for name in NETWORKS:
        # In the first step of RMSProp nu = 0.1 gradient^2, and each parameter changes against the sign of its gradient.
        (nu,) = (part.nu for part in jax.tree.leaves(first.end.opt[name], is_leaf=is_scaling) if is_scaling(part))
        gradients = jax.tree.map(
            lambda nu, before, after: np.sign(before - after) * np.sqrt(nu / np.float32(0.1)),
            *jax.device_get((nu[name], first.start.params[name], first.end.params[name])),
        )
        largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(reference.gradients[name]))
        chex.assert_trees_all_close(gradients, reference.gradients[name], rtol=1e-3, atol=1e-5 * largest)


def is_scaling(part: Any) -> bool:
    return isinstance(part, optax.ScaleByRmsState)


def test_running_statistics_are_updated_by_every_forward_pass_of_their_network(
    first: Step, reference: Reference
) -> None:
    for name, batches in reference.batches.items():
        average = jax.device_get(first.start.stats[name])
        for batch in batches:
            average = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, average, batch)
        chex.assert_trees_all_close(first.end.stats[name], average, rtol=1e-4, atol=1e-5)
    assert [len(reference.batches[name]) for name in NETWORKS] == [1, 2, 3]


@pytest.mark.usefixtures("convolutions_by_xla")
def test_evaluation_is_per_example_in_the_given_layer_and_in_pixels_of_the_unit_interval(first: Step) -> None:
    """The variance of q(z|x) is set to exp(-40), so that the latent is its mean."""
    params = jax.tree.map(np.array, first.end.params)
    last = params["encoder"]["Conv_2"]
    last["kernel"][..., 8:], last["bias"][8:] = 0, -40.0
    state, model = first.end.replace(params=params), build(replace(CONFIG, layer=1), BATCH)
    layer = params["discriminator"]["Conv_0"]

    @jax.jit
    def compute(batch: dict[str, Any]) -> Any:
        images, reconstruction = batch["image"] / np.float32(255), first.model.reconstruct(state, batch)
        x = jax.lax.conv_general_dilated(
            jnp.concatenate([images, reconstruction]) * 2 - 1,
            layer["kernel"],
            (2, 2),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return model.evaluate(KEY, state, batch), reconstruction, first.model.encode(state, batch), x

    metrics, reconstruction, mean, x = jax.device_get(compute(BATCH))
    others = {"image": np.concatenate([BATCH["image"][:1], 255 - BATCH["image"][1:]])}
    for name, values in compute(others)[0].items():
        np.testing.assert_allclose(values[0], metrics[name][0], rtol=1e-4)

    images = BATCH["image"] / np.float32(255)
    np.testing.assert_allclose(metrics["mse"], np.square(reconstruction - images).mean((1, 2, 3)), rtol=1e-4)
    mean = np.float64(mean)
    np.testing.assert_allclose(metrics["kl"], 0.5 * (np.exp(-40) + mean**2 - 1 + 40).sum(-1), rtol=1e-5)
    features = np.maximum(x + layer["bias"], 0.2 * (x + layer["bias"])).reshape(2, 64, -1)
    np.testing.assert_allclose(metrics["feature_nll"], 0.5 * np.square(features[0] - features[1]).sum(-1), rtol=1e-3)


def test_training_on_digits_reduces_mse_and_energy_distance(first: Step) -> None:
    images, held_out = load("digits")["image"], load("digits", split="test")
    random = np.random.default_rng(0)
    real = held_out["image"] / 255

    @jax.jit
    def compute(state: State) -> tuple[jax.Array, jax.Array]:
        return first.model.reconstruct(state, held_out), first.model.sample(jax.random.key(1), state, 360)

    def measured(state: State) -> tuple[float, float]:
        reconstruction, samples = jax.device_get(compute(state))
        return np.square(reconstruction - real).mean(), energy_distance(samples, real)

    state = first.start
    for i in range(250):
        batch = {"image": images[random.integers(0, len(images), 64)]}
        state, _ = first.step(jax.random.fold_in(jax.random.key(2), i), state, batch)
    (mse, distance), (mse_before, distance_before) = measured(state), measured(first.start)
    assert mse < mse_before / 3
    assert distance < distance_before / 15


def energy_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'|, which is at least 0, and 0 for equal distributions."""
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    return float(2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean())


@pytest.mark.parametrize(
    ("options", "example", "message"),
    [
        ({}, {"point": np.zeros((1, 2))}, "these data are points"),
        ({"layer": 3}, BATCH, "layer must be from 1 to 2, .* 8x8 images, got 3"),
        ({"layer": 0}, BATCH, "layer must be from 1 to 2"),
        ({"gamma": -1.0}, BATCH, "gamma must be finite and not negative, got -1.0"),
        ({}, {"image": np.zeros((1, 7, 7, 1), np.uint8)}, "at least 8x8 pixels"),
    ],
)
def test_invalid_options_raise_input_error_with_the_reason(
    options: dict[str, Any], example: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build(Config(**options), example)


@pytest.mark.usefixtures("convolutions_by_xla")
def test_sample_posterior_has_mean_and_variance_of_the_encoder(first: Step) -> None:
    model, state, batch = first.model, first.end, {"image": BATCH["image"][:3]}
    variables = {"params": state.params["encoder"], **state.stats["encoder"]}
    keys = jax.random.split(KEY, 20_000)

    @jax.jit
    def compute() -> tuple[jax.Array, jax.Array]:
        output = NETWORKS["encoder"].apply(variables, batch["image"] / np.float32(127.5) - 1, train=False)
        draws = jax.lax.map(lambda key: model.sample_posterior(key, state, batch), keys, batch_size=2000)
        return output, draws

    output, draws = compute()
    mean, log_var = np.split(np.asarray(output, np.float64), 2, axis=1)
    draws = np.float64(draws)
    deviation, error = np.exp(log_var / 2), 5 / np.sqrt(len(keys))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - mean), error * deviation + 1e-5)
    np.testing.assert_array_less(np.abs(draws.std(axis=0) / deviation - 1), error / np.sqrt(2))
