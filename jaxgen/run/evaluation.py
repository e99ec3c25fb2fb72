"""What a run is worth on the test split of its data."""

from typing import Any

import jax

from jaxgen.data import SYNTHETIC, Stream, load
from jaxgen.data.synthetic import Synthetic
from jaxgen.errors import InputError
from jaxgen.metrics import mode_coverage
from jaxgen.run.trained import Run
from jaxgen.training.evaluation import evaluate
from jaxgen.training.log import summarize
from jaxgen.typing import Array, Batch

SAMPLES = 2500
"""Points that are drawn to count the modes they cover."""


def evaluate_run(run: Run, *, seed: int = 0, data_dir: str | None = None) -> dict[str, Any]:
    """Measure a run on the test split of its data, and on a mixture count the modes that its samples cover.

    Args:
        run: what to measure.
        seed: of the noise in the metrics and of the samples.
        data_dir: where data sets are kept, if not where they were at the time of the training.

    Returns:
        Metric name -> its mean over the examples; for a run of several seeds what `summarize` makes of their means.

    Raises:
        InputError: if there is nothing to measure.
    """
    metrics: dict[str, Any] = {}
    key = jax.random.key(seed)
    if run.model.evaluate is not None:
        metrics |= evaluate(
            run.model, run.state, load_test_split(run, data_dir=data_dir), key=key, runs=run.settings.seeds
        )
    if run.settings.data in SYNTHETIC:
        metrics |= _modes(run, run.sample(key, SAMPLES), SYNTHETIC[run.settings.data]())
    if not metrics:
        raise InputError(f"the model '{run.family}' has nothing to measure on '{run.settings.data}'")
    if run.settings.seeds is None:
        return {name: float(value) for name, value in metrics.items()}
    return {name: summarize(name, values, left_out=run.diverged) for name, values in metrics.items()}


def _modes(run: Run, samples: Array, mixture: Synthetic) -> dict[str, Array]:
    """Modes covered, share of samples of high quality, and KL divergence of the modes' histogram to the uniform."""
    centers, scales = mixture.centers, mixture.scales
    if centers is None or scales is None:
        return {}

    def coverage(samples: Array) -> dict[str, Array]:
        found = mode_coverage(samples, centers, scale=scales)
        return {"modes": found.covered, "high_quality": found.high_quality, "mode_kl": found.kl}

    return coverage(samples) if run.settings.seeds is None else jax.vmap(coverage)(samples)


def load_test_split(run: Run, *, data_dir: str | None = None) -> Batch | Stream:
    """The test split of a run's data."""
    settings = run.settings
    return load(settings.data, split="test", data_dir=data_dir or settings.data_dir, image_size=settings.image_size)
