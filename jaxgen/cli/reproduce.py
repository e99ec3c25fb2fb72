"""`jaxgen reproduce NAME`."""

import math
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from jaxgen.cli.output import notice, print_line, print_table
from jaxgen.cli.parse import parse
from jaxgen.errors import InputError, check_known
from jaxgen.recipes import RECIPES, Outcome, Recipe, Request, run_recipe
from jaxgen.recipes.recipe import MetricResult


@dataclass(frozen=True)
class Options:
    """Train the models of a published experiment and compare their metrics with the published numbers.

    Example: COMMAND --quick

    Attributes:
        seeds: number of seeds of each model; by default as in the protocol of the recipe.
        quick: shorten the recipe to less than three minutes on two cores, for a first look.
        full: train as long as the paper, where the recipe is shorter.
        out: folder of the runs, the figures and results.json, by default reproductions/NAME. Runs that are already in
            it are resumed.
        data_dir: folder of the data sets.
        only: names of the models to compare, in quotes; by default all. The table and the figures show only these.
    """

    seeds: int | None = None
    quick: bool = False
    full: bool = False
    out: Path | None = None
    data_dir: str | None = None
    only: tuple[str, ...] | None = None


def run(arguments: list[str]) -> None:
    """Run the recipe that the arguments name."""
    if not arguments or arguments[0].startswith("-"):
        _without_name(arguments)
        return
    name = arguments[0]
    check_known("recipe", name, RECIPES)
    options = parse(Options, arguments[1:], command=f"jaxgen reproduce {name}")
    if options.seeds is not None and options.seeds < 1:
        raise InputError(f"--seeds must be at least 1, got {options.seeds}")
    recipe = RECIPES[name]
    folder = options.out or Path("reproductions") / f"{name}{_suffix(options)}"
    if options.only == ():
        raise InputError("--only must be followed by at least one name of a model to compare, got none")
    only = options.only or ()
    request = Request(folder, options.seeds, options.quick, options.data_dir, only, notice, full=options.full)
    outcome = run_recipe(recipe, request)
    _print(recipe, outcome, quick=options.quick)
    print_line(f"folder: {folder}")


def _suffix(options: Options) -> str:
    """The end of the name of the default folder: runs of another length lie in another one."""
    return "-quick" if options.quick else "-full" if options.full else ""


def _without_name(arguments: list[str]) -> None:
    if arguments and arguments[0] not in ("-h", "--help"):
        raise InputError(
            f"NAME must be given before the options, got {arguments[0]}: jaxgen reproduce {' | '.join(RECIPES)}"
        )
    width = max(map(len, RECIPES))
    recipes = "\n".join(
        f"  {name:<{width}}  {recipe.description} ({recipe.duration})" for name, recipe in RECIPES.items()
    )
    print(
        f"usage: jaxgen reproduce NAME [OPTIONS]\n\n{recipes}\n\njaxgen reproduce NAME --help shows the options.\n\n"
        "Example: jaxgen reproduce critic-loss --quick"
    )


def _print(recipe: Recipe, outcome: Outcome, *, quick: bool) -> None:
    """Print the table of published numbers and of the mean, standard deviation and number of seeds of each metric."""
    table = Table("model", "metric", "published", "mean", "sd", "seeds")
    for model, row in outcome.rows.items():
        for metric, result in row.items():
            table.add_row(model, metric, _published(result), *_ours(result))
    print_table(table)
    for claim in outcome.claims:
        print_line(claim)
    print_line(f"protocol{' (shortened by --quick)' if quick else ''}: {recipe.protocol}")


def _published(result: MetricResult) -> str:
    if result.published is None:
        return "-"
    mean, error, sd, protocol = result.published
    number = f"{mean:.4g}" if error is None else f"{mean:.4g} ± {error:.2g}"
    number += "" if sd is None else f" (sd {sd:.2g})"
    return f"{number} [{protocol}]" if protocol else number


def _ours(result: MetricResult) -> tuple[str, str, str]:
    sd = "-" if math.isnan(result.sd) else f"{result.sd:.2g}"
    return f"{result.mean:.4g}", sd, str(len(result.finite))
