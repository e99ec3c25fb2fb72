"""Published weights of VGG-19 and of the decoder of style transfer as parameters of `jaxgen.nn.vgg19`.

    here       vgg19-dcbb9e9d.pth       vgg_normalised.pth       decoder.pth
    input      (standardization)        0.weight
    conv1_1    features.0.weight        2.weight                 28.weight
    conv4_1    features.19.weight       29.weight                1.weight

The first file is torchvision's. The others are pytorch-AdaIN's, converted from the Lua files of the paper's authors:
VGG-19 with weights scaled so that the mean activation of each channel is 1 (Gatys et al. 2015, arXiv:1505.07376), after
a convolution that changes RGB in [0, 1] to BGR from 0 to 255 minus the mean. Layers after relu4_1 are not read.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from jaxgen.nn.published_weights import SAME, Layout, Naming, Path, permuted, variables_from
from jaxgen.nn.vgg16 import MEAN, SD
from jaxgen.nn.vgg19 import NAMES, VGG19Encoder, smallest_size
from jaxgen.typing import PyTree


def _layout(path: Path, shape: tuple[int, ...]) -> Layout:
    """Kernels have their outputs first there, then inputs and window."""
    return permuted(2, 3, 1, 0) if len(shape) == 4 else SAME


def _numbered(numbers: Mapping[str, int], *, prefix: str = "", has_more: bool = True) -> Naming:
    """The names of convolutions that are layers of a `torch.nn.Sequential`, by their numbers, which may have more."""

    def name(path: Path) -> str:
        return f"{prefix}{numbers[path[-2]]}.{'weight' if path[-1] == 'kernel' else 'bias'}"

    return Naming(name, _layout, ignored=lambda _: has_more)


TORCHVISION = _numbered(dict(zip(NAMES, (0, 2, 5, 7, 10, 12, 14, 16, 19), strict=True)), prefix="features.")
"""torchvision's VGG-19, without the standardization of its inputs."""

NORMALISED = _numbered({"input": 0} | dict(zip(NAMES, (2, 5, 9, 12, 16, 19, 22, 25, 29), strict=True)))
"""The normalised VGG-19 of pytorch-AdaIN."""

DECODER = _numbered(dict(zip(NAMES, (28, 25, 21, 18, 14, 11, 8, 5, 1), strict=True)), has_more=False)
"""The decoder of pytorch-AdaIN."""


def convert_torchvision(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the parameters of `VGG19Encoder` from torchvision's weights, for which RGB images are standardized.

    Args:
        arrays: names and arrays of the file.

    Returns:
        "module/kernel" -> array.

    Raises:
        InputError: if an array is missing or has another shape.
    """
    standardization = {
        "input/kernel": np.diag(1 / np.array(SD)).reshape(1, 1, 3, 3).astype(np.float32),
        "input/bias": (-np.array(MEAN) / np.array(SD)).astype(np.float32),
    }
    return standardization | _converted(arrays, TORCHVISION, without=("input",))


def convert_normalised(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the parameters of `VGG19Encoder` from the normalised weights, which standardize images themselves.

    Args:
        arrays: names and arrays of the file.

    Returns:
        "module/kernel" -> array.

    Raises:
        InputError: if an array is missing or has another shape.
    """
    return _converted(arrays, NORMALISED)


def _converted(
    arrays: Mapping[str, np.ndarray], naming: Naming, *, without: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    images = jax.ShapeDtypeStruct((1, smallest_size(), smallest_size(), 3), jnp.float32)
    shapes: PyTree = jax.eval_shape(VGG19Encoder().init, jax.random.key(0), images)["params"]
    like = {name: layer for name, layer in shapes.items() if name not in without}
    found: dict[str, np.ndarray] = flatten_dict(variables_from(arrays, {"params": like}, naming)["params"], sep="/")
    return found
