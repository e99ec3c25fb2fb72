"""`jaxgen analyze RUN`."""

from dataclasses import dataclass
from pathlib import Path

from jaxgen.cli.output import check_seed, load_with_notice
from jaxgen.cli.parse import RunFolder, parse
from jaxgen.cli.table import print_metrics
from jaxgen.report.report import write_report


@dataclass(frozen=True)
class Options:
    """Make every figure and number that applies to a trained run, and a page that shows them.

    Attributes:
        run: the run folder.
        out: folder they go to: `index.html`, `analysis.json` and the figures; RUN/analysis where nothing is given.
        seed: of all draws.
        data_dir: where data sets are kept, if not where they were at the time of the training.
    """

    run: RunFolder
    out: Path | None = None
    seed: int = 0
    data_dir: str | None = None


def run(arguments: list[str]) -> None:
    """Analyze, print the numbers, and say where the page is."""
    options = parse(Options, arguments, command="jaxgen analyze")
    seed, trained = check_seed(options.seed), load_with_notice(options.run)
    found = write_report(trained, folder=options.out, seed=seed, data_dir=options.data_dir)
    if found.numbers:
        print_metrics(found.numbers, title=f"{trained.family} on {trained.config.data}, step {trained.step}")
    print(found.page)
