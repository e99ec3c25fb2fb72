"""Metrics that compare samples with real examples by the features of an extractor, each number with its protocol.

The functions of `jaxgen.metrics` take arrays. Here they have names, those of the papers where the network is that of
the papers, and every value carries what must be equal before it is compared with another one
(`jaxgen.metrics.protocol`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import jax
import numpy as np

from jaxgen._signatures import checked
from jaxgen.errors import InputError, check_known
from jaxgen.metrics import frechet_distance_of_features, inception_score, kernel_distance
from jaxgen.metrics.extractors import Extracted, Extractor
from jaxgen.metrics.neighbours import density_coverage, precision_recall
from jaxgen.metrics.protocol import Protocol
from jaxgen.typing import KeyArray

INCEPTION = "inception_2015"
"""The network whose numbers are called FID, KID and Inception Score; those of others have other names."""


def _no_options(fewest: int) -> tuple[str, ...]:
    return ()


class FeatureMetric(NamedTuple):
    """A metric of samples, given their features and those of real examples.

    Attributes:
        description: what it is, in one line, with its reference.
        measure: `(key, real, fake) -> {name: value}`.
        better: name of each value -> which values are better.
        options: `(examples of the smaller set) -> choices that belong to the protocol`.
        least: smallest number of examples of both sets.
    """

    description: str
    measure: Callable[[KeyArray, Extracted, Extracted], Mapping[str, float]]
    better: Mapping[str, Literal["smaller", "larger"]]
    options: Callable[[int], tuple[str, ...]] = _no_options
    least: int = 2


class Measured(NamedTuple):
    """One number with its protocol.

    Attributes:
        protocol: how it was measured; its text names the number.
        value: the value.
    """

    protocol: Protocol
    value: float


KERNEL_SUBSETS, KERNEL_SUBSET_SIZE = 100, 1000
"""Subsets of the kernel distance, and examples in each, as in clean-fid, torch-fidelity and StyleGAN2-ADA."""

SCORE_SPLITS = 10
"""Parts of the samples whose Inception scores are averaged, as in Salimans et al. 2016."""

NEIGHBOURS_OF_RECALL, NEIGHBOURS_OF_COVERAGE = 3, 5
"""Neighbour that determines the radius of a ball, for precision and recall, and for density and coverage."""


def _kernel_distance(key: KeyArray, real: Extracted, fake: Extracted) -> Mapping[str, float]:
    size = min(KERNEL_SUBSET_SIZE, len(real.features), len(fake.features))
    found = kernel_distance(key, real.features, fake.features, subsets=KERNEL_SUBSETS, subset_size=size)
    return {"kid": float(found.mean)}


def _precision_recall(key: KeyArray, real: Extracted, fake: Extracted) -> Mapping[str, float]:
    found = precision_recall(real.features, fake.features, k=NEIGHBOURS_OF_RECALL)
    return {"precision": float(found.precision), "recall": float(found.recall)}


def _density_coverage(key: KeyArray, real: Extracted, fake: Extracted) -> Mapping[str, float]:
    found = density_coverage(real.features, fake.features, k=NEIGHBOURS_OF_COVERAGE)
    return {"density": float(found.density), "coverage": float(found.coverage)}


FEATURE_METRICS: dict[str, FeatureMetric] = {
    "fid": FeatureMetric(
        "Fréchet distance of Gaussians fitted to the features, Heusel et al. 2017, arXiv:1706.08500",
        lambda key, real, fake: {"fid": float(frechet_distance_of_features(real.features, fake.features))},
        {"fid": "smaller"},
    ),
    "kid": FeatureMetric(
        "squared maximum mean discrepancy with a polynomial kernel, Bińkowski et al. 2018, arXiv:1801.01401",
        _kernel_distance,
        {"kid": "smaller"},
        lambda fewest: (f"subsets={KERNEL_SUBSETS}x{min(fewest, KERNEL_SUBSET_SIZE)}",),
    ),
    "inception_score": FeatureMetric(
        "exponential of the mutual information of samples and classes, Salimans et al. 2016, arXiv:1606.03498",
        lambda key, real, fake: {"inception_score": float(inception_score(fake.logits, splits=SCORE_SPLITS).mean)},
        {"inception_score": "larger"},
        lambda fewest: (f"splits={SCORE_SPLITS}",),
        least=SCORE_SPLITS,
    ),
    "precision_recall": FeatureMetric(
        "shares of samples near real examples and of real examples near samples, Kynkäänniemi et al. 2019, "
        "arXiv:1904.06991",
        _precision_recall,
        {"precision": "larger", "recall": "larger"},
        lambda fewest: (f"k={NEIGHBOURS_OF_RECALL}",),
        least=NEIGHBOURS_OF_RECALL + 1,
    ),
    "density_coverage": FeatureMetric(
        "real examples around samples, and share of real examples with samples around them, Naeem et al. 2020, "
        "arXiv:2002.09797",
        _density_coverage,
        {"density": "larger", "coverage": "larger"},
        lambda fewest: (f"k={NEIGHBOURS_OF_COVERAGE}",),
        least=NEIGHBOURS_OF_COVERAGE + 1,
    ),
    "vendi_score": FeatureMetric(
        "effective number of different samples, Friedman & Dieng 2023, arXiv:2210.02410",
        lambda key, real, fake: {"vendi_score": float(vendi_score(fake.features))},
        {"vendi_score": "larger"},
    ),
}
"""Name, as given to `--metrics` -> metric."""

OTHER_NAMES = {"fid": "frechet_distance", "kid": "kernel_distance", "inception_score": "classifier_score"}
"""Name of a number of Inception's features -> name of the same number of those of another network."""

FEATURE_BETTER: dict[str, Literal["smaller", "larger"]] = {
    name: which
    for metric in FEATURE_METRICS.values()
    for inception_name, which in metric.better.items()
    for name in (inception_name, OTHER_NAMES.get(inception_name, inception_name))
}
"""Name of a number -> which values are better, "smaller" or "larger"."""

FEATURE_UNITS = {
    "fid": "squared features",
    "frechet_distance": "squared features",
    "kid": "squared kernel distance",
    "kernel_distance": "squared kernel distance",
    "inception_score": "number of classes",
    "classifier_score": "number of classes",
    "precision": "share of samples",
    "recall": "share of real examples",
    "density": "balls per sample, of k",
    "coverage": "share of real examples",
    "vendi_score": "number of samples",
}
"""Name of a number -> its unit, as it is written at an axis."""


@checked
def feature_metrics(
    key: KeyArray, names: Sequence[str], extractor: Extractor, real: Extracted, fake: Extracted, *, split: str
) -> list[Measured]:
    """Measure samples against real examples.

    Args:
        key: PRNG key of the subsets of the kernel distance.
        names: metrics to measure, of `FEATURE_METRICS`; a Fréchet distance is `fid` for every network.
        extractor: extractor of the features.
        real: features and logits of real examples.
        fake: features and logits of samples.
        split: what the real examples are, e.g. `train`.

    Returns:
        The numbers with their protocols, in the order of the names.

    Raises:
        InputError: if a metric is not known, or there are too few examples for it, or features are not finite.

    Example:
        >>> import numpy as np
        >>> from jaxgen.metrics.extractors.packaged import packaged_extractor
        >>> extractor = packaged_extractor("digits_v1")
        >>> images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1), dtype=np.uint8)
        >>> real, fake = extractor(images[:100]), extractor(images[100:])
        >>> for found in feature_metrics(jax.random.key(0), ["precision_recall"], extractor, real, fake, split="test"):
        ...     print(found.protocol)
        precision[digits_v1, none, n=100/100, split=test, k=3]
        recall[digits_v1, none, n=100/100, split=test, k=3]
    """
    check_metrics(names)
    for kind, found in (("real examples", real), ("samples", fake)):
        if not np.isfinite(found.features).all():
            raise InputError(f"features of the {kind} must be finite, got NaN or infinity")
    fewest = min(len(real.features), len(fake.features))
    measured = []
    for number, name in enumerate(dict.fromkeys(names)):
        metric = FEATURE_METRICS[name]
        if fewest < metric.least:
            raise InputError(f"{name} must have at least {metric.least} examples of both sets, got {fewest}")
        for value_name, value in metric.measure(jax.random.fold_in(key, number), real, fake).items():
            protocol = Protocol(
                metric=name_for(value_name, extractor.name),
                extractor=extractor.name,
                resizer=extractor.resizer,
                real=len(real.features),
                fake=len(fake.features),
                split=split,
                options=metric.options(fewest),
            )
            measured.append(Measured(protocol, value))
    return measured


def check_metrics(names: Sequence[str]) -> None:
    """Raise an InputError unless all are names of metrics of features, at least one."""
    if not names:
        raise InputError(f"metrics must be at least one of {', '.join(FEATURE_METRICS)}, got none")
    for name in names:
        check_known("metric of features", name, FEATURE_METRICS)


def name_for(name: str, extractor: str) -> str:
    """Return the name of a number for the features of a network: FID is that of Inception alone.

    Args:
        name: name of the number for Inception's features.
        extractor: name of the network.

    Returns:
        The name.

    Example:
        >>> name_for("fid", "inception_2015"), name_for("fid", "mnist_v1"), name_for("recall", "mnist_v1")
        ('fid', 'frechet_distance', 'recall')
    """
    return name if extractor == INCEPTION else OTHER_NAMES.get(name, name)
