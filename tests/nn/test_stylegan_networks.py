"""The networks of StyleGAN: counts as published; the authors' images, scores and gradients at two levels of detail."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import softplus

from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.nn.instance_norm import instance_norm
from jaxgen.nn.layer_styles import Generator, mixed, repeated, truncated
from jaxgen.nn.progressive_networks import Discriminator, blurred
from jaxgen.nn.published_weights import variables_from, weights_of
from jaxgen.nn.stylegan_names import discriminator_naming, generator_naming
from jaxgen.nn.stylegan_networks import BLUR, Mapping, Styling, Synthesis
from tests.references import arrays, assert_gradients, channels_last, group

NAME = "stylegan1_official_tf"
REFERENCE = arrays(NAME)
GENERATOR = Generator(Mapping(32, layers=4, hidden=24), Synthesis(16, base=128, largest=32))
DISCRIMINATOR = Discriminator(16, base=128, largest=32, blur=BLUR)
STYLES = GENERATOR.synthesis.styles
Z, REAL = jnp.asarray(REFERENCE["z"]), jnp.asarray(channels_last(REFERENCE["real"]))


def shapes(network, *inputs):
    return jax.eval_shape(
        lambda key: network.init({"params": key, "noise": key}, *inputs, train=False), jax.random.key(0)
    )


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


@pytest.fixture(scope="module")
def generator():
    weights = {name: array for name, array in group(NAME, "w/").items() if name.startswith("G_")}
    weights["G_mapping/dlatent_avg"] = REFERENCE["w_avg"]
    return variables_from(weights, shapes(GENERATOR, jnp.zeros((1, 32))), generator_naming(16))


@pytest.fixture(scope="module")
def discriminator():
    return variables_from(
        group(NAME, "w/D/"), shapes(DISCRIMINATOR, jnp.zeros((4, 16, 16, 3))), discriminator_naming(16)
    )


def assert_close(found, name):
    expected = REFERENCE[name]
    found = np.asarray(found).reshape(expected.shape) if expected.ndim < 4 else np.asarray(found).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=3e-5 * expected.std(), err_msg=name)


@pytest.mark.parametrize(
    ("size", "parameters", "noise"),
    [
        (1024, 26_219_627, 2_796_192),
        (512, 26_179_768, 699_040),
        (256, 26_086_229, 174_752),
        (128, 25_843_858, 43_680),
        (64, 25_137_935, 10_912),
        (32, 22_841_356, 2_720),
        (16, 17_068_553, 672),
        (8, 11_295_750, 160),
    ],
)
def test_counts_are_the_published_ones(size, parameters, noise):
    found = shapes(Generator(Mapping(), Synthesis(size)), jnp.zeros((1, 512)))
    assert (count(found["params"]), count(found["noise"])) == (parameters, noise)
    assert count(found["params"]["mapping"]) == 2_101_248


def test_counts_with_labels():
    """Of a generator with an embedding of three classes, and a discriminator with an output for each."""
    mapping = Mapping(32, layers=4, hidden=24, classes=3)
    assert count(shapes(mapping, jnp.zeros((1, 32)), jnp.zeros(1, int))["params"]) == 3656
    network = Discriminator(16, base=128, largest=32, blur=BLUR, outputs=3)
    assert count(shapes(network, jnp.zeros((1, 16, 16, 3)))) == 51_827


@pytest.mark.parametrize(("lod", "size", "alpha"), [("lod0.0", 16, None), ("lod1.6", 8, 0.4)])
def test_images_scores_and_gradients_are_those_of_the_authors(lod, size, alpha, generator, discriminator):
    """Between resolutions too: 0.4 of the layers for 8x8 pixels, whose images are repeated to 16x16."""
    factor = 16 // size

    def synthesize(variables, w):
        images = GENERATOR.apply(variables, w, noise="constant", size=size, alpha=alpha, method="synthesize")
        return images.repeat(factor, axis=1).repeat(factor, axis=2)

    def score(variables, images):
        reduced = images.reshape(8, size, factor, size, factor, 3).mean(axis=(2, 4))
        return DISCRIMINATOR.apply(variables, reduced, train=False, alpha=alpha)

    def styles(variables, z):
        return GENERATOR.apply(variables, z, train=False, method="map")

    @jax.jit
    @convolutions_by_xla()
    def results(generator, discriminator):
        w, second = styles(generator, Z), styles(generator, jnp.asarray(REFERENCE["z2"]))
        fake = synthesize(generator, repeated(w, STYLES))
        average = generator["latent_average"]["mapping"]["w"]

        def penalties(discriminator):
            gradient = jax.grad(lambda images: score(discriminator, images).sum())(REAL)
            return jnp.square(gradient).sum(axis=(1, 2, 3)), gradient

        def loss(discriminator):
            of_real, of_fake = score(discriminator, REAL), score(discriminator, fake)
            losses = softplus(of_fake) + softplus(-of_real)
            return (losses + 5 * penalties(discriminator)[0]).mean(), losses

        def loss_of_generator(params):
            variables = {**generator, "params": params}
            fake = synthesize(variables, repeated(styles(variables, Z), STYLES))
            return softplus(-score(discriminator, fake)).mean()

        def total(z):
            return jnp.square(synthesize(generator, repeated(styles(generator, z), STYLES))).sum()

        penalty, gradient = penalties(discriminator)
        values = {
            "w": repeated(w, STYLES),
            "out": fake,
            "mixed_at_3": synthesize(generator, mixed(w, second, 3, STYLES)),
            "truncated_psi0p6_cutoff4": synthesize(generator, truncated(repeated(w, STYLES), average, 0.6, layers=4)),
            "s_real": score(discriminator, REAL),
            "s_fake": score(discriminator, fake),
            "rgrad": gradient,
            "r1_penalty": penalty,
            "d_loss": loss(discriminator)[1],
            "g_loss": softplus(-score(discriminator, fake)),
            "dz": jax.grad(total)(Z),
        }
        if alpha is not None:
            return values, None, None
        return values, jax.grad(loss, has_aux=True)(discriminator)[0], jax.grad(loss_of_generator)(generator["params"])

    values, of_discriminator, of_generator = results(generator, discriminator)
    for name, value in values.items():
        assert_close(value, f"{lod}/{name}")
    if alpha is None:
        found = weights_of(of_discriminator, discriminator_naming(16))
        assert_gradients(found, NAME, f"{lod}/grad_d_total/D/", atol=2e-5)
        found = weights_of({"params": of_generator}, generator_naming(16))
        assert_gradients(found, NAME, f"{lod}/grad_g_loss/", atol=2e-5)


def test_operators_are_those_of_the_authors():
    x = channels_last(REFERENCE["ops/x"])
    for name, found in (("blur2d_121", blurred(x, BLUR)), ("instance_norm", instance_norm(jnp.asarray(x)))):
        np.testing.assert_allclose(found, channels_last(REFERENCE[f"ops/{name}"]), rtol=1e-4, atol=1e-5)


def test_what_follows_a_convolution_comes_in_the_order_of_the_authors():
    """Noise before the bias and the activation, then instance normalization, then a scale of 1 + style and a shift."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 3, 4)), rng.normal(size=(2, 5))
    layer = Styling()
    variables = layer.init(jax.random.key(0), jnp.asarray(x), jnp.asarray(w), noise="none")
    changed = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), variables)
    found = layer.apply(changed, jnp.asarray(x), jnp.asarray(w), noise="constant")
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), changed["params"])
    noise = np.asarray(changed["noise"]["image"], np.float64)[..., None]
    y = x + params["noise_strength"] * noise + params["bias"]
    y = np.where(y > 0, y, 0.2 * y)
    y = (y - y.mean(axis=(1, 2), keepdims=True)) / np.sqrt(y.var(axis=(1, 2), keepdims=True) + 1e-8)
    style = w @ params["style"]["kernel"] / np.sqrt(5) + params["style"]["bias"]
    expected = y * (1 + style[:, None, None, :4]) + style[:, None, None, 4:]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_constant_map_begins_with_ones_and_styles_change_nothing_at_first_on_average():
    variables = Synthesis(8, base=32).init(jax.random.key(0), jnp.ones((1, 4, 6)), noise="none")
    np.testing.assert_array_equal(variables["params"]["b4"]["const"], 1)
    np.testing.assert_array_equal(variables["params"]["b8"]["conv1_styling"]["noise_strength"], 0)
    np.testing.assert_array_equal(variables["params"]["b8"]["conv1_styling"]["style"]["bias"], 0)
