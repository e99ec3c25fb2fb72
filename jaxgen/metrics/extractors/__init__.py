"""Extractors: networks with fixed weights that map images to features and logits, each with its resizer and name.

`EXTRACTORS` loads one by its name; `PUBLISHED_WEIGHTS` are those that a user installs once (`jaxgen metrics weights`).
"""

from collections.abc import Callable

from jaxgen.metrics.extractors.efficientnet import efficientnet_lite0
from jaxgen.metrics.extractors.extractor import Extracted, Extractor, quantize
from jaxgen.metrics.extractors.inception import INCEPTION_WEIGHTS, inception_2015
from jaxgen.metrics.extractors.resizers import RESIZERS, resize
from jaxgen.metrics.extractors.torch_file import read_torch_file
from jaxgen.metrics.extractors.vgg import VGG16_WEIGHTS, lpips_params, perceptual_distance, vgg16
from jaxgen.metrics.extractors.weights import (
    PublishedWeights,
    download_weights,
    install_weights,
    load_weights,
    weights_folder,
)

EXTRACTORS: dict[str, Callable[..., Extractor]] = {
    "inception_2015": inception_2015,
    "efficientnet_lite0": efficientnet_lite0,
    "vgg16": vgg16,
}
"""Name of an extractor -> function that loads it: as it was published, or with another `resizer=`."""

PUBLISHED_WEIGHTS: dict[str, PublishedWeights] = {
    weights.name: weights for weights in (INCEPTION_WEIGHTS, VGG16_WEIGHTS)
}
"""Name of a network -> its published weights."""

__all__ = [
    "EXTRACTORS",
    "PUBLISHED_WEIGHTS",
    "RESIZERS",
    "Extracted",
    "Extractor",
    "PublishedWeights",
    "download_weights",
    "efficientnet_lite0",
    "inception_2015",
    "install_weights",
    "load_weights",
    "lpips_params",
    "perceptual_distance",
    "quantize",
    "read_torch_file",
    "resize",
    "vgg16",
    "weights_folder",
]
