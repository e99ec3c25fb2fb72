"""VGG-16 equals PyTorch's, and the perceptual distance that of the package lpips."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax.traverse_util import unflatten_dict
from safetensors.numpy import load_file

import jaxgen.nn.vgg16
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import vgg
from jaxgen.metrics.extractors.vgg import LPIPS_HEADS, VGG16_WEIGHTS, convert, perceptual_distance, vgg16
from tests.metrics.extractors.weights_by_rule import weights_by_rule

WIDTHS = (64, 64, "pool", 128, 128, "pool", *[256] * 3, "pool", *[512] * 3, "pool", *[512] * 3, "pool")


@pytest.fixture(scope="module")
def network():
    """VGG-16 in PyTorch with the names of torchvision and weights by the rule, but 8 features in place of 4096."""
    layers, channels = [], 3
    for width in WIDTHS:
        if width == "pool":
            layers.append(torch.nn.MaxPool2d(2, 2))
        else:
            layers += [torch.nn.Conv2d(channels, width, 3, padding=1), torch.nn.ReLU()]
            channels = width
    module = torch.nn.Module()
    module.features = torch.nn.Sequential(*layers)
    linear, relu, dropout = torch.nn.Linear, torch.nn.ReLU(), torch.nn.Dropout()
    classifier = [linear(512 * 7 * 7, 8), relu, dropout, linear(8, 8), relu, dropout, linear(8, 1000)]
    module.classifier = torch.nn.Sequential(*classifier)
    arrays = weights_by_rule({name: tuple(array.shape) for name, array in module.state_dict().items()})
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return module.eval()


@pytest.fixture(scope="module")
def converted(network):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jaxgen.nn.vgg16, "HIDDEN", 8)
        arrays = convert({name: array.numpy() for name, array in network.state_dict().items()})
        patch.setattr(vgg, "load_weights", lambda weights: arrays)
        yield arrays


@pytest.fixture(scope="module")
def params(converted):
    return {"features": unflatten_dict(converted, sep="/")["features"], "heads": load_file(LPIPS_HEADS)}


@pytest.mark.usefixtures("converted")
def test_extractor_equals_pytorch(network, references):
    images = np.repeat(np.repeat(references["images_64"][:1, :56, :56], 4, axis=1), 4, axis=2)
    standardized = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.no_grad():
        flat = network.features(torch.from_numpy(standardized.transpose(0, 3, 1, 2)).float()).flatten(1)
        features = network.classifier[:5](flat).numpy()
        logits = network.classifier(flat).numpy()
    found = vgg16(resizer="none")._replace(at_once=1)(images)
    assert features.std() > 0
    np.testing.assert_allclose(found.features, features, rtol=1e-4, atol=1e-4 * features.std())
    np.testing.assert_allclose(found.logits, logits, rtol=1e-4, atol=1e-4 * logits.std())


@pytest.fixture(scope="module")
def distance():
    return jax.jit(perceptual_distance)


def test_perceptual_distance_equals_lpips(distance, params, references):
    """lpips 0.1.4, `LPIPS(net="vgg")(x, y, normalize=True)` with the same weights of VGG-16, printed the numbers."""
    images = references["images_64"].astype(np.float32) / 255
    others = images[::-1] * np.float32(0.9)
    np.testing.assert_allclose(distance(params, images, others), [0.12239432, 0.12259378], rtol=1e-5)


def test_perceptual_distance_is_symmetric_and_zero_for_equal_images(distance, params, references):
    images = references["images_64"].astype(np.float32) / 255
    others = images[::-1] * np.float32(0.9)
    np.testing.assert_allclose(distance(params, others, images), distance(params, images, others), rtol=1e-5)
    np.testing.assert_array_equal(distance(params, images, images), [0, 0])


def test_gradient_is_finite_where_features_are_zero(params):
    """Weights of zero, so that all features are 0 and have no direction."""
    zeros = {"features": jax.tree.map(np.zeros_like, params["features"]), "heads": params["heads"]}
    images = jnp.zeros((1, 16, 16, 3))
    gradient = jax.jit(jax.grad(lambda x: perceptual_distance(zeros, x, images + 1).sum()))(images)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize(
    ("images", "others", "sentence"),
    [
        (
            np.zeros((1, 16, 16, 1)),
            np.zeros((1, 16, 16, 1)),
            r"images must be an array of numbers \[n, height, width, 3\]",
        ),
        (
            np.zeros((1, 16, 16, 3)),
            np.zeros((2, 16, 16, 3)),
            r"others must be .* with n 1, height 16, width 16, got float64",
        ),
        (
            np.zeros((1, 16, 15, 3)),
            np.zeros((1, 16, 15, 3)),
            r"images must have at least 16x16 pixels, got \(1, 16, 15, 3\)",
        ),
    ],
)
def test_other_shapes_are_refused(params, images, others, sentence):
    with pytest.raises(InputError, match=sentence):
        perceptual_distance(params, images, others)


@pytest.mark.usefixtures("converted")
def test_arrays_of_another_network_are_refused(network):
    arrays = {name: array.numpy() for name, array in network.state_dict().items()}
    arrays["features.2.weight"] = arrays["features.2.weight"][:, :32]
    with pytest.raises(
        InputError,
        match=r"features.2.weight must have the shape \(64, 64, 3, 3\) for this network, got \(64, 32, 3, 3\)",
    ):
        convert(arrays)


def test_shipped_heads_are_those_of_lpips():
    """SHA-256 of the arrays of `lpips/weights/v0.1/vgg.pth` of lpips 0.1.4, one after the other."""
    heads = load_file(LPIPS_HEADS)
    assert [heads[f"{i}"].shape for i in range(5)] == [(64,), (128,), (256,), (512,), (512,)]
    digest = hashlib.sha256(b"".join(heads[f"{i}"].tobytes() for i in range(5))).hexdigest()
    assert digest == "9153a2043dccf3b525d4f13db916e93ef040548ea923b6f2100de5ebac141a78"


def test_hash_begins_as_the_name_of_the_published_file_ends():
    assert VGG16_WEIGHTS.files == (f"vgg16-{VGG16_WEIGHTS.sha256[:8]}.pth",)
