"""The family stylegan2: its losses and regularizers, style mixing, averages, truncation and sizes of images."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import softplus

from jaxgen.errors import InputError
from jaxgen.losses.path_regularization import PathLength
from jaxgen.models import stylegan2
from jaxgen.models.new_styles import generator_variables
from jaxgen.models.stylegan2 import Config, Objective
from jaxgen.training import fit
from tests.models.random_states import random_state

SMALL = Config(base=16, largest=4, latent_dim=3, style_dim=5, mapping_layers=1, group=2)
RNG = np.random.default_rng(0)
DATA = {"image": RNG.integers(0, 256, (8, 8, 8, 1), np.uint8), "label": np.arange(8, dtype=np.int32) % 3}
BATCH = {name: jnp.asarray(array) for name, array in DATA.items()}
KEY = jax.random.key(0)

pytestmark = pytest.mark.usefixtures("convolutions_by_xla")


def objective(config=SMALL, data=DATA):
    return Objective(stylegan2._networks(config, data), config)


@pytest.fixture(scope="module")
def state():
    """With noise strengths and averages that differ from 0."""
    return random_state(stylegan2.build(SMALL, DATA), DATA, scale=0.3)


def test_both_losses_are_those_of_logits_of_new_and_of_real_images(state):
    """Each player draws images of its own; the generator's loss changes no statistics but the average of styles."""
    of = objective()
    real = jnp.asarray(DATA["image"]) / 127.5 - 1

    @jax.jit
    def results(params):
        image_keys = jax.random.split(KEY)[0], jax.random.split(KEY, 3)[0]
        fakes = [stylegan2._generated(of, key, params, state, BATCH)[0] for key in image_keys]
        logits = [of.networks.discriminate(params, images, None) for images in (*fakes, real)]
        return (
            stylegan2.generator_loss(of, KEY, params, state, BATCH),
            stylegan2.discriminator_loss(of, KEY, params, state, BATCH),
            logits,
        )

    of_generator, of_discriminator, (of_fake, of_other_fake, of_real) = results(state.params)
    value, (stats, _) = of_generator
    np.testing.assert_allclose(value, softplus(-of_fake).mean(), rtol=1e-6)
    assert {name for name in stats["generator"] if name != "latent_average"} == {"noise", "path_length"}
    for name in ("noise", "path_length"):
        jax.tree.map(np.testing.assert_array_equal, stats["generator"][name], state.stats["generator"][name])

    value, (_, metrics) = of_discriminator
    np.testing.assert_allclose(value, (softplus(of_other_fake) + softplus(-of_real)).mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["sign_of_real_output"], np.sign(of_real).mean())


def test_the_gradient_penalty_is_half_of_gamma_times_the_squared_norm_summed_over_pixels(state):
    real = jnp.asarray(DATA["image"]) / 127.5 - 1

    @jax.jit
    def results(params):
        configs = replace(SMALL, gamma=3.0), SMALL
        values = [stylegan2.gradient_penalty_loss(objective(c), KEY, params, state, BATCH)[0] for c in configs]
        return values, jax.grad(lambda images: objective().networks.discriminate(params, images, None).sum())(real)

    (value, automatic), gradient = results(state.params)
    expected = 1.5 * np.square(np.asarray(gradient, np.float64)).sum(axis=(1, 2, 3)).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    np.testing.assert_allclose(automatic, expected / 3 * 0.0002 * 8**2 / 8, rtol=1e-4)


def test_the_path_length_penalty_is_weighted_and_stores_its_average(state):
    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def loss(of_generator):
        params = {**state.params, "generator": of_generator}
        return stylegan2.path_length_loss(objective(), KEY, params, state, BATCH)

    (value, (stats, metrics)), gradient = loss(state.params["generator"])
    before, after = (float(each["generator"]["path_length"]["mean"]) for each in (state.stats, stats))
    np.testing.assert_allclose(after, before + 0.01 * (float(metrics["length"]) - before), rtol=1e-5)
    np.testing.assert_allclose(value, 2 * metrics["penalty"], rtol=1e-6)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_path_lengths_are_of_half_of_the_batch_with_latents_and_noise_of_their_own(state, monkeypatch):
    """Both are those of the key of the regularizer; images of the same styles differ by their noise."""
    given = []

    def recorded(key, synthesize, w, mean):
        given.append((w, synthesize(jnp.ones_like(w))))
        return PathLength(jnp.zeros(len(w)), jnp.zeros(len(w)), mean)

    monkeypatch.setattr(stylegan2, "path_length_penalty", recorded)

    @jax.jit
    def results(key):
        stylegan2.path_length_loss(objective(), key, state.params, state, BATCH)
        return given.pop()

    (w, images), (other_w, other_images) = (results(key) for key in jax.random.split(KEY))
    assert len(w) == len(images) == 4
    assert (np.abs(w - other_w).max(axis=(1, 2)) > 1e-3).all()
    assert (np.abs(images - other_images).max(axis=(1, 2, 3)) > 1e-3).all()


def test_styles_are_mixed_at_one_layer_for_the_whole_batch_with_the_given_probability(state):
    """The crossover is uniform from the second layer on; only the first latents count for the average."""
    networks = objective().networks
    variables = generator_variables(state.params, state.stats)
    count = networks.generator.synthesis.styles

    @jax.jit
    def crossover(key):
        w, changed = networks.styles(key, variables, None, 4, mixing=0.9)
        first, alone = networks.styles(key, variables, None, 4, mixing=0.0)
        same = jnp.all(w == first, axis=2)
        average = jnp.abs(changed["latent_average"]["mapping"]["w"] - alone["latent_average"]["mapping"]["w"]).max()
        return same.sum(axis=1), average

    found, averages = jax.vmap(crossover)(jax.random.split(jax.random.key(3), 2000))
    assert (np.asarray(found) == np.asarray(found)[:, :1]).all()
    np.testing.assert_allclose(averages, 0, atol=1e-6)
    shares = np.bincount(np.asarray(found)[:, 0], minlength=count + 1) / 2000
    assert shares[0] == 0
    np.testing.assert_allclose(shares[count], 0.1, atol=0.03)
    np.testing.assert_allclose(shares[1:count], 0.9 / (count - 1), atol=0.04)


def test_the_probability_of_augmentations_follows_the_sign_of_outputs_of_four_steps():
    """By batch times interval over the number of images, upwards above the target and downwards below it."""
    config = replace(SMALL, augmentation="adaptive", pipeline="noise", adjustment=320, path_length=0.0, gamma=0.0)

    @jax.jit
    def history(state, target):
        model = stylegan2.build(replace(config, target=target), DATA)

        def step(state, key):
            state, metrics = model.step(key, state, BATCH)
            return state, metrics["discriminator/augmentation_probability"]

        return jax.lax.scan(step, state, jax.random.split(KEY, 8))[1]

    state = jax.jit(stylegan2.build(config, DATA).init)(KEY, DATA)
    for target, change in ((-0.999, 8 * 4 / 320), (1.0, 0.0)):
        expected = [0, 0, 0, change, change, change, change, 2 * change]
        np.testing.assert_allclose(history(state, target), expected, atol=1e-6)


def test_signs_that_adapt_augmentations_are_those_of_augmented_real_images(state, monkeypatch):
    """Here the logit of an image is its mean, and the augmentation makes white images black."""
    monkeypatch.setattr(stylegan2, "augment", lambda key, images, p, *, operators: -images)
    monkeypatch.setattr(
        stylegan2.Networks, "discriminate", lambda self, params, images, label: images.mean(axis=(1, 2, 3))
    )
    of = objective(replace(SMALL, augmentation="adaptive"))
    first = {"augmentation": {"probability": jnp.float32(0.5), "sign": jnp.float32(0)}}
    state = state.replace(stats={**state.stats, "discriminator": first})
    white = {"image": np.full((8, 8, 8, 1), 255, np.uint8)}

    @jax.jit
    def results(params):
        return stylegan2.discriminator_loss(of, KEY, params, state, white)[1]

    stats, metrics = results(state.params)
    assert metrics["sign_of_real_output"] == -1
    assert stats["discriminator"]["augmentation"]["sign"] == -1


def test_real_and_generated_images_are_augmented_for_both_players_and_the_penalty(state, monkeypatch):
    """And gradients of the penalty pass through the augmentation."""
    given = []

    def darkened(key, images, operators):
        given.append(operators)
        return 0.5 * images

    monkeypatch.setattr(stylegan2, "diff_augment", darkened)
    of = objective(replace(SMALL, augmentation="diff", policy=("cutout",), gamma=2.0))
    jax.eval_shape(lambda: stylegan2.generator_loss(of, KEY, state.params, state, BATCH))
    assert len(given) == 1
    jax.eval_shape(lambda: stylegan2.discriminator_loss(of, KEY, state.params, state, BATCH))
    assert given == 3 * [("cutout",)]
    real = 0.5 * (jnp.asarray(DATA["image"]) / 127.5 - 1)

    @jax.jit
    def results(params):
        value, _ = stylegan2.gradient_penalty_loss(of, KEY, params, state, BATCH)
        return value, jax.grad(lambda images: of.networks.discriminate(params, images, None).sum())(real)

    value, gradient = results(state.params)
    np.testing.assert_allclose(value, np.square(0.5 * np.asarray(gradient)).sum(axis=(1, 2, 3)).mean(), rtol=1e-4)


def test_truncation_draws_samples_towards_the_image_of_the_average_style(state):
    model = stylegan2.build(SMALL, DATA)
    z = model.sample_latent(KEY, 3)

    @jax.jit
    def decode_and_sample(psi):
        return model.decode(state, z, truncation=psi), model.sample(KEY, state, 3, truncation=psi)

    average, near, nearer_to_images, of_all_styles = (decode_and_sample(psi)[0] for psi in (0.0, 0.2, 0.6, 1.0))
    np.testing.assert_allclose(average, np.broadcast_to(average[:1], average.shape), atol=1e-6)
    np.testing.assert_allclose(of_all_styles, jax.jit(model.decode)(state, z), atol=1e-6)
    distances = [jnp.abs(images - average).mean() for images in (near, nearer_to_images, of_all_styles)]
    assert distances[0] < distances[1] < distances[2]
    decoded, sampled = decode_and_sample(0.6)
    np.testing.assert_array_equal(sampled, decoded)
    for psi in (-0.1, 1.1, float("nan"), "1"):
        with pytest.raises(InputError, match="truncation must be from 0"):
            model.decode(state, z, truncation=psi)


def test_smaller_images_are_surrounded_by_black_and_come_back_in_their_size():
    images = {"image": RNG.integers(0, 256, (4, 6, 5, 1), np.uint8)}
    spaces = objective(replace(SMALL, size=8), images).networks.spaces
    real = spaces.real(images)
    assert real.shape == (4, 8, 8, 1)
    np.testing.assert_allclose(spaces.data_images(real), images["image"] / 255, atol=1e-6)
    border = np.ones((8, 8), bool)
    border[1:7, 1:6] = False
    np.testing.assert_array_equal(np.asarray(real)[:, border], -1)


@pytest.mark.parametrize(
    ("config", "shape", "message"),
    [
        (SMALL, (28, 28, 1), r"got 28x28: surround them by black with size=32"),
        (SMALL, (8, 16, 3), r"got 8x16: surround them by black with size=16"),
        (replace(SMALL, size=8), (28, 28, 1), "size must be at least that of the images, 28x28, got 8"),
        (SMALL, (32, 32, 1), "base must be at least the size of the images, 32, got 16"),
    ],
)
def test_sizes_that_networks_cannot_have_are_refused(config, shape, message):
    with pytest.raises(InputError, match=message):
        stylegan2.build(config, {"image": np.zeros((2, *shape), np.uint8)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 12}, "^size must be a power of 2 from 8 on, got 12"),
        ({"mixing": 1.5}, "mixing must be from 0 to 1, got 1.5"),
        ({"gamma": -1.0}, "gamma must be finite and not negative"),
        ({"path_length_every": 0}, "path_length_every must be positive"),
        ({"group": 0}, "group must be positive"),
        ({"mapping_width": 0}, "mapping_width must be positive"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Config(**options)


def test_conditional_models_need_labels_and_others_take_none():
    conditional = replace(SMALL, conditional=True)
    with pytest.raises(InputError, match="must have labels"):
        stylegan2.build(conditional, {"image": DATA["image"]})
    model = stylegan2.build(SMALL, DATA)
    with pytest.raises(InputError, match="not conditioned on labels"):
        model.sample(KEY, random_state(model, DATA), 3, label=1)
    model = stylegan2.build(conditional, DATA)
    z = jnp.broadcast_to(model.sample_latent(KEY, 1), (3, 3))
    images = jax.jit(model.decode)(random_state(model, DATA), z, label=np.arange(3))
    assert jnp.abs(images[0] - images[1]).max() > 1e-4


def test_regularizers_are_updated_in_their_steps_with_corrected_learning_rates():
    """0.0025 times 4/5 and 16/17; the first step of Adam is the rate itself."""
    model = stylegan2.build(SMALL, DATA)
    generator, discriminator = model.players
    assert [regularizer.every for player in model.players for regularizer in player.regularizers] == [4, 16]
    for player, rate in ((generator, 0.0025 * 4 / 5), (discriminator, 0.0025 * 16 / 17)):
        ones = {name: jnp.ones(2) for name in player.trains}
        updates, _ = player.tx.update(ones, player.tx.init(ones), ones, step=jnp.int32(0))
        np.testing.assert_allclose(updates[player.trains[0]], -rate, rtol=1e-5)
    plain = stylegan2.build(replace(SMALL, path_length=0.0, gamma=0.0), DATA)
    assert not any(player.regularizers for player in plain.players)


def test_a_batch_that_the_group_does_not_divide_is_refused():
    model = stylegan2.build(replace(SMALL, group=4), DATA)
    state, few = random_state(model, DATA), {name: array[:6] for name, array in DATA.items()}
    with pytest.raises(InputError, match="the batch must be a multiple of the group"):
        jax.eval_shape(model.step, KEY, state, few)


def test_training_goes_on_with_the_same_bits_after_an_interruption_between_regularizers():
    model, states = stylegan2.build(SMALL, DATA), {}

    def store(chunk):
        states[chunk.step] = jax.device_get(chunk.state)

    whole = fit(model, DATA, key=KEY, steps=6, batch_size=4, chunk=3, callbacks=[store]).state
    resumed = fit(model, DATA, key=KEY, steps=6, batch_size=4, chunk=3, state=states[3], first_step=3).state
    jax.tree.map(np.testing.assert_array_equal, whole, resumed)
    assert float(whole.stats["generator"]["path_length"]["mean"]) > 0
    assert np.abs(whole.stats["generator"]["latent_average"]["mapping"]["w"]).min() > 0
    # Statistics are copied into the average of the generator: that of styles, noise images and the path length.
    copied = {name: array for name, array in whole.ema["generator"].items() if name != "params"}
    assert set(copied) == {"latent_average", "noise", "path_length"}
    jax.tree.map(np.testing.assert_array_equal, copied, whole.stats["generator"])


def test_styles_and_noise_are_those_of_which_images_are_decoded(state):
    """The two halves one after the other; the average style is what truncation by 0 leaves."""
    model = stylegan2.build(SMALL, BATCH)
    latent = model.sample_latent(KEY, 3)
    styles = model.styles
    w = styles.map(state, latent)
    layers = jnp.repeat(w[:, None], styles.layers, axis=1)
    synthesize, decode = jax.jit(styles.synthesize), jax.jit(model.decode)
    images = synthesize(state, layers, styles.noise(state))
    np.testing.assert_allclose(images, decode(state, latent), atol=1e-6)
    average = jnp.broadcast_to(styles.average(state), layers.shape)
    images = synthesize(state, average, styles.noise(state))
    np.testing.assert_allclose(images, decode(state, latent, truncation=0.0), atol=1e-6)


def test_each_image_can_have_noise_of_its_own(state):
    model = stylegan2.build(SMALL, BATCH)
    params = jax.tree_util.tree_map_with_path(
        lambda path, x: x + 0.5 if path[-1].key == "noise_strength" else x, state.ema["generator"]["params"]
    )
    state = state.replace(ema={"generator": {**state.ema["generator"], "params": params}})
    layers = jnp.ones((2, model.styles.layers, SMALL.style_dim))
    stored = model.styles.noise(state)
    other = jax.tree.map(lambda x: x[::-1], stored)
    both = jax.tree.map(lambda *x: jnp.stack(x), stored, other)
    synthesize = jax.jit(model.styles.synthesize)
    found = synthesize(state, layers, both)
    expected = [synthesize(state, layers[:1], noise)[0] for noise in (stored, other)]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 0.01


def test_the_matrices_of_the_layers_change_their_styles_to_factors():
    """A step of a style that the matrix of its layer maps to zero changes nothing.

    With the architecture that has one map to colours: that of an inner block has the style of the next convolution.
    """
    model = stylegan2.build(replace(SMALL, architecture="resnet"), BATCH)
    state = jax.jit(model.init)(KEY, BATCH)
    matrices = model.styles.modulations(state)
    assert len(matrices) == model.styles.layers
    assert {matrix.shape[0] for matrix in matrices} == {SMALL.style_dim}
    layers = jnp.ones((1, model.styles.layers, SMALL.style_dim))
    synthesize = jax.jit(model.styles.synthesize)
    before = synthesize(state, layers, model.styles.noise(state))
    changes = []
    for number, matrix in enumerate(matrices):
        left, values, _ = np.linalg.svd(np.asarray(matrix, np.float64), full_matrices=True)
        assert matrix.shape[1] < SMALL.style_dim  # So that some steps change nothing.
        assert values[-1] > 0
        for step in (left[:, -1], left[:, 0]):
            moved = layers.at[0, number].add(jnp.asarray(step, jnp.float32))
            after = synthesize(state, moved, model.styles.noise(state))
            changes.append(np.abs(after - before).max())
    assert max(changes[::2]) < 1e-5
    # The style of the last map to colours, and of all convolutions, counts.
    assert min(changes[1::2]) > 1e-4
