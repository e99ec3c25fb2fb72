"""Metrics of the samples of a run by the features of an extractor, each with its protocol."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._signatures import checked
from jaxgen.analysis.feature_metrics import FEATURE_METRICS, Sets, check_measurable, check_metrics, feature_metrics
from jaxgen.analysis.image_features import Progress, features_of_data, features_of_parts, no_progress
from jaxgen.data import Stream, count_examples
from jaxgen.errors import InputError, shortened
from jaxgen.metrics.extractors import Extractor
from jaxgen.runs.evaluation import better_of
from jaxgen.runs.loading import Run, single
from jaxgen.training.seeds import summarize
from jaxgen.typing import KeyArray

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
        progress: called with the number of images whose features are computed and that of all images.

    Returns:
        Protocol, as a text -> value; for a run of several seeds what `summarize` returns for their values.

    Raises:
        InputError: if the model does not sample images, the split cannot be loaded, or a metric needs more examples.
    """
    check_metrics(metrics)
    if run.model.sample is None:
        raise InputError(f"the model '{run.family}' does not sample")
    if "image" not in run.example:
        raise InputError(f"metrics of features are of images, and '{run.config.data}' are points")
    extractor.check((count, *run.example["image"].shape[1:]))
    data = run.config.source.load(split)
    needs = {FEATURE_METRICS[name].needs for name in metrics}
    conditions, labels = {}, {}
    if "labels" in needs and "label" in run.model.conditions and not isinstance(data, Stream) and "label" in data:
        conditions = {"label": np.arange(count) % run.classes}
        labels = {"real_labels": np.asarray(data["label"]), "fake_labels": conditions["label"]}
    if "held_out" in needs and split != "train":
        raise InputError(f"memorization must be measured with the training split, got the split {shortened(split)}")
    if len(run.diverged) == (run.config.seeds or 1):
        raise InputError("the run must have a seed that has not diverged, got none: its samples cannot be compared")
    has = {"held_out", "labels"} if labels else {"held_out"}
    check_measurable(metrics, real=count_examples(data), fake=count, has=has)
    real = features_of_data(extractor, data, progress=progress)
    held_out = None
    if "held_out" in needs:
        held_out = features_of_data(extractor, run.config.source.load("test"), progress=progress)
    sample_key, metric_key = jax.random.split(key)
    values: dict[str, list[float]] = {}
    for number in range(run.config.seeds or 1):
        if number in run.diverged:
            found = dict.fromkeys(values, np.nan)
        else:
            parts = (part[0] for part in single(run, number).sample_parts(sample_key, count, **conditions))
            fake = features_of_parts(extractor, parts, count=count, progress=progress)
            sets = Sets(real, fake, held_out, **labels)
            measured = feature_metrics(metric_key, metrics, extractor, sets, split=split)
            found = {str(each.protocol): each.value for each in measured}
        for name, value in found.items():
            values.setdefault(name, [np.nan] * number).append(value)
    if run.config.seeds is None:
        return {name: value[0] if np.isfinite(value[0]) else None for name, value in values.items()}
    return {
        name: summarize(jnp.asarray(each), better=better_of(name), left_out=run.diverged)
        for name, each in values.items()
    }
