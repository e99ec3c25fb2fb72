"""`jaxgen report RUN`."""

from dataclasses import dataclass
from pathlib import Path

from jaxgen.cli.options import RunFolder
from jaxgen.cli.output import check_seed, load_with_notice
from jaxgen.cli.parse import parse
from jaxgen.cli.table import print_metrics
from jaxgen.report import write_report


@dataclass(frozen=True)
class Options:
    """Write a report of a run: all figures and metrics that apply to it, in one HTML file.

    Attributes:
        run: run folder.
        out: output folder for index.html, report.json and the figures; RUN/report by default.
        seed: seed of the samples and of everything else that is drawn.
        data_dir: folder of the data sets, if it is not that of the training.
        family: Python file, module or entry point that defines the family of the run, if it is not part of jaxgen.
    """

    run: RunFolder
    out: Path | None = None
    seed: int = 0
    data_dir: str | None = None
    family: str | None = None


def run(arguments: list[str]) -> None:
    """Write the report, and print its metrics and its path."""
    options = parse(Options, arguments, command="jaxgen report")
    seed, trained = check_seed(options.seed), load_with_notice(options.run, options.family)
    report = write_report(trained, folder=options.out, seed=seed, data_dir=options.data_dir)
    if report.metrics:
        print_metrics(report.metrics, title=f"{trained.name} on {trained.config.data}, step {trained.step}")
    print(report.path)
