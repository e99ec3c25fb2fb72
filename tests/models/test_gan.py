"""The GAN's moves against NumPy, and a short training on real digits."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.game import Model, State, game
from jaxgen.models.gan import Config, build
from jaxgen.nn.dcgan import Discriminator, Generator

POINTS = {"point": np.random.default_rng(0).normal(1.0, 0.5, (40, 2)).astype(np.float32)}
PICTURES = {"image": load("digits")["image"][:20]}

STILL = 1e-30
"""A learning rate that moves no float32 parameter: what the second player sees is what the first one saw."""

MLP = Config(hidden=(7, 5), latent=3, learning_rate=STILL)


def leaky_relu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def mlp(params: dict[str, Any], x: np.ndarray, activation: Any) -> np.ndarray:
    """The network in float64."""
    layers = [jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params[f"Dense_{i}"]) for i in range(len(params))]
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    for layer in layers[:-1]:
        x = activation(x @ layer["kernel"] + layer["bias"])
    return x @ layers[-1]["kernel"] + layers[-1]["bias"]


def judged(state: State, x: np.ndarray) -> np.ndarray:
    return mlp(state.params["discriminator"], x, leaky_relu)[:, 0]


def generated(state: State, noise: np.ndarray) -> np.ndarray:
    return mlp(state.params["generator"], noise, lambda x: np.maximum(x, 0))


def move_key(key: jax.Array, player: int, move: int) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(key, player), move)


def discriminator_noise(key: jax.Array, move: int, n: int) -> np.ndarray:
    """The noise of one move of the discriminator, the other half of whose key is for the penalty."""
    return np.asarray(jax.random.normal(jax.random.split(move_key(key, 0, move))[0], (n, MLP.latent)))


def generator_noise(key: jax.Array, n: int) -> np.ndarray:
    return np.asarray(jax.random.normal(move_key(key, 1, 0), (n, MLP.latent)))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def play(model: Model, batch: dict[str, Any], key: jax.Array) -> tuple[State, State, dict[str, float]]:
    start = model.init(jax.random.key(3), batch)
    end, metrics = jax.jit(model.step)(key, start, batch)
    return start, end, {name: float(value) for name, value in metrics.items()}


@pytest.mark.parametrize("dataset", [POINTS, PICTURES], ids=["points", "pictures"])
def test_non_saturating_losses_are_those_of_the_paper(dataset: dict[str, Any]) -> None:
    key = jax.random.key(5)
    model = build(replace(MLP, architecture="mlp"), dataset)
    start, _, metrics = play(model, dataset, key)
    pictures = "image" in dataset
    real = dataset["image"] / 127.5 - 1.0 if pictures else dataset["point"]

    def outputs(noise: np.ndarray) -> np.ndarray:
        fake = generated(start, noise)
        return judged(start, np.tanh(fake) if pictures else fake)

    n = len(real)
    loss = softplus(-judged(start, real)).mean() + softplus(outputs(discriminator_noise(key, 0, n))).mean()
    assert metrics["discriminator/loss"] == pytest.approx(loss, rel=1e-5)
    assert metrics["generator/loss"] == pytest.approx(softplus(-outputs(generator_noise(key, n))).mean(), rel=1e-5)
    assert metrics["discriminator/real_output"] == pytest.approx(judged(start, real).mean(), rel=1e-4, abs=1e-6)
    assert "discriminator/gradient_penalty" not in metrics


def test_every_move_of_the_critic_sees_its_own_fifth_of_the_batch() -> None:
    """With the networks at rest, the mean over five moves is that over the whole batch, and noise is always new."""
    key = jax.random.key(5)
    model = build(replace(MLP, loss="wasserstein"), POINTS)
    assert model.slices == 5
    start, _, metrics = play(model, POINTS, key)
    n = len(POINTS["point"]) // 5
    fake_output = np.mean([judged(start, generated(start, discriminator_noise(key, i, n))).mean() for i in range(5)])
    real_output = judged(start, POINTS["point"]).mean()
    wasserstein = fake_output - real_output
    assert metrics["discriminator/real_output"] == pytest.approx(real_output, rel=1e-4)
    assert metrics["discriminator/fake_output"] == pytest.approx(fake_output, rel=1e-4)
    assert metrics["discriminator/loss"] == pytest.approx(
        wasserstein + 0.1 * metrics["discriminator/gradient_penalty"], rel=1e-4
    )
    assert metrics["generator/loss"] == pytest.approx(
        -judged(start, generated(start, generator_noise(key, n))).mean(), rel=1e-4
    )


@pytest.mark.parametrize(
    ("dataset", "chosen", "weight"), [(POINTS, None, 0.1), (PICTURES, None, 10.0), (POINTS, 3.0, 3.0)]
)
def test_the_gradient_penalty_has_the_right_weight(
    dataset: dict[str, Any], chosen: float | None, weight: float
) -> None:
    """The gradient of an affine critic is its weight vector, wherever it is evaluated."""
    config = replace(MLP, architecture="mlp", hidden=(), loss="wasserstein", penalty_weight=chosen)
    start, _, metrics = play(build(config, dataset), dataset, jax.random.key(5))
    norm = np.linalg.norm(np.float64(start.params["discriminator"]["Dense_0"]["kernel"]))
    wasserstein = metrics["discriminator/fake_output"] - metrics["discriminator/real_output"]
    assert metrics["discriminator/gradient_penalty"] == pytest.approx((norm - 1) ** 2, rel=1e-4)
    assert metrics["discriminator/loss"] == pytest.approx(wasserstein + weight * (norm - 1) ** 2, rel=1e-4)


@pytest.mark.parametrize("loss", ["non_saturating", "wasserstein"])
def test_a_move_leaves_the_other_network_and_its_statistics_bit_equal(loss: str) -> None:
    model = build(Config(width=8, latent=4, loss=loss), PICTURES)
    start = model.init(jax.random.key(0), PICTURES)

    def as_started(key: jax.Array, batch: Any) -> dict[str, Any]:
        return {name: {"params": start.params[name], **start.stats.get(name, {})} for name in start.params}

    for player in model.players:
        init, step = game(as_started, [player])
        end, _ = step(jax.random.key(1), init(jax.random.key(2), PICTURES), PICTURES)
        for name in start.params:
            own = name == player.name
            assert moved(start.params[name], end.params[name]) == own
            assert moved(start.stats.get(name), end.stats.get(name)) == (own and name in start.stats)
    # A critic with a gradient penalty has no batch normalization; the generator always has.
    assert set(start.stats) == ({"generator", "discriminator"} if loss == "non_saturating" else {"generator"})


def moved(before: Any, after: Any) -> bool:
    """Whether a single bit of a pytree has changed."""
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return any(np.asarray(a).tobytes() != np.asarray(b).tobytes() for a, b in pairs)


def test_real_and_generated_pictures_move_the_running_averages_one_after_the_other() -> None:
    key = jax.random.key(5)
    batch = {"image": np.random.default_rng(0).integers(0, 256, (12, 16, 16, 1), np.uint8)}
    config = Config(width=4, latent=3, learning_rate=STILL)
    start, end, _ = play(build(config, batch), batch, key)
    noise = discriminator_noise(key, 0, 12)
    generator = {"params": start.params["generator"], **start.stats["generator"]}
    fake, _ = Generator((16, 16, 1), 4).apply(generator, noise, mutable=["batch_stats"])

    def normalized_input(pictures: np.ndarray) -> np.ndarray:
        """What reaches the batch normalization of the discriminator's second layer."""
        kernels = start.params["discriminator"]
        x = leaky_relu(strided(pictures, kernels["Conv_0"]["kernel"]) + kernels["Conv_0"]["bias"])
        return np.asarray(strided(x, kernels["Conv_1"]["kernel"]), np.float64)

    mean, var = np.zeros(8), np.ones(8)
    for pictures in (batch["image"] / 127.5 - 1, np.tanh(fake)):
        x = normalized_input(pictures)
        mean, var = 0.9 * mean + 0.1 * x.mean((0, 1, 2)), 0.9 * var + 0.1 * x.var((0, 1, 2))
    averages = end.stats["discriminator"]["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(averages["mean"], mean, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(averages["var"], var, rtol=1e-5)


def strided(x: np.ndarray, kernel: Any) -> np.ndarray:
    return np.asarray(
        jax.lax.conv_general_dilated(jnp.float32(x), kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    )


def test_evaluation_is_per_example_and_uses_the_running_averages() -> None:
    batch = {"image": np.random.default_rng(0).integers(0, 256, (12, 16, 16, 1), np.uint8)}
    model = build(Config(width=4, latent=3), batch)
    _, state, _ = play(model, batch, jax.random.key(0))
    metrics = model.evaluate(jax.random.key(1), state, batch)
    half = model.evaluate(jax.random.key(1), state, {"image": batch["image"][:6]})
    np.testing.assert_allclose(half["real_output"], metrics["real_output"][:6], rtol=1e-5, atol=1e-6)

    discriminator = {"params": state.params["discriminator"], **state.stats["discriminator"]}
    signed = model.sample(jax.random.key(1), state, 12) * 2 - 1
    real, fake = (
        np.float64(Discriminator(4).apply(discriminator, x)) for x in (batch["image"] / np.float32(127.5) - 1, signed)
    )
    np.testing.assert_allclose(metrics["real_output"], real, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["fake_output"], fake, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["discriminator_loss"], softplus(-real) + softplus(fake), rtol=1e-5)


def test_a_discriminator_that_knows_its_data_by_heart_shows_in_the_evaluation() -> None:
    """Twelve digits, learned while the generator stands still: unseen digits look less real than those twelve."""
    digits = load("digits")["image"]
    seen, unseen = {"image": digits[:12]}, {"image": digits[500:800]}
    model = build(Config(architecture="mlp", hidden=(256,), learning_rate=1e-3), seen)
    step = jax.jit(model.step)
    state = model.init(jax.random.key(0), seen)
    for i in range(300):
        state, _ = step(jax.random.fold_in(jax.random.key(1), i), state, seen)
    losses = [
        float(model.evaluate(jax.random.key(2), state, batch)["discriminator_loss"].mean()) for batch in (seen, unseen)
    ]
    assert losses[0] + 0.2 < losses[1]


def energy_distance(x: np.ndarray, y: np.ndarray) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, at least 0, and 0 for equal distributions."""
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    return float(2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean())


@pytest.mark.parametrize(
    "config",
    [
        Config(width=16, latent=16, learning_rate=1e-3),
        Config(architecture="mlp", loss="wasserstein", learning_rate=1e-3),
    ],
    ids=["dcgan", "wgan-gp"],
)
def test_training_brings_samples_nearer_to_real_digits(config: Config) -> None:
    digits, held_out = load("digits"), load("digits", split="test")["image"] / 255
    model = build(config, digits)
    state = model.init(jax.random.key(0), digits)
    sample = jax.jit(lambda state: model.sample(jax.random.key(1), state, 360))

    def turn(state: State, key: jax.Array) -> tuple[State, None]:
        indices = jax.random.randint(key, (64 * model.slices,), 0, len(digits["image"]))
        return model.step(key, state, {"image": jnp.asarray(digits["image"])[indices]})[0], None

    before = energy_distance(np.asarray(sample(state)), held_out)
    state, _ = jax.jit(lambda state: jax.lax.scan(turn, state, jax.random.split(jax.random.key(2), 300)))(state)
    pictures = np.asarray(sample(state))
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    print("ENERGY", before, energy_distance(pictures, held_out))
    assert energy_distance(pictures, held_out) < before / 5


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"architecture": "dcgan"}, "'dcgan' is for pictures, and these data are points: use 'mlp'"),
        ({"loss": "wasserstein", "penalty_weight": 0.0}, "without a gradient penalty .* give a penalty_weight > 0"),
        ({"loss": "waserstein"}, "there is no loss 'waserstein'; did you mean 'wasserstein'?"),
        ({"architecture": "mpl"}, "there is no architecture 'mpl'; did you mean 'mlp'?"),
        ({"critic_moves": 0}, "critic_moves must be positive, got 0"),
        ({"penalty_weight": -1.0}, "penalty_weight must not be negative, got -1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
        ({"b1": 1.0}, "b1 must be below 1, got 1.0"),
        ({"latent": 0}, "latent must be positive, got 0"),
        ({"hidden": (8, 0)}, "hidden must be positive, got 0"),
    ],
)
def test_choices_that_cannot_work_are_refused_with_the_reason(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Config(**choices), POINTS)
