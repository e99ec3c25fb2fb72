"""Metrics that compare samples with real examples by the features of an extractor, each number with its protocol.

The functions of `jaxgen.metrics` take arrays. Here they have names, those of the papers where the network is that of
the papers, and every value carries what must be equal before it is compared with another one
(`jaxgen.metrics.protocol`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._signatures import checked
from jaxgen.errors import InputError, check_known
from jaxgen.metrics import (
    classifier_accuracy_score,
    density_coverage,
    extrapolated_frechet_distance,
    frechet_distance_of_features,
    inception_score,
    intra_class,
    kernel_distance,
    memorization_metrics,
    moments_of,
    precision_recall,
    vendi_score,
)
from jaxgen.metrics.extractors import Extracted, Extractor
from jaxgen.metrics.protocol import Protocol
from jaxgen.training.seeds import Better
from jaxgen.typing import AnyArray, Int, KeyArray

INCEPTION = "inception_2015"
"""The network whose numbers are called FID, KID and Inception Score; those of others have other names."""


class Sets(NamedTuple):
    """What metrics of features compare.

    Attributes:
        real: features and logits of real examples.
        fake: features and logits of samples.
        reference: what the real examples are, e.g. `mnist:train`.
        held_out: features and logits of real examples that the model was not trained on, for memorization; None
            without them.
        held_out_reference: what they are, e.g. `mnist:test`.
        real_labels: class of each real example; None where they have none.
        fake_labels: class for which each sample was generated; None for a model that is not conditional.
        own_classes: whether the logits of the extractor are of the classes of the real examples.
    """

    real: Extracted
    fake: Extracted
    reference: str
    held_out: Extracted | None = None
    held_out_reference: str = ""
    real_labels: Int[AnyArray, " n"] | None = None
    fake_labels: Int[AnyArray, " m"] | None = None
    own_classes: bool = False


class Number(NamedTuple):
    """One of the values of a metric.

    Attributes:
        unit: its unit, as it is written at an axis.
        better: which values are better; None where neither larger nor smaller ones are.
        other_name: its name for the features of another network than Inception; empty where it is the same.
    """

    unit: str
    better: Better | None
    other_name: str = ""


class FeatureMetric(NamedTuple):
    """A metric of samples, given their features and those of real examples.

    Attributes:
        description: what it is, in one line, with its reference.
        measure: `(key, sets) -> {name: value}`, a value for each of its numbers that can be had.
        numbers: name of each value -> what it is.
        choices: `(sets) -> choices` that belong to the protocol, beside the extractor and the examples.
        least: smallest number of examples of both sets.
        needs: what it needs beside features of real examples and of samples: held-out examples, or labels of both sets.
        of_samples: whether it depends on the samples alone.
    """

    description: str
    measure: Callable[[KeyArray, Sets], Mapping[str, float]]
    numbers: Mapping[str, Number]
    choices: Callable[[Sets], tuple[str, ...]] = lambda sets: ()
    least: int = 2
    needs: Literal["", "held_out", "labels"] = ""
    of_samples: bool = False


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


def _subset_size(sets: Sets) -> int:
    return min(KERNEL_SUBSET_SIZE, len(sets.real.features), len(sets.fake.features))


def _kid(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    found = kernel_distance(
        key, sets.real.features, sets.fake.features, subsets=KERNEL_SUBSETS, subset_size=_subset_size(sets)
    )
    return {"kid": float(found.mean), "kid_sd": float(found.sd)}


def _inception_score(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    found = inception_score(sets.fake.logits, splits=SCORE_SPLITS)
    return {"inception_score": float(found.mean), "inception_score_sd": float(found.sd)}


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
    fake, train, held_out = sets.fake.features, sets.real.features, sets.held_out.features
    equal = min(len(train), len(held_out))  # A Fréchet distance depends on the number of examples.
    to_train, to_held_out = (float(frechet_distance_of_features(real[:equal], fake)) for real in (train, held_out))
    found = memorization_metrics(fake, train, held_out)
    return {
        "training_distance_ratio": found.distances.ratio,
        "data_copying": found.copying.score,
        "fid_train_minus_held_out": to_train - to_held_out,
    }


def _intra_class(key: KeyArray, sets: Sets) -> Mapping[str, float]:
    assert sets.real_labels is not None
    assert sets.fake_labels is not None
    found = intra_class(
        frechet_distance_of_features, sets.real.features, sets.real_labels, sets.fake.features, sets.fake_labels
    )
    values = {"intra_class_fid": found.mean}
    if sets.own_classes:
        accuracy = classifier_accuracy_score(jnp.asarray(sets.fake.logits), jnp.asarray(sets.fake_labels)).accuracy
        values["classifier_accuracy"] = float(accuracy)
    return values


def _held_out_choices(sets: Sets) -> tuple[str, ...]:
    held_out = 0 if sets.held_out is None else len(sets.held_out.features)
    return (f"held_out={sets.held_out_reference}/{held_out}", "cells=1")


FEATURE_METRICS: dict[str, FeatureMetric] = {
    "fid": FeatureMetric(
        "Fréchet distance of Gaussians fitted to the features, Heusel et al. 2017, arXiv:1706.08500",
        _fid,
        {"fid": Number("squared features", "smaller", "frechet_distance")},
    ),
    "fid_infinity": FeatureMetric(
        "the same, extrapolated to infinitely many samples, Chong & Forsyth 2020, arXiv:1911.07023",
        _fid_infinity,
        {"fid_infinity": Number("squared features", "smaller", "frechet_distance_infinity")},
        lambda sets: ("points=15",),
        least=20,
    ),
    "kid": FeatureMetric(
        "squared maximum mean discrepancy with a polynomial kernel, Bińkowski et al. 2018, arXiv:1801.01401",
        _kid,
        {
            "kid": Number("squared kernel distance", "smaller", "kernel_distance"),
            "kid_sd": Number("squared kernel distance", None, "kernel_distance_sd"),
        },
        lambda sets: (f"subsets={KERNEL_SUBSETS}x{_subset_size(sets)}",),
    ),
    "inception_score": FeatureMetric(
        "exponential of the mutual information of samples and classes, Salimans et al. 2016, arXiv:1606.03498",
        _inception_score,
        {
            "inception_score": Number("number of classes", "larger", "classifier_score"),
            "inception_score_sd": Number("number of classes", None, "classifier_score_sd"),
        },
        lambda sets: (f"splits={SCORE_SPLITS}",),
        least=SCORE_SPLITS,
        of_samples=True,
    ),
    "precision_recall": FeatureMetric(
        "shares of samples near real examples and of real examples near samples, Kynkäänniemi et al. 2019, "
        "arXiv:1904.06991",
        _precision_recall,
        {"precision": Number("share of samples", "larger"), "recall": Number("share of real examples", "larger")},
        lambda sets: (f"k={NEIGHBOURS_OF_RECALL}",),
        least=NEIGHBOURS_OF_RECALL + 1,
    ),
    "density_coverage": FeatureMetric(
        "real examples around samples, and share of real examples with samples around them, Naeem et al. 2020, "
        "arXiv:2002.09797",
        _density_coverage,
        {"density": Number("balls per sample, of k", "larger"), "coverage": Number("share of real examples", "larger")},
        lambda sets: (f"k={NEIGHBOURS_OF_COVERAGE}",),
        least=NEIGHBOURS_OF_COVERAGE + 1,
    ),
    "vendi_score": FeatureMetric(
        "effective number of different samples, Friedman & Dieng 2023, arXiv:2210.02410",
        _vendi_score,
        {"vendi_score": Number("number of samples", "larger")},
        lambda sets: ("kernel=cosine",),
        of_samples=True,
    ),
    "memorization": FeatureMetric(
        "distances to training examples beside those of held-out examples: far below 1, or below 0, if samples are "
        "copies, Meehan et al. 2020, arXiv:2004.05675",
        _memorization,
        {
            "training_distance_ratio": Number("of held-out examples", None),
            "data_copying": Number("standard deviations", None),
            "fid_train_minus_held_out": Number("squared features", None, "frechet_distance_train_minus_held_out"),
        },
        _held_out_choices,
        needs="held_out",
    ),
    "intra_class": FeatureMetric(
        "mean over classes of the Fréchet distance, Miyato & Koyama 2018, arXiv:1802.05637, and share of samples whose "
        "class the classifier of the data recognizes",
        _intra_class,
        {
            "intra_class_fid": Number("squared features", "smaller", "intra_class_frechet_distance"),
            "classifier_accuracy": Number("share of samples", "larger"),
        },
        lambda sets: ("labels=uniform",),
        needs="labels",
    ),
}
"""Name, as given to `--metrics` -> metric."""

NUMBERS: dict[str, Number] = {
    name: number
    for metric in FEATURE_METRICS.values()
    for inception_name, number in metric.numbers.items()
    for name in (inception_name, number.other_name or inception_name)
}
"""Name of a number, for the features of Inception or of another network -> what it is."""


@checked
def feature_metrics(key: KeyArray, names: Sequence[str], extractor: Extractor, sets: Sets) -> list[Measured]:
    """Measure samples against real examples.

    Args:
        key: PRNG key of the subsets of the kernel distance and of the extrapolation.
        names: metrics to measure, of `FEATURE_METRICS`; a Fréchet distance is `fid` for every network.
        extractor: extractor of the features.
        sets: what is compared.

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
        >>> sets = Sets(extractor(images[:100]), extractor(images[100:]), "noise")
        >>> for found in feature_metrics(jax.random.key(0), ["precision_recall"], extractor, sets):
        ...     print(found.protocol)
        precision[digits_v1, none, n=100/100, split=noise, k=3]
        recall[digits_v1, none, n=100/100, split=noise, k=3]
    """
    check_metrics(
        names,
        examples=min(len(sets.real.features), len(sets.fake.features)),
        held_out=sets.held_out is not None,
        labels=sets.real_labels is not None and sets.fake_labels is not None,
    )
    for kind, found in (("real examples", sets.real), ("samples", sets.fake), ("held-out examples", sets.held_out)):
        if found is not None and not np.isfinite(found.features).all():
            raise InputError(f"features of the {kind} must be finite, got NaN or infinity")
    measured = []
    for number, name in enumerate(dict.fromkeys(names)):
        values = FEATURE_METRICS[name].measure(jax.random.fold_in(key, number), sets)
        measured += [Measured(protocol_of(name, each, extractor, sets), value) for each, value in values.items()]
    return measured


def protocol_of(name: str, number: str, extractor: Extractor, sets: Sets) -> Protocol:
    """Return the protocol of a number.

    Args:
        name: name of the metric, of `FEATURE_METRICS`.
        number: name of the number for Inception's features.
        extractor: extractor of the features.
        sets: what is compared.

    Returns:
        The protocol.
    """
    metric, fake = FEATURE_METRICS[name], len(sets.fake.features)
    examples = (
        (f"n={fake}",) if metric.of_samples else (f"n={len(sets.real.features)}/{fake}", f"split={sets.reference}")
    )
    return Protocol(
        name_for(number, extractor.name),
        (extractor.name, extractor.resizer, *extractor.options, *examples, *metric.choices(sets)),
    )


def check_metrics(
    names: Sequence[str], *, examples: int | None = None, held_out: bool = True, labels: bool = True
) -> None:
    """Check that metrics can be measured, before anything is computed.

    Args:
        names: names of metrics.
        examples: number of examples of the smaller set; None where it is not known.
        held_out: whether there are held-out examples.
        labels: whether both sets have labels.

    Raises:
        InputError: if there are none, one is not known, needs what there is not, or needs more examples.
    """
    if not names:
        raise InputError(f"metrics must be at least one of {', '.join(FEATURE_METRICS)}, got none")
    for name in names:
        check_known("metric of features", name, FEATURE_METRICS)
        metric = FEATURE_METRICS[name]
        if examples is not None and examples < metric.least:
            raise InputError(f"{name} must have at least {metric.least} examples of both sets, got {examples}")
        if metric.needs == "held_out" and not held_out:
            raise InputError(
                f"{name} must have held-out examples, got none: it applies to the samples of a run beside its training "
                "split"
            )
        if metric.needs == "labels" and not labels:
            raise InputError(
                f"{name} must have labels of both sets, got none: it applies to the samples of a run of a conditional "
                "model, beside images with labels in memory"
            )


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
    return name if extractor == INCEPTION else NUMBERS[name].other_name or name
