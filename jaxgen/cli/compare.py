"""`jaxgen compare RUN RUN ...`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.table import Table

from jaxgen import plot
from jaxgen.cli.options import Positional
from jaxgen.cli.output import FIGURE_SUFFIXES, check_output, notice, print_table, write_figure
from jaxgen.cli.parse import parse
from jaxgen.metrics.protocol import metric_of
from jaxgen.models import load_family
from jaxgen.runs.comparison import (
    ComparedRun,
    check_protocols,
    common_curves,
    compare_runs,
    differing_options,
    differing_protocols,
)


@dataclass(frozen=True)
class Options:
    """Compare runs: the options in which they differ, their metrics on the test split, and their training curves.

    Metrics of several seeds are printed as mean ± standard deviation.

    Example: jaxgen compare runs/vae runs/vae-beta-4

    Attributes:
        runs: run folders.
        metrics: names of metrics to compare, e.g. elbo frechet_distance, which every run must have by one protocol; by
            default all, and each protocol in a row of its own.
        out: figure of the training curves (.png, .pdf, .svg).
        family: file, module or entry point that defines the family of those runs that are not part of jaxgen.
    """

    runs: Annotated[tuple[Path, ...], Positional("RUN")]
    metrics: tuple[str, ...] = ()
    out: Path = Path("comparison.png")
    family: str | None = None


def run(arguments: list[str]) -> None:
    """Print the tables and write the figure."""
    options = parse(Options, arguments, command="jaxgen compare")
    check_output(options.out, FIGURE_SUFFIXES)
    runs = compare_runs(options.runs, family=None if options.family is None else load_family(options.family))
    names = [run.name for run in runs]
    for metric in options.metrics:
        check_protocols(runs, metric)
    if differing := differing_options(runs):
        _print("option", names, differing)
    for sentence in differing_protocols(runs):
        notice(sentence)
    metrics = dict.fromkeys(metric for run in runs for metric in run.metrics if _is_chosen(metric, options))
    cells = {metric: [_cell(run, metric) for run in runs] for metric in metrics}
    _print("metric", names, {"step": [run.state for run in runs], **cells})
    curves = {name: curve for name, curve in common_curves(runs).items() if _is_chosen(name, options)}
    if curves:
        write_figure(options.out, plot.training_curves({run.name: run.steps for run in runs}, curves))


def _is_chosen(name: str, options: Options) -> bool:
    """Whether a metric is compared; its name in the log may have a prefix."""
    return not options.metrics or metric_of(name).rpartition("/")[2] in options.metrics


def _print(title: str, names: list[str], rows: dict[str, list[str]]) -> None:
    table = Table(title, *names)
    for name, cells in rows.items():
        table.add_row(name, *cells)
    print_table(table)


def _cell(run: ComparedRun, metric: str) -> str:
    mean, sd = run.metrics.get(metric, (None, None))
    if mean is None:
        return "-"
    return f"{mean:.5g}" if sd is None else f"{mean:.5g} ± {sd:.2g}"
