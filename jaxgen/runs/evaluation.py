"""Evaluation of a run on the test split of its data, and of its samples."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxgen._signatures import checked
from jaxgen.analysis.feature_metrics import NUMBERS
from jaxgen.batch_checks import check_like
from jaxgen.callbacks.sample_metrics import POINTS, mode_metrics, stacked_classifier, stacked_metrics
from jaxgen.data import Stream, example
from jaxgen.data.sources import Opened
from jaxgen.errors import InputError
from jaxgen.metrics.protocol import metric_of
from jaxgen.runs.config import RunConfig
from jaxgen.runs.loading import Run
from jaxgen.training.mean_metrics import evaluate
from jaxgen.training.seeds import Better, summarize
from jaxgen.typing import AnyArray, Array, Batch, Shaped

BETTER: dict[str, Better] = {name: number.better for name, number in NUMBERS.items() if number.better is not None} | {
    "accuracy": "larger",
    "content_loss": "smaller",
    "cross_entropy": "smaller",
    "dci_completeness": "larger",
    "dci_disentanglement": "larger",
    "dci_informativeness": "larger",
    "distortion": "smaller",
    "elbo": "larger",
    "factor_vae_score": "larger",
    "high_quality": "larger",
    "importance_weighted_bound": "larger",
    "mig": "larger",
    "mode_kl_all": "smaller",
    "modes": "larger",
    "mse": "smaller",
    "perceptual_path_length": "smaller",
    "reconstruction": "smaller",
    "sap": "larger",
    "sliced_wasserstein": "smaller",
    "squared_error": "smaller",
    "style_loss": "smaller",
}
"""Metric -> which values are better, for those of which one seed can be the worst. Others have no better values: the
outputs and the loss of a discriminator depend on its opponent, a distance in its layers on the discriminator, and the
term `kl` of an ELBO, the rate, the mutual information and the number of active units are no aims of their own."""

STACKED_SAMPLES = 26_000
"""Samples of stacked digits that are classified, as many as in Srivastava et al. 2017."""


@checked
def evaluate_run(run: Run, *, seed: int = 0, data: Batch | Stream | None = None) -> dict[str, Any]:
    """Evaluate a run on data, and count the modes of a mixture or of stacked digits that its samples cover.

    Stacked digits are classified by the extractor `digits_v1` or `mnist_v1`; modes of images of another size than those
    on which it was trained are not counted.

    Args:
        run: run to evaluate.
        seed: seed of the noise in the metrics and of the samples.
        data: test split of the run's data; it is loaded where it is None.

    Returns:
        Metric name -> its mean over the examples, None where that is not finite; for a run of several seeds what
        `summarize` returns for their means. Empty for a model without metrics.

    Raises:
        InputError: if the test split cannot be loaded, or its shapes differ from those of the training.
    """
    metrics: dict[str, Any] = {}
    key, several_seeds = jax.random.key(seed), run.config.seeds is not None
    if run.model.evaluate is not None:
        data = load_test_split(run.config, run.example) if data is None else data
        if not isinstance(data, Stream):
            check_like(run.example, data)
        metrics |= evaluate(run.model, run.state, data, key=key, several_seeds=True)
    if run.model.sample is not None and mode_metrics(run.config.data, None) is not None:
        samples = run.sample(key, POINTS)
        metrics |= _mode_metrics_of_seeds(run.config.data, samples if several_seeds else samples[None])
    classifier = stacked_classifier(run.config.data, run.example)
    if run.model.sample is not None and classifier is not None:
        metrics |= stacked_metrics(classifier, run.sample_parts(key, STACKED_SAMPLES))
    return summarize_run(run, metrics)


def summarize_run(run: Run, metrics: Mapping[str, Shaped[AnyArray, " seeds"]]) -> dict[str, Any]:
    """Summarize metrics over the seeds of a run.

    Args:
        run: run that was measured.
        metrics: metric name, with or without its protocol -> value of each seed, of one for a single run.

    Returns:
        Metric name -> what `summarize` returns for the values; for a single run its value, None where it is not finite.
    """
    if run.config.seeds is None:
        return {name: float(value) if np.isfinite(value) else None for name, (value,) in metrics.items()}
    return {name: summarize(values, better=better_of(name), left_out=run.diverged) for name, values in metrics.items()}


def better_of(name: str) -> Better | None:
    """Return which values of a metric are better.

    Args:
        name: name of the metric, or the text of its protocol.

    Returns:
        "larger" or "smaller"; None where no values are better, or that is not known.

    Example:
        >>> better_of("elbo"), better_of("recall[digits_v1, none, n=9/9, split=digits:test, k=3]"), better_of("kl")
        ('larger', 'larger', None)
    """
    return BETTER.get(metric_of(name))


def load_test_split(
    config: RunConfig[Any], example_batch: Batch, open_split: Callable[[str], Opened] | None = None
) -> Batch | Stream:
    """Load the test split of a run's data.

    Args:
        config: config of the run.
        example_batch: smallest batch that shows the shapes of the training data.
        open_split: function that opens a split of the data, where another split was opened by it.

    Returns:
        Arrays or a stream.

    Raises:
        InputError: if the data cannot be loaded, or their shapes or labels differ from those of the training.
    """
    data = (open_split or config.source.open)("test").data
    found = example(data)
    for name, array in example_batch.items():
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
    """Return the run with another folder of data sets, where it is not the one of the training.

    Args:
        run: run to change.
        data_dir: the folder; None leaves the run as it is.

    Returns:
        The run with this folder in its config.
    """
    return run if data_dir is None else run._replace(config=dataclasses.replace(run.config, data_dir=data_dir))


@partial(jax.jit, static_argnums=0)
def _mode_metrics_of_seeds(data: str, samples: Array) -> dict[str, Array]:
    return jax.vmap(lambda of_seed: mode_metrics(data, of_seed) or {})(samples)
