"""Metrics of the samples of a run by the features of an extractor, each with its protocol."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgen._signatures import checked
from jaxgen.analysis.feature_metrics import FEATURE_METRICS, Sets, check_metrics, feature_metrics
from jaxgen.analysis.image_features import Progress, features_of_data, features_of_parts, no_progress, reference_name
from jaxgen.data import DATASETS, Stream, count_examples
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import DEFAULT_EXTRACTORS, Extracted, Extractor
from jaxgen.metrics.protocol import Protocol
from jaxgen.models.checked_model import check_truncation
from jaxgen.runs.config import RunConfig
from jaxgen.runs.evaluation import summarize_run
from jaxgen.runs.loading import Run, single
from jaxgen.training.seeds import measure_seeds
from jaxgen.typing import Batch, KeyArray

SAMPLES = 10_000
"""Default number of samples."""


@checked
def evaluate_samples(
    run: Run,
    key: KeyArray,
    metrics: Sequence[str],
    extractor: Extractor,
    *,
    count: int = SAMPLES,
    split: str = "train",
    truncation: float | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Compare samples of a run with a split of its data by the features of an extractor.

    Args:
        run: run of a model of images.
        key: PRNG key of the samples and of the subsets of the kernel distance.
        metrics: metrics to measure, of `jaxgen.analysis.feature_metrics.FEATURE_METRICS`.
        extractor: extractor of the features.
        count: number of samples of each seed.
        split: split of the data that the samples are compared with, all of it.
        truncation: bound of the latents, or share of the styles, of models that have such samples; None for all
            latents.
        progress: called with the number of images whose features are computed and that of all images.

    Returns:
        Protocol, as a text -> value; for a run of several seeds what `summarize` returns for their values.

    Raises:
        InputError: if the model does not sample images, the split cannot be loaded, or a metric needs more examples.
    """
    check_metrics(metrics)
    check_samples(run)
    if truncation is not None:
        check_truncation(run.model, truncation)
    if run.config.subset is not None and "memorization" in metrics:
        raise InputError(
            f"memorization compares with all training examples, and {run.folder} was trained on {run.config.subset} of "
            "them: leave it out"
        )
    extractor.check((count, *run.example["image"].shape[1:]))
    open_split = run.config.source.splits()
    data = open_split(split).data
    conditional = "label" in run.model.conditions
    labels = None if isinstance(data, Stream) or "label" not in data else np.asarray(data["label"])
    check_metrics(
        metrics,
        examples=min(count, count_examples(data)),
        held_out=split == "train",
        labels=conditional and labels is not None,
    )
    needs = {FEATURE_METRICS[name].needs for name in metrics}
    sets = Sets(
        real=features_of_data(extractor, data, progress=progress),
        fake=Extracted(np.zeros((0, 0)), np.zeros((0, 0))),
        reference=reference_of(run.config, split, data),
        own_classes=DEFAULT_EXTRACTORS.get(run.config.data) == extractor.name,
    )
    conditions: dict[str, Any] = {} if truncation is None else {"truncation": truncation}
    if "labels" in needs:
        conditions["label"] = np.arange(count) % run.classes
        sets = sets._replace(real_labels=labels, fake_labels=conditions["label"])
    if "held_out" in needs:
        held_out = open_split("test").data
        sets = sets._replace(
            held_out=features_of_data(extractor, held_out, progress=progress),
            held_out_reference=reference_of(run.config, "test", held_out),
        )
    sample_key, metric_key = jax.random.split(key)

    def of_seed(number: int) -> dict[str, float]:
        parts = (part[0] for part in single(run, number).sample_parts(sample_key, count, **conditions))
        fake = features_of_parts(extractor, parts, count=count, progress=progress)
        measured = feature_metrics(metric_key, metrics, extractor, sets._replace(fake=fake))
        return {str(_with_truncation(each.protocol, truncation)): each.value for each in measured}

    return summarize_run(run, measure_seeds(of_seed, run.finite, run.config.seeds or 1))


def _with_truncation(protocol: Protocol, truncation: float | None) -> Protocol:
    """The protocol of a metric of truncated samples; that of all samples is unchanged."""
    if truncation is None:
        return protocol
    return dataclasses.replace(protocol, choices=(*protocol.choices, f"truncation={truncation:g}"))


def check_samples(run: Run) -> None:
    """Raise an InputError unless a run has samples that are images, of a seed that has not diverged."""
    if run.model.sample is None:
        raise InputError(f"the model '{run.family}' does not sample")
    if "image" not in run.example:
        raise InputError(f"metrics of features are of images, and '{run.config.data}' are points")
    if len(run.diverged) >= (run.config.seeds or 1):
        raise InputError(f"{run.folder} must have a seed that has not diverged, got none")


def reference_of(config: RunConfig[Any], split: str, data: Batch | Stream) -> str:
    """Return the name of a split of a run's data in a protocol.

    Args:
        config: config of the run.
        split: name of the split.
        data: its images.

    Returns:
        Data set and split; of the user's own images the name of the folder or the file, with a digest of its content.
    """
    own = config.data not in DATASETS
    name = Path(config.data).name if own else config.data
    return reference_name(f"{name}:{split}", data if own else None, config.image_size)
