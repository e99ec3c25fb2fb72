"""The GAN's moves against NumPy, and a short training on real digits."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

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


def discriminator_noise(key: jax.Array, move: int, shape: tuple[int, int]) -> np.ndarray:
    """The noise of one move of the discriminator, the other half of whose key is for the penalty."""
    return np.asarray(jax.random.normal(jax.random.split(move_key(key, 0, move))[0], shape))


def generator_noise(key: jax.Array, n: int) -> np.ndarray:
    return np.asarray(jax.random.normal(move_key(key, 1, 0), (n, MLP.latent)))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def play(model: Model, batch: dict[str, Any], key: jax.Array) -> tuple[State, dict[str, float]]:
    """The first state, and what the first turn reports."""
    start = jax.jit(model.init)(jax.random.key(3), batch)
    _, metrics = jax.jit(model.step)(key, start, batch)
    return start, {name: float(value) for name, value in metrics.items()}


@pytest.mark.parametrize("dataset", [POINTS, PICTURES], ids=["points", "pictures"])
def test_non_saturating_losses_are_those_of_the_paper(dataset: dict[str, Any]) -> None:
    key = jax.random.key(5)
    model = build(replace(MLP, architecture="mlp"), dataset)
    start, metrics = play(model, dataset, key)
    pictures = "image" in dataset
    real = dataset["image"] / 127.5 - 1.0 if pictures else dataset["point"]

    def outputs(noise: np.ndarray) -> np.ndarray:
        fake = generated(start, noise)
        return judged(start, np.tanh(fake) if pictures else fake)

    n = len(real)
    loss = softplus(-judged(start, real)).mean() + softplus(outputs(discriminator_noise(key, 0, (n, 3)))).mean()
    assert metrics["discriminator/loss"] == pytest.approx(loss, rel=1e-5)
    assert metrics["generator/loss"] == pytest.approx(softplus(-outputs(generator_noise(key, n))).mean(), rel=1e-5)
    assert metrics["discriminator/real_output"] == pytest.approx(judged(start, real).mean(), rel=1e-4, abs=1e-6)
    assert "discriminator/gradient_penalty" not in metrics


def test_every_move_of_the_critic_sees_its_own_fifth_of_the_batch() -> None:
    """With the networks at rest, the mean over five moves is that over the whole batch, and noise is always new."""
    key = jax.random.key(5)
    model = build(replace(MLP, loss="wasserstein"), POINTS)
    assert model.slices == 5
    start, metrics = play(model, POINTS, key)
    n = len(POINTS["point"]) // 5
    fake_output = np.mean(
        [judged(start, generated(start, discriminator_noise(key, i, (n, 3)))).mean() for i in range(5)]
    )
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
    start, metrics = play(build(config, dataset), dataset, jax.random.key(5))
    norm = np.linalg.norm(np.float64(start.params["discriminator"]["Dense_0"]["kernel"]))
    wasserstein = metrics["discriminator/fake_output"] - metrics["discriminator/real_output"]
    assert metrics["discriminator/gradient_penalty"] == pytest.approx((norm - 1) ** 2, rel=1e-4)
    assert metrics["discriminator/loss"] == pytest.approx(wasserstein + weight * (norm - 1) ** 2, rel=1e-4)


@pytest.mark.parametrize(
    ("config", "dataset"),
    [(Config(width=4, latent=4), PICTURES), (Config(hidden=(8,), loss="wasserstein", critic_moves=2), POINTS)],
    ids=["dcgan", "wgan-gp"],
)
def test_a_move_leaves_the_other_network_and_its_statistics_bit_equal(config: Config, dataset: dict[str, Any]) -> None:
    model = build(config, dataset)
    start = jax.jit(model.init)(jax.random.key(0), dataset)

    def as_started(key: jax.Array, batch: Any) -> dict[str, Any]:
        return {name: {"params": start.params[name], **start.stats.get(name, {})} for name in start.params}

    for player in model.players:
        init, step = game(as_started, [player])
        end, _ = jax.jit(step)(jax.random.key(1), init(jax.random.key(2), dataset), dataset)
        for name in start.params:
            own = name == player.name
            assert moved(start.params[name], end.params[name]) == own
            assert moved(start.stats.get(name), end.stats.get(name)) == (own and name in start.stats)
    assert set(start.stats) == (set(start.params) if dataset is PICTURES else set())


def test_a_critic_with_a_gradient_penalty_does_not_normalize_but_its_generator_does() -> None:
    model = build(Config(width=4, loss="wasserstein"), PICTURES)
    assert set(jax.eval_shape(model.init, jax.random.key(0), PICTURES).stats) == {"generator"}


def moved(before: Any, after: Any) -> bool:
    """Whether a single bit of a pytree has changed."""
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return any(np.asarray(a).tobytes() != np.asarray(b).tobytes() for a, b in pairs)


class DCGAN(NamedTuple):
    """A DCGAN of digits at its start and after one turn, and the jitted turn, which takes a while to compile."""

    model: Model
    step: Any
    start: State
    end: State
    batch: dict[str, Any]


DCGAN_CONFIG = Config(width=16, latent=16, learning_rate=1e-3)
GENERATOR, DISCRIMINATOR = Generator(shape=(8, 8, 1), width=16), Discriminator(width=16)


@pytest.fixture(scope="module")
def dcgan() -> DCGAN:
    batch = {"image": load("digits")["image"][:64]}
    model = build(DCGAN_CONFIG, batch)
    step = jax.jit(model.step)
    start = jax.jit(model.init)(jax.random.key(3), batch)
    return DCGAN(model, step, start, step(jax.random.key(5), start, batch)[0], batch)


def test_real_and_generated_pictures_move_the_running_averages_one_after_the_other(dcgan: DCGAN) -> None:
    noise = discriminator_noise(jax.random.key(5), 0, (64, 16))
    generator = {"params": dcgan.start.params["generator"], **dcgan.start.stats["generator"]}
    fake, _ = jax.jit(partial(GENERATOR.apply, mutable=["batch_stats"]))(generator, noise)

    @jax.jit
    def normalized_input(pictures: jax.Array) -> jax.Array:
        """What reaches the batch normalization of the discriminator's second layer."""
        layers = dcgan.start.params["discriminator"]
        x = strided(pictures, layers["Conv_0"]["kernel"]) + layers["Conv_0"]["bias"]
        return strided(jnp.where(x > 0, x, 0.2 * x), layers["Conv_1"]["kernel"])

    mean, var = np.zeros(32), np.ones(32)
    for pictures in (dcgan.batch["image"] / np.float32(127.5) - 1, np.tanh(fake)):
        x = np.float64(normalized_input(pictures))
        mean, var = 0.9 * mean + 0.1 * x.mean((0, 1, 2)), 0.9 * var + 0.1 * x.var((0, 1, 2))
    averages = dcgan.end.stats["discriminator"]["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(averages["mean"], mean, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(averages["var"], var, rtol=1e-5)


def strided(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def test_evaluation_is_per_example_and_uses_the_running_averages(dcgan: DCGAN) -> None:
    state, key = dcgan.end, jax.random.key(1)
    metrics = jax.jit(dcgan.model.evaluate)(key, state, dcgan.batch)
    discriminator = {"params": state.params["discriminator"], **state.stats["discriminator"]}
    judge = jax.jit(partial(DISCRIMINATOR.apply, discriminator))
    real = np.float64(judge(dcgan.batch["image"] / np.float32(127.5) - 1))
    fake = np.float64(judge(dcgan.model.sample(key, state, 64) * 2 - 1))
    np.testing.assert_allclose(metrics["real_output"], real, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["fake_output"], fake, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["discriminator_loss"], softplus(-real) + softplus(fake), rtol=1e-5)


def test_training_brings_the_samples_of_a_dcgan_nearer_to_real_digits(dcgan: DCGAN) -> None:
    sample = jax.jit(lambda state: dcgan.model.sample(jax.random.key(1), state, 360))
    state = train(dcgan.step, dcgan.start, turns=150, batch_size=64)
    assert_nearer_to_digits(sample(dcgan.start), sample(state))


def test_training_brings_the_samples_of_a_wgan_nearer_to_real_digits() -> None:
    digits = load("digits")
    model = build(Config(architecture="mlp", loss="wasserstein", learning_rate=1e-3), digits)
    start = jax.jit(model.init)(jax.random.key(0), digits)
    sample = jax.jit(lambda state: model.sample(jax.random.key(1), state, 360))
    state = train(jax.jit(model.step), start, turns=150, batch_size=64 * model.slices)
    assert_nearer_to_digits(sample(start), sample(state))


def train(step: Any, state: State, *, turns: int, batch_size: int) -> State:
    images = load("digits")["image"]
    random = np.random.default_rng(0)
    for i in range(turns):
        batch = {"image": images[random.integers(0, len(images), batch_size)]}
        state, _ = step(jax.random.fold_in(jax.random.key(2), i), state, batch)
    return state


def assert_nearer_to_digits(before: Any, after: Any) -> None:
    """By the energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'|, which is 0 for equal distributions."""

    def energy_distance(x: np.ndarray, y: np.ndarray) -> float:
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        return float(2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean())

    before, after = np.asarray(before), np.asarray(after)
    held_out = load("digits", split="test")["image"] / 255
    assert after.min() >= 0
    assert after.max() <= 1
    assert energy_distance(after, held_out) < energy_distance(before, held_out) / 5


def test_a_discriminator_that_knows_its_data_by_heart_shows_in_the_evaluation() -> None:
    """Twelve digits, learned while the generator stands still: unseen digits look less real than those twelve."""
    digits = load("digits")["image"]
    seen, unseen = {"image": digits[:12]}, {"image": digits[500:800]}
    model = build(Config(architecture="mlp", hidden=(256,), learning_rate=1e-3), seen)
    step = jax.jit(model.step)
    state = jax.jit(model.init)(jax.random.key(0), seen)
    for i in range(300):
        state, _ = step(jax.random.fold_in(jax.random.key(1), i), state, seen)
    losses = [
        float(model.evaluate(jax.random.key(2), state, batch)["discriminator_loss"].mean()) for batch in (seen, unseen)
    ]
    assert losses[0] + 0.2 < losses[1]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"architecture": "dcgan"}, "'dcgan' is for pictures, and these data are points: use 'mlp'"),
        ({"loss": "wasserstein", "penalty_weight": 0.0}, "without a gradient penalty .* give a penalty_weight > 0"),
        ({"loss": "waserstein"}, "there is no loss 'waserstein': did you mean 'wasserstein'?"),
        ({"architecture": "mpl"}, "there is no architecture 'mpl': did you mean 'mlp'?"),
        ({"critic_moves": 0}, "critic_moves must be positive and finite, got 0"),
        ({"penalty_weight": -1.0}, "penalty_weight must be finite and not negative, got -1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, got 0.0"),
        ({"b1": 1.0}, "b1 and b2 are decays below 1, got 1.0 and 0.999"),
        ({"latent": 0}, "latent must be positive and finite, got 0"),
        ({"hidden": (8, 0)}, "hidden must be positive and finite, got 0"),
    ],
)
def test_choices_that_cannot_work_are_refused_with_the_reason(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Config(**choices), POINTS)
