"""`jaxgen reproduce NAME`."""

import math
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jaxgen.cli.output import notice
from jaxgen.cli.parse import parse
from jaxgen.errors import InputError, check_known
from jaxgen.recipes import RECIPES, Outcome, Recipe, Request, carry_out
from jaxgen.recipes.recipe import Measured


@dataclass(frozen=True)
class Options:
    """Train the models of a published experiment and hold their numbers against the published ones.

    Attributes:
        seeds: runs of each model; as many as the protocol has where nothing is given.
        quick: cut it to less than three minutes on two cores, for a look.
        out: folder of the runs, the figures and results.json; reproductions/NAME where nothing is given. What is in it
            already goes on where it was.
        data_dir: where data sets are kept.
        only: names of the models to compare, in quotes, where not all of them are wanted; table and figures are then of
            these alone.
    """

    seeds: int | None = None
    quick: bool = False
    out: Path | None = None
    data_dir: str | None = None
    only: tuple[str, ...] | None = None


def run(arguments: list[str]) -> None:
    """Carry out the recipe that the arguments name."""
    if not arguments or arguments[0].startswith("-"):
        _without_name(arguments)
        return
    name = arguments[0]
    check_known("recipe", name, RECIPES)
    options = parse(Options, arguments[1:], command=f"jaxgen reproduce {name}")
    if options.seeds is not None and options.seeds < 1:
        raise InputError(f"--seeds must be at least 1, got {options.seeds}")
    recipe = RECIPES[name]
    folder = options.out or Path("reproductions") / (f"{name}-quick" if options.quick else name)
    if options.only == ():
        raise InputError("--only is followed by the names of models, at least one: those that are to be compared")
    only = options.only or ()
    outcome = carry_out(recipe, Request(folder, options.seeds, options.quick, options.data_dir, only, notice))
    _print(recipe, outcome, quick=options.quick)
    print(f"folder: {folder}")


def _without_name(arguments: list[str]) -> None:
    if arguments and arguments[0] not in ("-h", "--help"):
        raise InputError(f"name the recipe before its options: jaxgen reproduce {' | '.join(RECIPES)}")
    width = max(map(len, RECIPES))
    recipes = "\n".join(f"  {name:<{width}}  {recipe.what} ({recipe.duration})" for name, recipe in RECIPES.items())
    print(f"usage: jaxgen reproduce NAME [OPTIONS]\n\n{recipes}\n\njaxgen reproduce NAME --help shows the options.")


def _print(recipe: Recipe, outcome: Outcome, *, quick: bool) -> None:
    """The table of all numbers: published, and ours with mean, standard deviation and number of seeds."""
    table = Table("model", "metric", "published", "mean", "sd", "seeds")
    for model, row in outcome.rows.items():
        for metric, measured in row.items():
            table.add_row(model, metric, _published(measured), *_ours(measured))
    Console().print(table)
    for claim in outcome.claims:
        print(claim)
    print(f"protocol{', of which --quick is a small part' if quick else ''}: {recipe.protocol}")


def _published(measured: Measured) -> str:
    if measured.published is None:
        return "-"
    mean, error = measured.published
    return f"{mean:.4g}" if error is None else f"{mean:.4g} ± {error:.2g}"


def _ours(measured: Measured) -> tuple[str, str, str]:
    sd = "-" if math.isnan(measured.sd) else f"{measured.sd:.2g}"
    return f"{measured.mean:.4g}", sd, str(len(measured.counted))
