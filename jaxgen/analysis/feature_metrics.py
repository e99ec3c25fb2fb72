"""Metrics that compare samples with real examples by the features of an extractor, each number with its protocol.

The functions of `jaxgen.metrics` take arrays. Here they have names, those of the papers where the network is that of
the papers, and every value carries what must be equal before it is compared with another one
(`jaxgen.metrics.protocol`).
"""

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._signatures import checked
from jaxgen.errors import InputError, check_known
from jaxgen.metrics import (
    classifier_accuracy_score,
    data_copying,
    density_coverage,
    extrapolated_frechet_distance,
    frechet_distance_of_features,
    inception_score,
    intra_class,
    kernel_distance,
    moments_of,
    precision_recall,
    training_distances,
    vendi_score,
)
from jaxgen.metrics.extractors import Extracted, Extractor
from jaxgen.metrics.protocol import Protocol
from jaxgen.typing import AnyArray, Int, KeyArray

Better: TypeAlias = Literal["smaller", "larger"] | None
"""Which values of a number are better; None where neither is."""

INCEPTION = "inception_2015"
"""The network whose numbers are called FID, KID and Inception Score; those of others have other names."""


class Sets(NamedTuple):
    """What metrics of features compare.

    Attributes:
        real: features and logits of real examples.
        fake: features and logits of samples.
        held_out: those of real examples that the model was not trained on, for memorization; None without them.
        real_labels: class of each real example; None where they have none.
        fake_labels: class for which each sample was generated; None for a model that is not conditional.
    """

    real: Extracted
    fake: Extracted
    held_out: Extracted | None = None
    real_labels: Int[AnyArray, " n"] | None = None
    fake_labels: Int[AnyArray, " m"] | None = None


class FeatureMetric(NamedTuple):
    """A metric of samples, given their features and those of real examples.

    Attributes:
        description: what it is, in one line, with its reference.
        measure: `(key, sets) -> {name: value}`.
        better: name of each value -> which values are better.
        options: `(examples of the smaller set) -> choices that belong to the protocol`.
        least: smallest number of examples of both sets.
        needs: what it needs beside features of real examples and of samples: held-out examples, or labels of both sets.
    """

    description: str
    measure: Callable[[KeyArray, Sets], Mapping[str, float]]
    better: Mapping[str, Better]
    options: Callable[[int], tuple[str, ...]] = lambda fewest: ()
    least: int = 2
    needs: Literal["", "held_out", "labels"] = ""


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


def _fid(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    return {"fid": float(frechet_distance_of_features(sets.real.features, sets.fake.features))}


def _fid_infinity(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    found = extrapolated_frechet_distance(key, moments_of(sets.real.features), sets.fake.features)
    return {"fid_infinity": found.distance}


def _kid(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    size = min(KERNEL_SUBSET_SIZE, len(sets.real.features), len(sets.fake.features))
    found = kernel_distance(key, sets.real.features, sets.fake.features, subsets=KERNEL_SUBSETS, subset_size=size)
    return {"kid": float(found.mean)}


def _inception_score(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    return {"inception_score": float(inception_score(sets.fake.logits, splits=SCORE_SPLITS).mean)}


def _precision_recall(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    found = precision_recall(sets.real.features, sets.fake.features, k=NEIGHBOURS_OF_RECALL)
    return {"precision": float(found.precision), "recall": float(found.recall)}


def _density_coverage(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    found = density_coverage(sets.real.features, sets.fake.features, k=NEIGHBOURS_OF_COVERAGE)
    return {"density": float(found.density), "coverage": float(found.coverage)}


def _vendi_score(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    return {"vendi_score": float(vendi_score(sets.fake.features))}


def _memorization(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    assert sets.held_out is not None
    three = (sets.fake.features, sets.real.features, sets.held_out.features)
    return {"training_distance_ratio": training_distances(*three).ratio, "data_copying": data_copying(*three).score}


def _intra_class(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    assert sets.real_labels is not None
    assert sets.fake_labels is not None
    found = intra_class(
        frechet_distance_of_features, sets.real.features, sets.real_labels, sets.fake.features, sets.fake_labels
    )
    accuracy = classifier_accuracy_score(jnp.asarray(sets.fake.logits), jnp.asarray(sets.fake_labels)).accuracy
    return {"intra_class_fid": found.mean, "classifier_accuracy": float(accuracy)}


FEATURE_METRICS: dict[str, FeatureMetric] = {
    "fid": FeatureMetric(
        "Fréchet distance of Gaussians fitted to the features, Heusel et al. 2017, arXiv:1706.08500",
        _fid,
        {"fid": "smaller"},
    ),
    "fid_infinity": FeatureMetric(
        "the same, extrapolated to infinitely many samples, Chong & Forsyth 2020, arXiv:1911.07023",
        _fid_infinity,
        {"fid_infinity": "smaller"},
        least=20,
    ),
    "kid": FeatureMetric(
        "squared maximum mean discrepancy with a polynomial kernel, Bińkowski et al. 2018, arXiv:1801.01401",
        _kid,
        {"kid": "smaller"},
        lambda fewest: (f"subsets={KERNEL_SUBSETS}x{min(fewest, KERNEL_SUBSET_SIZE)}",),
    ),
    "inception_score": FeatureMetric(
        "exponential of the mutual information of samples and classes, Salimans et al. 2016, arXiv:1606.03498",
        _inception_score,
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
        _vendi_score,
        {"vendi_score": "larger"},
    ),
    "memorization": FeatureMetric(
        "distances to the nearest training example beside those of held-out examples, Meehan et al. 2020, "
        "arXiv:2004.05675",
        _memorization,
        {"training_distance_ratio": None, "data_copying": None},
        needs="held_out",
    ),
    "intra_class": FeatureMetric(
        "mean over classes of the Fréchet distance, Miyato & Koyama 2018, arXiv:1802.05637, and share of samples whose "
        "class the extractor recognizes",
        _intra_class,
        {"intra_class_fid": "smaller", "classifier_accuracy": "larger"},
        needs="labels",
    ),
}
"""Name, as given to `--metrics` -> metric."""

OTHER_NAMES = {
    "fid": "frechet_distance",
    "fid_infinity": "frechet_distance_infinity",
    "kid": "kernel_distance",
    "inception_score": "classifier_score",
    "intra_class_fid": "intra_class_frechet_distance",
}
"""Name of a number of Inception's features -> name of the same number of those of another network."""

FEATURE_BETTER: dict[str, Better] = {
    name: which
    for metric in FEATURE_METRICS.values()
    for inception_name, which in metric.better.items()
    for name in (inception_name, OTHER_NAMES.get(inception_name, inception_name))
}
"""Name of a number -> which values are better; None for those of memorization, whose aim lies in between."""

FEATURE_UNITS = {
    "fid": "squared features",
    "fid_infinity": "squared features",
    "intra_class_fid": "squared features",
    "kid": "squared kernel distance",
    "inception_score": "number of classes",
    "precision": "share of samples",
    "recall": "share of real examples",
    "density": "balls per sample, of k",
    "coverage": "share of real examples",
    "vendi_score": "number of samples",
    "training_distance_ratio": "of held-out examples",
    "data_copying": "standard deviations",
    "classifier_accuracy": "share of samples",
}
FEATURE_UNITS |= {other: FEATURE_UNITS[name] for name, other in OTHER_NAMES.items()}
"""Name of a number -> its unit, as it is written at an axis."""


@checked
def feature_metrics(
    key: KeyArray, names: Sequence[str], extractor: Extractor, sets: Sets, *, split: str, options: tuple[str, ...] = ()
) -> list[Measured]:
    """Measure samples against real examples.

    Args:
        key: PRNG key of the subsets of the kernel distance and of the extrapolation.
        names: metrics to measure, of `FEATURE_METRICS`; a Fréchet distance is `fid` for every network.
        extractor: extractor of the features.
        sets: what is compared.
        split: what the real examples are, e.g. `train`.
        options: further choices of all protocols, e.g. `image_size=64` of scaled images.

    Returns:
        The numbers with their protocols, in the order of the names.

    Raises:
        InputError: if a metric is not known, needs what there is not, or needs more examples, or features are not
            finite.

    Example:
        >>> import numpy as np
        >>> from jaxgen.metrics.extractors.packaged import packaged_extractor
        >>> extractor = packaged_extractor("digits_v1")
        >>> images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1), dtype=np.uint8)
        >>> sets = Sets(extractor(images[:100]), extractor(images[100:]))
        >>> for found in feature_metrics(jax.random.key(0), ["precision_recall"], extractor, sets, split="test"):
        ...     print(found.protocol)
        precision[digits_v1, none, n=100/100, split=test, k=3]
        recall[digits_v1, none, n=100/100, split=test, k=3]
    """
    real, fake = len(sets.real.features), len(sets.fake.features)
    has = {"held_out"} if sets.held_out is not None else set()
    has |= {"labels"} if sets.real_labels is not None and sets.fake_labels is not None else set()
    check_measurable(names, real=real, fake=fake, has=has)
    for kind, found in (("real examples", sets.real), ("samples", sets.fake), ("held-out examples", sets.held_out)):
        if found is not None and not np.isfinite(found.features).all():
            raise InputError(f"features of the {kind} must be finite, got NaN or infinity")
    measured = []
    for number, name in enumerate(dict.fromkeys(names)):
        metric = FEATURE_METRICS[name]
        for value_name, value in metric.measure(jax.random.fold_in(key, number), sets).items():
            protocol = Protocol(
                metric=name_for(value_name, extractor.name),
                extractor=extractor.name,
                resizer=extractor.resizer,
                real=real,
                fake=fake,
                split=split,
                options=(*metric.options(min(real, fake)), *options),
            )
            measured.append(Measured(protocol, value))
    return measured


NEEDS = {
    "held_out": "held-out examples, got none: it applies to the evaluation of a run",
    "labels": "labels of both sets, got none: it applies to the evaluation of a run of a conditional model on data "
    "with labels",
}
"""What a metric may need -> the end of the sentence that there is none."""


def check_measurable(names: Sequence[str], *, real: int, fake: int, has: Container[str] = ()) -> None:
    """Check that metrics can be measured, before features are computed, which takes long.

    Args:
        names: names of the metrics.
        real: number of real examples.
        fake: number of samples.
        has: what there is beside features of both: keys of `NEEDS`.

    Raises:
        InputError: if a metric is not known, needs what there is not, or needs more examples.

    Example:
        >>> check_measurable(["fid", "inception_score"], real=1000, fake=5)
        Traceback (most recent call last):
        jaxgen.errors.InputError: inception_score must have at least 10 examples of both sets, got 1000 and 5
    """
    check_metrics(names)
    for name in names:
        metric = FEATURE_METRICS[name]
        if metric.needs and metric.needs not in has:
            raise InputError(f"{name} must have {NEEDS[metric.needs]}")
        if min(real, fake) < metric.least:
            raise InputError(f"{name} must have at least {metric.least} examples of both sets, got {real} and {fake}")


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
