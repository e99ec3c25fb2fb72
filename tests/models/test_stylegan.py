"""The family stylegan: its losses, style mixing and truncation, its training through all phases, and its samples."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import stylegan
from jaxgen.models.growing import plan, real_at
from jaxgen.models.new_styles import averaged_variables, new_styles, styles_of
from jaxgen.models.stylegan import Config, Objective
from jaxgen.training.seeds import select_seed
from tests.models.grown_runs import DATA, SMALL, Complete

CONFIG = Config(**SMALL, style_dim=5, mapping_layers=2, truncated_layers=2)

pytestmark = pytest.mark.usefixtures("convolutions_by_xla")


def test_losses_are_logistic_with_a_penalty_on_gradients_with_respect_to_full_images_in_every_step():
    """While layers for half the full size fade in, with classes: the output for the label counts."""
    images = {"image": np.random.default_rng(1).integers(0, 256, (4, 16, 16, 1), np.uint8), "label": np.arange(4) % 3}
    config = replace(CONFIG, conditional=True, gamma=3000.0)
    networks = stylegan._networks(config, images)
    phase = plan(config, 16)[1]
    of = Objective(networks, config, phase)
    assert (phase.size, phase.fading) == (8, True)

    @jax.jit
    def results(key):
        state = stylegan.build(config, images).init(key, images).replace(step=jnp.int32(phase.first + 5))
        params = jax.tree.map(lambda leaf: leaf + 0.05, state.params)
        new, label = phase.weight(state.step), images["label"]
        fake, stats = of.fake(key, params, state, images)
        real = real_at(jnp.asarray(images["image"]) / 127.5 - 1, 8, new)

        def outputs(x):
            variables = {"params": params["discriminator"]}
            return networks.discriminator.apply(variables, x, train=True, alpha=new)

        def from_full(full):
            reduced = full.reshape(4, 8, 2, 8, 2, 1).mean((2, 4))
            return (outputs(reduced) * jax.nn.one_hot(label, 3)).sum()

        gradient = jax.grad(from_full)(jnp.kron(real, jnp.ones((1, 2, 2, 1))))
        value, (new_stats, metrics) = stylegan.discriminator_loss(of, key, params, state, images)
        return {
            "squares": jnp.square(gradient).sum((1, 2, 3)),
            "real": outputs(real),
            "fake": outputs(fake),
            "discriminator": value,
            "penalty": metrics["penalty"],
            "generator": stylegan.generator_loss(of, key, params, state, images)[0],
            "average": (stats["generator"]["latent_average"], new_stats["generator"]["latent_average"]),
        }

    found = jax.tree.map(lambda x: np.asarray(x, np.float64), results(jax.random.key(0)))
    rows = np.arange(4), images["label"]
    of_real, of_fake = found["real"][rows], found["fake"][rows]
    np.testing.assert_allclose(found["penalty"], found["squares"].mean(), rtol=1e-4)
    expected = np.log1p(np.exp(of_fake)).mean() + np.log1p(np.exp(-of_real)).mean() + 1500 * found["squares"].mean()
    np.testing.assert_allclose(found["discriminator"], expected, rtol=1e-4)
    np.testing.assert_allclose(found["generator"], np.log1p(np.exp(-of_fake)).mean(), rtol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, *found["average"])


def test_styles_are_mixed_at_a_layer_in_use_and_truncated_in_the_first_layers():
    """The crossover is uniform from the second layer to the last one of the current size; psi keeps a share."""
    networks = stylegan._networks(CONFIG, {"image": np.zeros((1, 16, 16, 1), np.uint8)})
    variables = jax.jit(networks.init)(jax.random.key(0), {})["generator"]
    options = {"latent_dim": 3, "layers": 4}
    assert networks.generator.synthesis.styles == 6

    @jax.jit
    @jax.vmap
    def crossover(key):
        w, _ = new_styles(networks.generator, key, variables, None, 2, mixing=0.9, **options)
        first, _ = new_styles(networks.generator, key, variables, None, 2, mixing=0.0, **options)
        return jnp.all(w == first, axis=2).sum(axis=1)

    found = np.asarray(crossover(jax.random.split(jax.random.key(3), 1000)))
    assert (found == found[:, :1]).all()
    shares = np.bincount(found[:, 0], minlength=7) / 1000
    np.testing.assert_allclose(shares, [0, 0.3, 0.3, 0.3, 0, 0, 0.1], atol=0.05)

    average = np.arange(5.0, dtype=np.float32)
    variables = {**variables, "latent_average": {"mapping": {"w": average}}}
    z = networks.spaces.sample_latent(jax.random.key(1), 4)
    w, near = (styles_of(networks.generator, variables, z, None, truncation=psi, layers=2) for psi in (None, 0.7))
    np.testing.assert_allclose(near[:, :2], average + 0.7 * (w[:, :2] - average), atol=1e-6)
    np.testing.assert_array_equal(near[:, 2:], w[:, 2:])


@pytest.fixture(scope="module")
def complete():
    return Complete(stylegan.build(CONFIG, DATA), seeds=1)


def test_training_goes_on_with_the_same_bits_from_within_the_fade(complete):
    complete.assert_same(complete.resumed(6, 12), 12)


def test_samples_have_the_resolution_of_the_step_of_the_state_and_equal_latents_equal_images(complete):
    model, networks = complete.model, stylegan._networks(CONFIG, DATA)
    z = model.sample_latent(jax.random.key(1), 2)
    decode = jax.jit(model.decode)
    for step, weight in ((2, 0.0), (6, 4 / 36), (14, 1.0)):
        seed = select_seed(complete.states[step], 0)
        images = decode(seed, z)
        np.testing.assert_allclose(images, model.decode(seed, z), atol=1e-5)
        variables = averaged_variables(seed)
        w = styles_of(networks.generator, variables, z, None, truncation=None)
        small, large = (networks.synthesize(variables, w, size, None, noise="constant") for size in (4, 8))
        expected = (1 - weight) * np.kron(small, np.ones((1, 2, 2, 1))) + weight * np.asarray(large)
        np.testing.assert_allclose(images, (expected + 1) / 2, atol=1e-5)


def test_truncation_is_a_condition_of_samples(complete):
    model, seed = complete.model, select_seed(complete.states[14], 0)
    z = model.sample_latent(jax.random.key(2), 3)
    images = model.decode(seed, z, truncation=0.7)
    np.testing.assert_array_equal(model.sample(jax.random.key(2), seed, 3, truncation=0.7), images)
    assert np.abs(images - model.decode(seed, z)).max() > 1e-5
    with pytest.raises(InputError, match="truncation must be from 0"):
        model.decode(seed, z, truncation=1.1)
    with pytest.raises(InputError, match="not conditioned on labels"):
        model.sample(jax.random.key(0), seed, 3, label=1)


def test_the_average_of_the_generator_has_a_half_life_in_images(complete):
    """Seen in the layer that drew images of the size before, which is not trained in the last phase."""
    before, after = (complete.states[step] for step in (12, 14))
    decay = 0.5 ** (2 * 4 / 10_000)

    def bias(variables):
        return np.asarray(variables["params"]["synthesis"]["torgb4"]["bias"], np.float64)

    trained = bias({"params": before.params["generator"]})
    old, new = (bias(state.ema["generator"]) for state in (before, after))
    assert np.abs(new - old).min() > 0
    np.testing.assert_allclose(new - old, (1 - decay) * (trained - old), rtol=1e-2)
