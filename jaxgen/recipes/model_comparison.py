"""Comparison of models: each trained by the same protocol over several seeds in one program, and measured."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import numpy as np

from jaxgen import plot
from jaxgen.callbacks.sample_metrics import PREFIX
from jaxgen.data import random_examples
from jaxgen.errors import DivergenceError
from jaxgen.game import unchanged
from jaxgen.metrics.protocol import metric_of
from jaxgen.plot import Comparison
from jaxgen.recipes.claims import Claim, Limit, agreements, claim_with_p_value, limit_with_extremes
from jaxgen.recipes.recipe import MetricResult, Outcome, Published, Request
from jaxgen.recipes.recipe_runs import complete_run, with_steps
from jaxgen.runs import Run, RunConfig, load_run
from jaxgen.runs.drawn_figures import drawn_figures
from jaxgen.runs.evaluation import better_of
from jaxgen.runs.log_file import logged_values, read_log
from jaxgen.runs.measured_file import Measured, add_measured, read_measured
from jaxgen.runs.outputs import file_name
from jaxgen.training.seeds import summarize
from jaxgen.typing import KeyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_POINTS, FIGURE_IMAGES = 1000, 10
"""Number of samples of each model, points or images, in the figure of samples."""


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


Measure: TypeAlias = Callable[[Run, KeyArray], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class ModelComparison:
    """A recipe that trains several models by the same protocol and compares their metrics of `jaxgen evaluate`.

    Attributes:
        entries: model name -> what to train.
        metrics: metric name, without its protocol -> description for the axis of its figure, with the unit. Values of
            different protocols stand in different figures.
        measures: name -> function of a run and the key of its samples that returns further metrics. What it returns is
            stored in the run and not measured again; where nothing can be measured it returns no metrics.
        quick_measures: the same for a quick run.
        curves: metrics of the training whose logged values are a figure, those of features without their protocol.
        animated: names of models whose samples of the same latents over the training, as `image_every` of the run draws
            them, are an animation.
        claims: claims to test.
        limits: bounds of metrics to test.
        seeds: number of seeds of the protocol.
        quick_steps: training steps of each model in a quick run.
        quick_seeds: number of seeds of each model in a quick run.
        quick_change: function from the shortened config of a model to its config in a quick run.
        full_steps: training steps of each model at the length of the paper; None where the recipe has that length.
        full_seeds: number of seeds of the paper; None for `seeds`.
    """

    entries: Mapping[str, Entry]
    metrics: Mapping[str, str]
    measures: Mapping[str, Measure] = dataclasses.field(default_factory=dict)
    quick_measures: Mapping[str, Measure] = dataclasses.field(default_factory=dict)
    curves: Sequence[str] = ()
    animated: Sequence[str] = ()
    claims: Sequence[Claim] = ()
    limits: Sequence[Limit] = ()
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
        claims = [
            claim_with_p_value(claim, rows) for claim in self.claims if {claim.larger, claim.smaller} <= set(rows)
        ]
        claims += [limit_with_extremes(limit, rows) for limit in self.limits] + agreements(rows)
        figures: dict[str, plot.Drawing] = {}
        for metric, unit in self.metrics.items():
            measured = dict.fromkeys(name for row in rows.values() for name in row if metric_of(name) == metric)
            figures |= {name: _comparison_figure(name, unit, rows) for name in measured}
        if self.curves:
            logs = {
                name: (request.folder / file_name(name), self._config(self.entries[name], request).seeds)
                for name in rows
            }
            figures["curves"] = _curves_figure(self.curves, logs)
        trained = [name for name, row in rows.items() if any(len(result.finite) for result in row.values())]
        if trained:
            runs = {name: load_run(request.folder / file_name(name)) for name in trained}
            figures["samples"] = _samples_figure(runs)
        drawn = {name: drawn_figures(request.folder / file_name(name))[0] for name in self.animated if name in rows}
        animations = {
            f"{name}, samples over training": list(frames["samples"].values())
            for name, frames in drawn.items()
            if "samples" in frames
        }
        return Outcome(rows, claims, figures, animations)

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
        measures = self.quick_measures if request.quick else self.measures
        for measure_name, measure in measures.items():
            command = f"reproduce {'--quick ' if request.quick else ''}({measure_name})"
            test |= _measured(folder, config, command, measure)
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


def _measured(folder: Path, config: RunConfig[Any], command: str, measure: Measure) -> Mapping[str, Any]:
    """The metrics of a complete run that an earlier execution has stored, or else those that the function measures."""
    request = (config.steps, command, config.seed)
    stored = [each for each in read_measured(folder, config.seeds) if (each.step, each.command, each.seed) == request]
    if stored:
        return stored[-1].metrics
    run = load_run(folder)
    found = {
        name: summarize(values, better=better_of(name), left_out=run.diverged)
        for name, values in measure(run, jax.random.key(config.seed)).items()
    }
    if found:
        add_measured(folder, Measured(config.steps, command, config.seed, found))
    return found


def _comparison_figure(metric: str, unit: str, rows: Mapping[str, Mapping[str, MetricResult]]) -> "Figure":
    def comparison(result: MetricResult) -> Comparison:
        published = result.published or Published(math.nan)
        if published.protocol:  # Another axis would be needed.
            published = Published(math.nan)
        return Comparison(published.mean, result.mean, published.error, result.error)

    shown = {name: comparison(row[metric]) for name, row in rows.items() if metric in row}
    return plot.published_against_ours(shown, unit=unit)


def _curves_figure(metrics: Sequence[str], runs: Mapping[str, tuple[Path, int | None]]) -> "Figure":
    """Return a figure with the logged values of metrics of runs, given by folder and seeds, where they were logged."""
    steps, curves = {}, dict[str, dict[str, Any]]()
    for name, (folder, seeds) in runs.items():
        log = read_log(folder)
        steps[name] = np.array([line["step"] for line in log], int)
        for metric in metrics:
            for logged in dict.fromkeys(each for line in log for each in line):
                if metric in (logged, metric_of(logged.removeprefix(PREFIX))):
                    curves.setdefault(logged, {})[name] = logged_values(log, logged, seeds)
    return plot.training_curves(steps, curves)


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
