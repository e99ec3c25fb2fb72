"""What a run generates: to look at, against the test split, and how many different examples there are."""

from collections.abc import Callable

import jax
import numpy as np

from jaxgen import plot
from jaxgen.analysis import birthday_test, smallest_distance
from jaxgen.callbacks.image_grid import draw_samples, layout
from jaxgen.report.section import FigureFile, NotApplicable, ReportInput, Section, need_images, png, values
from jaxgen.runs.evaluation import evaluate_run
from jaxgen.runs.loading import Run
from jaxgen.typing import Array, KeyArray

MOST_REAL = 2000
"""Real pictures whose smallest distance is the threshold of the birthday test."""

TRIALS = 10
"""Batches of the birthday test."""


def samples(subject: ReportInput) -> Section:
    """New examples, to look at."""
    run = subject.shown
    count, columns = layout(run.model, run.example)
    data = None if subject.images else {"point": subject.some["point"][:count]}
    figure = draw_samples(run.sample(subject.key, count), data=data, columns=columns)
    caption = (
        "New pictures that the model draws; of a conditional model each column is a class. They should look like those "
        "of the data, and differ from each other."
        if subject.images
        else "New points that the model draws, over as many of the test split. They should lie where the data lie, as "
        "densely."
    )
    return Section([png("samples", figure, caption)])


def evaluation(subject: ReportInput) -> Section:
    """The numbers of `jaxgen evaluate`."""
    measured = evaluate_run(subject.run, seed=subject.seed, data=subject.test)
    if not measured:
        raise NotApplicable("the model has nothing to measure on examples")
    several = subject.run.config.seeds is not None
    per_run = {
        name: [value["runs"][i] for i in subject.sound] if several else [value] for name, value in measured.items()
    }
    return Section(numbers={name: [np.nan if v is None else v for v in of] for name, of in per_run.items()})


def birthday(subject: ReportInput) -> Section:
    """How many different pictures there are, by the birthday paradox."""
    need_images(subject)
    real = values(subject.training)[:MOST_REAL]
    threshold = smallest_distance(real)
    tests = [birthday_test(subject.key, _independent(run), threshold=threshold, trials=TRIALS) for run in subject.runs]
    first = tests[0]
    numbers = {
        "support": [test.support.estimate for test in tests],
        "support_at_least": [test.support.low for test in tests],
        "collisions": [float(test.collisions) for test in tests],
    }
    bound = (
        ""
        if np.isfinite(first.support.estimate)
        else f" No pair was: the support is at least {first.support.low:,.0f}."
    )
    curve = (
        f"Share of {TRIALS} batches that hold two samples no farther apart ({threshold:.3g}, in pixels from 0 to 1) "
        f"than the two most similar of {len(real)} real pictures.{bound} The line is what as many equally probable "
        "pictures as were estimated would give: points beside it say that some are drawn more often than others. A "
        "generator that repeats its training pictures crosses 1/2 at about the square root of their number (Arora and "
        "Zhang 2017, arXiv:1706.08224)."
    )
    twins = (
        "The pairs of samples that are most alike in any of the batches, with their distances. They may be alike; the "
        "same picture twice is a sign of a small support. Whether those beyond the threshold are duplicates too is to "
        "be judged by eye (Arora and Zhang 2017, arXiv:1706.08224, figures 1 and 2)."
    )
    images: list[FigureFile] = [
        png("birthday", plot.collisions(first.sizes, first.probability, support=first.support.estimate), curve),
        png("twins", plot.nearest_pairs(first.nearest_pairs, first.distances), twins),
    ]
    return Section(images, numbers)


def _independent(run: Run) -> Callable[[KeyArray, int], Array]:
    """Draws that do not depend on each other: the class, too, is drawn, where the model is told one."""

    def sample(key: KeyArray, n: int) -> Array:
        if "label" not in run.model.conditions:
            return run.sample(key, n)
        label_key, sample_key = jax.random.split(key)
        return run.sample(sample_key, n, label=np.asarray(jax.random.randint(label_key, (n,), 0, run.classes)))

    return sample
