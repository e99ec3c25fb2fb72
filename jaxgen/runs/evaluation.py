"""What a run is worth on the test split of its data."""

import dataclasses
from typing import Any

import jax
import numpy as np

from jaxgen.callbacks.log import summarize
from jaxgen.data import STACKED, SYNTHETIC, Stream, example, load
from jaxgen.errors import InputError
from jaxgen.runs.config import RunConfig
from jaxgen.runs.loading import Run
from jaxgen.runs.sample_metrics import POINTS, STACKED_IMAGES, mode_metrics, sampled_parts, stacked_metrics
from jaxgen.training.evaluation import evaluate
from jaxgen.typing import Batch

LARGER_IS_BETTER = frozenset({"elbo", "high_quality", "modes"})
"""Metrics of which the worst seed has the smallest value. Of all others it has the largest: they are losses, errors and
distances, or outputs of a discriminator, of which none is better than another and "worst" says no more than "largest".
"""


def evaluate_run(run: Run, *, seed: int = 0, data: Batch | Stream | None = None) -> dict[str, Any]:
    """Measure a run on data, and count the modes that its samples cover, of a mixture or of stacked digits.

    Args:
        run: what to measure.
        seed: of the noise in the metrics and of the samples.
        data: the test split of the run's data where nothing is given.

    Returns:
        Metric name -> its mean over the examples, None where that is not finite; for a run of several seeds what
        `summarize` makes of their means. Nothing for a model that has nothing to measure.

    Raises:
        InputError: if the test split cannot be loaded, or does not look like the data of the training.
    """
    metrics: dict[str, Any] = {}
    key, several = jax.random.key(seed), run.config.seeds is not None
    if run.model.evaluate is not None:
        data = load_test_split(run.config, run.example) if data is None else data
        metrics |= evaluate(run.model, run.state, data, key=key, runs=run.config.seeds)
    if run.config.data in SYNTHETIC:
        samples, mixture = run.sample(key, POINTS), SYNTHETIC[run.config.data]()
        metrics |= (
            jax.vmap(lambda one: mode_metrics(one, mixture))(samples) if several else mode_metrics(samples, mixture)
        )
    if run.config.data in STACKED:
        found = stacked_metrics(run.config, sampled_parts(run, key, STACKED_IMAGES))
        metrics |= found if several else {name: of_run[0] for name, of_run in found.items()}
    if run.config.seeds is None:
        return {name: float(value) if np.isfinite(value) else None for name, value in metrics.items()}
    return {
        name: summarize(values, larger_is_better=name in LARGER_IS_BETTER, left_out=run.diverged)
        for name, values in metrics.items()
    }


def load_test_split(config: RunConfig[Any], shown: Batch) -> Batch | Stream:
    """Load the test split of a run's data.

    Args:
        config: of the run.
        shown: the smallest batch that shows what the data of the training look like.

    Returns:
        Arrays or a stream.

    Raises:
        InputError: if the data cannot be loaded, or do not look like those of the training.
    """
    data = load(config.data, split="test", data_dir=config.data_dir, image_size=config.image_size)
    found = example(data)
    for name, array in shown.items():
        if name not in found:
            raise InputError(f"the test split of {config.data} has no {name}s, unlike the training split")
        if name == "label" and found[name].max() > array.max():
            raise InputError(
                f"the test split of {config.data} has a label {found[name].max()}, the largest of the training split "
                f"is {array.max()}"
            )
        if found[name].shape != array.shape:
            raise InputError(
                f"the test split of {config.data} has examples of shape {found[name].shape[1:]}, the training split "
                f"of {array.shape[1:]}"
            )
    return data


def with_data_in(run: Run, data_dir: str | None) -> Run:
    """Tell a run where data sets are kept, if not where they were at the time of the training.

    Args:
        run: what was trained.
        data_dir: the folder; None leaves the run as it is.

    Returns:
        The run with this folder in its settings.
    """
    return run if data_dir is None else run._replace(config=dataclasses.replace(run.config, data_dir=data_dir))
