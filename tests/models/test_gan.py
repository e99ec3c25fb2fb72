"""The GAN's moves against NumPy, and a short training on real digits."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import kstest

from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.game import Model, State, game
from jaxgen.models import PRESETS, starting_point
from jaxgen.models.gan import LOSSES, Config, build
from jaxgen.nn.dcgan import Discriminator, Generator

POINTS = {"point": np.random.default_rng(0).normal(1.0, 0.5, (40, 2)).astype(np.float32)}
IMAGES = {"image": load("digits")["image"][:20]}

STILL = 1e-30
"""A learning rate that moves no float32 parameter: what the second player sees is what the first one saw."""

MLP = Config(hidden=(7, 5), latent_dim=3, learning_rate=STILL)

WGAN_GP = Config(loss="wasserstein", penalty="gradient", discriminator_updates=5)


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
    """The other half of the key is for the moves that the generator looks ahead."""
    return np.asarray(jax.random.normal(jax.random.split(move_key(key, 1, 0))[0], (n, MLP.latent)))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def play(model: Model, batch: dict[str, Any], key: jax.Array) -> tuple[State, dict[str, float]]:
    """The first state, and what the first turn reports."""
    start = jax.jit(model.init)(jax.random.key(3), batch)
    _, metrics = jax.jit(model.step)(key, start, batch)
    return start, {name: float(value) for name, value in metrics.items()}


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


PAPERS: dict[str, tuple[Any, Any]] = {
    "minimax": (lambda r, f: softplus(-r) + softplus(f), lambda r, f: -softplus(f)),
    "non_saturating": (lambda r, f: softplus(-r) + softplus(f), lambda r, f: softplus(-f)),
    "least_squares": (lambda r, f: (r - 1) ** 2 / 2 + f**2 / 2, lambda r, f: (f - 1) ** 2 / 2),
    "hinge": (lambda r, f: relu(1 - r) + relu(1 + f), lambda r, f: -f),
    "relativistic_average": (
        lambda r, f: softplus(f.mean() - r) + softplus(f - r.mean()),
        lambda r, f: softplus(r.mean() - f) + softplus(r - f.mean()),
    ),
}
"""Loss -> what the discriminator and the generator minimize, as functions of the logits of real and fake examples."""


@pytest.mark.parametrize(
    ("dataset", "loss"),
    [*[(POINTS, loss) for loss in PAPERS], (IMAGES, "non_saturating")],
    ids=[*PAPERS, "pictures"],
)
def test_losses_are_those_of_the_papers(dataset: dict[str, Any], loss: Any) -> None:
    key = jax.random.key(5)
    model = build(replace(MLP, architecture="mlp", loss=loss), dataset)
    start, metrics = play(model, dataset, key)
    images = "image" in dataset
    real = judged(start, dataset["image"] / 127.5 - 1.0 if images else dataset["point"])

    def outputs(noise: np.ndarray) -> np.ndarray:
        fake = generated(start, noise)
        return judged(start, np.tanh(fake) if images else fake)

    n = len(real)
    of_discriminator, of_generator = PAPERS[loss]
    expected = of_discriminator(real, outputs(discriminator_noise(key, 0, (n, 3)))).mean()
    assert metrics["discriminator/loss"] == pytest.approx(expected, rel=1e-5)
    expected = of_generator(real, outputs(generator_noise(key, n))).mean()
    assert metrics["generator/loss"] == pytest.approx(expected, rel=1e-5)
    assert metrics["discriminator/real_output"] == pytest.approx(real.mean(), rel=1e-4, abs=1e-6)
    assert "discriminator/penalty" not in metrics


def test_every_loss_of_the_library_can_be_played() -> None:
    assert set(LOSSES) == {*PAPERS, "wasserstein"}


def test_every_move_of_the_critic_sees_its_own_fifth_of_the_batch() -> None:
    """With the networks at rest, the mean over five moves is that over the whole batch, and noise is always new."""
    key = jax.random.key(5)
    model = build(replace(WGAN_GP, hidden=(7, 5), latent_dim=3, learning_rate=STILL), POINTS)
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
        wasserstein + 0.1 * metrics["discriminator/penalty"], rel=1e-4
    )
    assert metrics["generator/loss"] == pytest.approx(
        -judged(start, generated(start, generator_noise(key, n))).mean(), rel=1e-4
    )


@pytest.mark.parametrize(
    ("penalty", "dataset", "chosen", "weight", "of_norm"),
    [
        ("gradient", POINTS, None, 0.1, lambda norm: (norm - 1) ** 2),
        ("gradient", IMAGES, None, 10.0, lambda norm: (norm - 1) ** 2),
        ("gradient", POINTS, 3.0, 3.0, lambda norm: (norm - 1) ** 2),
        ("one_sided_gradient", POINTS, None, 0.1, lambda norm: max(0.0, norm - 1) ** 2),
        ("one_sided_gradient", IMAGES, None, 10.0, lambda norm: max(0.0, norm - 1) ** 2),
        ("dragan", POINTS, None, 10.0, lambda norm: (norm - 1) ** 2),
        ("r1", IMAGES, None, 5.0, lambda norm: norm**2),
    ],
)
def test_penalties_have_the_published_form_and_weight(
    penalty: Any, dataset: dict[str, Any], chosen: float | None, weight: float, of_norm: Any
) -> None:
    """The gradient of an affine critic is its weight vector, wherever it is evaluated."""
    config = Config(
        architecture="mlp", hidden=(), latent_dim=3, learning_rate=STILL, penalty=penalty, penalty_weight=chosen
    )
    start, metrics = play(build(replace(config, loss="wasserstein"), dataset), dataset, jax.random.key(5))
    norm = np.linalg.norm(np.float64(start.params["discriminator"]["Dense_0"]["kernel"]))
    wasserstein = metrics["discriminator/fake_output"] - metrics["discriminator/real_output"]
    assert metrics["discriminator/penalty"] == pytest.approx(of_norm(norm), rel=1e-4, abs=1e-6)
    assert metrics["discriminator/loss"] == pytest.approx(wasserstein + weight * of_norm(norm), rel=1e-4)


def test_the_slope_of_a_trained_critic_is_near_one_between_real_and_generated_points() -> None:
    # A critic that makes one move a turn is still on its way, and ends where rounding leads it.
    model = build(replace(WGAN_GP, penalty_weight=10.0, hidden=(32, 32), learning_rate=1e-3), POINTS)
    state = trained(model, POINTS, turns=300)
    weight = np.random.default_rng(1).uniform(size=(40, 1))
    between = weight * POINTS["point"] + (1 - weight) * np.asarray(model.sample(jax.random.key(0), state, 40))
    slopes = np.linalg.norm(numerical_gradient(state, between), axis=1)
    assert abs(slopes.mean() - 1) < 0.15


def numerical_gradient(state: State, x: np.ndarray, step: float = 1e-4) -> np.ndarray:
    moves = step * np.eye(x.shape[1])
    return np.stack([(judged(state, x + move) - judged(state, x - move)) / (2 * step) for move in moves], axis=1)


def trained(model: Model, dataset: dict[str, Any], *, turns: int) -> State:
    step = jax.jit(model.step)
    state = jax.jit(model.init)(jax.random.key(3), dataset)
    for i in range(turns):
        state, _ = step(jax.random.fold_in(jax.random.key(4), i), state, dataset)
    return state


def test_clipped_weights_are_inside_the_bound_after_every_move() -> None:
    config = Config(hidden=(16,), loss="wasserstein", clip=0.01, optimizer="rmsprop", learning_rate=1e-2)
    model = build(config, POINTS)
    step = jax.jit(model.step)
    state = jax.jit(model.init)(jax.random.key(3), POINTS)
    assert largest(state.params["discriminator"]) > 0.1
    for i in range(5):
        state, _ = step(jax.random.fold_in(jax.random.key(4), i), state, POINTS)
        assert largest(state.params["discriminator"]) <= np.float32(0.01)
    assert largest(state.params["generator"]) > 0.1


def largest(params: Any) -> float:
    return max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(params))


def test_after_training_no_normalized_layer_stretches_by_more_than_one_percent() -> None:
    """What a layer does to all unit vectors, against the SVD of NumPy; digits flatten the top of the spectrum."""
    config = Config(width=8, discriminator_normalization="spectral", loss="hinge", discriminator_updates=2)
    model = build(config, IMAGES)
    start = jax.jit(model.init)(jax.random.key(3), IMAGES)
    state = train(jax.jit(model.step), start, turns=200, batch_size=128)
    params, followed = state.params["discriminator"], state.stats["discriminator"]["spectral"]
    assert len(params) == len(followed) == 3
    for layer, vectors in zip(sorted(params), sorted(followed), strict=True):
        kernel = np.float64(params[layer]["kernel"]).reshape(-1, params[layer]["kernel"].shape[-1])
        # Evaluation makes one step from what training has left.
        basis = np.linalg.qr(kernel.T @ (kernel @ np.float64(followed[vectors]["U"])))[0]
        ratio = np.linalg.norm(kernel, 2) / np.linalg.norm(kernel @ basis, 2)
        assert 1 - 1e-6 < ratio < 1.01


@pytest.mark.parametrize(
    ("config", "dataset"),
    [(Config(width=4, latent_dim=4), IMAGES), (replace(WGAN_GP, hidden=(8,), discriminator_updates=2), POINTS)],
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
    assert set(start.stats) == (set(start.params) if dataset is IMAGES else set())


def test_a_critic_with_a_gradient_penalty_does_not_normalize_but_its_generator_does() -> None:
    model = build(replace(WGAN_GP, width=4), IMAGES)
    assert set(jax.eval_shape(model.init, jax.random.key(0), IMAGES).stats) == {"generator"}


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


DCGAN_CONFIG = Config(width=16, latent_dim=16, learning_rate=1e-3)
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
    def normalized_input(images: jax.Array) -> jax.Array:
        """What reaches the batch normalization of the discriminator's second layer."""
        layers = dcgan.start.params["discriminator"]
        x = strided(images, layers["Conv_0"]["kernel"]) + layers["Conv_0"]["bias"]
        return strided(jnp.where(x > 0, x, 0.2 * x), layers["Conv_1"]["kernel"])

    mean, var = np.zeros(32), np.ones(32)
    for images in (dcgan.batch["image"] / np.float32(127.5) - 1, np.tanh(fake)):
        x = np.float64(normalized_input(images))
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
    discriminate = jax.jit(partial(DISCRIMINATOR.apply, discriminator))
    real = np.float64(discriminate(dcgan.batch["image"] / np.float32(127.5) - 1))
    fake = np.float64(discriminate(dcgan.model.sample(key, state, 64) * 2 - 1))
    np.testing.assert_allclose(metrics["real_output"], real, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["fake_output"], fake, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["discriminator_loss"], softplus(-real) + softplus(fake), rtol=1e-5)


def test_training_brings_the_samples_of_a_dcgan_nearer_to_real_digits(dcgan: DCGAN) -> None:
    sample = jax.jit(lambda state: dcgan.model.sample(jax.random.key(1), state, 360))
    state = train(dcgan.step, dcgan.start, turns=150, batch_size=64)
    assert_nearer_to_digits(sample(dcgan.start), sample(state))


def test_training_brings_the_samples_of_a_wgan_nearer_to_real_digits() -> None:
    digits = load("digits")
    model = build(replace(WGAN_GP, architecture="mlp", learning_rate=1e-3, b1=0.0, b2=0.9), digits)
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


LABELLED = POINTS | {"label": np.arange(40) % 4}
"""Points of four classes."""


def as_columns(labels: np.ndarray) -> np.ndarray:
    return np.eye(4)[labels]


def conditional(condition: Any) -> tuple[State, dict[str, float], np.ndarray, np.ndarray]:
    """Start and metrics of the first turn, and the discriminator's hidden layers on real and generated points."""
    key = jax.random.key(5)
    start, metrics = play(build(replace(MLP, condition=condition), LABELLED), LABELLED, key)
    z = np.concatenate([discriminator_noise(key, 0, (40, 3)), as_columns(LABELLED["label"])], axis=1)
    return start, metrics, LABELLED["point"], generated(start, z)


def raw_outputs(state: State, x: np.ndarray) -> np.ndarray:
    return mlp(state.params["discriminator"], x, leaky_relu)


def test_concatenation_shows_the_class_to_both_networks() -> None:
    start, metrics, real, fake = conditional("concatenation")
    columns = as_columns(LABELLED["label"])
    r, f = (raw_outputs(start, np.concatenate([x, columns], axis=1))[:, 0] for x in (real, fake))
    assert metrics["discriminator/loss"] == pytest.approx((softplus(-r) + softplus(f)).mean(), rel=1e-5)


def test_projection_adds_an_inner_product_of_class_and_features() -> None:
    """D(x, y) = psi(phi(x)) + v_y' phi(x), with phi the last hidden layer and the bias of psi a class's own."""
    start, metrics, real, fake = conditional("projection")
    layers = start.params["discriminator"]
    hidden = {name: layers[name] for name in ("Dense_0", "Dense_1")}
    kernel, bias = (np.float64(layers["Dense_2"][name]) for name in ("kernel", "bias"))

    def output(x: np.ndarray) -> np.ndarray:
        phi = leaky_relu(mlp(hidden, x, leaky_relu))
        psi, v = phi @ kernel[:, 0] + bias[0], kernel[:, 1:].T[LABELLED["label"]]
        return psi + (v * phi).sum(axis=1) + bias[1:][LABELLED["label"]]

    r, f = output(real), output(fake)
    assert metrics["discriminator/loss"] == pytest.approx((softplus(-r) + softplus(f)).mean(), rel=1e-5)


def test_an_auxiliary_classifier_adds_the_cross_entropy_of_the_class() -> None:
    start, metrics, real, fake = conditional("auxiliary_classifier")

    def class_nll(outputs: np.ndarray) -> float:
        logits = outputs[:, 1:]
        of_label = logits[np.arange(40), LABELLED["label"]]
        return float((np.log(np.exp(logits).sum(axis=1)) - of_label).mean())

    r, f = raw_outputs(start, real), raw_outputs(start, fake)
    adversarial = (softplus(-r[:, 0]) + softplus(f[:, 0])).mean()
    assert metrics["discriminator/class_nll"] == pytest.approx(class_nll(r) + class_nll(f), rel=1e-5)
    assert metrics["discriminator/loss"] == pytest.approx(adversarial + class_nll(r) + class_nll(f), rel=1e-5)
    z = np.concatenate([generator_noise(jax.random.key(5), 40), as_columns(LABELLED["label"])], axis=1)
    of_generator = raw_outputs(start, generated(start, z))
    expected = softplus(-of_generator[:, 0]).mean() + class_nll(of_generator)
    assert metrics["generator/loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("condition", "penalty", "weight"),
    [("none", "r1", 3.0), ("auxiliary_classifier", "none", None), ("auxiliary_classifier", "r1", 3.0)],
)
def test_the_adversarial_part_of_the_loss_is_reported_by_itself(
    condition: Any, penalty: Any, weight: float | None
) -> None:
    """Without the penalty and the class terms, which are what is left of the loss."""
    key = jax.random.key(5)
    config = replace(MLP, condition=condition, penalty=penalty, penalty_weight=weight)
    start, metrics = play(build(config, LABELLED), LABELLED, key)
    columns = as_columns(LABELLED["label"])[:, : 0 if condition == "none" else 4]
    z = np.concatenate([discriminator_noise(key, 0, (40, 3)), columns], axis=1)
    r, f = raw_outputs(start, LABELLED["point"])[:, 0], raw_outputs(start, generated(start, z))[:, 0]
    adversarial = (softplus(-r) + softplus(f)).mean()
    assert metrics["discriminator/adversarial_loss"] == pytest.approx(adversarial, rel=1e-5)
    penalized = (weight or 0.0) * metrics.get("discriminator/penalty", 0.0)
    rest = penalized + metrics.get("discriminator/class_nll", 0.0)
    assert rest > 0.01
    assert metrics["discriminator/loss"] == pytest.approx(adversarial + rest, rel=1e-5)


def test_a_conditional_gan_learns_where_each_class_is() -> None:
    """Four classes at the corners of a square: samples of a class are at its own corner."""
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], np.float32)
    label = np.arange(256) % 4
    points = corners[label] + 0.1 * np.random.default_rng(0).normal(size=(256, 2)).astype(np.float32)
    batch = {"point": points, "label": label}
    for condition in ("concatenation", "projection", "auxiliary_classifier"):
        config = Config(hidden=(32, 32), condition=condition, penalty="r1", penalty_weight=0.1)
        model = build(config, batch)
        assert model.conditions == ("label",)
        state = trained(model, batch, turns=400)
        for i, corner in enumerate(corners):
            samples = np.asarray(model.sample(jax.random.key(0), state, 200, label=i))
            assert np.mean(np.sign(samples) == corner) > 0.95, (condition, corner)


def test_a_packed_discriminator_judges_several_examples_at_once() -> None:
    key = jax.random.key(5)
    start, metrics = play(build(replace(MLP, packing=4), POINTS), POINTS, key)
    packs = POINTS["point"].reshape(10, 8)
    fake = generated(start, discriminator_noise(key, 0, (40, 3))).reshape(10, 8)
    expected = (softplus(-judged(start, packs)) + softplus(judged(start, fake))).mean()
    assert metrics["discriminator/loss"] == pytest.approx(expected, rel=1e-5)


def test_packed_pictures_are_channels() -> None:
    model = build(Config(width=4, packing=2, latent_dim=4), IMAGES)
    params = jax.eval_shape(model.init, jax.random.key(0), IMAGES).params
    assert params["discriminator"]["Conv_0"]["kernel"].shape[2] == 2
    assert model.sample(jax.random.key(0), jax.jit(model.init)(jax.random.key(0), IMAGES), 3).shape == (3, 8, 8, 1)


def test_packing_that_does_not_divide_the_batch_is_refused() -> None:
    model = build(Config(packing=3), POINTS)
    with pytest.raises(InputError, match="3 examples are packed at a time, and 40 do not divide by that"):
        jax.eval_shape(model.step, jax.random.key(0), jax.eval_shape(model.init, jax.random.key(0), POINTS), POINTS)


def test_the_unrolled_generator_sees_the_discriminator_after_its_own_next_moves() -> None:
    """A plain loop of Adam, written out with optax on the same examples, gives the same loss and gradient."""
    key, steps, rate = jax.random.key(5), 3, 0.05
    config = replace(MLP, learning_rate=STILL, discriminator_learning_rate=rate, unrolled_steps=steps)
    model = build(config, POINTS)
    start = jax.jit(model.init)(jax.random.key(3), POINTS)
    # The turn's own move of D comes first: it is played apart, and what it leaves is where the look ahead begins.
    init, step = game(
        lambda key, batch: {name: {"params": start.params[name]} for name in start.params}, model.players[:1]
    )
    after, _ = jax.jit(step)(key, init(jax.random.key(0), POINTS), POINTS)
    _, metrics = jax.jit(model.step)(key, start, POINTS)
    z, real = jnp.asarray(generator_noise(key, 40)), jnp.asarray(POINTS["point"])

    def network(params: Any, x: jax.Array, slope: float) -> jax.Array:
        x = x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
        x = jnp.where(x > 0, x, slope * x) @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]
        return jnp.where(x > 0, x, slope * x) @ params["Dense_2"]["kernel"] + params["Dense_2"]["bias"]

    def generator_loss(generator: Any) -> jax.Array:
        fake = network(generator, z, 0.0)
        own = {"discriminator": after.params["discriminator"]}

        def discriminator_loss(own: Any) -> jax.Array:
            r, f = (network(own["discriminator"], x, 0.2)[:, 0] for x in (real, fake))
            return jnp.mean(jnp.logaddexp(0, -r) + jnp.logaddexp(0, f))

        adam = optax.adam(rate, 0.5, 0.999, eps_root=1e-16)
        opt = after.opt["discriminator"]
        for _ in range(steps):
            updates, opt = adam.update(jax.grad(discriminator_loss)(own), opt, own)
            own = optax.apply_updates(own, updates)
        return jnp.mean(jnp.logaddexp(0, -network(own["discriminator"], fake, 0.2)))

    loss, gradient = jax.jit(jax.value_and_grad(generator_loss))(start.params["generator"])
    assert metrics["generator/loss"] == pytest.approx(float(loss), rel=1e-4)
    assert metrics["generator/gradient_norm"] == pytest.approx(float(optax.tree.norm(gradient)), rel=1e-3)
    _, myopic = jax.jit(build(replace(config, unrolled_steps=0), POINTS).step)(key, start, POINTS)
    assert abs(metrics["generator/loss"] - myopic["generator/loss"]) > 0.05


def test_unrolling_leaves_the_discriminator_where_its_own_moves_have_brought_it() -> None:
    key = jax.random.key(5)
    ends = []
    for steps in (0, 4):
        # The first gradients are large: what is added under the root of Adam is below float32 beside them.
        model = build(replace(MLP, learning_rate=1e-3, unrolled_steps=steps), POINTS)
        start = jax.jit(model.init)(jax.random.key(3), POINTS)
        ends.append(jax.jit(model.step)(key, start, POINTS)[0].params)
    for alone, unrolled in zip(*(jax.tree.leaves(end["discriminator"]) for end in ends), strict=True):
        np.testing.assert_allclose(alone, unrolled, rtol=1e-5, atol=1e-7)
    assert moved(ends[0]["generator"], ends[1]["generator"])


def test_samples_are_drawn_from_the_average_of_the_generator() -> None:
    model = build(replace(MLP, learning_rate=0.1, ema=0.9), POINTS)
    step, average = jax.jit(model.step), None
    state = jax.jit(model.init)(jax.random.key(3), POINTS)
    average = jax.tree.map(np.float64, state.params["generator"])
    for i in range(3):
        state, _ = step(jax.random.key(i), state, POINTS)
        average = jax.tree.map(lambda a, p: 0.9 * a + 0.1 * np.float64(p), average, state.params["generator"])
    z = np.asarray(jax.random.normal(jax.random.key(7), (5, 3)))
    samples = np.asarray(model.sample(jax.random.key(7), state, 5))
    np.testing.assert_allclose(samples, mlp(average, z, relu), rtol=1e-4, atol=1e-5)
    assert np.abs(samples - generated(state, z)).max() > 0.01


def test_the_uniform_prior_is_uniform_between_minus_one_and_one() -> None:
    model = build(Config(hidden=(), latent_dim=2, latent_distribution="uniform"), POINTS)
    state = jax.jit(model.init)(jax.random.key(0), POINTS)
    layer = {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}
    z = model.sample(jax.random.key(1), state.replace(params=state.params | {"generator": {"Dense_0": layer}}), 2000)
    assert kstest(np.ravel(z), "uniform", (-1, 2)).pvalue > 0.01


def test_either_player_may_move_several_times_a_turn() -> None:
    config = Config(hidden=(8,), discriminator_updates=2, generator_updates=4)
    model = build(config, POINTS)
    assert (model.slices, [player.updates for player in model.players]) == (4, [2, 4])
    state = trained(model, POINTS, turns=3)
    assert [int(state.opt[name][0].count) for name in ("discriminator", "generator")] == [6, 12]


def test_rmsprop_follows_pytorch() -> None:
    """As WGAN was published: torch.optim.RMSprop with its defaults."""
    model = build(replace(PRESETS["wgan"].config, hidden=(8,), discriminator_updates=1), POINTS)
    own = {"discriminator": {"w": jnp.array([0.5, -0.3, 1e-3])}}
    torch_weights = torch.tensor([0.5, -0.3, 1e-3], requires_grad=True)
    optimizer = torch.optim.RMSprop([torch_weights], lr=5e-5)
    tx = model.players[0].tx
    state = tx.init(own)
    for gradient in ([1e-4, -2.0, 0.0], [3e-5, 1.0, 0.0], [-1e-6, 0.5, 1e-3]):
        updates, state = tx.update({"discriminator": {"w": jnp.array(gradient)}}, state, own)
        own = optax.apply_updates(own, updates)
        torch_weights.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(own["discriminator"]["w"], torch_weights.detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize("name", ["gan", *PRESETS])
def test_every_preset_plays_a_turn(name: str) -> None:
    family, config = starting_point(name)
    assert family == "gan"
    images = {name: array[:20] for name, array in load("digits").items()}
    points = config.architecture in (None, "mlp") and config.condition == "none"
    dataset = POINTS if points else images
    narrow = {"unrolled_steps": min(config.unrolled_steps, 2)} | ({"hidden": (8,)} if points else {"width": 2})
    if config.discriminator_hidden is not None:
        narrow["discriminator_hidden"] = (8,)
    model = build(replace(config, **narrow), dataset)
    batch = {name: np.resize(array, (20 * model.slices, *array.shape[1:])) for name, array in dataset.items()}
    start, metrics = play(model, batch, jax.random.key(0))
    assert all(np.isfinite(value) for value in metrics.values())
    assert np.isfinite(model.sample(jax.random.key(1), start, 7)).all()


def test_labels_are_for_conditional_models() -> None:
    plain, told = build(Config(hidden=(4,)), LABELLED), build(Config(hidden=(4,), condition="projection"), LABELLED)
    state = jax.jit(plain.init)(jax.random.key(0), LABELLED)
    with pytest.raises(InputError, match="this model is not conditioned on labels"):
        plain.sample(jax.random.key(0), state, 3, label=1)
    with pytest.raises(InputError, match="label 4 is outside the range: the 4 classes are 0 to 3"):
        told.sample(jax.random.key(0), jax.jit(told.init)(jax.random.key(0), LABELLED), 3, label=4)
