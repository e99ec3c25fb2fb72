"""What a run is worth on the test split of its data."""

import dataclasses
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.analysis.reader import Reader, train_reader
from jaxgen.data import STACKED, SYNTHETIC, Stream, example, load
from jaxgen.data.stacked import CHANNELS, CLASSES
from jaxgen.data.synthetic import Synthetic
from jaxgen.errors import InputError
from jaxgen.metrics import label_coverage, mode_coverage
from jaxgen.run.settings import Settings
from jaxgen.run.trained import Run
from jaxgen.training.evaluation import evaluate
from jaxgen.training.log import summarize
from jaxgen.typing import Array, Batch, Float, KeyArray

SAMPLES = 2500
"""Points that are drawn to count the modes they cover."""

STACKED_SAMPLES = 26_000
"""Stacked digits that are read to count the classes they cover, as many as in Srivastava et al. 2017."""

STACKED_PART = 2000
"""Of these, how many are held at once."""

SURE = 0.9
"""Probability that the reader gives to a class whose picture counts as one of high quality."""

READER_STEPS = {"stacked_digits": 1000, "stacked_mnist": 2000}
"""Turns after which the reader reads 99 % of the test digits right."""

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
    key = jax.random.key(seed)
    if run.model.evaluate is not None:
        data = load_test_split(run.settings, run.example) if data is None else data
        metrics |= evaluate(run.model, run.state, data, key=key, runs=run.settings.seeds)
    if run.settings.data in SYNTHETIC:
        samples, mixture = run.sample(key, SAMPLES), SYNTHETIC[run.settings.data]()
        several = run.settings.seeds is not None
        metrics |= (
            jax.vmap(lambda one: mode_metrics(one, mixture))(samples) if several else mode_metrics(samples, mixture)
        )
    if run.settings.data in STACKED:
        metrics |= _stacked_modes(run, key)
    if run.settings.seeds is None:
        return {name: float(value) if np.isfinite(value) else None for name, value in metrics.items()}
    return {
        name: summarize(values, larger_is_better=name in LARGER_IS_BETTER, left_out=run.diverged)
        for name, values in metrics.items()
    }


def load_test_split(settings: Settings[Any], shown: Batch, *, data_dir: str | None = None) -> Batch | Stream:
    """Load the test split of a run's data.

    Args:
        settings: of the run.
        shown: the smallest batch that shows what the data of the training look like.
        data_dir: where data sets are kept, if not where they were at the time of the training.

    Returns:
        Arrays or a stream.

    Raises:
        InputError: if the data cannot be loaded, or do not look like those of the training.
    """
    data_dir = data_dir or settings.data_dir
    data = load(settings.data, split="test", data_dir=data_dir, image_size=settings.image_size)
    found = example(data)
    for name, array in shown.items():
        if name not in found:
            raise InputError(f"the test split of {settings.data} has no {name}s, unlike the training split")
        if name == "label" and found[name].max() > array.max():
            raise InputError(
                f"the test split of {settings.data} has a label {found[name].max()}, the largest of the training split "
                f"is {array.max()}"
            )
        if found[name].shape != array.shape:
            raise InputError(
                f"the test split of {settings.data} has examples of shape {found[name].shape[1:]}, the training split "
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
    return run if data_dir is None else run._replace(settings=dataclasses.replace(run.settings, data_dir=data_dir))


def mode_metrics(samples: Float[Array, "n dim"], mixture: Synthetic) -> dict[str, Array]:
    """Count the modes of a mixture that samples cover.

    Args:
        samples: of one run.
        mixture: what they should be drawn from.

    Returns:
        `modes` covered, share of samples of `high_quality`, and `mode_kl`, the divergence of the modes' shares from the
        true ones in nats. Nothing if the distribution has no modes.

    Example:
        >>> ring = SYNTHETIC["ring"]()
        >>> {name: round(float(value), 4) for name, value in mode_metrics(ring.centers[:4], ring).items()}
        {'modes': 4.0, 'high_quality': 1.0, 'mode_kl': 0.6931}
    """
    centers, scales, weights = mixture.centers, mixture.scales, mixture.weights
    if centers is None or scales is None or weights is None:
        return {}
    found = mode_coverage(samples, centers, scale=scales)
    kl = jnp.sum(jax.scipy.special.rel_entr(found.counts / found.counts.sum(), weights))
    return {"modes": found.covered, "high_quality": found.high_quality, "mode_kl": kl}


def _stacked_modes(run: Run, key: KeyArray) -> dict[str, Array]:
    """Count the classes of stacked digits that are read in samples.

    `modes` that are read at all, share of samples of `high_quality`, in which the reader is sure, and `mode_kl`, the
    divergence of the shares of the classes from uniform ones, in nats.
    """
    settings = run.settings
    reader = _reader(settings.data, settings.data_dir, settings.image_size)
    parts = []
    for first in range(0, STACKED_SAMPLES, STACKED_PART):  # All at once would be much memory.
        samples = run.sample(jax.random.fold_in(key, first), STACKED_PART)
        parts.append([reader.read(of_run) for of_run in (samples if settings.seeds is not None else samples[None])])
    found = []
    for readings in zip(*parts, strict=True):
        coverage = label_coverage(jnp.concatenate([part.labels for part in readings]), CLASSES**CHANNELS)
        sure = jnp.concatenate([part.confidence for part in readings]) >= SURE
        found.append({"modes": coverage.covered, "high_quality": jnp.mean(sure), "mode_kl": coverage.kl})
    stacked = jax.tree.map(lambda *values: jnp.stack(values), *found)
    return stacked if settings.seeds is not None else found[0]


@cache
def _reader(data: str, data_dir: str | None, image_size: int | None) -> Reader:
    """The reader of the single digits, trained once a process."""
    digits = load(STACKED[data], data_dir=data_dir, image_size=image_size)
    assert not isinstance(digits, Stream)
    return train_reader(jax.random.key(0), digits, steps=READER_STEPS[data])
