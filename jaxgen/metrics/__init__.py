"""Metrics of generated samples: pure functions of samples, labels, logits or features."""

from jaxgen.metrics.modes import ModeCoverage, label_coverage, mode_coverage
from jaxgen.metrics.modes_and_distances import (
    CONFIDENT,
    class_metrics,
    frechet_distance_of_features,
    label_metrics,
    mixture_metrics,
)

__all__ = [
    "CONFIDENT",
    "ModeCoverage",
    "class_metrics",
    "frechet_distance_of_features",
    "label_coverage",
    "label_metrics",
    "mixture_metrics",
    "mode_coverage",
]
