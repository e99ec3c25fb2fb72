"""Metrics of a run's samples that need a classifier of its data."""

import jax
import jax.numpy as jnp

from jaxgen.callbacks.sample_metrics import digit_classifier
from jaxgen.data import Stream
from jaxgen.errors import InputError
from jaxgen.metrics import class_metrics, frechet_distance_of_features
from jaxgen.models.preprocessing import preprocess
from jaxgen.runs.loading import Run
from jaxgen.typing import Array, KeyArray

SAMPLES = 10_000
"""Samples that are compared with the test split."""


def classifier_metrics(
    run: Run, key: KeyArray, *, count: int = SAMPLES, classifier_steps: int | None = None
) -> dict[str, Array]:
    """Compare samples with the test split of their data by the logits of a classifier of their ten classes.

    Args:
        run: run on grayscale images of ten classes, such as Fashion-MNIST.
        key: PRNG key of the samples.
        count: number of samples of each seed.
        classifier_steps: number of training steps of the classifier; None for as many as the data set needs.

    Returns:
        `modes` (of 10), `high_quality` and `mode_kl_all` as `jaxgen.metrics.class_metrics` defines them, and the
        `frechet_distance` of the ten logits of samples from those of the test split: that of Heusel et al. 2017,
        arXiv:1706.08500, with another network, in squared logits. Each is `[seeds]`, or a scalar for a single run.

    Raises:
        InputError: if the data are not such images, or do not fit in memory.
    """
    classifier = digit_classifier(run.config.source, classifier_steps)
    test = run.config.source.load("test")
    if isinstance(test, Stream):
        raise InputError(f"the test split of {run.config.data} is streamed from disk, and here it must fit in memory")
    real = classifier.logits(preprocess(test))
    parts = [[classifier.logits(of_seed) for of_seed in part] for part in run.sample_parts(key, count)]
    found = []
    for of_seed in zip(*parts, strict=True):
        logits = jnp.concatenate(of_seed)
        found.append({**class_metrics(logits), "frechet_distance": frechet_distance_of_features(real, logits)})
    stacked = jax.tree.map(lambda *values: jnp.stack(values), *found)
    return stacked if run.config.seeds is not None else {name: value[0] for name, value in stacked.items()}
