"""The family biggan: its losses and statistics, the penalty, averages, statistics of samples, and what it refuses."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import biggan
from jaxgen.models.biggan import Config, Objective
from jaxgen.models.biggan_pair import make_networks, networks_for
from jaxgen.nn.conditional_batch_norm import ConditionalBatchNorm
from jaxgen.nn.spectral_layers import SpectralEmbed

SMALL = Config(width=1, latent_dim=2, shared_dim=3)
RNG = np.random.default_rng(0)
DATA = {"image": RNG.integers(0, 256, (8, 8, 8, 1), np.uint8), "label": np.arange(8, dtype=np.int32) % 3}
BATCH = {name: jnp.asarray(array) for name, array in DATA.items()}
KEY = jax.random.key(0)

pytestmark = pytest.mark.usefixtures("convolutions_by_xla")


def objective(config=SMALL, data=DATA):
    return Objective(networks_for(config, data), config)


@pytest.fixture(scope="module")
def state():
    """With random parameters, statistics and averages, drawn by NumPy: nothing is compiled."""
    shapes = jax.eval_shape(biggan.build(SMALL, DATA).init, KEY, DATA)

    def drawn(path, leaf):
        positive = path[-1].key in ("var", "sigma")
        return jnp.asarray(
            RNG.uniform(0.5, 1.5, leaf.shape) if positive else RNG.normal(0, 0.5, leaf.shape), leaf.dtype
        )

    values = {name: getattr(shapes, name) for name in ("params", "stats", "ema")}
    return shapes.replace(step=jnp.int32(0), opt={}, **jax.tree_util.tree_map_with_path(drawn, values))


def differ(left, right):
    return jax.tree.map(lambda a, b: bool((a != b).any()), left, right)


def test_the_discriminator_gets_generated_and_real_images_with_their_classes_in_one_batch(state):
    """One step of the power iteration is for both; the statistics of the generator, in training too, change as well."""
    networks = objective().networks
    value, (stats, metrics) = biggan.discriminator_loss(objective(), KEY, state.params, state, BATCH)
    z, drawn = networks.sample_inputs(KEY, 8)
    fake, of_generator = networks.generate(z, drawn, state.params, state.stats, train=True)
    both = jnp.concatenate([fake, DATA["image"] / 127.5 - 1]), jnp.concatenate([drawn, DATA["label"]])
    logits, of_discriminator = networks.discriminate(*both, state.params, state.stats, train=True)
    logits = np.asarray(logits)
    expected = np.maximum(0, 1 + logits[:8]).mean() + np.maximum(0, 1 - logits[8:]).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["real_output"], logits[8:].mean(), rtol=1e-4)
    assert set(stats) == {"generator", "discriminator"}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), stats, of_generator | of_discriminator)
    assert all(jax.tree.leaves(differ(stats["generator"]["batch_stats"], state.stats["generator"]["batch_stats"])))


def test_the_generator_loss_is_by_the_discriminator_in_training_whose_vectors_change(state):
    networks = objective().networks
    value, (stats, _) = biggan.generator_loss(objective(), KEY, state.params, state, BATCH)
    z, drawn = networks.sample_inputs(KEY, 8)
    fake, _ = networks.generate(z, drawn, state.params, state.stats, train=True)
    logits, _ = networks.discriminate(fake, drawn, state.params, state.stats, train=True)
    np.testing.assert_allclose(value, -np.asarray(logits).mean(), rtol=1e-5)
    changed = differ(stats["discriminator"]["spectral"], state.stats["discriminator"]["spectral"])
    assert all(layer["sigma"] for layer in jax.tree.leaves(changed, is_leaf=lambda x: "sigma" in x))


def test_classes_of_generated_images_are_uniform_whatever_those_of_the_data_are():
    networks = objective(data={**DATA, "label": np.array([2] * 8)}).networks
    _, drawn = networks.sample_inputs(KEY, 3000)
    np.testing.assert_allclose(np.bincount(drawn) / 3000, 1 / 3, atol=0.03)


def test_the_penalty_is_on_all_matrices_but_the_shared_embedding_and_twice_the_gradient_of_the_authors(state):
    """Their code adds 2 (W W' * (1 - I)) W, W with a row per output; of an embedding a row is a class."""
    of_classes = replace(SMALL, hierarchical=False, shared_dim=0)
    for config, name in ((SMALL, "generator"), (SMALL, "discriminator"), (of_classes, "generator")):
        pair = make_networks(config, (8, 8, 1), 3)
        label, z, x = np.zeros(1, np.int32), np.zeros((1, 2), np.float32), np.zeros((1, 8, 8, 1), np.float32)
        module, inputs = (pair.generator, z) if name == "generator" else (pair.discriminator, x)
        shapes = jax.eval_shape(partial(module.init, train=False), KEY, inputs, label)["params"]
        params = jax.tree.map(lambda leaf: jnp.asarray(RNG.normal(size=leaf.shape), jnp.float32), shapes)
        gradients = jax.jit(jax.grad(biggan.orthogonal_penalty_of))(params)
        leaves = jax.tree_util.tree_leaves_with_path(params)
        for (path, leaf), gradient in zip(leaves, jax.tree.leaves(gradients), strict=True):
            w = np.asarray(leaf, np.float64)
            if w.ndim < 2 or path[0].key == "shared":
                np.testing.assert_array_equal(gradient, 0)
                continue
            rows = w if path[-1].key == "embedding" else w.reshape(-1, w.shape[-1]).T
            added = 2 * (rows @ rows.T * (1 - np.eye(len(rows)))) @ rows
            expected = 2 * (added if path[-1].key == "embedding" else added.T.reshape(w.shape))
            np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4 * (1 + np.abs(expected).max()))


def test_weighted_penalties_are_added_to_the_losses_of_their_players(state):
    with_penalty = objective(replace(SMALL, orthogonal=0.25, discriminator_orthogonal=0.5))
    for loss, name, weight in (
        (biggan.generator_loss, "generator", 0.25),
        (biggan.discriminator_loss, "discriminator", 0.5),
    ):
        plain, (_, metrics) = loss(objective(), KEY, state.params, state, BATCH)
        assert "orthogonal_penalty" not in metrics
        value, (_, metrics) = loss(with_penalty, KEY, state.params, state, BATCH)
        penalty = biggan.orthogonal_penalty_of(state.params[name])
        np.testing.assert_allclose(value, plain + weight * penalty, rtol=1e-5)
        np.testing.assert_allclose(metrics["orthogonal_penalty"], penalty, rtol=1e-6)


def test_optimizers_have_the_published_numbers_and_a_learning_rate_for_each_player():
    """Adam's first step for a gradient g is the rate times g / (|g| + eps), eps being 1e-6."""
    model = biggan.build(replace(SMALL, learning_rate=1e-4, discriminator_learning_rate=4e-4, accumulations=4), DATA)
    discriminator, generator = model.players
    assert (discriminator.name, discriminator.updates, discriminator.accumulations) == ("discriminator", 2, 4)
    assert (generator.name, generator.updates, generator.accumulations) == ("generator", 1, 4)
    for player, rate in ((generator, 1e-4), (discriminator, 4e-4)):
        gradients = {name: jnp.full(2, 1e-6) for name in player.trains}
        updates, _ = player.tx.update(gradients, player.tx.init(gradients), gradients, step=jnp.int32(0))
        np.testing.assert_allclose(updates[player.trains[0]], -rate / 2, rtol=1e-4)


def test_the_average_is_the_generator_until_its_first_step_and_then_of_weights_and_all_statistics():
    """As in the authors' code, whose first step has the number 1; here the gradient is accumulated over two slices."""
    model = biggan.build(replace(SMALL, ema=0.5, ema_start=3, accumulations=2, discriminator_updates=1), DATA)
    step, states = jax.jit(model.step), [jax.jit(model.init)(KEY, DATA)]
    for i in range(3):
        state, metrics = step(jax.random.key(i), states[-1], BATCH)
        states.append(state)
    assert all(np.isfinite(value) for value in metrics.values())
    *_, second, third = states
    of_generator = [{"params": s.params["generator"], **s.stats["generator"]} for s in (second, third)]
    jax.tree.map(np.testing.assert_array_equal, second.ema["generator"], of_generator[0])
    expected = jax.tree.map(lambda a, b: 0.5 * (a + b), *of_generator)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), third.ema["generator"], expected)
    assert set(third.ema["generator"]) == {"params", "batch_stats", "spectral"}


def test_samples_come_from_the_average_and_equal_latents_have_equal_images(state):
    model, networks = biggan.build(SMALL, DATA), objective().networks
    z = model.sample_latent(KEY, 4, truncation=0.5)
    assert np.abs(z).max() <= 0.5
    images = model.decode(state, z, label=1)
    np.testing.assert_array_equal(model.sample(KEY, state, 4, label=1, truncation=0.5), images)
    of_average = networks.pair.generator.apply(state.ema["generator"], z, jnp.full(4, 1), train=False)
    np.testing.assert_allclose(images, (of_average + 1) / 2, rtol=1e-5, atol=1e-6)
    same = jnp.broadcast_to(z[:1], (3, 2))
    of_classes = model.decode(state, same, label=np.arange(3))
    assert np.abs(of_classes[0] - of_classes[1]).max() > 1e-4
    np.testing.assert_array_equal(model.decode(state, same), of_classes)


def test_standing_statistics_are_those_of_many_samples_of_the_average(state):
    """The first normalization has the dense layer's outputs, whose statistics are computed here from many latents."""
    found = biggan.with_standing_statistics(KEY, SMALL, DATA, state, batches=40, batch_size=50).ema["generator"]
    jax.tree.map(np.testing.assert_array_equal, found["params"], state.ema["generator"]["params"])
    layer = state.ema["generator"]["params"]["linear"]
    kernel = np.asarray(layer["kernel"], np.float64)
    u = np.asarray(state.ema["generator"]["spectral"]["linear"]["u"], np.float64)
    for _ in range(40):  # One latent per example: the kernel has one row, and its only singular value is its norm.
        u = kernel.T @ (kernel @ u)
        u /= np.linalg.norm(u)
    sigma = np.linalg.norm(kernel)
    outputs = np.random.default_rng(1).normal(size=(100_000, 1)) @ kernel / sigma + np.asarray(layer["bias"])
    maps = outputs.reshape(len(outputs), -1, 16)
    norm = found["batch_stats"]["blocks_0_0"]["bn1"]
    np.testing.assert_allclose(norm["mean"], maps.mean(axis=(0, 2)), atol=0.02)
    np.testing.assert_allclose(norm["var"], maps.var(axis=(0, 2)), rtol=0.1)


def test_samples_by_standing_statistics_are_those_of_the_state_with_them(state):
    config = replace(SMALL, statistics="standing", standing_batches=3)
    z = biggan.build(SMALL, DATA).sample_latent(KEY, 4)
    found = biggan.build(config, DATA).decode(state, z)
    standing = biggan.with_standing_statistics(jax.random.key(0), SMALL, DATA, state, batches=3)
    expected = biggan.build(SMALL, DATA).decode(standing, z)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(found - biggan.build(SMALL, DATA).decode(state, z)).max() > 1e-3


def test_recomputed_statistics_follow_the_averaged_generator(state):
    """running = 0.9 running + 0.1 statistics of a batch of the averaged generator, as it would be in training."""
    average = biggan._average(objective().networks, replace(SMALL, statistics="recomputed", accumulations=2))
    variables = state.ema["generator"]
    found = average.recompute(KEY, variables, BATCH)
    z, label = objective().networks.sample_inputs(KEY, 4)
    generator = objective().networks.pair.generator
    _, expected = generator.apply(variables, z, label, train=True, mutable=["batch_stats", "spectral"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)
    assert average.collections == ("batch_stats", "spectral")


def test_evaluation_is_per_example(state):
    model = biggan.build(SMALL, DATA)
    metrics = model.evaluate(KEY, state, BATCH)
    hinge = np.maximum(0, 1 - metrics["real_output"]) + np.maximum(0, 1 + metrics["fake_output"])
    np.testing.assert_allclose(metrics["discriminator_loss"], hinge, rtol=1e-6)
    reversed_batch = {name: array[::-1] for name, array in BATCH.items()}
    again = model.evaluate(KEY, state, reversed_batch)["real_output"]
    np.testing.assert_allclose(again[::-1], metrics["real_output"], rtol=1e-4, atol=1e-5)


def test_smaller_images_are_surrounded_by_black_and_come_back_in_their_size():
    images = {"image": RNG.integers(0, 256, (4, 6, 5, 1), np.uint8), "label": np.arange(4)}
    config = replace(SMALL, size=8)
    networks = objective(config, images).networks
    real = np.asarray(networks.real(images))
    np.testing.assert_allclose(real[:, 1:7, 1:6], images["image"] / 127.5 - 1, atol=1e-6)
    assert (real[:, 0] == -1).all()
    assert (real[:, :, 6:] == -1).all()
    model = biggan.build(config, images)
    shape = jax.eval_shape(lambda key: model.sample(key, model.init(key, images), 3), KEY).shape
    assert shape == (3, 6, 5, 1)


def test_initial_weights_have_the_distribution_of_their_name():
    """A kernel of 9 x 16 inputs; the embeddings of PyTorch are standard normal."""
    kernels = {}
    for name in ("orthogonal", "normal", "uniform"):
        pair = make_networks(replace(SMALL, initialization=name), (8, 8, 1), 3)
        assert pair.generator.weights == pair.discriminator.weights
        kernels[name] = np.asarray(pair.generator.weights.init(KEY, (3, 3, 16, 16))).reshape(-1, 16)
    np.testing.assert_allclose(kernels["orthogonal"].T @ kernels["orthogonal"], np.eye(16), atol=1e-5)
    np.testing.assert_allclose(kernels["normal"].std(), 0.02, rtol=0.1)
    assert 0.95 / 12 < np.abs(kernels["uniform"]).max() <= 1 / 12
    np.testing.assert_allclose(kernels["uniform"].std(), 1 / 12 / np.sqrt(3), rtol=0.1)
    for layer in (SpectralEmbed(100, 30, pair.generator.weights), ConditionalBatchNorm(100, pair.generator.weights)):
        arguments = (np.zeros((2, 30), np.float32),) if isinstance(layer, ConditionalBatchNorm) else ()
        params = layer.init(KEY, *arguments, np.zeros(2, np.int32), train=False)["params"]
        for table in jax.tree.leaves(params):
            np.testing.assert_allclose(table.std(), 1, rtol=0.1)


@pytest.mark.parametrize(
    ("config", "shape", "message"),
    [
        (SMALL, (20, 20, 1), r"got 20x20: surround them by black with size=28 \(--size 28\), or reduce them"),
        (SMALL, (8, 16, 3), "got 8x16: surround them by black with size=16"),
        (SMALL, (600, 600, 1), r"got 600x600: reduce them \(--image-size 512\)"),
        (replace(SMALL, size=8), (28, 28, 1), "size must be at least that of the images, 28x28, got 8"),
        (
            SMALL,
            (28, 28, 1),
            "latent_dim must be a multiple of 3 for hierarchical latents at 28 pixels.*got 2: give 60",
        ),
    ],
)
def test_sizes_that_networks_cannot_have_are_refused(config, shape, message):
    with pytest.raises(InputError, match=message):
        biggan.build(config, {"image": np.zeros((2, *shape), np.uint8), "label": np.arange(2)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 24}, "size must be one of 8, 16, 28, 32, 64, 128, 256, 512, got 24"),
        ({"shared_dim": 0}, "hierarchical latents need a shared embedding"),
        ({"deep": True, "shared_dim": 0}, "deep networks need a shared embedding"),
        ({"depth": 3}, "depth applies to deep networks"),
        ({"standing_batches": 3}, "standing_batches applies to the statistics 'standing'"),
        ({"statistics": "batch"}, "there is no statistics 'batch'"),
        ({"initialization": "ortho"}, "there is no initialization 'ortho'"),
        ({"orthogonal": -1.0}, "orthogonal must be finite and not negative"),
        ({"ema": 1.0}, "ema must be a decay"),
        ({"ema_start": 0}, "ema_start must be positive"),
        ({"accumulations": 0}, "accumulations must be positive"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Config(**options)


def test_data_without_labels_need_a_model_without_a_condition(state):
    images = {"image": DATA["image"]}
    with pytest.raises(InputError, match="data have no labels: choose data with labels, or conditional=False"):
        biggan.build(SMALL, images)
    model = biggan.build(replace(SMALL, conditional=False), images)
    assert model.conditions == ()
    with pytest.raises(InputError, match="not conditioned on labels"):
        model.sample(KEY, state, 3, label=1)
    with pytest.raises(InputError, match="the data must have labels"):
        biggan.discriminator_loss(objective(), KEY, state.params, state, images)
    with pytest.raises(InputError, match="label must be from 0 to 2"):
        biggan.build(SMALL, DATA).sample(KEY, state, 3, label=3)


def test_a_batch_that_the_accumulations_do_not_divide_is_refused():
    model = biggan.build(replace(SMALL, accumulations=4), DATA)
    with pytest.raises(InputError, match="the batch, in 4 slices, must divide by 4, got 3 examples"):
        jax.eval_shape(model.step, KEY, jax.eval_shape(model.init, KEY, DATA), jax.tree.map(lambda x: x[:6], DATA))
