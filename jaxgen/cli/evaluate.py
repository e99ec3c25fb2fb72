"""`jaxgen evaluate RUN`."""

import json
from dataclasses import dataclass

from jaxgen.cli.options import RunFolder
from jaxgen.cli.output import check_seed, load_with_notice
from jaxgen.cli.parse import parse
from jaxgen.cli.table import print_metrics
from jaxgen.errors import InputError
from jaxgen.runs import evaluate_run
from jaxgen.runs.evaluation import load_test_split, with_data_in


@dataclass(frozen=True)
class Options:
    """Evaluate a trained run on the test split of its data.

    Example: jaxgen evaluate runs/vae-digits

    Attributes:
        run: run folder.
        seed: seed of the noise in the metrics, and of the samples that they are computed from.
        data_dir: folder of the data sets, if it is not that of the training.
        best: use the state that --keep-best kept in place of the newest one.
        family: file, module or entry point that defines the run's family, if it is not part of jaxgen.
        json: print the metrics as JSON instead of a table.
    """

    run: RunFolder
    seed: int = 0
    data_dir: str | None = None
    best: bool = False
    family: str | None = None
    json: bool = False


def run(arguments: list[str]) -> None:
    """Evaluate and print."""
    options = parse(Options, arguments, command="jaxgen evaluate")
    trained = with_data_in(load_with_notice(options.run, options.family, best=options.best), options.data_dir)
    data = load_test_split(trained.config, trained.example)
    metrics = evaluate_run(trained, seed=check_seed(options.seed), data=data)
    if not metrics:
        raise InputError(f"the model '{trained.family}' has no metrics on '{trained.config.data}'")
    if options.json:
        print(json.dumps(metrics, indent=2, allow_nan=False))
    else:
        print_metrics(metrics, title=f"{trained.name} on the test split of {trained.config.data}, step {trained.step}")
