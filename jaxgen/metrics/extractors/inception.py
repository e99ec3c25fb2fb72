"""`inception_2015`: the network of the Fréchet Inception distance and the Inception score, with its weights."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from jaxgen._signatures import checked
from jaxgen.errors import InputError, check_known
from jaxgen.installed_weights import PublishedWeights, load_weights
from jaxgen.metrics.extractors.conversion import folded_convolutions, parameter_shapes, published_array
from jaxgen.metrics.extractors.extractor import Extracted, Extractor
from jaxgen.metrics.extractors.resizers import RESIZERS
from jaxgen.typing import Array, Float, PyTree

SIZE = (299, 299)
"""Height and width of the images that the network was trained on."""

LAYERS = (64, 192, 768, 2048)
"""Numbers of features of the layers."""

AT_ONCE = 32
"""Number of images per call; the widest layers take 14 MB of memory for each."""


@checked
def inception_2015(*, resizer: str = "tf1_bilinear", layer: int = 2048, bias: bool = False) -> Extractor:
    """Load the extractor of the Fréchet Inception distance.

    The network is that of Heusel et al. and of pytorch-fid and torch-fidelity, which read the same weights
    (`jaxgen.nn.inception_2015`). Its inputs are x / 128 - 1 for a grey level x, but x / 127.5 - 1 with the resizer
    `bilinear`, as the program of each resizer has it.

    Args:
        resizer: how images become 299x299: `tf1_bilinear` as TensorFlow 1 and torch-fidelity, `bilinear` as
            pytorch-fid, `antialiased_bicubic` as clean-fid, or `none` for images of that size.
        layer: number of features: 2048 of the last layer, as published, or 768, 192 or 64 of an earlier one.
        bias: whether the logits include the bias of the last layer; they do not where the Inception score was
            published.

    Returns:
        An extractor named `inception_2015`; its options state another layer or the bias.

    Raises:
        InputError: if the weights are not installed, or an argument is unknown.

    Reference:
        Heusel et al. 2017, arXiv:1706.08500; Salimans et al. 2016, arXiv:1606.03498; Parmar et al. 2022,
        arXiv:2104.11222.

    Example:
        >>> inception_2015(resizer="bilinaer")
        Traceback (most recent call last):
        jaxgen.errors.InputError: there is no resizer 'bilinaer': did you mean 'bilinear'?
    """
    check_known("resizer", resizer, {*RESIZERS, "none"})
    if layer not in LAYERS:
        raise InputError(f"layer must be one of {', '.join(map(str, LAYERS))}, got {layer!r}")
    params = unflatten_dict(load_weights(INCEPTION_WEIGHTS), sep="/")
    return Extractor(
        name="inception_2015",
        resizer=resizer,
        channels=3,
        size=SIZE,
        params=jax.tree.map(jnp.asarray, params),
        apply=_apply(resizer, layer, bias),
        at_once=AT_ONCE,
        options=(*((f"layer={layer}",) if layer != 2048 else ()), *(("bias=true",) if bias else ())),
    )


@cache  # JAX compiles again for another function.
def _apply(resizer: str, layer: int, bias: bool) -> Callable[[PyTree, Float[Array, "n 299 299 3"]], Extracted]:
    """Return the function of an extractor."""
    from jaxgen.nn.inception_2015 import Inception2015

    def apply(params: PyTree, images: Float[Array, "n 299 299 3"]) -> Extracted:
        found: Any = Inception2015().apply({"params": params}, standardize(images, resizer))
        return Extracted(getattr(found, f"layer_{layer}"), found.logits + found.bias if bias else found.logits)

    return apply


def standardize(images: Float[Array, "n 299 299 3"], resizer: str) -> Float[Array, "n 299 299 3"]:
    """Return what the network is given for images of its size, as the program of the resizer computes it.

    Args:
        images: RGB images, grey levels in 0..255.
        resizer: name of the resizer.

    Returns:
        Inputs in about [-1, 1].

    Example:
        >>> standardize(jnp.full((1, 299, 299, 3), 128.0), "tf1_bilinear").max()
        Array(0., dtype=float32)
    """
    return images / 255 * 2 - 1 if resizer == "bilinear" else (images - 128) / 128


def convert(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of `Inception2015` from those of the published file.

    Args:
        arrays: names and arrays of the file.

    Returns:
        "module/module/kernel" -> array; batch normalization is folded into the convolutions.

    Raises:
        InputError: if an array is missing or has another shape.
    """
    from jaxgen.nn.inception_2015 import BATCH_NORM_EPSILON, Inception2015

    shapes = parameter_shapes(Inception2015(), 75)
    found = folded_convolutions(arrays, shapes, _names, epsilon=BATCH_NORM_EPSILON)
    features, classes = shapes["fc/kernel"]
    found["fc/kernel"] = published_array(arrays, "fc.weight", (classes, features)).T
    found["fc_bias"] = published_array(arrays, "fc.bias", (classes,))
    return found


def _names(module: str) -> tuple[str, str]:
    """The names in the file of a convolution and of its batch normalization."""
    convolution = module.replace("/", ".")
    return convolution, f"{convolution.removesuffix('.conv')}.bn"


INCEPTION_WEIGHTS = PublishedWeights(
    name="inception",
    files=("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    convert=convert,
)
"""The weights of TensorFlow's archive `inception-2015-12-05`, converted by pytorch-fid; torch-fidelity's file of the
other name is the same one."""
