"""Tests of mixed precision against the traced programs, NumPy in float64 on rounded numbers, and float32."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import ScopeParamShapeError

from jaxgen.data import load
from jaxgen.models import vae
from jaxgen.nn.conv_autoencoder import ConvDecoder, ConvEncoder
from jaxgen.nn.convolution import Conv, ConvTranspose, convolutions_by_xla
from jaxgen.nn.dcgan import Discriminator
from jaxgen.nn.layer_styles import Generator
from jaxgen.nn.mlp import MLP
from jaxgen.nn.precision import mixed_precision
from jaxgen.nn.resnet import ResNet
from jaxgen.nn.stylegan2_networks import Discriminator as StyleDiscriminator
from jaxgen.nn.stylegan2_networks import Mapping, Synthesis
from jaxgen.training.loop import fit

FLOAT32, BFLOAT16 = jnp.dtype(jnp.float32), jnp.dtype(jnp.bfloat16)

ROUNDING = 2**-8
"""Largest relative error of rounding to bfloat16, which has 8 bits of precision."""


class OneLayer(linen.Module):
    @linen.compact
    def __call__(self, x, *, train):
        return linen.Dense(3)(x)


# (network, shape of its inputs, number of layers that are products)
NETWORKS = {
    "mlp": (MLP(hidden=(32, 16), shape=(3,)), (8, 10), 3),
    "convolutions": (ConvEncoder(width=8, features=3), (4, 8, 8, 3), 2),
    "transposed convolutions": (ConvDecoder(shape=(8, 8, 1), width=8), (4, 5), 2),
    "batch normalization": (Discriminator(width=8), (8, 16, 16, 1), 3),
    "residual": (ResNet(blocks=1, classes=3, width=8), (4, 8, 8, 3), 8),
    "one layer": (OneLayer(), (8, 10), 1),
}
every_network = pytest.mark.parametrize(("network", "shape", "layers"), NETWORKS.values(), ids=NETWORKS)
LAYERS = [
    linen.Dense(4),
    Conv(4, (3, 3)),
    linen.Conv(4, (3, 3)),
    ConvTranspose(4, (3, 3)),
    linen.ConvTranspose(4, (3, 3)),
]


@pytest.fixture
def accelerator(monkeypatch):
    """Convolutions are XLA's there; on the CPU they are products, some of which are in float32."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


def initialize(network, shape, **mode):
    @jax.jit
    def variables_and_inputs(key_of_variables, key_of_inputs):
        x = jax.random.normal(key_of_inputs, shape)
        return network.init(key_of_variables, x, **mode), x

    return variables_and_inputs(jax.random.key(1), jax.random.key(0))


def loss_of(network, x):
    """Return a loss like that of a model: a mean over the outputs, with the new statistics."""

    def loss(params, stats):
        output, updated = network.apply({"params": params, **stats}, x, train=True, mutable=["batch_stats"])
        return jnp.mean(jnp.sin(output)), (output, updated)

    return loss


def value_and_gradient(network, variables, x):
    stats = {name: collection for name, collection in variables.items() if name != "params"}
    return jax.value_and_grad(loss_of(network, x), has_aux=True)(variables["params"], stats)


def products(jaxpr):
    """Yield the equations of all products and convolutions, also of inner programs."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            if hasattr(inner, "eqns"):
                yield from products(inner)


def dtypes(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(tree)}


def relative_error(got, want):
    got, want = jax.device_get((got, want))
    difference = jax.tree.map(np.subtract, got, want)
    squares = [sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(tree)) for tree in (difference, want)]
    return np.sqrt(squares[0] / squares[1])


def stacked(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree)


@every_network
def test_products_are_in_bfloat16_and_variables_and_results_in_float32(accelerator, network, shape, layers):
    variables, x = jax.eval_shape(lambda: initialize(network, shape, train=False))

    def program(variables, x):
        return value_and_gradient(network, variables, x)

    in_float32 = list(products(jax.make_jaxpr(program)(variables, x)))
    with mixed_precision():
        jaxpr, results = jax.make_jaxpr(program, return_shape=True)(variables, x)
    found = list(products(jaxpr))
    # One product forward and two backward, by weights and by inputs; the first layer needs no gradient by its inputs.
    assert len(found) == len(in_float32) == 3 * layers - 1
    assert {operand.aval.dtype for product in found for operand in product.invars} == {BFLOAT16}
    assert dtypes(results) == {FLOAT32}
    with mixed_precision():
        assert jax.eval_shape(lambda: initialize(network, shape, train=False)) == (variables, x)


@pytest.mark.parametrize(
    ("network", "shape", "layers"), [pytest.param(*NETWORKS[name], id=name) for name in NETWORKS if name != "residual"]
)
def test_value_and_gradient_match_float32_within_rounding(network, shape, layers):
    """Each layer rounds its inputs, weights and outputs, and as many numbers in the backward pass."""
    variables, x = initialize(network, shape, train=False)
    program = jax.jit(partial(value_and_gradient, network))
    (_, (want, _)), gradient = program(variables, x)
    with mixed_precision():
        (_, (got, _)), rounded = program(variables, x)
    for roundings, exact, other in ((3 * layers, want, got), (6 * layers, gradient, rounded)):
        assert ROUNDING / 16 < relative_error(other, exact) < roundings * ROUNDING


def test_layer_multiplies_rounded_numbers_and_sums_in_float32():
    random = np.random.default_rng(0)
    x, kernel = random.normal(size=(16, 512)).astype(np.float32), random.normal(size=(512, 8)).astype(np.float32)
    bfloat16 = [array.astype(jnp.bfloat16) for array in (x, kernel)]
    exact = np.matmul(*(array.astype(np.float64) for array in bfloat16))
    with mixed_precision():
        got = linen.Dense(8, use_bias=False).apply({"params": {"kernel": kernel}}, x)
    assert got.dtype == jnp.float32
    # The sum is rounded once, at the end; otherwise the rounding errors of many sums would accumulate.
    np.testing.assert_allclose(got, exact, rtol=ROUNDING, atol=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_type_of_layer_computes_in_bfloat16_unless_created_with_dtype(layer):
    variables, x = initialize(layer, (2, 5, 5, 3))
    for dtype, expected in ((None, jnp.bfloat16), (jnp.float32, jnp.float32)):
        with mixed_precision():
            got = layer.clone(dtype=dtype).apply(variables, x)
        want = layer.clone(dtype=expected).apply(variables, x)
        np.testing.assert_array_equal(got, np.asarray(want, np.float32))


def test_outputs_stay_bfloat16_until_combined_with_float32():
    """Each output is captured once."""
    network = Discriminator(width=4)
    collections = ["intermediates", "batch_stats"]

    def program():
        variables, x = initialize(network, (2, 16, 16, 1), train=False)
        return network.apply(variables, x, train=True, capture_intermediates=True, mutable=collections)

    with mixed_precision():
        output, captured = jax.eval_shape(program)
    layers = {name: values["__call__"] for name, values in captured["intermediates"].items() if "__call__" in values}
    assert {name: [value.dtype for value in values] for name, values in layers.items()} == {
        "Conv_0": [BFLOAT16],
        "Conv_1": [BFLOAT16],
        "BatchNorm_0": [FLOAT32],
        "Conv_2": [BFLOAT16],
    }
    assert output.dtype == FLOAT32


class Twice(linen.Module):
    """A layer that is applied twice, and a layer inside a loop."""

    def setup(self):
        self.layer = linen.Dense(4)
        self.loop = linen.scan(LoopBody, variable_broadcast="params", split_rngs={"params": False}, length=3)()

    def __call__(self, x):
        return self.loop(self.layer(self.layer(x)).astype(jnp.float32), None)[0]


class LoopBody(linen.Module):
    @linen.compact
    def __call__(self, x, _):
        return jnp.tanh(linen.remat(linen.Dense)(4)(x)).astype(jnp.float32), None


def test_shared_and_lifted_layers_compute_in_bfloat16():
    variables, x = jax.eval_shape(lambda: initialize(Twice(), (3, 4)))
    with mixed_precision():
        jaxpr = jax.make_jaxpr(Twice().apply)(variables, x)
    found = list(products(jaxpr))
    assert len(found) == 3
    assert {operand.aval.dtype for product in found for operand in product.invars} == {BFLOAT16}


def test_function_is_compiled_separately_inside_and_outside():
    """Otherwise `jit` would use the program that it compiled first for both."""
    network = MLP(hidden=(8,), shape=(3,))
    variables, x = initialize(network, (4, 10), train=False)
    apply = partial(network.apply, train=False)
    compiled = jax.jit(apply)
    outside = compiled(variables, x)
    with mixed_precision():
        inside, expected = compiled(variables, x), apply(variables, x)
    assert 0 < np.abs(np.asarray(inside) - np.asarray(outside)).max() < 0.1
    assert relative_error(inside, expected) < ROUNDING / 8
    np.testing.assert_array_equal(compiled(variables, x), outside)


def test_transformations_inside_and_outside_give_the_same_gradient():
    network = MLP(hidden=(8,), shape=())
    variables, x = initialize(network, (4, 10), train=False)

    def gradient(variables):
        return jax.grad(lambda variables: jnp.sum(network.apply(variables, x, train=False) ** 2))(variables)

    with mixed_precision():
        want = gradient(variables)
        jitted = jax.jit(gradient)(variables)
        scanned = jax.lax.scan(lambda none, variables: (none, gradient(variables)), None, stacked(variables))[1]
        mapped = jax.jit(jax.vmap(gradient))(stacked(variables))
    from_outside = jax.jit(jax.vmap(mixed_precision()(gradient)))(stacked(variables))
    for got in (stacked(jitted), scanned, mapped, from_outside):
        # Sums in another order are sometimes rounded to a neighbouring number.
        assert relative_error(got, stacked(want)) < ROUNDING / 8
    assert relative_error(jax.jit(gradient)(variables), want) > ROUNDING / 8


def test_decorated_function_is_in_mixed_precision_in_other_threads():
    network = linen.Dense(3)
    variables, x = initialize(network, (4, 10))
    with mixed_precision():
        expected = network.apply(variables, x)
    with ThreadPoolExecutor(1) as other, mixed_precision():
        decorated, plain = (other.submit(f, variables, x) for f in (mixed_precision()(network.apply), network.apply))
    np.testing.assert_array_equal(decorated.result(), expected)
    np.testing.assert_array_equal(plain.result(), network.apply(variables, x))


def test_layer_is_float32_again_after_an_error():
    network = linen.Dense(3)
    variables, x = initialize(network, (4, 10))
    bound = network.bind(variables)
    with pytest.raises(ScopeParamShapeError), mixed_precision():
        bound(x[:, :5])
    assert bound.dtype is None
    np.testing.assert_array_equal(bound(x), network.apply(variables, x))


def test_losses_of_vae_match_float32():
    """The losses of the last 10 of 60 steps on digits; noise and data are the same."""
    digits = load("digits")
    model = vae.build(vae.Config(hidden=(64,), latent_dim=8), digits)

    def train():
        chunks = []
        end = fit(model, digits, key=jax.random.key(0), steps=60, batch_size=64, callbacks=[chunks.append])
        return chunks[0].metrics["vae/loss"], end.state

    in_float32, _ = train()
    with mixed_precision():
        losses, state = train()
    assert dtypes((losses, state.params, state.opt["vae"][0].mu)) == {FLOAT32}
    assert losses[-10:].mean() < 0.8 * losses[0]
    assert 0 < abs(losses[-10:].mean() / in_float32[-10:].mean() - 1) < 0.005


class TestStyleGAN2:
    """Products are in bfloat16 but those that the authors' code computes in float32 as well."""

    GENERATOR = Generator(Mapping(4, layers=2), Synthesis(size=16, channels=2, base=64, largest=8))
    DISCRIMINATOR = StyleDiscriminator(size=16, base=64, largest=8, group=2)

    def initialize(self):
        z, images = jnp.zeros((1, 3)), jnp.zeros((1, 16, 16, 2))
        keys = jax.random.split(jax.random.key(0))
        generator = self.GENERATOR.init(keys[0], z, train=False, noise="none")
        # Of its strength noise has none at first.
        params = jax.tree.map(lambda x: x + 0.5 if x.ndim == 0 else x, generator["params"])
        return {**generator, "params": params}, self.DISCRIMINATOR.init(keys[1], images, train=False)

    def images(self, generator, z):
        return self.GENERATOR.apply(generator, z, train=False, noise="random", rngs={"noise": jax.random.key(1)})

    def logits(self, discriminator, images):
        return self.DISCRIMINATOR.apply(discriminator, images, train=False)

    def test_which_products_are_in_bfloat16(self, accelerator):
        generator, discriminator = jax.eval_shape(self.initialize)
        z, images = jnp.zeros((4, 3)), jnp.zeros((4, 16, 16, 2))
        with mixed_precision():
            of_generator = jax.make_jaxpr(self.images)(generator, z)
            of_discriminator = jax.make_jaxpr(self.logits)(discriminator, images)
        assert [aval.dtype for aval in (*of_generator.out_avals, *of_discriminator.out_avals)] == [FLOAT32] * 2
        found = [(*operands_of(product), product.primitive.name) for product in products(of_generator.jaxpr)]
        # Five convolutions with demodulation and three maps to colours; two layers of the mapping network.
        assert sorted(found) == [(BFLOAT16, BFLOAT16, "conv_general_dilated")] * 8 + [
            (FLOAT32, FLOAT32, "dot_general")
        ] * (2 + 8 + 5)
        found = [(*operands_of(product), product.primitive.name) for product in products(of_discriminator.jaxpr)]
        # From colours, and two blocks of three; then the last block.
        assert (
            sorted(found)
            == [(BFLOAT16, BFLOAT16, "conv_general_dilated")] * 7
            + [(FLOAT32, FLOAT32, "conv_general_dilated")]
            + [(FLOAT32, FLOAT32, "dot_general")] * 2
        )

    @convolutions_by_xla()
    def test_logits_and_gradients_match_float32_within_rounding(self):
        """About twelve layers, each of which rounds its inputs, weights and outputs."""
        variables, z = jax.jit(self.initialize)(), jax.random.normal(jax.random.key(2), (4, 3))

        def program(variables):
            images = self.images(variables[0], z)
            return self.logits(variables[1], images).mean(), images

        program = jax.jit(jax.value_and_grad(program, has_aux=True))
        (want, exact), gradient = program(variables)
        with mixed_precision():
            (got, images), rounded = program(variables)
        assert dtypes((got, images, rounded)) == {FLOAT32}
        assert 0 < abs(got - want) < 20 * ROUNDING * abs(want)
        assert ROUNDING / 16 < relative_error(images, exact) < 20 * ROUNDING
        assert relative_error(rounded, gradient) < 40 * ROUNDING


def operands_of(product):
    return tuple(operand.aval.dtype for operand in product.invars)
