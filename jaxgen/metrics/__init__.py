"""Metrics of generated samples and likelihoods: pure functions of samples, labels, logits, features or densities."""

from jaxgen.metrics.annealed_importance_sampling import (
    AnnealedImportance,
    BidirectionalBounds,
    annealed_importance_sampling,
    bidirectional_bounds,
    reverse_annealed_importance_sampling,
    sigmoid_schedule,
)
from jaxgen.metrics.conditional import ClassifierAccuracy, IntraClass, classifier_accuracy_score, intra_class
from jaxgen.metrics.disentanglement import (
    AttributePredictability,
    Dci,
    MutualInformationGap,
    boosted_trees,
    dci,
    disentanglement_completeness,
    mutual_information_gap,
    separated_attribute_predictability,
)
from jaxgen.metrics.factor_vae import FactorVaeScore, factor_vae_score
from jaxgen.metrics.frechet import (
    ExtrapolatedDistance,
    Moments,
    extrapolated_frechet_distance,
    frechet_distance_of_features,
    frechet_distance_of_moments,
    merge_moments,
    moments_of,
    update_moments,
)
from jaxgen.metrics.inception_score import InceptionScore, inception_score
from jaxgen.metrics.kernel_distance import KernelDistance, kernel_distance
from jaxgen.metrics.likelihood_bounds import (
    RateDistortion,
    active_units,
    importance_weighted_bound,
    mutual_information,
    rate_distortion,
)
from jaxgen.metrics.memorization import (
    DataCopying,
    MemorizationMetrics,
    TrainingDistances,
    data_copying,
    memorization_metrics,
    training_distances,
)
from jaxgen.metrics.modes import ModeCoverage, label_coverage, mode_coverage
from jaxgen.metrics.modes_and_distances import (
    CONFIDENT,
    class_metrics,
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
    "AnnealedImportance",
    "AttributePredictability",
    "BidirectionalBounds",
    "ClassifierAccuracy",
    "DataCopying",
    "Dci",
    "DensityCoverage",
    "ExtrapolatedDistance",
    "FactorVaeScore",
    "InceptionScore",
    "IntraClass",
    "KernelDistance",
    "MemorizationMetrics",
    "ModeCoverage",
    "Moments",
    "MutualInformationGap",
    "Neighbours",
    "PathLength",
    "PrecisionRecall",
    "RateDistortion",
    "TrainingDistances",
    "active_units",
    "annealed_importance_sampling",
    "bidirectional_bounds",
    "boosted_trees",
    "class_metrics",
    "classifier_accuracy_score",
    "data_copying",
    "dci",
    "density_coverage",
    "disentanglement_completeness",
    "extrapolated_frechet_distance",
    "factor_vae_score",
    "frechet_distance_of_features",
    "frechet_distance_of_moments",
    "importance_weighted_bound",
    "inception_score",
    "intra_class",
    "kernel_distance",
    "label_coverage",
    "label_metrics",
    "memorization_metrics",
    "merge_moments",
    "mixture_metrics",
    "mode_coverage",
    "moments_of",
    "mutual_information",
    "mutual_information_gap",
    "nearest_neighbours",
    "perceptual_path_length",
    "precision_recall",
    "rate_distortion",
    "realism",
    "reverse_annealed_importance_sampling",
    "separated_attribute_predictability",
    "sigmoid_schedule",
    "training_distances",
    "update_moments",
    "vendi_score",
]
