"""Extractors: networks with fixed weights that map images to features and logits, each with its resizer and name.

`load_extractor` loads one by its name; `PUBLISHED_WEIGHTS` are those that a user installs once (`jaxgen metrics
weights`).
"""

from collections.abc import Callable
from functools import partial

from jaxgen.errors import InputError, check_known
from jaxgen.installed_weights import (
    PublishedWeights,
    download_weights,
    install_weights,
    is_installed,
    load_weights,
    weights_folder,
)
from jaxgen.metrics.extractors.efficientnet import efficientnet_lite0
from jaxgen.metrics.extractors.extractor import Extracted, Extractor, quantize
from jaxgen.metrics.extractors.inception import INCEPTION_WEIGHTS, inception_2015
from jaxgen.metrics.extractors.packaged import PACKAGED, packaged_extractor
from jaxgen.metrics.extractors.resizers import RESIZERS, resize
from jaxgen.metrics.extractors.vgg import VGG16_WEIGHTS, lpips_params, perceptual_distance, vgg16

EXTRACTORS: dict[str, Callable[..., Extractor]] = {
    **{name: partial(packaged_extractor, name) for name in PACKAGED},
    "inception_2015": inception_2015,
    "efficientnet_lite0": efficientnet_lite0,
    "vgg16": vgg16,
}
"""Name of an extractor -> function that loads it: as it was published, or with another `resizer=`."""

PUBLISHED_WEIGHTS: dict[str, PublishedWeights] = {
    weights.name: weights for weights in (INCEPTION_WEIGHTS, VGG16_WEIGHTS)
}
"""Name of a network -> its published weights."""

DEFAULT_EXTRACTORS = {
    "digits": "digits_v1",
    "mnist_small": "mnist_v1",
    "mnist": "mnist_v1",
    "fashion_mnist": "fashion_mnist_v1",
}
"""Name of a data set -> extractor whose features are those of its classes."""


def load_extractor(name: str, *, resizer: str | None = None) -> Extractor:
    """Load an extractor.

    Args:
        name: one of `EXTRACTORS`.
        resizer: how images become as large as the network needs; None for the published way, which for the
            classifiers in the package is `none`.

    Returns:
        The extractor.

    Raises:
        InputError: if there is no extractor of that name, or its weights are not on this machine; the message says
            where to get them.

    Example:
        >>> load_extractor("digits_v1").size
        (8, 8)
    """
    check_known("extractor", name, EXTRACTORS)
    return EXTRACTORS[name]() if resizer is None else EXTRACTORS[name](resizer=resizer)


def default_extractor(data: str) -> str:
    """Return the name of the extractor of a data set, where one was trained for it.

    Args:
        data: name of the data set.

    Returns:
        The name.

    Raises:
        InputError: if none was.

    Example:
        >>> default_extractor("fashion_mnist")
        'fashion_mnist_v1'
    """
    if data not in DEFAULT_EXTRACTORS:
        raise InputError(
            f"an extractor must be chosen for the data '{data}', as none was trained for them, with --extractor: one "
            f"of {', '.join(EXTRACTORS)}"
        )
    return DEFAULT_EXTRACTORS[data]


def classifier_of(data: str, size: tuple[int, ...]) -> str | None:
    """Return the name of the extractor in the package whose logits are those of the classes of a data set.

    Args:
        data: name of the data set.
        size: height and width of its images.

    Returns:
        The name; None where there is none for the data set, or it was trained on images of another size.

    Example:
        >>> classifier_of("mnist_small", (28, 28)), classifier_of("mnist", (14, 14)), classifier_of("cifar10", (32, 32))
        ('mnist_v1', None, None)
    """
    name = DEFAULT_EXTRACTORS.get(data)
    return name if name is not None and PACKAGED[name].size == tuple(size) else None


__all__ = [
    "DEFAULT_EXTRACTORS",
    "EXTRACTORS",
    "INCEPTION_WEIGHTS",
    "PUBLISHED_WEIGHTS",
    "RESIZERS",
    "Extracted",
    "Extractor",
    "PublishedWeights",
    "classifier_of",
    "default_extractor",
    "download_weights",
    "efficientnet_lite0",
    "inception_2015",
    "install_weights",
    "is_installed",
    "load_extractor",
    "load_weights",
    "lpips_params",
    "perceptual_distance",
    "quantize",
    "resize",
    "vgg16",
    "weights_folder",
]
