"""The network of the Fréchet Inception distance equals pytorch-fid's and torch-fidelity's on weights by a rule."""

import jax
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from jaxgen.array_files.torch_file import read_torch_file
from jaxgen.errors import InputError
from jaxgen.installed_weights import install_weights, load_weights
from jaxgen.metrics.extractors import inception
from jaxgen.metrics.extractors.inception import inception_2015
from jaxgen.metrics.extractors.resizers import resize
from jaxgen.nn.inception_2015 import Inception2015
from tests.metrics.extractors.conftest import published_shapes


@pytest.fixture(scope="module")
def weights(inception_file, tmp_path_factory):
    """Installed weights: their description and arrays."""
    path, weights = inception_file
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXGEN_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
        patch.setattr(inception, "INCEPTION_WEIGHTS", weights)
        install_weights(weights, path)
        yield load_weights(weights)


@pytest.fixture(scope="module")
def features(weights, references):
    """What the network computes of the images that pytorch-fid was given."""
    images = inception.standardize(resize(references["images_64"], inception.SIZE, resizer="bilinear"), "bilinear")
    return jax.jit(Inception2015().apply)({"params": unflatten_dict(weights, sep="/")}, images)


@pytest.mark.parametrize("layer", [64, 192, 768, 2048])
def test_features_of_each_layer_equal_those_of_pytorch_fid(features, references, layer):
    expected = references[f"inception/features_{layer}"]
    np.testing.assert_allclose(getattr(features, f"layer_{layer}"), expected, rtol=1e-4, atol=1e-5)


def test_logits_with_and_without_bias_equal_those_of_torch_fidelity(features, references):
    with_bias = features.logits + features.bias
    np.testing.assert_allclose(features.logits, references["inception/logits_without_bias"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(with_bias, references["inception/logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("weights")
def test_extractor_computes_last_layer_and_logits_without_bias_of_images_in_parts(references, monkeypatch):
    monkeypatch.setattr(inception, "AT_ONCE", 1)
    found = inception_2015(resizer="bilinear")(references["images_64"])
    np.testing.assert_allclose(found.features, references["inception/features_2048"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.logits, references["inception/logits_without_bias"], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("weights")
def test_options_state_what_differs_and_images_of_another_size_need_a_resizer():
    extractors = [inception_2015(**changed) for changed in ({}, {"layer": 192}, {"layer": 768, "bias": True})]
    assert {extractor.name for extractor in extractors} == {"inception_2015"}
    assert [extractor.options for extractor in extractors] == [(), ("layer=192",), ("layer=768", "bias=true")]
    with pytest.raises(InputError, match="must be 299x299 where they are not resized, got 8x9: choose a resizer"):
        inception_2015(resizer="none")(np.zeros((1, 8, 9, 3), np.uint8))
    with pytest.raises(InputError, match="layer must be one of 64, 192, 768, 2048, got 100"):
        inception_2015(layer=100)


def test_number_of_parameters_is_that_of_the_published_file():
    """23,850,960 parameters, as pytorch-fid's module counts them."""
    counts = {name: int(np.prod(shape)) for name, shape in published_shapes().items()}
    statistics = sum(count for name, count in counts.items() if ".running_" in name)
    assert sum(counts.values()) - statistics == 23_850_960


@pytest.mark.parametrize(
    ("resizer", "expected"),
    [("tf1_bilinear", [-1, 0, 127 / 128]), ("antialiased_bicubic", [-1, 0, 127 / 128]), ("bilinear", [-1, 1 / 255, 1])],
)
def test_grey_levels_are_scaled_as_by_the_program_of_the_resizer(resizer, expected):
    np.testing.assert_allclose(inception.standardize(np.float32([0, 128, 255]), resizer), expected, atol=1e-6)


def test_inception_refuses_weights_of_another_network(inception_file):
    arrays = read_torch_file(inception_file[0])
    with pytest.raises(InputError, match=r"array fc.weight of the shape \(1008, 2048\), got \(1000, 2048\): is this"):
        inception.convert({**arrays, "fc.weight": arrays["fc.weight"][:1000]})
    with pytest.raises(InputError, match=r"array Conv2d_1a_3x3.conv.weight of the shape \(32, 3, 3, 3\), got none"):
        inception.convert({"conv1.weight": arrays["Conv2d_1a_3x3.conv.weight"]})
