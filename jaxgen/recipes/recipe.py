"""What a recipe is, and how one is carried out.

A recipe trains one or more models, each over several seeds in one program, measures them by a protocol, and holds the
numbers against published ones. Every model is an ordinary run in a folder of its own, so that a recipe that was killed
goes on where it was, and all that can be done with a run can be done with these.
"""

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import numpy as np

from jaxgen import plot
from jaxgen.callbacks.log import summarize
from jaxgen.callbacks.sample_metrics import some_examples
from jaxgen.data import load
from jaxgen.errors import DivergenceError, InputError, check_known
from jaxgen.plot import Comparison
from jaxgen.recipes.theory import Experiment
from jaxgen.runs import Run, RunConfig, load_run, train
from jaxgen.runs.config import located, read_config
from jaxgen.runs.evaluation import LARGER_IS_BETTER
from jaxgen.runs.outputs import make_folder, write_figure, write_json
from jaxgen.typing import KeyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


SHOWN_POINTS, SHOWN_IMAGES = 1000, 10
"""Samples of a model in the figure that shows those of all."""


class Published(NamedTuple):
    """A published number.

    Attributes:
        mean: of the authors' runs.
        error: its standard error, if they give one.
    """

    mean: float
    error: float | None = None


class Request(NamedTuple):
    """What the user asks of a recipe.

    Attributes:
        folder: where everything goes.
        seeds: how many; those of the protocol where nothing is given.
        quick: whether it is to be cut to less than three minutes on two cores, for a look rather than a number.
        data_dir: where data sets are kept.
        only: names of the models that are to be compared; all where nothing is given.
        say: is told how it goes.
    """

    folder: Path
    seeds: int | None = None
    quick: bool = False
    data_dir: str | None = None
    only: Sequence[str] = ()
    say: Callable[[str], None] = print


class Measured(NamedTuple):
    """One metric of one model.

    Attributes:
        values: one a seed, None where it diverged or the value is not finite.
        published: what there is to compare with.
    """

    values: tuple[float | None, ...]
    published: Published | None = None

    @property
    def counted(self) -> np.ndarray:
        """The values that there are."""
        return np.array([value for value in self.values if value is not None])

    @property
    def mean(self) -> float:
        """Over seeds; NaN if there is none."""
        return float(self.counted.mean()) if len(self.counted) else math.nan

    @property
    def sd(self) -> float:
        """Sample standard deviation over seeds; NaN of fewer than two."""
        return float(self.counted.std(ddof=1)) if len(self.counted) > 1 else math.nan

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN of fewer than two seeds."""
        return self.sd / math.sqrt(len(self.counted)) if len(self.counted) > 1 else math.nan


class Outcome(NamedTuple):
    """What a recipe gave.

    Attributes:
        rows: name of the model -> name of the metric -> its values.
        claims: sentences about the rows, with their evidence.
        figures: name of a file without its ending -> figure.
    """

    rows: Mapping[str, Mapping[str, Measured]]
    claims: Sequence[str] = ()
    figures: Mapping[str, "Figure"] = {}


class Recipe(NamedTuple):
    """A named experiment.

    Attributes:
        what: it does, in one line.
        reference: the paper, with the table or the figure.
        duration: how long it takes, and on what machine.
        carry_out: does it.
        protocol: how the numbers come about, and where that differs from the paper.
    """

    what: str
    reference: str
    duration: str
    carry_out: Callable[[Request], Outcome]
    protocol: str


class Entry(NamedTuple):
    """One model of a comparison.

    Attributes:
        family: name of its family.
        config: of its runs.
        published: name of the metric -> published number.
    """

    family: str
    config: RunConfig[Any]
    published: Mapping[str, Published] = {}


class Claim(NamedTuple):
    """What the authors found, tested on our seeds: that one model has the larger values of a metric.

    Attributes:
        larger: name of that model.
        smaller: name of the other one.
        metric: name of the metric.
    """

    larger: str
    smaller: str
    metric: str


@dataclasses.dataclass(frozen=True)
class Repeated:
    """A recipe that repeats an experiment of `jaxgen.recipes.theory` with other keys.

    Attributes:
        experiment: from a key to numbers, named `row/metric` or `metric`, and figures, of which the first key's are
            kept.
        seeds: of the protocol.
        quick_seeds: seeds if it is to be quick.
    """

    experiment: Callable[[KeyArray], Experiment]
    seeds: int = 3
    quick_seeds: int = 1

    def __call__(self, request: Request) -> Outcome:
        """Repeat."""
        seeds = request.seeds or (self.quick_seeds if request.quick else self.seeds)
        found = []
        for seed in range(seeds):
            request.say(f"seed {seed + 1} of {seeds}")
            found.append(self.experiment(jax.random.key(seed)))
        rows: dict[str, dict[str, Measured]] = {}
        for name in found[0].numbers:
            row, _, metric = name.rpartition("/")
            values = tuple(_number(numbers[name]) for numbers, _ in found)
            rows.setdefault(row or "all", {})[metric] = Measured(values)
        return Outcome(rows, figures=found[0].figures)


def _as_it_is(config: RunConfig[Any]) -> RunConfig[Any]:
    return config


Measure: TypeAlias = Callable[[Run, KeyArray], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Comparative:
    """A recipe that trains several models in the same way and compares what `jaxgen evaluate` says of each.

    Attributes:
        entries: name of the model -> what to train.
        metrics: name of the metric -> what it counts, for the figure.
        measure: from a run and the key of its samples to metrics that `jaxgen evaluate` does not have.
        quick_measure: the same, if it is to be quick.
        claims: to be tested.
        seeds: of the protocol.
        quick_steps: turns of each model if it is to be quick.
        quick_seeds: seeds of each model if it is to be quick.
        quick_change: from the settings of a model, shortened already, to those that it has if it is to be quick.
    """

    entries: Mapping[str, Entry]
    metrics: Mapping[str, str]
    measure: Measure | None = None
    quick_measure: Measure | None = None
    claims: Sequence[Claim] = ()
    seeds: int = 10
    quick_steps: int = 500
    quick_seeds: int = 2
    quick_change: Callable[[RunConfig[Any]], RunConfig[Any]] = _as_it_is

    def __call__(self, request: Request) -> Outcome:
        """Train and compare."""
        chosen = {name: entry for name, entry in self.entries.items() if name in request.only or not request.only}
        rows = {name: self._row(name, entry, request) for name, entry in chosen.items()}
        claims = [_tested(claim, rows) for claim in self.claims if {claim.larger, claim.smaller} <= set(rows)]
        figures = {metric: _figure(metric, unit, rows) for metric, unit in self.metrics.items()}
        left = [name for name, row in rows.items() if any(len(measured.counted) for measured in row.values())]
        if left:
            figures["samples"] = _samples({name: load_run(request.folder / file_name(name)) for name in left})
        return Outcome(rows, claims, figures)

    def _row(self, name: str, entry: Entry, request: Request) -> dict[str, Measured]:
        seeds = self.quick_seeds if request.quick else self.seeds
        config = dataclasses.replace(entry.config, seeds=request.seeds or seeds, data_dir=request.data_dir)
        if request.quick:
            config = self.quick_change(_shortened(config, self.quick_steps))
        folder = request.folder / file_name(name)
        request.say(f"{name}: seeds {config.seeds}, turns {config.steps}, in {folder}")
        try:
            test = _trained(folder, entry.family, config, request.say)["test"]
        except DivergenceError as error:
            request.say(f"{name}: {error}")
            lost = (None,) * (config.seeds or 1)
            return {metric: Measured(lost, entry.published.get(metric)) for metric in self.metrics}
        measure = self.quick_measure if request.quick else self.measure
        if measure is not None:
            run = load_run(folder)
            measured = measure(run, jax.random.key(config.seed))
            test |= {
                name: summarize(values, larger_is_better=name in LARGER_IS_BETTER, left_out=run.diverged)
                for name, values in measured.items()
            }
        return {
            metric: Measured(tuple(test[metric]["runs"]), entry.published.get(metric))
            for metric in self.metrics
            if metric in test
        }


def carry_out(recipe: Recipe, request: Request) -> Outcome:
    """Carry a recipe out, and write `results.json` and the figures into the folder of the request.

    Args:
        recipe: which.
        request: how.

    Returns:
        What came out.

    Raises:
        InputError: if the folder holds something else or cannot be written, data are missing, or the recipe has no
            such models.

    Example:
        >>> import tempfile
        >>> tossed = Repeated(lambda key: Experiment({"heads": float(jax.random.bernoulli(key))}, {}))
        >>> recipe = Recipe("a coin", "of nobody", "a moment", tossed, protocol="tossed three times")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     outcome = carry_out(recipe, Request(Path(folder), say=lambda line: None))
        ...     [path.name for path in Path(folder).iterdir()], len(outcome.rows["all"]["heads"].values)
        (['results.json'], 3)
    """
    _check_only(recipe, request.only)
    make_folder(request.folder)
    request.say(f"{recipe.what} ({recipe.reference}); it takes {recipe.duration}")
    outcome = recipe.carry_out(request)
    write_json(request.folder / "results.json", _described(recipe, request, outcome))
    for name, figure in outcome.figures.items():
        write_figure(request.folder / f"{file_name(name)}.png", figure)
    return outcome


def file_name(name: str) -> str:
    """A name as a file or a folder can have it.

    Args:
        name: of a model or a metric.

    Returns:
        The name without capitals, commas and spaces.

    Example:
        >>> file_name("ring, WGAN-GP")
        'ring-wgan-gp'
    """
    return "-".join(name.lower().replace(",", " ").split())


def _check_only(recipe: Recipe, only: Sequence[str]) -> None:
    """Refuse names of models that the recipe does not have."""
    models = recipe.carry_out.entries if isinstance(recipe.carry_out, Comparative) else {}
    if only and not models:
        raise InputError("this recipe compares no models of which some could be chosen: leave out --only")
    for name in only:
        check_known("model of this recipe", name, models)


def _shortened(config: RunConfig[Any], steps: int) -> RunConfig[Any]:
    """The same with fewer turns, of which as large a part lies between two lines, checkpoints and pictures."""
    intervals = {
        name: max(1, getattr(config, name) * steps // config.steps)
        for name in ("log_every", "checkpoint_every", "image_every")
    }
    return dataclasses.replace(config, steps=steps, **intervals)


def _trained(folder: Path, family: str, config: RunConfig[Any], say: Callable[[str], None]) -> dict[str, Any]:
    """The summary of a run: as it was written, if this run is complete, or after the training that is left to do."""
    begun = (folder / "config.json").is_file()
    if begun and read_config(folder)[:2] == (family, located(config)):
        # One that is missing or damaged is made again.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            summary = json.loads((folder / "summary.json").read_text())
            if summary["step"] == config.steps:
                return {**summary, "test": dict(summary["test"])}
    return train(folder, family, config, resume=begun, say=say)


def _tested(claim: Claim, rows: Mapping[str, Mapping[str, Measured]]) -> str:
    """The claim with the p-value of a one-sided Mann-Whitney test, which asks nothing of how values are distributed."""
    from scipy.stats import PermutationMethod, mannwhitneyu

    larger, smaller = (rows[name][claim.metric] for name in (claim.larger, claim.smaller))
    sentence = f"{claim.metric}: {claim.larger} {larger.mean:.3g}, {claim.smaller} {smaller.mean:.3g}"
    if min(len(larger.counted), len(smaller.counted)) < 2:
        return f"{sentence}; too few seeds to test which is larger"
    # By permutations, as counts of modes have ties, for which no table holds: by all of them up to ten seeds each.
    method = PermutationMethod(n_resamples=200_000, rng=np.random.default_rng(0))
    p = mannwhitneyu(larger.counted, smaller.counted, alternative="greater", method=method).pvalue
    return f"{sentence}; that the first is larger has p = {p:.2g} (one-sided Mann-Whitney test)"


def _figure(metric: str, unit: str, rows: Mapping[str, Mapping[str, Measured]]) -> "Figure":
    def comparison(measured: Measured) -> Comparison:
        published = measured.published or Published(math.nan)
        return Comparison(published.mean, measured.mean, published.error, measured.error)

    shown = {name: comparison(row[metric]) for name, row in rows.items() if metric in row}
    return plot.published_against_ours(shown, unit=unit)


def _samples(runs: Mapping[str, Run]) -> "Figure":
    """Samples of the first sound seed of every model."""
    points, images = {}, {}
    for name, run in runs.items():
        config = run.config
        count = SHOWN_POINTS if "point" in run.example else SHOWN_IMAGES
        drawn = np.asarray(run.sample(jax.random.key(config.seed), count))
        shown = drawn if config.seeds is None else drawn[run.first_run]
        if "point" in run.example:
            data = load(config.data, data_dir=config.data_dir)
            points[name] = (shown, some_examples(jax.random.key(config.seed), data, SHOWN_POINTS)["point"])
        else:
            images[name] = shown
    return plot.scatters(points) if points else plot.image_rows(images)


def _described(recipe: Recipe, request: Request, outcome: Outcome) -> dict[str, Any]:
    """The content of `results.json`."""

    def of(measured: Measured) -> dict[str, Any]:
        return {
            "published": None if measured.published is None else measured.published._asdict(),
            "mean": _number(measured.mean),
            "sd": _number(measured.sd),
            "seeds": len(measured.counted),
            "values": list(measured.values),
        }

    return {
        "what": recipe.what,
        "reference": recipe.reference,
        "protocol": recipe.protocol,
        "quick": request.quick,
        "rows": {name: {metric: of(value) for metric, value in row.items()} for name, row in outcome.rows.items()},
        "claims": list(outcome.claims),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
