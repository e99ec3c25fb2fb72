"""StyleGAN2's networks with classes, of all architectures, against their definition in PyTorch in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxgen.nn.layer_styles import Generator
from jaxgen.nn.published_weights import variables_from, weights_of
from jaxgen.nn.stylegan2_names import STYLEGAN2
from jaxgen.nn.stylegan2_networks import Discriminator, Mapping, Synthesis
from tests.nn.stylegan2_in_pytorch import Network, discriminate, generate
from tests.references import arrays, group

RANDOM = np.random.default_rng(0)
Z, LABELS, REAL = RANDOM.normal(size=(4, 5)), np.array([0, 2, 1, 2]), RANDOM.normal(size=(4, 8, 8, 2))
WIDTHS = {"base": 32, "largest": 6}  # Other channels at 4 than at 8 pixels.


def random_weights(network, *inputs):
    """Random weights of a network by the authors' names, and the shapes of its variables."""
    like = jax.eval_shape(
        lambda key: network.init({"params": key, "noise": key}, *inputs, train=False), jax.random.key(0)
    )
    blank = jax.tree.map(lambda leaf: np.broadcast_to(0.0, leaf.shape), like)
    weights = {name: RANDOM.normal(size=array.shape) for name, array in weights_of(blank, STYLEGAN2).items()}
    return weights, like


def in_float64(weights, like):
    template = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, np.float64), like)
    return variables_from(weights, template, STYLEGAN2)


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_images_and_logits_of_classes_match_pytorch(architecture, convolutions_by_xla):
    """Embeddings of classes are normalized; logits are inner products over the root of their dimension."""
    generator = Generator(
        Mapping(3, layers=2, classes=3), Synthesis(8, channels=2, architecture=architecture, **WIDTHS)
    )
    discriminator = Discriminator(8, architecture=architecture, classes=3, mapping_layers=1, group=2, **WIDTHS)
    of_generator, like_generator = random_weights(generator, jnp.zeros((1, 5)), jnp.zeros(1, int))
    of_discriminator, like_discriminator = random_weights(discriminator, jnp.zeros((2, 8, 8, 2)), jnp.zeros(2, int))
    with jax.enable_x64(True):

        @jax.jit
        def results(generator_variables, discriminator_variables):
            images = generator.apply(generator_variables, Z, LABELS, train=False, noise="constant")
            return images, discriminator.apply(discriminator_variables, REAL, LABELS, train=False)

        variables = in_float64(of_generator, like_generator), in_float64(of_discriminator, like_discriminator)
        images, logits = results(*variables)
    labels, nets = torch.tensor(LABELS), (Network(of_generator), Network(of_discriminator))
    expected = generate(nets[0], torch.tensor(Z), labels, size=8, architecture=architecture, layers=2).numpy()
    np.testing.assert_allclose(images, np.moveaxis(expected, 1, -1), rtol=0, atol=1e-9 * np.abs(expected).max())
    real = torch.tensor(np.moveaxis(REAL, -1, 1))
    expected = discriminate(nets[1], real, labels, architecture=architecture, group=2, layers=1).numpy()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    assert nets[0].used == set(of_generator) - {"mapping.w_avg"}
    assert nets[1].used == set(of_discriminator)


def test_definition_in_pytorch_is_that_of_the_authors_program():
    """Where it has stored arrays: without classes, a generator with skips and a residual discriminator."""
    name = "stylegan2_ada_pytorch"
    reference = arrays(name)
    net = Network(group(name, "G/"))
    z = torch.tensor(reference["z"], dtype=torch.float64)
    found = generate(net, z, None, size=16, architecture="skip", layers=3)
    np.testing.assert_allclose(found, reference["img_const_noise"], rtol=1e-4, atol=1e-5)
    net, real = Network(group(name, "D/")), torch.tensor(reference["real"], dtype=torch.float64)
    found = discriminate(net, real, None, architecture="resnet", group=4)
    np.testing.assert_allclose(found, reference["logits_real"][:, 0], rtol=1e-4, atol=1e-5)
