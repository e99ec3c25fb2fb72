"""VGG-16 with published weights: the extractor `vgg16` of precision and recall, and the perceptual distance LPIPS."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import load_file

from jaxgen._numerics import safe_sqrt
from jaxgen._signatures import checked
from jaxgen.errors import InputError, check_known
from jaxgen.installed_weights import PublishedWeights, load_weights
from jaxgen.metrics.extractors.extractor import Extracted, Extractor
from jaxgen.metrics.extractors.resizers import RESIZERS
from jaxgen.nn.published_weights import SAME, Layout, Naming, flattened_map, permuted, variables_from
from jaxgen.nn.vgg16 import MEAN, SD, VGG16, VGG16Convolutions
from jaxgen.typing import AnyArray, Array, Float, PyTree

SIZE = (224, 224)
"""Height and width of the images that the network was trained on."""

LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Mean and standard deviation of the channels in [-1, 1], by which LPIPS standardizes images."""

SMALLEST = 16
"""Smallest height and width of images for LPIPS, of which four pools leave one pixel."""

LPIPS_HEADS = Path(__file__).with_name("lpips_vgg.safetensors")
"""Weights of the channels of each stage of VGG-16 in LPIPS 0.1; `lpips_vgg.md` states where they are from."""


@checked
def vgg16(*, resizer: str = "tf1_bilinear") -> Extractor:
    """Load the extractor of precision and recall: the second layer of 4096 features of VGG-16, after ReLU.

    Kynkäänniemi et al. use this layer of a TensorFlow file; torch-fidelity's `vgg16` has the same weights as this one,
    torchvision's.

    Args:
        resizer: how images become 224x224: `tf1_bilinear` as torch-fidelity, `bilinear`, `antialiased_bicubic`, or
            `none` for images of that size.

    Returns:
        An extractor named `vgg16`: 4096 features, 1000 logits.

    Raises:
        InputError: if the weights are not installed, or the resizer is unknown.

    Reference:
        Kynkäänniemi et al. 2019, arXiv:1904.06991, section 3; Simonyan & Zisserman 2015, arXiv:1409.1556.

    Example:
        >>> vgg16(resizer="bilinaer")
        Traceback (most recent call last):
        jaxgen.errors.InputError: there is no resizer 'bilinaer': did you mean 'bilinear'?
    """
    check_known("resizer", resizer, {*RESIZERS, "none"})
    params = unflatten_dict(load_weights(VGG16_WEIGHTS), sep="/")
    return Extractor(
        name="vgg16",
        resizer=resizer,
        channels=3,
        size=SIZE,
        params=jax.tree.map(jnp.asarray, params),
        apply=_apply,
        at_once=32,
    )


def _apply(params: PyTree, images: Float[Array, "n 224 224 3"]) -> Extracted:
    """Compute features and logits of grey levels in 0..255."""
    found: Any = VGG16().apply({"params": params}, (images / 255 - jnp.array(MEAN)) / jnp.array(SD))
    return Extracted(found.features, found.logits)


def lpips_params() -> PyTree:
    """Load the parameters of `perceptual_distance`: the installed weights of VGG-16, and the heads of LPIPS 0.1.

    Returns:
        Parameters.

    Raises:
        InputError: if the weights of VGG-16 are not installed.

    Reference:
        Zhang et al. 2018, arXiv:1801.03924; lpips 0.1.4, BSD-2-Clause.
    """
    params = unflatten_dict(load_weights(VGG16_WEIGHTS), sep="/")
    return jax.tree.map(jnp.asarray, {"features": params["features"], "heads": load_file(LPIPS_HEADS)})


@checked
def perceptual_distance(
    params: PyTree, images: Float[AnyArray, "n height width 3"], others: Float[AnyArray, "n height width 3"]
) -> Float[Array, " n"]:
    """Compute LPIPS with VGG-16, the perceptual distance of two images.

        d(x, y) = sum_l mean_{pixels} sum_c w_lc (f_lc(x) / ||f_l(x)|| - f_lc(y) / ||f_l(y)||)^2

    with the features f_l of five stages, normalized in each pixel, and weights w that were fitted to comparisons by
    people.

    Args:
        params: as `lpips_params` loads them.
        images: RGB images in [0, 1], at least 16x16.
        others: as many images of the same size.

    Returns:
        Distance of each pair; 0 for equal images.

    Raises:
        InputError: if the shapes differ, or the images are smaller than 16x16 or have no three channels.

    Reference:
        Zhang et al. 2018, arXiv:1801.03924, equation 1; the values are those of `lpips.LPIPS(net="vgg")` 0.1.4.
    """
    images, others = jnp.asarray(images, float), jnp.asarray(others, float)
    if min(images.shape[1:3]) < SMALLEST:
        raise InputError(f"images must have at least {SMALLEST}x{SMALLEST} pixels, got {images.shape}")

    def stages(x: Float[Array, "n height width 3"]) -> list[Float[Array, "n rows columns channels"]]:
        standardized = (2 * x - 1 - jnp.array(LPIPS_SHIFT)) / jnp.array(LPIPS_SCALE)
        found: Any = VGG16Convolutions().apply({"params": params["features"]}, standardized)
        return [_normalized(stage) for stage in found]

    with jax.default_matmul_precision("highest"):
        pairs = zip(stages(images), stages(others), strict=True)
        distances = [
            (jnp.square(one - other) @ params["heads"][f"{i}"]).mean(axis=(1, 2))
            for i, (one, other) in enumerate(pairs)
        ]
    return jnp.sum(jnp.stack(distances), axis=0)


def _normalized(x: Float[Array, "n rows columns channels"]) -> Float[Array, "n rows columns channels"]:
    """Return features divided by their norm in each pixel; zeros stay zeros, with a gradient of 0."""
    return x / (safe_sqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True)) + 1e-10)


def convert(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of `VGG16` from those of the published file.

    Args:
        arrays: names and arrays of the file.

    Returns:
        "module/module/kernel" -> array.

    Raises:
        InputError: if an array is missing or has another shape.
    """
    images = jax.ShapeDtypeStruct((1, *SIZE, 3), jnp.float32)
    shapes: PyTree = jax.eval_shape(VGG16().init, jax.random.key(0), images)
    found: dict[str, np.ndarray] = flatten_dict(variables_from(arrays, shapes, TORCHVISION)["params"], sep="/")
    return found


def _name(path: tuple[str, ...]) -> str:
    """The name at torchvision of, for example, params/features/0/kernel or params/classifier_0/bias."""
    *modules, kind = path[1:]
    return f"{'.'.join(modules).replace('_', '.')}.{'weight' if kind == 'kernel' else 'bias'}"


def _layout(path: tuple[str, ...], shape: tuple[int, ...]) -> Layout:
    if len(shape) == 1:
        return SAME
    if len(shape) == 4:
        return permuted(2, 3, 1, 0)
    if path[1] != "classifier_0":
        return permuted(1, 0)
    to_last, to_first = flattened_map(512, size=7)  # The channels of the last feature map are its first axis there.
    return Layout(lambda x: to_last(x.T), lambda x: to_first(x).T)


TORCHVISION = Naming(_name, _layout)
"""Names and layouts of torchvision's VGG-16."""

VGG16_WEIGHTS = PublishedWeights(
    name="vgg16",
    files=("vgg16-397923af.pth",),
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
    convert=convert,
)
"""The weights of torchvision."""
