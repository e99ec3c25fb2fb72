"""The networks of StyleGAN2: counts of parameters as published, and the authors' images, logits and gradients."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import softplus
from scipy.stats import kstest

from jaxgen.errors import InputError
from jaxgen.losses.path_regularization import path_lengths
from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.nn.layer_styles import Generator, mixed, repeated, truncated
from jaxgen.nn.published_weights import variables_from, weights_of
from jaxgen.nn.stylegan2_names import STYLEGAN2
from jaxgen.nn.stylegan2_networks import Discriminator, Mapping, Synthesis
from tests.references import arrays, assert_gradients, channels_last, group

NAME = "stylegan2_ada_pytorch"
REFERENCE = arrays(NAME)
GENERATOR = Generator(Mapping(20, layers=3, hidden=28), Synthesis(16, base=256, largest=32))
DISCRIMINATOR = Discriminator(16, base=256, largest=32)
STYLES = GENERATOR.synthesis.styles
Z, REAL = jnp.asarray(REFERENCE["z"]), jnp.asarray(channels_last(REFERENCE["real"]))


def shapes(network, *inputs):
    def init(key):
        return network.init({"params": key, "noise": key}, *inputs, train=False)

    return jax.eval_shape(init, jax.random.key(0))


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def generator_shapes(size, *, layers=8, latent=512, colours=3, classes=0, **options):
    network = Generator(Mapping(latent, layers=layers, classes=classes), Synthesis(size, colours, **options))
    return shapes(network, jnp.zeros((1, latent)), jnp.zeros(1, int))


def discriminator_shapes(size, *, colours=3, **options):
    return shapes(Discriminator(size, **options), jnp.zeros((1, size, size, colours)), jnp.zeros(1, int))


@pytest.fixture(scope="module")
def variables():
    """Those of the authors' generator and discriminator."""
    generator = variables_from(group(NAME, "G/"), shapes(GENERATOR, jnp.zeros((1, 24))), STYLEGAN2)
    return generator, variables_from(group(NAME, "D/"), shapes(DISCRIMINATOR, jnp.zeros((1, 16, 16, 3))), STYLEGAN2)


@pytest.fixture(scope="module")
def styles(variables):
    return [map_latents(variables[0], jnp.asarray(REFERENCE[name])) for name in ("z", "z2")]


@pytest.fixture(scope="module")
def initial():
    """A small synthesis network as it is initialized."""
    network = Synthesis(8, channels=1, base=64)
    return network, jax.jit(lambda key: network.init(key, jnp.ones((1, 4, 8)), noise="none"))(jax.random.key(0))


def map_latents(variables, z):
    return GENERATOR.apply(variables, z, train=False, method="map")


@jax.jit
@convolutions_by_xla()
def synthesize(variables, w):
    return GENERATOR.apply(variables, w, noise="constant", method="synthesize")


@convolutions_by_xla()
def discriminate(variables, images):
    return DISCRIMINATOR.apply(variables, images, train=False)


def assert_images(found, name):
    expected = channels_last(REFERENCE[name])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.std())


def assert_authors_gradients(found, name):
    assert_gradients(weights_of(found, STYLEGAN2), NAME, f"{name}/", atol=2e-5)


class TestCounts:
    @pytest.mark.parametrize(
        ("size", "parameters", "noise", "discriminator"),
        [
            (1024, 30_370_060, 2_796_176, 29_012_513),
            (512, 30_276_583, 699_024, 28_982_849),
            (256, 30_034_338, 174_736, 28_864_129),
            (128, 29_328_669, 43_664, 28_389_121),
            (64, 27_032_600, 10_896, 26_488_833),
            (32, 21_523_475, 2_704, 21_507_073),
            (16, 16_014_350, 656, 16_525_313),
            (8, 10_505_225, 144, 11_543_553),
        ],
    )
    def test_config_f(self, size, parameters, noise, discriminator):
        generator = generator_shapes(size)
        assert (count(generator["params"]), count(generator["noise"])) == (parameters, noise)
        assert count(discriminator_shapes(size)["params"]) == discriminator

    @pytest.mark.parametrize(
        ("options", "generator", "discriminator"),
        [
            ({"size": 256, "base": 16384}, 24_767_458, 24_001_089),
            ({"size": 256, "base": 16384, "layers": 2}, 23_191_522, 24_001_089),
            ({"size": 128, "base": 16384, "layers": 2}, 22_949_277, 23_882_369),
            ({"size": 64, "base": 16384, "layers": 2}, 22_243_608, 23_407_361),
            ({"size": 32, "base": 16384, "layers": 2}, 19_947_539, 21_507_073),
            ({"size": 512, "layers": 2}, 28_700_647, 28_982_849),
            ({"size": 1024, "layers": 2}, 28_794_124, 29_012_513),
            ({"size": 32, "base": 1024, "largest": 64, "layers": 2, "latent": 64, "colours": 1}, 263_531, 288_929),
            ({"size": 32, "base": 2048, "largest": 128, "layers": 2, "latent": 128}, 1_050_195, 1_153_473),
        ],
    )
    def test_other_widths(self, options, generator, discriminator):
        assert count(generator_shapes(**options)["params"]) == generator
        kept = {name: value for name, value in options.items() if name not in ("layers", "latent")}
        assert count(discriminator_shapes(**kept)["params"]) == discriminator

    def test_cifar_whose_label_mapping_has_eight_layers(self):
        assert count(generator_shapes(32, layers=2)["params"]) == 19_947_539
        assert count(discriminator_shapes(32, architecture="orig")["params"]) == 20_720_641
        assert count(generator_shapes(32, layers=2, classes=10)["params"]) == 20_215_315
        assert count(discriminator_shapes(32, architecture="orig", classes=10)["params"]) == 23_089_664

    def test_other_architectures(self):
        assert count(generator_shapes(256, architecture="orig")["params"]) == 28_581_264
        assert count(generator_shapes(256, architecture="resnet")["params"]) == 29_793_680
        assert count(discriminator_shapes(256, architecture="skip")["params"]) == 27_662_977
        assert count(discriminator_shapes(256, architecture="orig")["params"]) == 27_651_713

    def test_blocks_at_1024(self):
        synthesis, discriminator = generator_shapes(1024)["params"]["synthesis"], discriminator_shapes(1024)["params"]
        counts = {4: 2_894_852, 8: 5_509_125, 64: 5_509_125, 128: 2_296_069, 256: 705_669, 512: 242_245, 1024: 93_477}
        assert {size: count(synthesis[f"b{size}"]) for size in counts} == counts
        counts = {4: 6_559_745, 64: 4_981_760, 128: 1_901_312, 256: 475_520, 512: 118_976, 1024: 29_920}
        assert {size: count(discriminator[f"b{size}"]) for size in counts} == counts


class TestValues:
    def test_styles(self, styles):
        np.testing.assert_allclose(styles[0], REFERENCE["w"], rtol=1e-4, atol=1e-6)

    def test_images_with_stored_noise_and_without(self, variables, styles):
        w = repeated(styles[0], STYLES)
        assert_images(synthesize(variables[0], w), "img_const_noise")
        without = GENERATOR.apply(variables[0], w, noise="none", method="synthesize")
        assert_images(without, "img_no_noise")

    def test_truncation_of_all_layers_and_of_the_first_ones(self, variables, styles):
        w, average = repeated(styles[0], STYLES), variables[0]["latent_average"]["mapping"]["w"]
        assert_images(synthesize(variables[0], truncated(w, average, 0.5)), "img_psi0p5_const")
        assert_images(synthesize(variables[0], truncated(w, average, 0.5, layers=3)), "img_psi0p5_cutoff3_const")

    def test_mixed_styles(self, variables, styles):
        """The map to colours of a block has the style of the next convolution."""
        assert_images(synthesize(variables[0], mixed(*styles, 2, STYLES)), "img_mixed_at_2_const")

    def test_average_of_styles_after_a_pass_in_training(self, variables):
        _, changed = GENERATOR.apply(variables[0], Z, train=True, method="map", mutable=["latent_average"])
        found = changed["latent_average"]["mapping"]["w"]
        np.testing.assert_allclose(found, REFERENCE["w_avg_after_training_call"], rtol=1e-5, atol=1e-7)

    def test_logits(self, variables, styles):
        """Of real and generated images in batches of their own, as the statistics over the batch require."""
        fake = synthesize(variables[0], repeated(styles[0], STYLES))
        for images, name in ((REAL, "logits_real"), (fake, "logits_fake")):
            logits = discriminate(variables[1], images)
            np.testing.assert_allclose(logits, REFERENCE[name][:, 0], rtol=1e-4, atol=1e-5)


class TestGradients:
    def test_with_respect_to_latents(self, variables):
        @jax.jit
        @convolutions_by_xla()
        def gradient(z):
            return jax.grad(
                lambda z: jnp.square(GENERATOR.apply(variables[0], z, train=False, noise="constant")).sum()
            )(z)

        expected = REFERENCE["dz_sum_sq"]
        np.testing.assert_allclose(gradient(Z), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())

    def test_of_both_losses(self, variables):
        generator, discriminator = variables

        @jax.jit
        @convolutions_by_xla()
        def gradients(generator, discriminator):
            def loss_of_generator(params):
                fake = GENERATOR.apply({**generator, "params": params}, Z, train=False, noise="constant")
                return softplus(-discriminate(discriminator, fake)).mean(), fake

            found, of_generator = jax.value_and_grad(loss_of_generator, has_aux=True)(generator["params"])

            def loss_of_discriminator(variables):
                return (softplus(discriminate(variables, found[1])) + softplus(-discriminate(variables, REAL))).mean()

            return found[0], of_generator, *jax.value_and_grad(loss_of_discriminator)(discriminator)

        loss_of_generator, of_generator, loss, of_discriminator = gradients(generator, discriminator)
        np.testing.assert_allclose(loss_of_generator, REFERENCE["g_loss"], rtol=1e-5)
        np.testing.assert_allclose(loss, REFERENCE["d_loss"], rtol=1e-5)
        assert_authors_gradients({"params": of_generator}, "grad_g")
        assert_authors_gradients(of_discriminator, "grad_d")

    def test_of_the_gradient_penalty_on_real_images(self, variables):
        """The square is summed over pixels; second derivatives through all layers."""

        @jax.jit
        @convolutions_by_xla()
        def penalty(variables):
            gradient = jax.grad(lambda images: discriminate(variables, images).sum())(REAL)
            return 5 * jnp.square(gradient).sum(axis=(1, 2, 3)).mean(), gradient

        gradients, of_images = jax.grad(penalty, has_aux=True)(variables[1])
        assert_images(of_images, "r1_grads")
        assert_authors_gradients(gradients, "grad_r1_gamma10")

    @pytest.mark.parametrize("mean", [0.0, 1.5])
    def test_of_the_path_length_penalty(self, variables, mean):
        """The gradient flows through the moving average of the lengths; the weight is 2."""
        noise = jnp.asarray(channels_last(REFERENCE["pl_noise"]))

        @jax.jit
        @convolutions_by_xla()
        def penalty(params):
            changed = {**variables[0], "params": params}
            w = repeated(map_latents(changed, Z), STYLES)

            def synthesize_changed(w):
                return GENERATOR.apply(changed, w, noise="constant", method="synthesize")

            lengths = path_lengths(synthesize_changed, w, noise)
            new = mean + 0.01 * (lengths.mean() - mean)
            penalties = jnp.square(lengths - new)
            return 2 * penalties.mean(), (lengths, new, penalties)

        gradients, (lengths, new, penalties) = jax.grad(penalty, has_aux=True)(variables[0]["params"])
        np.testing.assert_allclose(lengths, REFERENCE["pl_lengths"], rtol=1e-4)
        np.testing.assert_allclose(new, REFERENCE[f"pl_mean_after_{mean}"], rtol=1e-4)
        np.testing.assert_allclose(penalties, REFERENCE[f"pl_penalty_{mean}"], rtol=1e-4)
        assert_authors_gradients({"params": gradients}, f"grad_pl_{mean}")


class TestConfigurations:
    def test_styles_are_factors_around_one_and_the_constant_map_is_normal_at_first(self, initial):
        """Biases of the affine maps of styles are 1, and styles are used directly: there is no 1 + style."""
        blocks = initial[1]["params"]
        biases = [
            layer["affine"]["bias"] for block in blocks.values() for name, layer in block.items() if name != "const"
        ]
        assert len(biases) == 5
        for bias in biases:
            np.testing.assert_array_equal(bias, 1)
        assert kstest(np.ravel(blocks["b4"]["const"]), "norm").pvalue > 0.01

    def test_random_noise_has_no_effect_at_first_and_then_changes_pixels(self, variables, styles, initial):
        """Strengths are 0 at first."""
        network, fresh = initial
        keys = jax.random.split(jax.random.key(0))

        @jax.jit
        @jax.vmap
        def drawn(key):
            rngs = {"noise": key}
            w = repeated(styles[0], STYLES)
            changed = GENERATOR.apply(variables[0], w, noise="random", method="synthesize", rngs=rngs)
            return network.apply(fresh, jnp.ones((2, 4, 8)), noise="random", rngs=rngs), changed

        (first, second), changed = drawn(keys)
        np.testing.assert_array_equal(first, second)
        assert jnp.abs(changed[0] - changed[1]).max() > 1e-3

    def test_styles_of_another_number_of_layers_are_refused(self):
        with pytest.raises(InputError, match=r"styles must be \[batch, 4, style\], got \(2, 5, 8\)"):
            Synthesis(8, base=64).init(jax.random.key(0), jnp.ones((2, 5, 8)), noise="none")


class TestNames:
    def test_weights_come_back_as_they_were(self, variables):
        for found, prefix in zip(variables, ("G/", "D/"), strict=True):
            theirs, expected = weights_of(found, STYLEGAN2), group(NAME, prefix)
            assert set(theirs) == set(expected)
            for name, array in theirs.items():
                np.testing.assert_array_equal(array, expected[name])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda weights: weights.pop("b8.conv0.bias"), "must have b8.conv0.bias, which is missing"),
            (lambda weights: weights.update(more=np.zeros(1)), "which has no 'more': give the weights"),
            (lambda weights: weights.update({"b4.out.bias": np.zeros(2)}), r"b4.out.bias must have the shape \(1,\)"),
        ],
    )
    def test_weights_of_another_network_are_refused_by_the_first_name_that_differs(self, change, message):
        weights = dict(group(NAME, "D/"))
        change(weights)
        with pytest.raises(InputError, match=message):
            variables_from(weights, shapes(DISCRIMINATOR, jnp.zeros((1, 16, 16, 3))), STYLEGAN2)

    def test_constant_filters_of_the_authors_are_passed_over(self):
        weights = {**group(NAME, "D/"), "b8.conv1.resample_filter": np.ones((4, 4))}
        assert variables_from(weights, shapes(DISCRIMINATOR, jnp.zeros((1, 16, 16, 3))), STYLEGAN2)["params"]
