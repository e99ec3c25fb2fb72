"""Metrics of generated samples: pure functions of samples, labels, logits or features."""

from jaxgen.metrics.conditional import ClassifierAccuracy, IntraClass, classifier_accuracy_score, intra_class
from jaxgen.metrics.memorization import DataCopying, TrainingDistances, data_copying, training_distances
from jaxgen.metrics.modes import ModeCoverage, label_coverage, mode_coverage
from jaxgen.metrics.modes_and_distances import (
    CONFIDENT,
    class_metrics,
    frechet_distance_of_features,
    label_metrics,
    mixture_metrics,
)
from jaxgen.metrics.neighbours import (
    DensityCoverage,
    Neighbours,
    PrecisionRecall,
    density_coverage,
    nearest_neighbours,
    precision_recall,
    realism,
)
from jaxgen.metrics.path_length import PathLength, perceptual_path_length
from jaxgen.metrics.vendi import vendi_score

__all__ = [
    "CONFIDENT",
    "ClassifierAccuracy",
    "DataCopying",
    "DensityCoverage",
    "IntraClass",
    "ModeCoverage",
    "Neighbours",
    "PathLength",
    "PrecisionRecall",
    "TrainingDistances",
    "class_metrics",
    "classifier_accuracy_score",
    "data_copying",
    "density_coverage",
    "frechet_distance_of_features",
    "intra_class",
    "label_coverage",
    "label_metrics",
    "mixture_metrics",
    "mode_coverage",
    "nearest_neighbours",
    "perceptual_path_length",
    "precision_recall",
    "realism",
    "training_distances",
    "vendi_score",
]
