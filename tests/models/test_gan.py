"""Steps of GANs against NumPy, PyTorch and loops written by hand, and short trainings on real digits."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from scipy.spatial.distance import cdist

from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.game import Model, Player, State, game
from jaxgen.models import PRESETS, starting_point
from jaxgen.models.gan import Config, build
from jaxgen.models.gan_config import LOSSES
from jaxgen.models.gan_presets import GAN_PRESETS
from jaxgen.nn.dcgan import Discriminator, Generator
from jaxgen.training import fit
from tests.models.gan_reference import (
    IMAGES,
    MLP,
    NO_CHANGE,
    POINTS,
    changed,
    discriminator_latent,
    first_step,
    generated,
    generator_latent,
    logits,
    mlp,
    relu,
    softplus,
    trained,
)
from tests.models.random_states import random_state

WGAN_GP = Config(loss="wasserstein", penalty="gradient", discriminator_updates=5)


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
"""Loss -> losses of the discriminator and of the generator, as functions of the logits of real and fake examples."""


@pytest.mark.parametrize(
    ("dataset", "loss"),
    [*[(POINTS, loss) for loss in PAPERS], (IMAGES, "non_saturating")],
    ids=[*PAPERS, "images"],
)
def test_losses_match_the_papers(dataset: dict[str, Any], loss: Any) -> None:
    key = jax.random.key(5)
    model = build(replace(MLP, architecture="mlp", loss=loss), dataset)
    start, metrics = first_step(model, dataset, key)
    images = "image" in dataset
    real = logits(start, dataset["image"] / 127.5 - 1.0 if images else dataset["point"])

    def fake_logits(latent: np.ndarray) -> np.ndarray:
        fake = generated(start, latent)
        return logits(start, np.tanh(fake) if images else fake)

    n = len(real)
    of_discriminator, of_generator = PAPERS[loss]
    expected = of_discriminator(real, fake_logits(discriminator_latent(key, 0, (n, 3)))).mean()
    assert metrics["discriminator/loss"] == pytest.approx(expected, rel=1e-5)
    expected = of_generator(real, fake_logits(generator_latent(key, n))).mean()
    assert metrics["generator/loss"] == pytest.approx(expected, rel=1e-5)
    assert metrics["discriminator/real_output"] == pytest.approx(real.mean(), rel=1e-4, abs=1e-6)
    assert "discriminator/penalty" not in metrics


def test_every_loss_of_the_library_is_an_option() -> None:
    assert set(LOSSES) == {*PAPERS, "wasserstein"}


def test_every_critic_update_has_its_own_slice_of_the_batch_and_its_own_latents() -> None:
    """With constant networks the mean over five updates is that over the batch."""
    key = jax.random.key(5)
    model = build(replace(WGAN_GP, hidden=(7,), latent_dim=3, learning_rate=NO_CHANGE), POINTS)
    assert model.slices == 5
    start, metrics = first_step(model, POINTS, key)
    n = len(POINTS["point"]) // 5
    fake_output = np.mean(
        [logits(start, generated(start, discriminator_latent(key, i, (n, 3)))).mean() for i in range(5)]
    )
    real_output = logits(start, POINTS["point"]).mean()
    wasserstein = fake_output - real_output
    assert metrics["discriminator/real_output"] == pytest.approx(real_output, rel=1e-4)
    assert metrics["discriminator/fake_output"] == pytest.approx(fake_output, rel=1e-4)
    assert metrics["discriminator/loss"] == pytest.approx(
        wasserstein + 0.1 * metrics["discriminator/penalty"], rel=1e-4
    )
    assert metrics["generator/loss"] == pytest.approx(
        -logits(start, generated(start, generator_latent(key, n))).mean(), rel=1e-4
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
def test_penalties_match_closed_form_for_affine_critic_with_published_weight(
    penalty: Any, dataset: dict[str, Any], chosen: float | None, weight: float, of_norm: Any
) -> None:
    """The gradient of an affine critic is its weight vector at every point."""
    config = Config(
        architecture="mlp", hidden=(), latent_dim=3, learning_rate=NO_CHANGE, penalty=penalty, penalty_weight=chosen
    )
    start, metrics = first_step(build(replace(config, loss="wasserstein"), dataset), dataset, jax.random.key(5))
    norm = np.linalg.norm(np.float64(start.params["discriminator"]["Dense_0"]["kernel"]))
    wasserstein = metrics["discriminator/fake_output"] - metrics["discriminator/real_output"]
    assert metrics["discriminator/penalty"] == pytest.approx(of_norm(norm), rel=1e-4, abs=1e-6)
    assert metrics["discriminator/loss"] == pytest.approx(wasserstein + weight * of_norm(norm), rel=1e-4)


def test_gradient_norm_of_trained_critic_is_near_one_between_real_and_generated_points() -> None:
    # With one update per step the critic would not converge.
    model = build(replace(WGAN_GP, penalty_weight=10.0, hidden=(32,), learning_rate=1e-3), POINTS)
    state = trained(model, POINTS, steps=300)
    weight = np.random.default_rng(1).uniform(size=(40, 1))
    samples = generated(state, np.random.default_rng(2).normal(size=(40, 2)))
    between = weight * POINTS["point"] + (1 - weight) * samples
    norms = np.linalg.norm(numerical_gradient(state, between), axis=1)
    assert abs(norms.mean() - 1) < 0.15


def numerical_gradient(state: State, x: np.ndarray, step: float = 1e-4) -> np.ndarray:
    offsets = step * np.eye(x.shape[1])
    return np.stack([(logits(state, x + dx) - logits(state, x - dx)) / (2 * step) for dx in offsets], axis=1)


def test_clipped_weights_are_within_the_bound_after_every_update() -> None:
    config = Config(hidden=(16,), loss="wasserstein", clip=0.01, optimizer="rmsprop", learning_rate=1e-2)
    model = build(config, POINTS)
    step, state = jax.jit(model.step), random_state(model, POINTS)
    assert largest(state.params["discriminator"]) > 0.1
    for i in range(5):
        state, _ = step(jax.random.fold_in(jax.random.key(4), i), state, POINTS)
        assert largest(state.params["discriminator"]) <= np.float32(0.01)
    assert largest(state.params["generator"]) > 0.1


def largest(params: Any) -> float:
    return max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(params))


@pytest.mark.usefixtures("convolutions_by_xla")
def test_spectral_norms_after_training_are_within_one_percent_of_svd() -> None:
    """On digits, whose layers have several large singular values."""
    config = Config(width=8, discriminator_normalization="spectral", loss="hinge", discriminator_updates=2)
    model = build(config, IMAGES)
    start = jax.jit(model.init)(jax.random.key(3), IMAGES)
    state = train(jax.jit(model.step), start, steps=100, batch_size=32)
    params, vectors_of = state.params["discriminator"], state.stats["discriminator"]["spectral"]
    assert len(params) == len(vectors_of) == 3
    for layer, vectors in zip(sorted(params), sorted(vectors_of), strict=True):
        kernel = np.float64(params[layer]["kernel"]).reshape(-1, params[layer]["kernel"].shape[-1])
        # Evaluation makes one iteration from the vectors that training has stored.
        basis = np.linalg.qr(kernel.T @ (kernel @ np.float64(vectors_of[vectors]["U"])))[0]
        ratio = np.linalg.norm(kernel, 2) / np.linalg.norm(kernel @ basis, 2)
        assert 1 - 1e-6 < ratio < 1.01


@pytest.mark.parametrize(
    ("config", "dataset"),
    [(Config(width=4, latent_dim=4), IMAGES), (replace(WGAN_GP, hidden=(8,), discriminator_updates=2), POINTS)],
    ids=["dcgan", "wgan-gp"],
)
@pytest.mark.usefixtures("convolutions_by_xla")
def test_update_leaves_the_other_network_and_its_statistics_bit_equal(config: Config, dataset: dict[str, Any]) -> None:
    model = build(config, dataset)
    start = random_state(model, dataset)

    def initial(key: jax.Array, batch: Any) -> dict[str, Any]:
        return {name: {"params": start.params[name], **start.stats.get(name, {})} for name in start.params}

    def step_of(player: Player) -> State:
        init, step = game(initial, [player])
        return step(jax.random.key(1), init(jax.random.key(2), dataset), dataset)[0]

    ends = jax.jit(lambda: [step_of(player) for player in model.players])()
    for player, end in zip(model.players, ends, strict=True):
        for name in start.params:
            own = name == player.name
            assert changed(start.params[name], end.params[name]) == own
            assert changed(start.stats.get(name), end.stats.get(name)) == (own and name in start.stats)
    assert set(start.stats) == (set(start.params) if dataset is IMAGES else set())


def test_critic_with_gradient_penalty_has_no_batch_normalization_and_generator_has() -> None:
    model = build(replace(WGAN_GP, width=4), IMAGES)
    assert set(jax.eval_shape(model.init, jax.random.key(0), IMAGES).stats) == {"generator"}


class DCGAN(NamedTuple):
    """A DCGAN of digits, its initial state, its state after one step, and the compiled step."""

    model: Model
    step: Any
    start: State
    end: State
    batch: dict[str, Any]


WIDTH = 16
DCGAN_CONFIG = Config(width=WIDTH, latent_dim=16, learning_rate=1e-3)
GENERATOR, DISCRIMINATOR = Generator(shape=(8, 8, 1), width=WIDTH), Discriminator(width=WIDTH)


@pytest.fixture(scope="module")
def dcgan() -> DCGAN:
    batch = {"image": load("digits")["image"][:64]}
    model = build(DCGAN_CONFIG, batch)
    step = jax.jit(model.step)
    start = jax.jit(model.init)(jax.random.key(3), batch)
    return DCGAN(model, step, start, step(jax.random.key(5), start, batch)[0], batch)


@pytest.mark.usefixtures("convolutions_by_xla")
def test_running_statistics_are_updated_by_real_and_then_by_generated_images(dcgan: DCGAN) -> None:
    latent = discriminator_latent(jax.random.key(5), 0, (64, 16))
    generator = {"params": dcgan.start.params["generator"], **dcgan.start.stats["generator"]}

    def normalized_input(images: jax.Array) -> jax.Array:
        """Return the input of the batch normalization in the discriminator's second layer."""
        layers = dcgan.start.params["discriminator"]
        x = strided(images, layers["Conv_0"]["kernel"]) + layers["Conv_0"]["bias"]
        return strided(jnp.where(x > 0, x, 0.2 * x), layers["Conv_1"]["kernel"])

    @jax.jit
    def normalized_inputs() -> jax.Array:
        fake, _ = GENERATOR.apply(generator, latent, train=True, mutable=["batch_stats"])
        real = dcgan.batch["image"] / np.float32(127.5) - 1
        return normalized_input(jnp.concatenate([real, jnp.tanh(fake)]))

    mean, var = np.zeros(2 * WIDTH), np.ones(2 * WIDTH)
    for x in np.split(np.float64(normalized_inputs()), 2):
        mean, var = 0.9 * mean + 0.1 * x.mean((0, 1, 2)), 0.9 * var + 0.1 * x.var((0, 1, 2))
    running = dcgan.end.stats["discriminator"]["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(running["mean"], mean, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(running["var"], var, rtol=1e-5)


def strided(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


@pytest.mark.usefixtures("convolutions_by_xla")
def test_evaluation_is_per_example_and_uses_running_statistics(dcgan: DCGAN) -> None:
    state, key = dcgan.end, jax.random.key(1)
    discriminator = {"params": state.params["discriminator"], **state.stats["discriminator"]}

    @jax.jit
    def compute() -> tuple[dict[str, jax.Array], jax.Array]:
        real, fake = dcgan.batch["image"] / np.float32(127.5) - 1, dcgan.model.sample(key, state, 64) * 2 - 1
        outputs = DISCRIMINATOR.apply(discriminator, jnp.concatenate([real, fake]), train=False)
        return dcgan.model.evaluate(key, state, dcgan.batch), outputs

    metrics, outputs = compute()
    real, fake = np.split(np.float64(outputs), 2)
    np.testing.assert_allclose(metrics["real_output"], real, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["fake_output"], fake, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["discriminator_loss"], softplus(-real) + softplus(fake), rtol=1e-5)


def test_training_reduces_energy_distance_of_dcgan_samples_to_digits(dcgan: DCGAN) -> None:
    sample = jax.jit(lambda state: dcgan.model.sample(jax.random.key(1), state, 360))
    state = train(dcgan.step, dcgan.start, steps=150, batch_size=64)
    assert_energy_distance_is_reduced(sample(dcgan.start), sample(state))


def test_training_reduces_energy_distance_of_wgan_samples_to_digits() -> None:
    digits = load("digits")
    model = build(replace(WGAN_GP, architecture="mlp", learning_rate=1e-3, b1=0.0, b2=0.9), digits)
    start = jax.jit(model.init)(jax.random.key(0), digits)
    sample = jax.jit(lambda state: model.sample(jax.random.key(1), state, 360))
    state = train(jax.jit(model.step), start, steps=150, batch_size=64 * model.slices)
    assert_energy_distance_is_reduced(sample(start), sample(state))


def train(step: Any, state: State, *, steps: int, batch_size: int) -> State:
    images = load("digits")["image"]
    random = np.random.default_rng(0)
    for i in range(steps):
        batch = {"image": images[random.integers(0, len(images), batch_size)]}
        state, _ = step(jax.random.fold_in(jax.random.key(2), i), state, batch)
    return state


def assert_energy_distance_is_reduced(before: Any, after: Any) -> None:
    """Compare the energy distances 2 E|X - Y| - E|X - X'| - E|Y - Y'|, which are 0 for equal distributions."""

    def energy_distance(x: np.ndarray, y: np.ndarray) -> float:
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        return float(2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean())

    before, after = np.asarray(before), np.asarray(after)
    held_out = load("digits", split="test")["image"] / 255
    assert after.min() >= 0
    assert after.max() <= 1
    assert energy_distance(after, held_out) < energy_distance(before, held_out) / 5


def test_overfitted_discriminator_has_lower_loss_on_its_training_data() -> None:
    """On twelve digits, and on others."""
    digits = load("digits")["image"]
    seen, unseen = digits[:12], digits[500:800]
    model = build(Config(architecture="mlp", hidden=(256,), learning_rate=1e-3), {"image": seen})
    step = jax.jit(model.step)
    state = jax.jit(model.init)(jax.random.key(0), {"image": seen})
    for i in range(300):
        state, _ = step(jax.random.fold_in(jax.random.key(1), i), state, {"image": seen})
    both = {"image": np.concatenate([seen, unseen])}
    losses = np.asarray(jax.jit(model.evaluate)(jax.random.key(2), state, both)["discriminator_loss"])
    assert losses[:12].mean() + 0.2 < losses[12:].mean()


def test_unrolled_generator_loss_and_gradient_match_a_loop_of_discriminator_updates() -> None:
    """The loop is written out with optax's Adam on the same examples."""
    key, steps, rate = jax.random.key(5), 3, 0.05
    config = replace(MLP, learning_rate=NO_CHANGE, discriminator_learning_rate=rate, unrolled_steps=steps)
    model = build(config, POINTS)
    start = random_state(model, POINTS)
    # The step begins with an update of D, which is computed separately: the unrolled updates start from its result.
    init, step = game(
        lambda key, batch: {name: {"params": start.params[name]} for name in start.params}, model.players[:1]
    )
    z = generator_latent(key, 40)

    def network(params: Any, x: jax.Array, leak: float) -> jax.Array:
        x = x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
        return jnp.where(x > 0, x, leak * x) @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]

    def generator_loss(generator: Any, after: State) -> jax.Array:
        fake = network(generator, z, 0.0)
        own = {"discriminator": after.params["discriminator"]}

        def discriminator_loss(own: Any) -> jax.Array:
            r, f = (network(own["discriminator"], x, 0.2)[:, 0] for x in (POINTS["point"], fake))
            return jnp.mean(jnp.logaddexp(0, -r) + jnp.logaddexp(0, f))

        adam = optax.adam(rate, 0.5, 0.999, eps_root=1e-16)
        opt = after.opt["discriminator"]
        for _ in range(steps):
            updates, opt = adam.update(jax.grad(discriminator_loss)(own), opt, own)
            own = optax.apply_updates(own, updates)
        return jnp.mean(jnp.logaddexp(0, -network(own["discriminator"], fake, 0.2)))

    @jax.jit
    def compute() -> tuple[State, dict[str, jax.Array], jax.Array, jax.Array]:
        after, _ = step(key, init(jax.random.key(0), POINTS), POINTS)
        _, metrics = model.step(key, start, POINTS)
        loss, gradient = jax.value_and_grad(generator_loss)(start.params["generator"], after)
        return after, metrics, loss, optax.tree.norm(gradient)

    after, metrics, loss, norm = compute()
    assert metrics["generator/loss"] == pytest.approx(float(loss), rel=1e-4)
    assert metrics["generator/gradient_norm"] == pytest.approx(float(norm), rel=1e-3)
    without_unrolling = softplus(-logits(after, generated(start, z))).mean()
    assert abs(metrics["generator/loss"] - without_unrolling) > 0.05


def test_unrolling_does_not_change_the_updates_of_the_discriminator() -> None:
    key = jax.random.key(5)
    ends = []
    for steps in (0, 4):
        # The first gradients are large: the 1e-16 under the root of Adam are below the precision of float32.
        model = build(replace(MLP, learning_rate=1e-3, unrolled_steps=steps), POINTS)
        ends.append(jax.jit(model.step)(key, random_state(model, POINTS), POINTS)[0].params)
    for plain, unrolled in zip(*(jax.tree.leaves(end["discriminator"]) for end in ends), strict=True):
        np.testing.assert_allclose(plain, unrolled, rtol=1e-5, atol=1e-7)
    assert changed(ends[0]["generator"], ends[1]["generator"])


def test_samples_are_those_of_the_averaged_generator() -> None:
    model = build(replace(MLP, learning_rate=0.1, ema=0.9), POINTS)
    step, state = jax.jit(model.step), random_state(model, POINTS)
    average = jax.tree.map(np.float64, state.params["generator"])
    for i in range(3):
        state, _ = step(jax.random.key(i), state, POINTS)
        average = jax.tree.map(lambda a, p: 0.9 * a + 0.1 * np.float64(p), average, state.params["generator"])
    key = jax.random.key(7)
    z, samples = map(
        np.asarray, jax.jit(lambda state: (jax.random.normal(key, (5, 3)), model.sample(key, state, 5)))(state)
    )
    np.testing.assert_allclose(samples, mlp(average, z, relu), rtol=1e-4, atol=1e-5)
    assert np.abs(samples - generated(state, z)).max() > 0.01


def test_players_make_their_numbers_of_updates_per_step() -> None:
    config = Config(hidden=(8,), discriminator_updates=2, generator_updates=4)
    model = build(config, POINTS)
    assert (model.slices, [player.updates for player in model.players]) == (4, [2, 4])
    state = trained(model, POINTS, steps=3)
    assert [int(state.opt[name][0].count) for name in ("discriminator", "generator")] == [6, 12]


def test_rmsprop_of_wgan_matches_pytorch() -> None:
    """torch.optim.RMSprop with its defaults, as WGAN was published."""
    model = build(replace(PRESETS["wgan"].config, hidden=(8,), discriminator_updates=1), POINTS)
    own = {"discriminator": {"w": np.array([0.5, -0.3, 1e-3], np.float32)}}
    torch_weights = torch.tensor([0.5, -0.3, 1e-3], requires_grad=True)
    optimizer = torch.optim.RMSprop([torch_weights], lr=5e-5)
    tx = model.players[0].tx
    gradients = np.array([[1e-4, -2.0, 0.0], [3e-5, 1.0, 0.0], [-1e-6, 0.5, 1e-3]], np.float32)

    @jax.jit
    def updated(own: Any) -> Any:
        state = tx.init(own)
        for gradient in gradients:
            updates, state = tx.update({"discriminator": {"w": gradient}}, state, own, step=jnp.int32(0))
            own = optax.apply_updates(own, updates)
        return own

    for gradient in gradients:
        torch_weights.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(updated(own)["discriminator"]["w"], torch_weights.detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize("name", ["gan", *GAN_PRESETS])
def test_first_step_and_samples_of_every_preset_are_finite(name: str, request: pytest.FixtureRequest) -> None:
    if name != "sngan":  # Residual networks have convolutions that others do not have.
        request.getfixturevalue("convolutions_by_xla")
    family, config = starting_point(name)
    assert family.name == "gan"
    images = {name: array[:20] for name, array in load("digits").items()}
    points = config.architecture in (None, "mlp") and config.condition == "none"
    dataset = POINTS if points else images
    small = {"unrolled_steps": min(config.unrolled_steps, 2)} | ({"hidden": (8,)} if points else {"width": 2})
    if config.discriminator_hidden is not None:
        small["discriminator_hidden"] = (8,)
    model = build(replace(config, **small), dataset)
    batch = {name: np.resize(array, (20 * model.slices, *array.shape[1:])) for name, array in dataset.items()}

    # In one program: there, XLA computed the inputs of a maxout unit a second time for the gradient, with other
    # rounding errors. None of them equalled the maximum, and the gradient was NaN.
    @jax.jit
    def compute() -> tuple[dict[str, jax.Array], jax.Array]:
        start = model.init(jax.random.key(3), batch)
        return model.step(jax.random.key(0), start, batch)[1], model.sample(jax.random.key(1), start, 7)

    metrics, samples = compute()
    assert all(np.isfinite(value) for value in metrics.values())
    assert np.isfinite(samples).all()


@pytest.mark.parametrize("penalty", ["gradient", "r1"])
def test_lazy_penalty_is_minimized_in_updates_of_its_own(penalty: Any) -> None:
    """In every fourth step, from the first on, by Adam with the correction of Karras et al. 2020."""
    config = Config(
        hidden=(8,),
        loss="non_saturating" if penalty == "r1" else "wasserstein",
        penalty=penalty,
        penalty_weight=2.0,
        penalty_every=4,
        learning_rate=1e-2,
    )
    model = build(config, POINTS)
    step, state = jax.jit(model.step), random_state(model, POINTS)
    names = [f"discriminator/penalty/{name}" for name in ("penalty", "loss", "gradient_norm")]
    for i in range(9):
        before = state
        state, metrics = step(jax.random.fold_in(jax.random.key(4), i), state, POINTS)
        assert "discriminator/penalty" not in metrics
        assert [np.isfinite(float(metrics[name])) for name in names] == [i % 4 == 0] * 3
        count = int(state.opt["discriminator"][0].count - before.opt["discriminator"][0].count)
        assert count == 1 + (i % 4 == 0)
        assert changed(before.params["generator"], state.params["generator"])
        if i % 4 == 0:
            weighted = 2.0 * float(metrics["discriminator/penalty/penalty"])
            assert float(metrics["discriminator/penalty/loss"]) == pytest.approx(weighted, rel=1e-6)
        assert float(metrics["discriminator/loss"]) == float(metrics["discriminator/adversarial_loss"])


def test_lazy_penalty_constrains_the_gradient_norm_like_one_in_every_update() -> None:
    """Without a penalty the gradient norm of this critic grows without bound."""
    between = 0.5 * POINTS["point"] + 0.5 * np.random.default_rng(1).normal(size=(40, 2))
    norms = []
    for every in (1, 4):
        config = Config(
            hidden=(16,),
            loss="wasserstein",
            penalty="gradient",
            penalty_weight=10.0,
            penalty_every=every,
            learning_rate=3e-3,
            discriminator_updates=5,
        )
        state = trained(build(config, POINTS), POINTS, steps=200)
        norms.append(np.linalg.norm(numerical_gradient(state, between), axis=1).mean())
    assert np.abs(np.array(norms) - 1).max() < 0.4


def test_penalty_in_every_step_is_part_of_the_loss_of_every_update() -> None:
    default, one = (build(replace(WGAN_GP, hidden=(8,), **options), POINTS) for options in ({}, {"penalty_every": 1}))
    assert default.players[0].regularizers == one.players[0].regularizers == ()
    start = random_state(default, POINTS)
    ends = [jax.jit(model.step)(jax.random.key(5), start, POINTS) for model in (default, one)]
    assert not changed(*ends)


@pytest.mark.parametrize(
    ("config", "batch_size"),
    [
        pytest.param(Config(hidden=(4,), generator_normalization="batch"), 1, id="one example"),
        pytest.param(
            Config(hidden=(4,), discriminator_normalization="batch", packing=2, penalty="none"), 2, id="one pack"
        ),
    ],
)
def test_batch_normalization_of_one_example_or_pack_is_refused_by_fit(config: Config, batch_size: int) -> None:
    """Its outputs would be the biases, whatever the inputs, and no gradient would reach the layers before it."""
    points = {"point": np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)}
    with pytest.raises(InputError, match="batch normalization needs at least 2 values of each feature"):
        fit(build(config, points), points, key=jax.random.key(0), steps=1, batch_size=batch_size)
