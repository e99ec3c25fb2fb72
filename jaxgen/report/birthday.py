"""Section "Birthday test": number of distinct images that the model generates."""

from collections.abc import Callable

import jax
import numpy as np

from jaxgen import plot
from jaxgen.analysis import BirthdayTest, birthday_test, smallest_distance
from jaxgen.report.run_functions import preprocessed
from jaxgen.report.section import NO_SAMPLES, ReportInput, Section, offered, png, require_images
from jaxgen.runs.loading import Run
from jaxgen.typing import Array, KeyArray

MAX_REAL = 2000
"""Largest number of real images whose smallest distance is the threshold."""

TRIALS = 10
"""Number of batches of the largest size."""


def birthday(inputs: ReportInput) -> Section:
    """Estimate the support size of the model, and show its nearest pairs of samples."""
    require_images(inputs)
    offered(inputs.run.model.sample, NO_SAMPLES)
    real = preprocessed(inputs.training_examples)[:MAX_REAL]
    threshold = smallest_distance(real)
    tests = [birthday_test(inputs.key, _independent(run), threshold=threshold, trials=TRIALS) for run in inputs.runs]
    first = tests[inputs.shown]
    curve = plot.collisions(first.sizes, first.probability, support=first.support.estimate)
    figures = [
        png("birthday", curve, _curve_caption(first, len(real))),
        png("nearest_pairs", plot.nearest_pairs(first.nearest_pairs, first.distances), PAIRS_CAPTION),
    ]
    metrics = {
        "support": [test.support.estimate for test in tests],
        "support_at_least": [test.support.low for test in tests],
        "collisions": [float(test.collisions) for test in tests],
    }
    return Section(figures, metrics)


PAIRS_CAPTION = (
    "The nearest pairs of samples within any of the batches, with their distances. They may be similar; equal samples "
    "indicate a small support. Whether pairs beyond the threshold are duplicates as well has to be decided by eye "
    "(Arora and Zhang 2017, arXiv:1706.08224, figures 1 and 2)."
)


def _curve_caption(test: BirthdayTest, real: int) -> str:
    bound = ""
    if not np.isfinite(test.support.estimate):
        bound = f" There is no such pair: the support size is at least {test.support.low:,.0f}."
    return (
        f"Share of {TRIALS} batches with a duplicate: two samples whose distance is at most {test.threshold:.3g} "
        f"(pixel values in [0, 1]), the distance of the two most similar of {real} real images.{bound} The line is the "
        "probability for a uniform distribution on the estimated number of images: points beside it indicate that some "
        "images are more probable than others. A generator that reproduces its training images reaches 1/2 at about "
        "the square root of their number (Arora and Zhang 2017, arXiv:1706.08224)."
    )


def _independent(run: Run) -> Callable[[KeyArray, int], Array]:
    """A sampler of independent samples: the labels of a conditional model are drawn at random too."""

    def sample(key: KeyArray, n: int) -> Array:
        if "label" not in run.model.conditions:
            return run.sample(key, n)
        label_key, sample_key = jax.random.split(key)
        return run.sample(sample_key, n, label=np.asarray(jax.random.randint(label_key, (n,), 0, run.classes)))

    return sample
