"""VGG-19 up to relu4_1 and its mirror image equal PyTorch's, with the names of the published files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxgen.errors import InputError
from jaxgen.nn.published_weights import variables_from
from jaxgen.nn.vgg19 import StyleDecoder, VGG19Encoder, names_of, smallest_size
from jaxgen.nn.vgg19_names import DECODER, NORMALISED, convert_normalised, convert_torchvision
from tests.metrics.extractors.weights_by_rule import weights_by_rule
from tests.nn import style_transfer_in_pytorch as reference

pytestmark = pytest.mark.usefixtures("convolutions_by_xla")

WIDTH = 3
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(size=(2, 13, 9, 3))
"""Sizes that no pool divides: 13, 7, 4, 2 and 9, 5, 3, 2 pixels."""


def with_rule(module):
    """The module with weights by the rule, and its arrays."""
    arrays = weights_by_rule({name: tuple(array.shape) for name, array in module.state_dict().items()})
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return module.double().eval(), arrays


def params_of(network, inputs, arrays, naming):
    like = jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct(inputs, jnp.float32))
    return {"params": variables_from(arrays, like, naming)["params"]}


def assert_features_equal(found, expected):
    assert len(found) == len(expected) == 4
    for x, y in zip(found, map(reference.to_numpy, expected), strict=True):
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-10 * y.std())


def test_features_at_four_layers_equal_pytorch_with_reflection_and_pools_that_round_up():
    module, arrays = with_rule(reference.normalised_encoder(WIDTH))
    expected = reference.first_features(module, reference.to_torch(IMAGES))
    with jax.enable_x64(True):
        network = VGG19Encoder(WIDTH)
        found = network.apply(params_of(network, (1, 9, 9, 3), arrays, NORMALISED), jnp.asarray(IMAGES))
    assert_features_equal(found, expected)


def test_images_of_decoder_equal_pytorch():
    module, arrays = with_rule(reference.decoder(WIDTH))
    features = RANDOM.normal(size=(2, 2, 3, 8 * WIDTH))
    expected = reference.to_numpy(module(reference.to_torch(features)))
    with jax.enable_x64(True):
        network = StyleDecoder(WIDTH)
        found = network.apply(params_of(network, features.shape, arrays, DECODER), jnp.asarray(features))
    assert found.shape == (2, 16, 24, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * expected.std())
    assert expected.min() < 0  # No ReLU follows the last convolution.


def flax_params(converted):
    layers = {}
    for name, array in converted.items():
        layer, kind = name.split("/")
        layers.setdefault(layer, {})[kind] = array.astype(np.float64)
    return {"params": layers}


def test_published_normalised_weights_have_their_names_shapes_and_colours():
    """The first layer as the file has it: from RGB in [0, 1] to BGR in 0..255 minus the mean, before any padding."""
    module, arrays = with_rule(reference.normalised_encoder(64))
    arrays["0.weight"] = (255 * np.eye(3)[::-1])[:, :, None, None].astype(np.float32)
    arrays["0.bias"] = -np.array([103.939, 116.779, 123.68], np.float32)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    bgr = 255 * reference.to_torch(IMAGES).flip(1) - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    expected = reference.first_features(module[1:], bgr)
    arrays |= {f"{i}.weight": np.zeros((512, 512, 3, 3), np.float32) for i in (32, 35)}  # Layers after relu4_1.
    with jax.enable_x64(True):
        found = VGG19Encoder().apply(flax_params(convert_normalised(arrays)), jnp.asarray(IMAGES))
    for x, y in zip(found, map(reference.to_numpy, expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5 * y.std())  # The mean is rounded to float32.


def test_published_torchvision_weights_are_for_standardized_images():
    """Images that are not standardized are the known error with these weights (pytorch-AdaIN, issues 13 and 43)."""
    module, arrays = with_rule(reference.torchvision_encoder(64))
    standardized = (IMAGES - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = reference.first_features(module.features, reference.to_torch(standardized))
    arrays |= {"features.21.weight": np.zeros((512, 512, 3, 3), np.float32), "classifier.6.bias": np.zeros(1000)}
    with jax.enable_x64(True):
        found = VGG19Encoder().apply(flax_params(convert_torchvision(arrays)), jnp.asarray(IMAGES))
    for x, y in zip(found, map(reference.to_numpy, expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5 * y.std())


def test_weights_of_another_network_are_refused():
    _, arrays = with_rule(reference.torchvision_encoder(64))
    with pytest.raises(InputError, match=r"the weights must have 2\.bias, which is missing"):
        convert_normalised(arrays)
    with pytest.raises(
        InputError, match=r"features\.2\.weight must have the shape \(64, 64, 3, 3\) .* got \(64, 32, 3"
    ):
        convert_torchvision({**arrays, "features.2.weight": arrays["features.2.weight"][:, :32]})


def test_numbers_of_parameters_are_those_of_vgg19_up_to_relu4_1():
    """Counted by the formula, 9 inputs outputs + outputs, and 12 of the layer of colours."""
    pairs = [pair for stage in reference.stages(64) for pair in stage]
    images, features = (
        jax.ShapeDtypeStruct((1, 9, 9, 3), jnp.float32),
        jax.ShapeDtypeStruct((1, 2, 2, 512), jnp.float32),
    )
    sizes = []
    for network, inputs in ((VGG19Encoder(), images), (StyleDecoder(), features)):
        shapes = jax.eval_shape(network.init, jax.random.key(0), inputs)
        sizes.append(sum(x.size for x in jax.tree.leaves(shapes)))
    assert sizes[0] == 12 + sum(9 * inputs * outputs + outputs for inputs, outputs in pairs)
    assert sizes[1] == sum(9 * inputs * outputs + inputs for inputs, outputs in pairs) == 3_505_219


@pytest.mark.parametrize("stages", [2, 3, 4])
def test_smallest_images_leave_two_pixels_in_the_last_stage(stages):
    size = smallest_size(stages)
    network = VGG19Encoder(1, stages)
    for pixels, expected in ((size, 2), (size - 1, 1)):
        images = jax.ShapeDtypeStruct((1, pixels, pixels, 3), jnp.float32)
        features = jax.eval_shape(network.init_with_output, jax.random.key(0), images)[0]
        assert features[-1].shape == (1, expected, expected, 2 ** (stages - 1))
    assert names_of(stages)[-1] == f"conv{stages}_1"
