"""What a recipe is: a published experiment, the options of its execution, and its outcome.

A recipe trains one or more models, measures them by a protocol, and compares the metrics with published ones. Every
model is an ordinary run in a folder of its own, so that an interrupted recipe resumes from its last checkpoints, and
all commands for runs apply.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen import plot


class Published(NamedTuple):
    """A published number.

    Attributes:
        mean: mean over the runs of the authors.
        error: standard error of the mean, if published.
        sd: standard deviation over the runs, if published.
        protocol: how it was measured, where that differs from ours: the two numbers do not compare, and no figure has
            both. Empty where they do.
    """

    mean: float
    error: float | None = None
    sd: float | None = None
    protocol: str = ""


class Request(NamedTuple):
    """Options of one execution of a recipe.

    Attributes:
        folder: folder of all outputs.
        seeds: number of seeds; None for the number of the protocol.
        quick: whether to shorten the recipe to less than three minutes on two cores, for a first look rather than
            comparable numbers.
        data_dir: folder of the data sets.
        only: names of the models to compare; empty for all.
        notify: function that is called with each line of progress.
        full: whether to repeat the experiment at the length of the paper, where the recipe shortens it.
    """

    folder: Path
    seeds: int | None = None
    quick: bool = False
    data_dir: str | None = None
    only: Sequence[str] = ()
    notify: Callable[[str], None] = print
    full: bool = False


class MetricResult(NamedTuple):
    """One metric of one model.

    Attributes:
        values: one value per seed; None where the seed diverged or the value is not finite.
        published: published number, if there is one.
    """

    values: tuple[float | None, ...]
    published: Published | None = None

    @property
    def finite(self) -> np.ndarray:
        """Values that are not None."""
        return np.array([value for value in self.values if value is not None])

    @property
    def mean(self) -> float:
        """Mean over seeds; NaN without finite values."""
        return float(self.finite.mean()) if len(self.finite) else math.nan

    @property
    def sd(self) -> float:
        """Sample standard deviation over seeds; NaN for fewer than two."""
        return float(self.finite.std(ddof=1)) if len(self.finite) > 1 else math.nan

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN for fewer than two seeds."""
        return self.sd / math.sqrt(len(self.finite)) if len(self.finite) > 1 else math.nan


class Outcome(NamedTuple):
    """Result of a recipe.

    Attributes:
        rows: model name -> metric name -> result.
        claims: sentences that compare rows, each with its p-value.
        figures: file name without suffix -> figure.
        animations: file name without suffix -> frames.
    """

    rows: Mapping[str, Mapping[str, MetricResult]]
    claims: Sequence[str] = ()
    figures: Mapping[str, plot.Drawing] = {}
    animations: Mapping[str, Sequence[plot.Drawing]] = {}


class Recipe(NamedTuple):
    """A named experiment.

    Attributes:
        description: one line on the experiment.
        reference: the paper, with its table or figure.
        duration: duration, with the machine on which it was measured.
        run: function that performs the experiment.
        protocol: how the metrics are measured, and how this differs from the paper.
        has_full: whether it may be repeated at the length of the paper.
    """

    description: str
    reference: str
    duration: str
    run: Callable[[Request], Outcome]
    protocol: str
    has_full: bool = False


def finite_or_none(value: float) -> float | None:
    """Return a number, None, which JSON can hold, where it is not finite.

    Args:
        value: any number.

    Returns:
        The number or None.

    Example:
        >>> finite_or_none(0.5), finite_or_none(math.inf)
        (0.5, None)
    """
    return value if math.isfinite(value) else None
