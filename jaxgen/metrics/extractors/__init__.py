"""Extractors: networks with fixed weights that turn images into features and logits, each with its resizer and name.

`EXTRACTORS` loads one by its name; `PUBLISHED_WEIGHTS` are those that a user installs once (`jaxgen metrics weights`).
"""

from collections.abc import Callable

from jaxgen.metrics.extractors.extractor import Extracted, Extractor, quantize
from jaxgen.metrics.extractors.inception import INCEPTION_WEIGHTS, inception_2015
from jaxgen.metrics.extractors.resizers import RESIZERS, resize
from jaxgen.metrics.extractors.torch_file import read_torch_file
from jaxgen.metrics.extractors.weights import (
    PublishedWeights,
    download_weights,
    install_weights,
    load_weights,
    weights_folder,
)

EXTRACTORS: dict[str, Callable[[], Extractor]] = {"inception_2015": inception_2015}
"""Name of an extractor -> function that loads it, with the resizer of its publication."""

PUBLISHED_WEIGHTS: dict[str, PublishedWeights] = {weights.name: weights for weights in (INCEPTION_WEIGHTS,)}
"""Name of a network -> its published weights."""

__all__ = [
    "EXTRACTORS",
    "PUBLISHED_WEIGHTS",
    "RESIZERS",
    "Extracted",
    "Extractor",
    "PublishedWeights",
    "download_weights",
    "inception_2015",
    "install_weights",
    "load_weights",
    "quantize",
    "read_torch_file",
    "resize",
    "weights_folder",
]
