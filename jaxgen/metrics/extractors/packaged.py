"""Small classifiers of small grey images, whose weights are part of the package: the same for everybody.

Inception's features are those of photographs of 299x299 pixels and say little about digits. The features of these
networks, the means over pixels of the last residual stage, are learned from the data that they are for. Each is the
residual network of He et al. 2016 (`jaxgen.nn.resnet`) with one block per stage, trained by the recipe
`extractor-digits`, `extractor-mnist` or `extractor-fashion-mnist` and stored as safetensors. A number carries the name
of the network: another version of the weights will have another name.
"""

import hashlib
from functools import cache
from importlib import resources
from typing import NamedTuple

from flax.traverse_util import unflatten_dict
from safetensors.numpy import load as load_tensors

from jaxgen.errors import InputError, check_known
from jaxgen.metrics.extractors.extractor import Extracted, Extractor
from jaxgen.metrics.extractors.resizers import RESIZERS
from jaxgen.nn.resnet import ResNet
from jaxgen.typing import Array, Float, PyTree


class Packaged(NamedTuple):
    """A classifier whose weights are part of the package.

    Attributes:
        data: name of the data set whose training split it was trained on.
        size: height and width of the images.
        accuracy: share of the test split that it classifies correctly.
        sha256: SHA-256 of the file of its weights.
    """

    data: str
    size: tuple[int, int]
    accuracy: float
    sha256: str


PACKAGED = {
    "digits_v1": Packaged(
        data="digits",
        size=(8, 8),
        accuracy=0.9972,
        sha256="66cafc049cd17d64b8c8592626b7dc4fccc8b70e26a07034c1662124f3178868",
    ),
    "mnist_v1": Packaged(
        data="mnist",
        size=(28, 28),
        accuracy=0.9946,
        sha256="a436c91d10e5e599deb5c4184be3b93b6c7d3a4fafaaed902942a1c9c716a551",
    ),
    "fashion_mnist_v1": Packaged(
        data="fashion_mnist",
        size=(28, 28),
        accuracy=0.9083,
        sha256="3495415852d48a97dc1260fccc300e4b65176ae06c7e89cb1c48cb408f97d236",
    ),
}
"""Name of the extractor -> what it was trained on."""

WIDTH, CLASSES = 24, 10
"""Channels of the first stage, and number of classes, of all of these networks."""


@cache
def packaged_extractor(name: str, *, resizer: str = "none") -> Extractor:
    """Return an extractor whose weights are part of the package.

    Args:
        name: one of `PACKAGED`.
        resizer: how images become as large as those of the training, one of
            `jaxgen.metrics.extractors.resizers.RESIZERS`; `none` for images of that size.

    Returns:
        The extractor, with 96 features and 10 logits.

    Raises:
        InputError: if there is no extractor or resizer of that name, or its file is missing or not the one of this
            version.

    Reference:
        He et al. 2016, arXiv:1512.03385, section 4.2 (the network).

    Example:
        >>> import numpy as np
        >>> found = packaged_extractor("digits_v1")(np.zeros((2, 8, 8, 1), np.uint8))
        >>> found.features.shape, found.logits.shape
        ((2, 96), (2, 10))
    """
    check_known("extractor in the package", name, PACKAGED)
    check_known("resizer", resizer, {*RESIZERS, "none"})
    try:
        content = weights_file(name).read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != PACKAGED[name].sha256:
        got = "another file" if content else "none"
        raise InputError(
            f"the weights of {name} must be those of this version of jaxgen, got {got}: install jaxgen again"
        )
    return Extractor(
        name=name,
        resizer=resizer,
        channels=1,
        size=PACKAGED[name].size,
        params=unflatten_dict(load_tensors(content), sep="/"),
        apply=apply_classifier,
    )


def weights_file(name: str) -> resources.abc.Traversable:
    """Return the file of the weights of an extractor in the package."""
    return resources.files("jaxgen.metrics.extractors") / "weights" / f"{name}.safetensors"


def apply_classifier(params: PyTree, images: Float[Array, "n height width 1"]) -> Extracted:
    """Compute features and logits of grey images.

    Args:
        params: variables of the network.
        images: grey levels in 0..255.

    Returns:
        Features `[n, 96]` and logits `[n, 10]`.
    """
    inputs = 2 * (images / 255) - 1
    network = ResNet(blocks=1, classes=CLASSES, width=WIDTH)
    logits, sown = network.apply(params, inputs, train=False, mutable=["intermediates"])
    return Extracted(sown["intermediates"]["features"][0], logits)
