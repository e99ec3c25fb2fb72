"""`jaxgen report RUN`."""

from dataclasses import dataclass
from pathlib import Path

from jaxgen.cli.options import RunFolder
from jaxgen.cli.output import check_run_index, check_seed, load_with_notice, notice, notice_of_seed, print_line
from jaxgen.cli.parse import parse
from jaxgen.cli.table import print_metrics
from jaxgen.report import FAILED, write_report
from jaxgen.runs.outputs import check_writable


@dataclass(frozen=True)
class Options:
    """Write a report of a run: all figures and metrics that apply to it, in one HTML file.

    Example: jaxgen report runs/vae-digits

    Attributes:
        run: run folder.
        out: output folder for index.html, report.json and the figures; RUN/report by default.
        seed: seed of the samples and of everything else that is drawn.
        run_index: number of the seed that figures show, for a run of several, counted from 0; by default the first that
            has not diverged.
        data_dir: folder of the data sets, if it is not that of the training.
        best: use the state that --keep-best kept in place of the newest one.
        family: Python file, module or entry point that defines the family of the run, if it is not part of jaxgen.
    """

    run: RunFolder
    out: Path | None = None
    seed: int = 0
    run_index: int | None = None
    data_dir: str | None = None
    best: bool = False
    family: str | None = None


def run(arguments: list[str]) -> None:
    """Write the report, and print its metrics and its path."""
    options = parse(Options, arguments, command="jaxgen report")
    check_writable(options.out or options.run / "report")
    seed, trained = check_seed(options.seed), load_with_notice(options.run, options.family, best=options.best)
    index = check_run_index(trained, options.run_index)
    report = write_report(trained, folder=options.out, seed=seed, data_dir=options.data_dir, run_index=index)
    for heading, reason in report.left_out.items():
        if reason.startswith(FAILED):
            notice(f"the section '{heading}' is left out: {reason}")
    notice_of_seed(trained, index)
    if report.metrics:
        print_metrics(report.metrics, title=f"{trained.name} on {trained.config.data}, step {trained.step}")
    print_line(report.path)
