"""Execution of a recipe: its requested form is checked, and its results and figures are written."""

from collections.abc import Sequence
from typing import Any

from jaxgen import plot
from jaxgen._signatures import checked
from jaxgen.errors import InputError, check_known
from jaxgen.recipes.model_comparison import ModelComparison
from jaxgen.recipes.recipe import MetricResult, Outcome, Recipe, Request, finite_or_none
from jaxgen.runs.outputs import file_name, make_folder, write_json

FRAME_SECONDS = 0.3
"""Duration of a frame of an animation."""


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
        >>> from pathlib import Path
        >>> import jax
        >>> from jaxgen.recipes.theory import ExperimentResult, RepeatedExperiment
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
    for name, frames in outcome.animations.items():
        plot.animate(frames, request.folder / f"{file_name(name)}.gif", seconds=FRAME_SECONDS)
    return outcome


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


def _results(recipe: Recipe, request: Request, outcome: Outcome) -> dict[str, Any]:
    """Return the content of `results.json`."""

    def described(result: MetricResult) -> dict[str, Any]:
        return {
            "published": None if result.published is None else result.published._asdict(),
            "mean": finite_or_none(result.mean),
            "sd": finite_or_none(result.sd),
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
