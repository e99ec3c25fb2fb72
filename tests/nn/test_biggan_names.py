"""Tests of the conversion of state dicts: names and layouts, and what is refused."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.nn.biggan_deep_networks import DeepDiscriminator, DeepGenerator
from jaxgen.nn.biggan_names import BIGGAN
from jaxgen.nn.biggan_networks import Discriminator, Generator
from jaxgen.nn.published_weights import SAME, Naming, variables_from, weights_of

Z, LABELS, IMAGES = np.zeros((1, 8), np.float32), np.zeros(1, np.int32), np.zeros((1, 64, 64, 3), np.float32)
NETWORKS = {
    "generator": (Generator((32, 32, 3), 2, 5, 4, attention=(16,)), Z),
    "discriminator": (Discriminator(2, 5, attention=(8,)), IMAGES),
    "deep generator": (DeepGenerator((32, 32, 3), 2, 5, 4), Z),
    "deep discriminator": (DeepDiscriminator(2, 5), IMAGES),
}


@pytest.fixture(scope="module")
def templates():
    return {
        name: jax.eval_shape(partial(network.init, train=False), jax.random.key(0), x, LABELS)
        for name, (network, x) in NETWORKS.items()
    }


def random_variables(template):
    random = np.random.default_rng(0)
    # Variances, which are among the variables, are not negative.
    return jax.tree.map(lambda leaf: random.uniform(0.1, 2, leaf.shape).astype(np.float32), template)


@pytest.mark.parametrize("name", NETWORKS)
def test_conversion_and_its_inverse_give_equal_bits(templates, name):
    variables = random_variables(templates[name])
    found = variables_from(weights_of(variables, BIGGAN), templates[name], BIGGAN)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, found, variables)))
    assert jax.tree.structure(found) == jax.tree.structure(variables)


# Shapes that the modules of ajbrock/BigGAN-PyTorch have in PyTorch.
SHAPES = {
    "generator": {
        "shared.weight": (5, 4),
        "linear.weight": (128, 2),
        "linear.u0": (1, 128),
        "linear.sv0": (1,),
        "blocks.0.0.conv1.weight": (8, 8, 3, 3),
        "blocks.2.0.conv_sc.bias": (8,),
        "blocks.1.0.bn2.gain.weight": (8, 6),
        "blocks.1.0.bn2.bias.u0": (1, 8),
        "blocks.1.0.bn2.stored_var": (8,),
        "blocks.1.1.gamma": (),
        "blocks.1.1.theta.weight": (1, 8, 1, 1),
        "blocks.1.1.phi.u0": (1, 1),
        "blocks.1.1.g.weight": (4, 8, 1, 1),
        "blocks.1.1.o.weight": (8, 4, 1, 1),
        "output_layer.0.gain": (8,),
        "output_layer.0.stored_mean": (8,),
        "output_layer.2.weight": (3, 8, 3, 3),
    },
    "discriminator": {
        "blocks.0.0.conv1.weight": (2, 3, 3, 3),
        "blocks.2.1.gamma": (),
        "blocks.4.0.conv_sc.weight": (32, 16, 1, 1),
        "linear.weight": (1, 32),
        "embed.weight": (5, 32),
        "embed.u0": (1, 5),
    },
    "deep generator": {"linear.weight": (128, 12), "blocks.5.0.bn4.gain.weight": (2, 12)},
    "deep discriminator": {"input_conv.weight": (2, 3, 3, 3), "blocks.3.1.conv4.weight": (32, 8, 1, 1)},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_shapes_are_those_of_the_authors_modules(templates, name):
    state = weights_of(random_variables(templates[name]), BIGGAN)
    assert SHAPES[name] == {key: state[key].shape for key in SHAPES[name]}


def test_missing_and_further_names_shapes_and_values_that_do_not_fit_are_refused(templates):
    template = templates["generator"]
    state = weights_of(random_variables(template), BIGGAN)
    without = {name: array for name, array in state.items() if name != "blocks.1.0.conv2.u0"}
    changed = [
        (without, "must have blocks.1.0.conv2.u0, which is missing"),
        (state | {"linear.u1": np.zeros(1)}, "this network, which has no 'linear.u1'"),
        (state | {"shared.weight": np.zeros((6, 4))}, r"shared.weight must have the shape \(5, 4\).*got \(6, 4\)"),
        (state | {"linear.weight": np.zeros((2, 128))}, r"linear.weight must have the shape \(128, 2\)"),
        (state | {"linear.bias": np.full(128, np.nan)}, "linear.bias must be finite in float32, got .* magnitude nan"),
        (state | {"linear.bias": np.full(128, -np.inf)}, "linear.bias must be finite in float32, got .* magnitude inf"),
        (state | {"linear.bias": np.full(128, 1e39)}, "linear.bias must be finite in float32, got .* 1e.39"),
        (state | {"linear.bias": np.zeros(128, bool)}, "must be of floating-point numbers, got the type bool$"),
        (state | {"linear.bias": np.ones(128, np.int8)}, "linear.bias must be of floating.* int8: give the weights"),
        (state | {"linear.u0": np.zeros((1, 128))}, "linear.u0 must not be all zeros: the spectral normalization"),
        (state | {"linear.weight": np.zeros((128, 2))}, "linear.weight must not be all zeros"),
        ({}, "which is missing"),
    ]
    for wrong, message in changed:
        with pytest.raises(InputError, match=message):
            variables_from(wrong, template, BIGGAN)
    for dtype in (np.float16, jnp.bfloat16):
        half = variables_from({name: array.astype(dtype) for name, array in state.items()}, template, BIGGAN)
        assert {leaf.dtype for leaf in jax.tree.leaves(half)} == {np.dtype(np.float32)}


def test_arrays_that_are_integers_here_are_integers_there():
    naming = Naming(lambda path: path[-1], lambda path, shape: SAME)
    like = {"batch_stats": {"num_batches_tracked": np.array(0)}}
    assert variables_from({"num_batches_tracked": np.array(7)}, like, naming) == {
        "batch_stats": {"num_batches_tracked": 7}
    }
    with pytest.raises(InputError, match="num_batches_tracked must be of integers, got the type float64"):
        variables_from({"num_batches_tracked": np.array(7.0)}, like, naming)
