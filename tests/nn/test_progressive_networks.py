"""The growing networks of PGGAN: counts as published, and the authors' images, scores and gradients."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.nn.progressive_names import naming
from jaxgen.nn.progressive_networks import Discriminator, Generator, faded
from jaxgen.nn.published_weights import variables_from, weights_of
from tests.references import arrays, assert_gradients, channels_last, group

NAME = "pggan_official_tf"
REFERENCE = arrays(NAME)
SMALL = {"base": 128, "largest": 32}
GENERATOR = Generator(16, **SMALL)
NAMING = naming(16, fused=False)
Z, REAL = jnp.asarray(REFERENCE["z"]), jnp.asarray(channels_last(REFERENCE["real"]))
SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)


def shapes(network, *inputs):
    return jax.eval_shape(lambda key: network.init(key, *inputs, train=False), jax.random.key(0))


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def variables_of(network, prefix, *inputs):
    return variables_from(group(NAME, prefix), shapes(network, *inputs), NAMING)


@pytest.fixture(scope="module")
def generator():
    return variables_of(GENERATOR, "w/G/", jnp.zeros((1, 32)))


def assert_close(found, name):
    expected = REFERENCE[name]
    found = np.asarray(found).reshape(expected.shape) if expected.ndim < 4 else np.asarray(found).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5 * expected.std(), err_msg=name)


def test_counts_of_whole_networks_are_the_published_ones():
    generators = {size: count(shapes(Generator(size), jnp.zeros((1, 512)))) for size in SIZES}
    discriminators = {size: count(shapes(Discriminator(size), jnp.zeros((1, size, size, 3)))) for size in SIZES}
    assert list(generators.values()) == [
        11_277_318, 15_998_473, 20_719_628, 22_490_383, 22_933_394, 23_044_309, 23_072_120, 23_079_115
    ]  # fmt: skip
    assert list(discriminators.values()) == [
        11_283_457, 16_005_121, 20_726_785, 22_498_049, 22_941_313, 23_052_353, 23_080_225, 23_087_249
    ]  # fmt: skip


def _swapped(apply, inputs, variables):
    return apply(variables, inputs)


@pytest.fixture(scope="module")
def largest():
    """Both networks for 1024 pixels, and the shapes of their variables."""
    networks = Generator(1024), Discriminator(1024)
    return networks, tuple(
        shapes(network, x)
        for network, x in zip(networks, (jnp.zeros((1, 512)), jnp.zeros((1, 1024, 1024, 3))), strict=True)
    )


def used(like, call):
    """The number of parameters on which a result depends: those that its program reads."""
    flat = jax.tree_util.tree_leaves_with_path(like)
    jaxpr = jax.make_jaxpr(call)(like)
    read = {str(variable) for equation in jaxpr.eqns for variable in equation.invars}
    return sum(
        math.prod(leaf.shape)
        for (_, leaf), variable in zip(flat, jaxpr.jaxpr.invars, strict=True)
        if str(variable) in read
    )


@pytest.mark.parametrize(
    ("size", "stable", "fading"),
    [
        (4, (6_556_163, 6_561_793), None),
        (8, (11_275_779, 11_281_409), (11_277_318, 11_283_457)),
        (16, (15_995_395, 16_001_025), (15_996_934, 16_003_073)),
        (32, (20_715_011, 20_720_641), (20_716_550, 20_722_689)),
        (64, (22_484_227, 22_489_857), (22_485_766, 22_491_905)),
        (128, (22_926_467, 22_932_097), (22_927_238, 22_933_121)),
        (256, (23_036_995, 23_042_625), (23_037_382, 23_043_137)),
        (512, (23_064_611, 23_070_241), (23_064_806, 23_070_497)),
        (1024, (23_071_507, 23_077_137), (23_071_606, 23_077_265)),
    ],
)
def test_counts_of_the_parameters_in_use_are_the_published_ones(size, stable, fading, largest):
    """Of the network for 1024 pixels: while layers fade in, those of two resolutions read or write images."""
    (generator, discriminator), like = largest
    z, images = jnp.zeros((1, 512)), jnp.zeros((1, size, size, 3))
    for alpha, expected in ((None, stable), (0.5, fading)):
        if expected is None:
            continue
        draw = partial(generator.apply, train=False, size=size, alpha=alpha)
        classify = partial(discriminator.apply, train=False, alpha=alpha)
        of_generator = used(like[0], partial(_swapped, draw, z))
        of_images = used(like[1], partial(_swapped, classify, images))
        assert (of_generator, of_images) == expected


@pytest.mark.parametrize("lod", ["lod0.0", "fused_lod0.0", "fused_lod0.3"])
def test_scores_losses_and_gradients_are_those_of_the_authors(lod, generator):
    """Reducing before the bias and the activation (fused) is another function than after them."""
    level = float(lod.partition("lod")[2])
    alpha = None if level == 0 else 1 - level
    network = Discriminator(16, fused=lod.startswith("fused"), **SMALL)
    variables = variables_of(network, "w/D/", jnp.zeros((4, 16, 16, 3)))

    def score(variables, images):
        return network.apply(variables, images, train=False, alpha=alpha)

    def generate(generator):
        return GENERATOR.apply(generator, Z, train=False, alpha=alpha)

    @jax.jit
    @convolutions_by_xla()
    def results(variables, generator):
        fake = generate(generator)
        mixed = REAL + (fake - REAL) * jnp.asarray(REFERENCE["mixing_factors"])

        def norms(variables, images):
            gradient = jax.grad(lambda images: score(variables, images).sum())(images)
            return jnp.sqrt(jnp.square(gradient).sum(axis=(1, 2, 3))), gradient

        def loss(variables):
            of_real, of_fake = score(variables, REAL), score(variables, fake)
            penalty = 10 * jnp.square(norms(variables, mixed)[0] - 1)
            losses = of_fake - of_real + penalty + 0.001 * jnp.square(of_real)
            return losses.mean(), losses

        def loss_of_generator(generator):
            return -score(variables, generate(generator)).mean()

        of_real, gradient = norms(variables, REAL)
        gradients, losses = jax.grad(loss, has_aux=True)(variables)
        values = {
            "s_real": score(variables, REAL),
            "s_fake": score(variables, fake),
            "rgrad": gradient,
            "r1_penalty": jnp.square(of_real),
            "mixed_norms": norms(variables, mixed)[0],
            "d_loss": losses,
            "g_loss": -score(variables, fake),
        }
        return values, gradients, jax.grad(loss_of_generator)(generator)

    values, of_discriminator, of_generator = results(variables, generator)
    for name, value in values.items():
        if f"{lod}/{name}" in REFERENCE:
            assert_close(value, f"{lod}/{name}")
    assert_gradients(weights_of(of_discriminator, NAMING), NAME, f"{lod}/grad_d_loss/D/", atol=2e-5)
    assert_gradients(weights_of(of_generator, NAMING), NAME, f"{lod}/grad_g_loss/G/", atol=2e-5)


def test_images_and_their_gradients_are_those_of_the_authors(generator):
    @jax.jit
    @convolutions_by_xla()
    def results(z):
        def total(z):
            images = GENERATOR.apply(generator, z, train=False)
            return jnp.square(images).sum(), images

        return jax.grad(total, has_aux=True)(z)

    gradient, images = results(Z)
    assert_close(images, "lod0.0/out")
    expected = REFERENCE["lod0.0/dz"]
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@convolutions_by_xla()
def test_layers_that_fade_in_mix_images_in_the_generator_and_features_in_the_discriminator(generator):
    """With the weight 0 the network is that of the resolution before, with the weight 1 that of the new one."""
    before, after, middle, start, end = (
        np.asarray(GENERATOR.apply(generator, Z[:2], train=False, size=size, alpha=alpha))
        for size, alpha in ((8, None), (16, None), (16, 0.25), (16, 0.0), (16, 1.0))
    )
    enlarged = before.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(start, enlarged, atol=1e-6)
    np.testing.assert_allclose(end, after, atol=1e-6)
    np.testing.assert_allclose(middle, 0.75 * enlarged + 0.25 * after, atol=1e-5)

    network = Discriminator(16, **SMALL)
    variables = variables_of(network, "w/D/", jnp.zeros((4, 16, 16, 3)))
    images = REAL[:4]
    halved = images.reshape(4, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    start, end, before, after = (
        network.apply(variables, shown, train=False, alpha=alpha)
        for shown, alpha in ((images, 0.0), (images, 1.0), (halved, None), (images, None))
    )
    np.testing.assert_allclose(start, before, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(end, after, rtol=1e-4, atol=1e-5)


def test_real_images_lose_the_details_that_generated_ones_lack():
    images = REAL[:2]
    blocks = images.reshape(2, 8, 2, 8, 2, 3).mean(axis=(2, 4), keepdims=True)
    repeated = np.broadcast_to(blocks, (2, 8, 2, 8, 2, 3)).reshape(images.shape)
    np.testing.assert_allclose(faded(images, 0.0), repeated, atol=1e-6)
    np.testing.assert_allclose(faded(images, 1.0), images, atol=1e-6)


def test_every_layer_of_the_generator_has_normalized_pixels(generator):
    """Also the first dense layer and the first convolution."""
    _, captured = GENERATOR.apply(
        generator, Z[:2], train=False, capture_intermediates=lambda module, _: "Block" in type(module).__name__
    )
    for features in jax.tree.leaves(captured):
        np.testing.assert_allclose(jnp.square(features).mean(axis=-1), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 32}, "images must have one of the sizes 4, 8, 16 of the network, got 32"),
        ({"size": 12}, "images must have one of the sizes 4, 8, 16 of the network, got 12"),
        ({"size": 4, "alpha": 0.5}, "layers must fade in at more than 4 pixels"),
    ],
)
def test_resolutions_that_the_network_does_not_have_are_refused(options, message, generator):
    with pytest.raises(InputError, match=message):
        GENERATOR.apply(generator, Z, train=False, **options)


def test_a_network_that_is_initialized_for_a_part_of_its_layers_is_refused():
    with pytest.raises(InputError, match="must be initialized with its largest images, 16 pixels, got 8"):
        GENERATOR.init(jax.random.key(0), Z, train=False, size=8)
