"""Tests of BigGAN and BigGAN-deep against PyTorch in float64, published numbers of parameters, and their definitions.

What the comparison with PyTorch fixes: gains of conditional batch normalization are 1 + A c; conditions are the
embedding of the class, then the latent (DeepMind's order is the other one); the sum over pixels before the logit; the
power iteration in passes for evaluation as well, whose vectors are not stored; unbiased running variances.
"""

from collections.abc import Callable
from contextlib import nullcontext
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
from jaxgen.nn import biggan_deep_networks as biggan_deep
from jaxgen.nn import biggan_networks as biggan
from jaxgen.nn.biggan_names import BIGGAN
from jaxgen.nn.normalization import applied_kernels
from jaxgen.nn.precision import mixed_precision
from jaxgen.nn.published_weights import variables_from, weights_of
from jaxgen.nn.spectral_layers import SpectralConv, Weights
from tests.nn import biggan_in_pytorch

BATCH, CLASSES = 3, 3

WEIGHTS = np.array([1.0, -0.5, 2.0, 0.3, -1.5, 0.7])
"""Weights of the logits of generated and real images in a scalar that is differentiated."""


def shapes(network: Any, *inputs: Any) -> Any:
    network = network.clone(weights=Weights(linen.initializers.zeros))  # traced faster than orthogonal ones
    return jax.eval_shape(partial(network.init, train=False), jax.random.key(0), *inputs)


@cache
def of_generator(network: Any, latent: int) -> Any:
    return shapes(network, np.zeros((1, latent), np.float32), np.zeros(1, np.int32))


@cache
def of_discriminator(network: Any, size: int, channels: int = 3) -> Any:
    return shapes(network, np.zeros((1, size, size, channels), np.float32), np.zeros(1, np.int32))


class Case(NamedTuple):
    """Two networks, the same in PyTorch, and the dimension of latents."""

    generator: Any
    discriminator: Any
    generate: Callable[..., torch.Tensor]
    discriminate: Callable[..., torch.Tensor]
    latent: int


CASES = {
    # With attention at 16, that in D follows each of four blocks.
    "hierarchical, attention": Case(
        biggan.Generator((32, 32, 3), 2, CLASSES, embedding_dim=5, attention=(16, 32)),
        biggan.Discriminator(2, CLASSES, attention=(16,)),
        partial(biggan_in_pytorch.generate, blocks=3, hierarchical=True, shared=True, attention=(1, 2)),
        partial(biggan_in_pytorch.discriminate, halved=(True, True, False, False), attention=(0, 1, 2, 3)),
        latent=8,
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
        for name, array in weights_of(blank, BIGGAN).items()
    }


class Inputs(NamedTuple):
    """Latents and real images in float64, and the labels of both, [2, batch]."""

    z: Any
    real: Any
    labels: Any


def drawn(case: Case, seed: int) -> tuple[list[dict[str, np.ndarray]], Inputs]:
    """Return random state dicts of both networks, rounded to float32, and random inputs."""
    random = np.random.default_rng(seed)
    size, _, channels = case.generator.shape
    templates = of_generator(case.generator, case.latent), of_discriminator(case.discriminator, size, channels)
    states = [
        weights_of(variables_from(random_state(template, random), template, BIGGAN), BIGGAN) for template in templates
    ]
    z, real = random.normal(size=(BATCH, case.latent)), random.uniform(-1.0, 1.0, (BATCH, size, size, channels))
    return states, Inputs(z, real, random.integers(CLASSES, size=(2, BATCH)))


def variables_of(case: Case, states: list[dict[str, np.ndarray]]) -> list[Any]:
    size, _, channels = case.generator.shape
    templates = of_generator(case.generator, case.latent), of_discriminator(case.discriminator, size, channels)
    arrays = [variables_from(state, template, BIGGAN) for state, template in zip(states, templates, strict=True)]
    return jax.tree.map(lambda x: x.astype(np.float64), arrays)


def trained(case: Case, generator: Any, discriminator: Any, inputs: Inputs) -> Any:
    """Images and, for them and real ones, logits in training, and the new statistics."""
    of_fake, of_real = inputs.labels
    fake, new = case.generator.apply(generator, inputs.z, of_fake, train=True, mutable=["batch_stats", "spectral"])
    both, labels = jnp.concatenate([fake, inputs.real]), jnp.concatenate([of_fake, of_real])
    logits, new_of_d = case.discriminator.apply(discriminator, both, labels, train=True, mutable=["spectral"])
    return fake, logits, new, new_of_d


def evaluated(case: Case, generator: Any, discriminator: Any, inputs: Inputs) -> Any:
    """Images, and logits of real images, for evaluation."""
    of_fake, of_real = inputs.labels
    images = case.generator.apply(generator, inputs.z, of_fake, train=False)
    return images, case.discriminator.apply(discriminator, inputs.real, of_real, train=False)


def objective(case: Case, generator: Any, discriminator: Any, inputs: Inputs) -> Any:
    """A weighted sum of logits, and the squared gradient norm of logits, whose gradient is a second derivative."""
    logits = trained(case, generator, discriminator, inputs)[1]
    of_real = inputs.labels[1]
    gradients = jax.grad(lambda x: case.discriminator.apply(discriminator, x, of_real, train=False).sum())(inputs.real)
    return WEIGHTS @ logits + jnp.square(gradients).sum()


class InPyTorch(NamedTuple):
    """Both networks in PyTorch."""

    generator: biggan_in_pytorch.Network
    discriminator: biggan_in_pytorch.Network


def in_pytorch(states: list[dict[str, np.ndarray]], *, train: bool) -> InPyTorch:
    return InPyTorch(*(biggan_in_pytorch.Network(state, train=train, epsilon=1e-6) for state in states))


def tensors(inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    z, real = torch.tensor(inputs.z), torch.tensor(np.moveaxis(inputs.real, -1, 1))
    return z.requires_grad_(), real.requires_grad_(), torch.tensor(inputs.labels)


def trained_in_pytorch(case: Case, nets: InPyTorch, inputs: tuple[torch.Tensor, ...]) -> Any:
    z, real, (of_fake, of_real) = inputs
    fake = case.generate(nets.generator, z, of_fake)
    return fake, case.discriminate(nets.discriminator, torch.cat([fake, real]), torch.cat([of_fake, of_real]))


def assert_close(got: Any, want: torch.Tensor, scale: float = 0.0) -> None:
    """Require a difference of at most 1e-9 of the largest value, or of the scale."""
    want = want.detach()
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-9 * max(float(want.abs().max()), scale))


@every_case
def test_outputs_and_statistics_in_training_match_pytorch_over_seeds(case):
    """Two seeds are computed in one program."""
    states, inputs = zip(*(drawn(case, seed) for seed in range(2)), strict=True)
    with jax.enable_x64(True):
        stacked = jax.tree.map(lambda *x: np.stack(x), *(variables_of(case, of_seed) for of_seed in states))
        found = jax.jit(jax.vmap(partial(trained, case)))(*stacked, jax.tree.map(lambda *x: np.stack(x), *inputs))
    for seed in range(2):
        fake, of_both, *stats = jax.tree.map(lambda x, seed=seed: x[seed], found)
        nets = in_pytorch(states[seed], train=True)
        wanted = trained_in_pytorch(case, nets, tensors(inputs[seed]))
        assert all(net.used == set(state) for net, state in zip(nets, states[seed], strict=True))
        assert_close(np.moveaxis(fake, -1, 1), wanted[0])
        assert_close(of_both, wanted[1])
        for new, net in zip((weights_of(x, BIGGAN) for x in stats), nets, strict=True):
            assert new.keys() == net.stored.keys()
            for name in new:
                assert_close(new[name], net.stored[name])


def test_outputs_for_evaluation_and_first_and_second_derivatives_match_pytorch():
    case = CASES["hierarchical, attention"]
    states, inputs = drawn(case, 2)
    with jax.enable_x64(True):
        generator, discriminator = variables_of(case, states)

        def total(params: Any, z: Any) -> jax.Array:
            variables = {**generator, "params": params[0]}, {**discriminator, "params": params[1]}
            given = inputs._replace(z=z)
            return objective(case, *variables, given), evaluated(case, *variables, given)

        gradient = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))
        (of_params, of_z), (images, logits) = gradient((generator["params"], discriminator["params"]), inputs.z)
    nets, given = in_pytorch(states, train=False), tensors(inputs)
    z, real, (of_fake, of_real) = given
    assert_close(np.moveaxis(images, -1, 1), case.generate(nets.generator, z, of_fake))
    assert_close(logits, case.discriminate(nets.discriminator, real, of_real))
    nets = in_pytorch(states, train=True)
    logits = trained_in_pytorch(case, nets, given)[1]
    gradients = torch.autograd.grad(
        case.discriminate(nets.discriminator, real, of_real).sum(), real, create_graph=True
    )[0]
    (torch.tensor(WEIGHTS) @ logits + gradients.square().sum()).backward()
    assert_close(of_z, z.grad)
    for params, net in zip(of_params, nets, strict=True):
        found = weights_of({"params": params}, BIGGAN)
        expected = {name: x.grad for name, x in net.arrays.items() if x.requires_grad}
        assert found.keys() == expected.keys()
        # Biases of convolutions before batch normalization have gradients of 0 but for rounding errors.
        largest = max(float(x.abs().max()) for x in expected.values())
        for name in found:
            assert_close(found[name], expected[name], scale=1e-3 * largest)


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


def count(tree: Any) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(("network", "latent", "number"), GENERATORS.values(), ids=GENERATORS)
def test_generator_has_published_number_of_parameters(network, latent, number):
    assert count(of_generator(network, latent)["params"]) == number


@pytest.mark.parametrize(("network", "size", "number"), DISCRIMINATORS.values(), ids=DISCRIMINATORS)
def test_discriminator_has_published_number_of_parameters(network, size, number):
    assert count(of_discriminator(network, size)["params"]) == number


TF_HUB = {"BigGAN-deep, 128": 50_388_609, "BigGAN-deep, 256": 55_880_833, "BigGAN-deep, 512": 56_163_905}
"""Generator -> number of parameters of DeepMind's module, as of huggingface/pytorch-pretrained-BigGAN."""


@pytest.mark.parametrize("name", TF_HUB)
def test_modules_of_tensorflow_hub_have_125_outputs_of_the_last_convolution_more(name):
    """Their last convolution has 128 outputs, of which the first 3 are the image."""
    network, latent, _ = GENERATORS[name]
    params = of_generator(network, latent)["params"]
    rows, columns, channels, outputs = params["output"]["kernel"].shape
    assert count(params) + (128 - outputs) * (rows * columns * channels + 1) == TF_HUB[name]


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


def paths(tree: Any) -> set[str]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {"/".join(part.key for part in path) for path, _ in leaves}


def test_all_weights_but_embeddings_of_generator_have_spectral_normalization():
    """Gains and biases of conditional batch normalization have it, without a bias of their own."""
    for variables in (of_generator(*GENERATORS["BigGAN-deep, 128"][:2]), of_generator(*GENERATORS["CIFAR-10"][:2])):
        kernels = {path.removesuffix("/kernel") for path in paths(variables["params"]) if path.endswith("/kernel")}
        assert {path.rpartition("/")[0] for path in paths(variables["spectral"])} == kernels
        affine = {path.rpartition("/")[2] for path in paths(variables["params"]) if "/bn" in path}
        assert affine in ({"kernel"}, {"embedding"})
    assert "shared/embedding" in paths(of_generator(*GENERATORS["BigGAN-deep, 128"][:2])["params"])
    tables = [path for path in paths(variables["params"]) if path.endswith("/embedding")]
    assert sorted(tables)[:2] == ["blocks_0_0/bn1/bias/embedding", "blocks_0_0/bn1/gain/embedding"]


def test_embedding_of_discriminator_is_normalized_along_classes():
    assert of_discriminator(biggan.Discriminator(8, 10), 32)["spectral"]["embed"]["u"].shape == (10,)


def test_last_normalization_of_generators_has_no_condition():
    for name in ("BigGAN, 128", "BigGAN-deep, 128"):
        params = of_generator(*GENERATORS[name][:2])["params"]["output_norm"]
        assert {key: leaf.ndim for key, leaf in params.items()} == {"gain": 1, "bias": 1}


def test_first_block_of_discriminator_has_no_relu_and_others_pool_after_their_shortcut():
    """Sizes of the inputs of shortcuts, and what the first convolution of each block of the discriminator is given."""
    seen: dict[str, Any] = {}

    def record(call: Any, arguments: Any, options: Any, context: Any) -> Any:
        if isinstance(context.module, SpectralConv) and context.method_name == "__call__":
            seen["/".join(context.module.path)] = arguments[0]
        return call(*arguments, **options)

    network = biggan.Discriminator(2, CLASSES)
    images = jnp.full((1, 32, 32, 3), -1.0)
    with linen.intercept_methods(record):
        network.init(jax.random.key(0), images, jnp.zeros(1, int), train=False)
    sizes = {path: x.shape[1] for path, x in seen.items() if path.endswith("shortcut")}
    assert sizes == {"blocks_0_0/shortcut": 16, "blocks_1_0/shortcut": 16}  # the input has 32 and 16 pixels
    assert (seen["blocks_0_0/conv1"] == images).all()
    assert all((seen[f"blocks_{i}_0/conv1"] >= 0).all() for i in (1, 2, 3))


def test_shortcuts_keep_negative_values_and_drop_or_add_channels():
    """Where the residual is 0, a block is its shortcut, which no ReLU changes."""
    x = jnp.asarray(-np.random.default_rng(0).uniform(0.5, 1.5, (2, 4, 4, 8)), jnp.float32)
    key = jax.random.key(0)

    def blank_biases(variables: Any) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: 0 * leaf if path[-1].key == "bias" else leaf, variables
        )

    block = biggan_deep.DeepDiscriminatorBlock(12, halved=True)
    variables = blank_biases(block.init(key, x, train=False))
    halved = x.reshape(2, 2, 2, 2, 2, 8).mean((2, 4))
    y = np.asarray(block.apply(variables, x, train=False))
    np.testing.assert_allclose(y[..., :8], halved, rtol=1e-6)
    kernel = variables["params"]["shortcut"]["kernel"][0, 0]
    assert kernel.shape == (8, 4)
    ratio = y[..., 8:] / (halved @ kernel)
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)  # 1 / sigma

    block = biggan.DiscriminatorBlock(8, 8, halved=False, preactivated=True)
    np.testing.assert_array_equal(block.apply(blank_biases(block.init(key, x, train=False)), x, train=False), x)

    block = biggan_deep.DeepGeneratorBlock(4, doubled=True)
    condition = jnp.ones((2, 1))
    variables = blank_biases(block.init(key, x, condition, train=False))
    for i in range(1, 5):  # Inputs of all convolutions are far below 0 before their ReLU.
        norm = variables["params"][f"bn{i}"]
        norm["gain"]["kernel"] = jnp.ones_like(norm["gain"]["kernel"])
        norm["bias"]["kernel"] = -jnp.ones_like(norm["bias"]["kernel"])
    y = block.apply(variables, x, 1e3 * condition, train=False)
    np.testing.assert_array_equal(y, x[..., :4].repeat(2, axis=1).repeat(2, axis=2))


def test_applied_kernels_are_those_of_all_layers_with_spectral_normalization():
    network = biggan.Discriminator(1, CLASSES)
    state = random_state(of_discriminator(network, 32), np.random.default_rng(0))
    variables = variables_from(state, of_discriminator(network, 32), BIGGAN)
    found = jax.jit(applied_kernels)(variables["params"], variables["spectral"])
    in_torch = biggan_in_pytorch.Network(state, train=False, epsilon=1e-6)
    names = {name.removesuffix(".u0") for name in state if name.endswith("u0")}
    assert len(found) == len(names) == 12
    for path, kernel in found.items():
        name = path.replace("blocks_", "blocks.").replace("_0/", ".0.").replace("shortcut", "conv_sc")
        weight = in_torch.normalized(name).detach().numpy()
        norm = np.linalg.norm(np.reshape(kernel, (-1, kernel.shape[-1])), 2)
        np.testing.assert_allclose(norm, np.linalg.norm(weight.reshape(len(weight), -1), 2), rtol=1e-5)


def test_moving_average_of_authors_is_that_of_all_collections():
    """They average every entry of the state dict: weights, statistics and vectors of the power iteration."""
    template = of_generator(biggan.Generator((32, 32, 3), 1, CLASSES, embedding_dim=None, hierarchical=False), 4)
    old, new = (random_state(template, np.random.default_rng(seed)) for seed in range(2))
    variables = variables_from(new, template, BIGGAN)
    state = State(
        jnp.int32(9),
        {"g": variables["params"]},
        {"g": {name: variables[name] for name in ("batch_stats", "spectral")}},
        {},
        {"g": variables_from(old, template, BIGGAN)},
    )
    average = Average(constant_decay(0.75), collections=("batch_stats", "spectral"))
    found = weights_of(updated_average(state, "g", average, BATCH), BIGGAN)
    for name in old:
        np.testing.assert_allclose(found[name], 0.75 * old[name] + 0.25 * new[name], atol=1e-6)


@every_case
def test_convolutions_are_of_bfloat16_in_mixed_precision_alone_and_outputs_are_float32(case):
    size, _, channels = case.generator.shape
    variables = of_discriminator(case.discriminator, size, channels)
    images = jax.ShapeDtypeStruct((BATCH, size, size, channels), jnp.bfloat16)
    labels = jax.ShapeDtypeStruct((BATCH,), jnp.int32)
    apply = partial(case.discriminator.apply, train=False)
    found = []
    for context in (nullcontext, mixed_precision):
        with context():
            program = jax.make_jaxpr(lambda *arguments: apply(*arguments))(variables, images, labels)
        assert program.out_avals[0].dtype == jnp.float32
        found.append({x.invars[0].aval.dtype for x in program.eqns if x.primitive.name == "conv_general_dilated"})
    assert found == [{jnp.dtype(jnp.float32)}, {jnp.dtype(jnp.bfloat16)}]


GREY, LABELS = np.zeros((2, 32, 32, 1), np.float32), np.zeros(2, np.int32)


@pytest.mark.parametrize(
    ("network", "inputs", "message"),
    [
        (biggan.Generator((24, 24, 1), 1, 1), (np.zeros((2, 8)), LABELS), "28, 32, 64, 128, 256 or 512 pixels for"),
        (biggan.Generator((32, 64, 1), 1, 1), (np.zeros((2, 8)), LABELS), "got 32x64"),
        (biggan.Generator((32, 32, 1), 1, 1), (np.zeros((2, 10)), LABELS), "must be a multiple of 4"),
        (biggan.Generator((32, 32, 1), 1, 1), (np.zeros((2, 0)), LABELS), "must be a multiple of 4"),
        (biggan.Generator((32, 32, 1), 1, 1, None), (np.zeros((2, 8)), LABELS), "need a shared embedding"),
        (biggan.Generator((32, 32, 1), 2, 1, attention=(64,)), (np.zeros((2, 8)), LABELS), "8, 16, 32, got 64"),
        (biggan.Generator((32, 32, 1), 1, 1, attention=(8,)), (np.zeros((2, 8)), LABELS), "at least 8 channels"),
        (biggan.Discriminator(2, 1, attention=(8,)), (GREY, LABELS), "feature maps, 16, got 8"),
        (biggan.Discriminator(1, 1), (np.zeros((2, 12, 12, 1)), LABELS), "got 12x12"),
        (biggan_deep.DeepGenerator((32, 32, 1), 1, 1, depth=1), (np.zeros((2, 8)), LABELS), "depth must be at least 2"),
        (biggan_deep.DeepDiscriminator(1, 1), (np.zeros((2, 64, 64, 1)), LABELS), "at least 4 channels, got 2"),
    ],
)
def test_sizes_latents_labels_and_options_that_do_not_fit_are_refused(network, inputs, message):
    with pytest.raises(InputError, match=message):
        shapes(network, np.float32(inputs[0]), inputs[1])
