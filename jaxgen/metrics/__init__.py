"""Metrics of generated samples: pure functions of samples, labels, logits or features."""

from jaxgen.metrics.annealed_importance_sampling import (
    AnnealedImportance,
    BidirectionalBounds,
    annealed_importance_sampling,
    bidirectional_bounds,
    reverse_annealed_importance_sampling,
    sigmoid_schedule,
)
from jaxgen.metrics.likelihood_bounds import (
    RateDistortion,
    active_units,
    importance_weighted_bound,
    mutual_information,
    rate_distortion,
)
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
    "AnnealedImportance",
    "BidirectionalBounds",
    "ModeCoverage",
    "RateDistortion",
    "active_units",
    "annealed_importance_sampling",
    "bidirectional_bounds",
    "class_metrics",
    "frechet_distance_of_features",
    "importance_weighted_bound",
    "label_coverage",
    "label_metrics",
    "mixture_metrics",
    "mode_coverage",
    "mutual_information",
    "rate_distortion",
    "reverse_annealed_importance_sampling",
    "sigmoid_schedule",
]
