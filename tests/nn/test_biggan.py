"""Tests of BigGAN and BigGAN-deep against PyTorch in float64, published numbers of parameters, and their definitions.

What the comparison with PyTorch fixes: gains of conditional batch normalization are 1 + A c; conditions are the
embedding of the class, then the latent (DeepMind's order is the other one); the sum over pixels before the logit; the
power iteration in passes for evaluation as well, whose vectors are not stored; unbiased running variances.
"""

import dataclasses
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxgen.averaging import Average, constant_decay, updated_average
from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.nn import biggan, biggan_deep
from jaxgen.nn.biggan_names import to_state, to_variables
from jaxgen.nn.precision import mixed_precision
from jaxgen.nn.spectral_layers import SpectralConv, Weights
from tests.nn import biggan_in_pytorch

BATCH, CLASSES = 3, 3
INIT = Weights()


def shapes(network: Any, *inputs: Any) -> Any:
    return jax.eval_shape(partial(network.init, train=False), jax.random.key(0), *inputs)


def of_generator(network: Any, latent: int) -> Any:
    return shapes(network, np.zeros((1, latent), np.float32), np.zeros(1, np.int32))


def of_discriminator(network: Any, size: int, channels: int = 3) -> Any:
    return shapes(network, np.zeros((1, size, size, channels), np.float32), np.zeros(1, np.int32))


class Case(NamedTuple):
    """Two networks, the same in PyTorch, the dimension of latents, and the weight of the squared gradient norm."""

    generator: Any
    discriminator: Any
    generate: Callable[..., torch.Tensor]
    discriminate: Callable[..., torch.Tensor]
    latent: int
    penalty: float = 0.0


CASES = {
    # With attention at 16, that in D follows each of four blocks.
    "hierarchical, attention": Case(
        biggan.Generator((32, 32, 3), 2, CLASSES, embedding_dim=5, attention=(16, 32)),
        biggan.Discriminator(2, CLASSES, attention=(16,)),
        partial(biggan_in_pytorch.generate, blocks=3, hierarchical=True, shared=True, attention=(1, 2)),
        partial(biggan_in_pytorch.discriminate, halved=(True, True, False, False), attention=(0, 1, 2, 3)),
        latent=8,
        penalty=1.0,
    ),
    "of SA-GAN and SN-GAN, grey": Case(
        biggan.Generator((64, 64, 1), 1, CLASSES, embedding_dim=None, hierarchical=False, attention=(8, 16)),
        biggan.Discriminator(1, CLASSES, attention=(4,), wide=False),
        partial(biggan_in_pytorch.generate, blocks=4, hierarchical=False, shared=False, attention=(0, 1)),
        partial(biggan_in_pytorch.discriminate, halved=(True,) * 4 + (False,), attention=(3, 4)),
        latent=5,
    ),
    "deep": Case(
        biggan_deep.DeepGenerator((64, 64, 3), 1, CLASSES, embedding_dim=5, attention=(8,)),
        biggan_deep.DeepDiscriminator(2, CLASSES, attention=(16,)),
        partial(
            biggan_in_pytorch.generate_deep,
            widths=(16, 16, 16, 8, 8, 4, 4, 2),
            doubled=(False, True) * 4,
            attention=(1,),
        ),
        partial(biggan_in_pytorch.discriminate_deep, halved=(True,) * 4, depth=2, attention=(1,)),
        latent=4,
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture(autouse=True)
def _traced_quickly(convolutions_by_xla):
    """Compute convolutions by a single operation of XLA."""


def random_state(template: Any, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Return a state dict with all arrays random, also gains, vectors that are no singular vectors, and gamma."""
    blank = jax.tree.map(lambda leaf: np.broadcast_to(0.0, leaf.shape), template)
    return {
        name: random.uniform(0.5, 1.5, array.shape)
        if name.endswith(("sv0", "stored_var", "output_layer.0.gain"))
        else random.normal(0.0, 0.5, array.shape)
        for name, array in to_state(blank).items()
    }


def passes(case: Case, generator: Any, discriminator: Any, z: Any, real: Any, labels: Any, weights: Any) -> Any:
    """Outputs for evaluation; and outputs, statistics and gradients in training of a weighted sum of logits.

    With a penalty, the squared gradient norm of logits of real images is added, whose gradient is a second derivative.
    """
    of_fake, of_real = labels
    images = case.generator.apply(generator, z, of_fake, train=False)
    evaluated = images, case.discriminator.apply(discriminator, real, of_real, train=False)

    def total(params: Any, z: Any) -> Any:
        fake, new = case.generator.apply(
            {**generator, "params": params[0]}, z, of_fake, train=True, mutable=["batch_stats", "spectral"]
        )
        variables = {**discriminator, "params": params[1]}
        both, labels = jnp.concatenate([fake, real]), jnp.concatenate([of_fake, of_real])
        logits, new_of_d = case.discriminator.apply(variables, both, labels, train=True, mutable=["spectral"])
        value = weights @ logits
        if case.penalty:
            slopes = jax.grad(lambda x: case.discriminator.apply(variables, x, of_real, train=False).sum())(real)
            value += case.penalty * jnp.square(slopes).sum()
        return value, (fake, logits, new, new_of_d)

    trained = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
    return evaluated, trained((generator["params"], discriminator["params"]), z)


def passes_in_pytorch(
    case: Case, states: Any, z: np.ndarray, real: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> Any:
    """The same with PyTorch, the images with channels first."""
    z, real = torch.tensor(z, requires_grad=True), torch.tensor(np.moveaxis(real, -1, 1), requires_grad=True)
    of_fake, of_real = torch.tensor(labels)
    make = partial(biggan_in_pytorch.Network, epsilon=1e-6)
    g, d = (make(state, train=False) for state in states)
    evaluated = case.generate(g, z, of_fake), case.discriminate(d, real, of_real)
    assert (g.used, d.used) == tuple(map(set, states))
    g, d = (make(state, train=True) for state in states)
    fake = case.generate(g, z, of_fake)
    logits = case.discriminate(d, torch.cat([fake, real]), torch.cat([of_fake, of_real]))
    d.train = False
    (slopes,) = torch.autograd.grad(case.discriminate(d, real, of_real).sum(), real, create_graph=True)
    total = torch.tensor(weights) @ logits + case.penalty * slopes.square().sum()
    leaves = [{name: x for name, x in net.arrays.items() if x.requires_grad} for net in (g, d)]
    gradients = iter(torch.autograd.grad(total, [*leaves[0].values(), *leaves[1].values(), z]))
    of_weights = [{name: next(gradients) for name in of} for of in leaves]
    return evaluated, ((total, (fake, logits, g.stored, d.stored)), (of_weights, next(gradients)))


def assert_close(got: Any, want: Any, scale: float | None = None) -> None:
    want = want.detach().numpy()
    largest = np.abs(want).max() if scale is None else scale
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-9 * largest)


@every_case
def test_outputs_statistics_and_first_and_second_derivatives_match_pytorch(case):
    random = np.random.default_rng(0)
    size, _, channels = case.generator.shape
    templates = of_generator(case.generator, case.latent), of_discriminator(case.discriminator, size, channels)
    states = [random_state(template, random) for template in templates]
    z, real = random.normal(size=(BATCH, case.latent)), random.uniform(-1.0, 1.0, (BATCH, size, size, channels))
    labels, weights = np.array([[0, 2, 2], [1, 0, 2]]), random.normal(size=2 * BATCH)
    with jax.enable_x64(True):
        variables = [
            jax.tree.map(lambda x: x.astype(np.float64), to_variables(state, template))
            for state, template in zip(states, templates, strict=True)
        ]
        found = jax.jit(partial(passes, case))(*variables, z, real, labels, weights)
    states = [to_state(v) for v in variables]  # rounded to float32
    want = passes_in_pytorch(case, states, z, real, labels, weights)
    (images, logits), ((total, (fake, of_both, *stats)), (gradients, by_latent)) = found
    (wanted_images, wanted_logits), ((wanted_total, (wanted_fake, wanted_of_both, *stored)), by_weights) = want
    for got, wanted in ((images, wanted_images), (fake, wanted_fake)):
        assert_close(np.moveaxis(got, -1, 1), wanted)
    for got, wanted in ((logits, wanted_logits), (of_both, wanted_of_both), (total, wanted_total)):
        assert_close(got, wanted)
    for new, expected in zip(map(to_state, stats), stored, strict=True):
        assert new.keys() == expected.keys()
        for name in new:
            assert_close(new[name], expected[name])
    assert_close(by_latent, by_weights[1])
    for found, expected in zip(gradients, by_weights[0], strict=True):
        arrays = to_state({"params": found})
        assert arrays.keys() == expected.keys()
        # Biases of convolutions before batch normalization have gradients of 0 but for rounding errors.
        largest = max(float(x.abs().max()) for x in expected.values())
        for name in arrays:
            assert_close(arrays[name], expected[name], max(float(expected[name].abs().max()), 1e-3 * largest))


# (network, dimension of the latent or size of the image, published number of parameters of ajbrock/BigGAN-PyTorch)
GENERATORS = {
    "BigGAN, 128": (biggan.Generator((128, 128, 3), 96, 1000, attention=(64,)), 120, 70_433_988),
    "BigGAN, 128, narrow": (biggan.Generator((128, 128, 3), 64, 1000, attention=(64,)), 120, 31_978_628),
    "SA-GAN, 128": (biggan.Generator((128, 128, 3), 64, 1000, None, False, (64,)), 128, 42_017_412),
    "SN-GAN, 128": (biggan.Generator((128, 128, 3), 64, 1000, None, False), 128, 41_996_931),
    "BigGAN, 256": (biggan.Generator((256, 256, 3), 96, 1000, attention=(64,)), 140, 82_235_844),
    "BigGAN, 64": (biggan.Generator((64, 64, 3), 64, 1000, attention=(32,)), 100, 31_866_116),
    "CIFAR-10": (biggan.Generator((32, 32, 3), 64, 10, None, False), 128, 4_304_387),
    "CIFAR-10, hierarchical": (biggan.Generator((32, 32, 3), 64, 10), 128, 4_373_251),
    "CIFAR-100": (biggan.Generator((32, 32, 3), 64, 100, None, False), 128, 4_580_867),
    "CIFAR-10, width 8": (biggan.Generator((32, 32, 3), 8, 10, None, False), 128, 129_475),
    "CIFAR-10, width 16": (biggan.Generator((32, 32, 3), 16, 10, None, False), 128, 375_683),
    "CIFAR-10, width 32": (biggan.Generator((32, 32, 3), 32, 10, None, False), 128, 1_218_307),
    "BigGAN-deep, 128": (biggan_deep.DeepGenerator((128, 128, 3), 128, 1000, attention=(64,)), 128, 50_244_484),
    "BigGAN-deep, 256": (biggan_deep.DeepGenerator((256, 256, 3), 128, 1000, attention=(64,)), 128, 55_736_708),
    # DeepMind's network has 56,163,905, of which 125 further outputs of the last convolution have 144,125.
    "BigGAN-deep, 512": (biggan_deep.DeepGenerator((512, 512, 3), 128, 1000, attention=(64,)), 128, 56_019_780),
}
DISCRIMINATORS = {
    "BigGAN, 128": (biggan.Discriminator(96, 1000, (64,)), 128, 87_982_370),
    "BigGAN, 128, narrow": (biggan.Discriminator(64, 1000, (64,)), 128, 39_448_258),
    "SN-GAN, 128": (biggan.Discriminator(64, 1000, wide=False), 128, 30_005_013),
    "BigGAN, 256": (biggan.Discriminator(96, 1000, (64,)), 256, 99_225_890),
    "BigGAN, 64": (biggan.Discriminator(64, 1000, (32,)), 64, 20_571_842),
    "CIFAR-10": (biggan.Discriminator(64, 10), 32, 4_207_361),
    "CIFAR-100": (biggan.Discriminator(64, 100), 32, 4_230_401),
    "CIFAR-10, width 8": (biggan.Discriminator(8, 10), 32, 67_169),
    "CIFAR-10, width 16": (biggan.Discriminator(16, 10), 32, 265_409),
    "CIFAR-10, width 32": (biggan.Discriminator(32, 10), 32, 1_055_105),
    "BigGAN-deep, 128": (biggan_deep.DeepDiscriminator(128, 1000, attention=(64,)), 128, 34_590_210),
    "BigGAN-deep, 256": (biggan_deep.DeepDiscriminator(128, 1000, attention=(64,)), 256, 38_247_426),
}
of_generator, of_discriminator = cache(of_generator), cache(of_discriminator)


def count(tree: Any) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(("network", "latent", "number"), GENERATORS.values(), ids=GENERATORS)
def test_generator_has_published_number_of_parameters(network, latent, number):
    assert count(of_generator(network, latent)["params"]) == number


@pytest.mark.parametrize(("network", "size", "number"), DISCRIMINATORS.values(), ids=DISCRIMINATORS)
def test_discriminator_has_published_number_of_parameters(network, size, number):
    assert count(of_discriminator(network, size)["params"]) == number


def test_blocks_of_biggan_128_have_published_numbers_of_parameters():
    g = of_generator(*GENERATORS["BigGAN, 128"][:2])["params"]
    numbers = {name: count(layer) for name, layer in g.items()}
    assert numbers == {
        "shared": 128_000,
        "linear": 516_096,
        "blocks_0_0": 45_740_544,
        "blocks_1_0": 17_789_184,
        "blocks_2_0": 4_618_368,
        "blocks_3_0": 1_240_128,
        "blocks_3_1": 46_081,
        "blocks_4_0": 352_800,
        "output_norm": 192,
        "output": 2_787 - 192,
    }
    d = of_discriminator(*DISCRIMINATORS["BigGAN, 128"][:2])["params"]
    assert {name: count(layer) for name, layer in d.items()} == {
        "blocks_0_0": 86_112,
        "blocks_0_1": 11_521,
        "blocks_1_0": 516_672,
        "blocks_2_0": 2_065_536,
        "blocks_3_0": 8_259_840,
        "blocks_4_0": 33_034_752,
        "blocks_5_0": 42_470_400,
        "linear": 1_537,
        "embed": 1_536_000,
    }
