"""Extractors: networks with fixed weights that turn images into features and logits, each with its resizer and name."""

from jaxgen.metrics.extractors.extractor import Extracted, Extractor, quantize

__all__ = ["Extracted", "Extractor", "quantize"]
