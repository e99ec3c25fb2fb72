"""Recipes: published experiments, their execution, and the comparison with published numbers.

A recipe trains one or more models, each over several seeds in one program, measures them by a protocol, and compares
the metrics with published ones. Every model is an ordinary run in a folder of its own, so that an interrupted recipe
resumes from its last checkpoints, and all commands for runs apply.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import numpy as np

from jaxgen import plot
from jaxgen._signatures import checked
from jaxgen.data import random_examples
from jaxgen.errors import DivergenceError, InputError, check_known
from jaxgen.game import unchanged
from jaxgen.metrics.protocol import metric_of
from jaxgen.plot import Comparison
from jaxgen.recipes.theory import ExperimentResult
from jaxgen.runs import Run, RunConfig, load_run, train
from jaxgen.runs.config import with_absolute_paths
from jaxgen.runs.config_json import read_config
from jaxgen.runs.evaluation import better_of
from jaxgen.runs.outputs import file_name, make_folder, write_json
from jaxgen.runs.summary_file import read_summary
from jaxgen.training.seeds import summarize
from jaxgen.typing import KeyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FIGURE_POINTS, FIGURE_IMAGES = 1000, 10
"""Number of samples of each model, points or images, in the figure of samples."""


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
    """

    rows: Mapping[str, Mapping[str, MetricResult]]
    claims: Sequence[str] = ()
    figures: Mapping[str, plot.Drawing] = {}


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


class Entry(NamedTuple):
    """One model of a comparison.

    Attributes:
        family: name of the model's family.
        config: config of its runs.
        published: metric name -> published number.
        seeds: number of seeds of the protocol; None for that of the comparison.
        full: config at the length of the paper, where that differs by more than the number of steps.
    """

    family: str
    config: RunConfig[Any]
    published: Mapping[str, Published] = {}
    seeds: int | None = None
    full: RunConfig[Any] | None = None


class Claim(NamedTuple):
    """A published statement that one model has larger values of a metric than another, tested on the seeds of a recipe.

    Attributes:
        larger: name of the model with the larger values.
        smaller: name of the model with the smaller values.
        metric: name of the metric.
    """

    larger: str
    smaller: str
    metric: str


@dataclasses.dataclass(frozen=True)
class RepeatedExperiment:
    """A recipe that repeats an experiment of `jaxgen.recipes.theory` with several keys.

    Attributes:
        experiment: function from a key to numbers, named `row/metric` or `metric`, and figures; the figures of the
            first key are kept.
        seeds: number of seeds of the protocol.
        quick_seeds: number of seeds of a quick run.
    """

    experiment: Callable[[KeyArray], ExperimentResult]
    seeds: int = 3
    quick_seeds: int = 1

    def __call__(self, request: Request) -> Outcome:
        """Repeat the experiment for all seeds."""
        seeds = request.seeds or (self.quick_seeds if request.quick else self.seeds)
        results = []
        for seed in range(seeds):
            request.notify(f"seed {seed + 1} of {seeds}")
            results.append(self.experiment(jax.random.key(seed)))
        rows: dict[str, dict[str, MetricResult]] = {}
        for name in results[0].numbers:
            row, _, metric = name.rpartition("/")
            values = tuple(_finite_or_none(numbers[name]) for numbers, _ in results)
            rows.setdefault(row or "all", {})[metric] = MetricResult(values)
        return Outcome(rows, figures=results[0].figures)


Measure: TypeAlias = Callable[[Run, KeyArray], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class ModelComparison:
    """A recipe that trains several models by the same protocol and compares their metrics of `jaxgen evaluate`.

    Attributes:
        entries: model name -> what to train.
        metrics: metric name, without its protocol -> description for the axis of its figure, with the unit. Values of
            different protocols stand in different figures.
        measure: function of a run and the key of its samples that returns further metrics.
        quick_measure: the same for a quick run.
        claims: claims to test.
        seeds: number of seeds of the protocol.
        quick_steps: training steps of each model in a quick run.
        quick_seeds: number of seeds of each model in a quick run.
        quick_change: function from the shortened config of a model to its config in a quick run.
        full_steps: training steps of each model at the length of the paper; None where the recipe has that length.
        full_seeds: number of seeds of the paper; None for `seeds`.
    """

    entries: Mapping[str, Entry]
    metrics: Mapping[str, str]
    measure: Measure | None = None
    quick_measure: Measure | None = None
    claims: Sequence[Claim] = ()
    seeds: int = 10
    quick_steps: int = 500
    quick_seeds: int = 2
    quick_change: Callable[[RunConfig[Any]], RunConfig[Any]] = unchanged
    full_steps: int | None = None
    full_seeds: int | None = None

    def __call__(self, request: Request) -> Outcome:
        """Train the models and compare their metrics."""
        chosen = {name: entry for name, entry in self.entries.items() if name in request.only or not request.only}
        rows = {name: self._row(name, entry, request) for name, entry in chosen.items()}
        self._fill_diverged(rows, request)
        claims = [_test_claim(claim, rows) for claim in self.claims if {claim.larger, claim.smaller} <= set(rows)]
        claims += _agreements(rows)
        figures: dict[str, plot.Drawing] = {}
        for metric, unit in self.metrics.items():
            measured = dict.fromkeys(name for row in rows.values() for name in row if metric_of(name) == metric)
            figures |= {name: _comparison_figure(name, unit, rows) for name in measured}
        trained = [name for name, row in rows.items() if any(len(result.finite) for result in row.values())]
        if trained:
            runs = {name: load_run(request.folder / file_name(name)) for name in trained}
            figures["samples"] = _samples_figure(runs)
        return Outcome(rows, claims, figures)

    def _config(self, entry: Entry, request: Request) -> RunConfig[Any]:
        """The config of the run of an entry, at the length of the request."""
        seeds = self.quick_seeds if request.quick else entry.seeds or self.seeds
        if request.full:
            seeds = self.full_seeds or entry.seeds or self.seeds
        config = entry.full if request.full and entry.full is not None else entry.config
        config = dataclasses.replace(config, seeds=request.seeds or seeds, data_dir=request.data_dir)
        if request.quick:
            config = self.quick_change(with_steps(config, self.quick_steps))
        elif request.full and self.full_steps is not None:
            config = with_steps(config, self.full_steps)
        return config

    def _row(self, name: str, entry: Entry, request: Request) -> dict[str, MetricResult]:
        config = self._config(entry, request)
        folder = request.folder / file_name(name)
        request.notify(f"{name}: {config.seeds} seeds, {config.steps} steps, in {folder}")
        try:
            test = dict(complete_run(folder, entry.family, config, request.notify))
        except DivergenceError as error:
            request.notify(f"{name}: {error}")
            return {}
        measure = self.quick_measure if request.quick else self.measure
        if measure is not None:
            run = load_run(folder)
            further = measure(run, jax.random.key(config.seed))
            test |= {
                name: summarize(values, better=better_of(name), left_out=run.diverged)
                for name, values in further.items()
            }
        return {
            name: MetricResult(tuple(test[name]["seeds"]), entry.published.get(metric))
            for metric in self.metrics
            for name in test
            if metric_of(name) == metric
        }

    def _fill_diverged(self, rows: dict[str, dict[str, MetricResult]], request: Request) -> None:
        """Give models of which all seeds have diverged a row without values, under the names of the other models."""
        for name, row in rows.items():
            if row:
                continue
            entry = self.entries[name]
            measured = dict.fromkeys(each for other in rows.values() for each in other) or dict.fromkeys(self.metrics)
            missing = (None,) * (self._config(entry, request).seeds or 1)
            rows[name] = {each: MetricResult(missing, entry.published.get(metric_of(each))) for each in measured}


@checked
def run_recipe(recipe: Recipe, request: Request) -> Outcome:
    """Run a recipe, and write `results.json` and the figures into the folder of the request.

    Args:
        recipe: recipe to run.
        request: options of the execution.

    Returns:
        The outcome.

    Raises:
        InputError: if the folder holds another run or cannot be written, data are missing, or the recipe does not have
            the requested models.

    Example:
        >>> import tempfile
        >>> coin = RepeatedExperiment(lambda key: ExperimentResult({"heads": float(jax.random.bernoulli(key))}, {}))
        >>> recipe = Recipe("a coin", "no reference", "1 second", coin, protocol="three tosses")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     outcome = run_recipe(recipe, Request(Path(folder), notify=lambda line: None))
        ...     [path.name for path in Path(folder).iterdir()], len(outcome.rows["all"]["heads"].values)
        (['results.json'], 3)
    """
    _check_only(recipe, request.only)
    _check_length(recipe, request)
    make_folder(request.folder)
    request.notify(f"{recipe.description} ({recipe.reference}); duration: {recipe.duration}")
    outcome = recipe.run(request)
    write_json(request.folder / "results.json", _results(recipe, request, outcome))
    for name, figure in outcome.figures.items():
        plot.save(figure, request.folder / f"{file_name(name)}.png")
    return outcome


def complete_run(folder: Path, family: str, config: RunConfig[Any], notify: Callable[[str], None]) -> Mapping[str, Any]:
    """Return the stored metrics of a complete run, or train the run to its end and return the new ones.

    Args:
        folder: folder of the run.
        family: name of the model's family.
        config: config of the run.
        notify: function that is called with each line of progress.

    Returns:
        Metrics of the test split, as `jaxgen.runs.evaluate_run` returns them.

    Raises:
        DivergenceError: if every seed diverges.
        InputError: if the folder holds another run, or data are missing.
    """
    begun = (folder / "config.json").is_file()
    if begun and read_config(folder)[:2] == (family, with_absolute_paths(config)):
        summary = read_summary(folder, config.seeds)  # A missing or damaged one is computed again.
        if summary is not None and summary.step == config.steps:
            return summary.test
    test: Mapping[str, Any] = train(folder, family, config, resume=begun, notify=notify)["test"]
    return test


def _check_only(recipe: Recipe, only: Sequence[str]) -> None:
    """Raise an InputError unless the recipe has all of the named models."""
    models = recipe.run.entries if isinstance(recipe.run, ModelComparison) else {}
    if only and not models:
        raise InputError(f"--only must be left out, got {' '.join(only)}: this recipe compares no models")
    for name in only:
        check_known("model of this recipe", name, models)


def _check_length(recipe: Recipe, request: Request) -> None:
    """Raise an InputError unless the recipe has the length of the request."""
    if request.full and request.quick:
        raise InputError("--full and --quick must not be given together: choose one")
    if request.full and not recipe.has_full:
        raise InputError("--full must be left out, got it for a recipe that has no longer form")


def with_steps(config: RunConfig[Any], steps: int) -> RunConfig[Any]:
    """Return a config with another number of steps, and log, checkpoint and image intervals in proportion.

    Args:
        config: config of a run.
        steps: number of training steps.

    Returns:
        The changed config.

    Example:
        >>> from jaxgen.models import vae
        >>> config = with_steps(RunConfig(vae.Config(), steps=1000, log_every=50), 100)
        >>> config.steps, config.log_every
        (100, 5)
    """
    intervals = {
        name: max(1, getattr(config, name) * steps // config.steps)
        for name in ("log_every", "checkpoint_every", "image_every")
    }
    return dataclasses.replace(config, steps=steps, **intervals)


def _test_claim(claim: Claim, rows: Mapping[str, Mapping[str, MetricResult]]) -> str:
    """Return the claim with the p-value of a one-sided Mann-Whitney test, a test without assumed distributions."""
    from scipy.stats import PermutationMethod, mannwhitneyu

    two = [rows[name] for name in (claim.larger, claim.smaller)]
    shared = [name for name in two[0] if metric_of(name) == claim.metric and name in two[1]]
    if not shared:
        return f"{claim.metric}: {claim.larger} and {claim.smaller} have no values of one protocol"
    larger, smaller = (row[shared[0]] for row in two)
    sentence = f"{claim.metric}: {claim.larger} {larger.mean:.3g}, {claim.smaller} {smaller.mean:.3g}"
    if min(len(larger.finite), len(smaller.finite)) < 2:
        return f"{sentence}; too few seeds for a test"
    # By permutation, since mode counts have ties, for which tables do not hold; exhaustive up to ten seeds each.
    method = PermutationMethod(n_resamples=200_000, rng=np.random.default_rng(0))
    p = mannwhitneyu(larger.finite, smaller.finite, alternative="greater", method=method).pvalue
    return f"{sentence}; p = {p:.2g} (one-sided Mann-Whitney test that the first is larger)"


def _agreements(rows: Mapping[str, Mapping[str, MetricResult]]) -> list[str]:
    """Sentences that compare the order of models with that of published numbers of another protocol."""
    from scipy.stats import spearmanr

    sentences = []
    for name in dict.fromkeys(name for row in rows.values() for name in row):
        results = [row[name] for row in rows.values() if name in row and len(row[name].finite)]
        pairs = [(r.published.mean, r.mean) for r in results if r.published is not None and r.published.protocol]
        if len(pairs) >= FEWEST_ORDERED:
            published, ours = zip(*pairs, strict=True)
            correlation = spearmanr(published, ours)
            sentences.append(
                f"{name}: rank correlation of {len(pairs)} models with the published order {correlation.statistic:.2f} "
                f"(p = {correlation.pvalue:.2g})"
            )
    return sentences


FEWEST_ORDERED = 4
"""Smallest number of models whose order is compared with the published one."""


def _comparison_figure(metric: str, unit: str, rows: Mapping[str, Mapping[str, MetricResult]]) -> "Figure":
    def comparison(result: MetricResult) -> Comparison:
        published = result.published or Published(math.nan)
        if published.protocol:  # Another axis would be needed.
            published = Published(math.nan)
        return Comparison(published.mean, result.mean, published.error, result.error)

    shown = {name: comparison(row[metric]) for name, row in rows.items() if metric in row}
    return plot.published_against_ours(shown, unit=unit)


def _samples_figure(runs: Mapping[str, Run]) -> plot.Drawing:
    """Return a figure with samples of the first seed of every model that has not diverged."""
    points, images = {}, {}
    for name, run in runs.items():
        config = run.config
        count = FIGURE_POINTS if "point" in run.example else FIGURE_IMAGES
        drawn = np.asarray(run.sample(jax.random.key(config.seed), count))
        shown = drawn if config.seeds is None else drawn[run.first_finite]
        if "point" in run.example:
            data = config.source.load("train")
            points[name] = (shown, random_examples(jax.random.key(config.seed), data, FIGURE_POINTS)["point"])
        else:
            images[name] = shown
    return plot.scatter_panels(points) if points else plot.image_rows(images)


def _results(recipe: Recipe, request: Request, outcome: Outcome) -> dict[str, Any]:
    """Return the content of `results.json`."""

    def described(result: MetricResult) -> dict[str, Any]:
        return {
            "published": None if result.published is None else result.published._asdict(),
            "mean": _finite_or_none(result.mean),
            "sd": _finite_or_none(result.sd),
            "seeds": len(result.finite),
            "values": list(result.values),
        }

    return {
        "description": recipe.description,
        "reference": recipe.reference,
        "protocol": recipe.protocol,
        "quick": request.quick,
        "full": request.full,
        "rows": {
            name: {metric: described(result) for metric, result in row.items()} for name, row in outcome.rows.items()
        },
        "claims": list(outcome.claims),
    }


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
