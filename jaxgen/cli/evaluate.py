"""`jaxgen evaluate RUN`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax

from jaxgen.cli.image_progress import ImageProgress
from jaxgen.cli.options import RunFolder
from jaxgen.cli.output import check_seed, load_with_notice
from jaxgen.cli.parse import parse
from jaxgen.cli.table import print_metrics
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import default_extractor, load_extractor
from jaxgen.runs import Run, evaluate_run
from jaxgen.runs.evaluation import load_test_split, with_data_in
from jaxgen.runs.sample_evaluation import SAMPLES, evaluate_samples


@dataclass(frozen=True)
class Options:
    """Evaluate a trained run on the test split of its data, or its samples by metrics of features.

    A metric of features is printed with its protocol: extractor, resizer, numbers of real examples and of samples, and
    split. Numbers of different protocols do not compare.

    Example: jaxgen evaluate runs/vae-digits --metrics fid kid precision_recall

    Attributes:
        run: run folder.
        metrics: metrics of the features of samples: fid, kid, inception_score, precision_recall, density_coverage,
            vendi_score; by default none, and the run is evaluated on the test split.
        samples: number of samples of each seed, for metrics of features; by default 10000.
        extractor: network whose features are compared; by default the one that was trained for the run's data.
        resizer: function that makes images as large as the extractor needs: tf1_bilinear, bilinear,
            antialiased_bicubic or none; by default that of its publication.
        split: split of the data that the samples are compared with, for metrics of features; by default train.
        seed: seed of the noise in the metrics, and of the samples that they are computed from.
        data_dir: folder of the data sets, if it is not that of the training.
        best: use the state that --keep-best kept in place of the newest one.
        family: file, module or entry point that defines the run's family, if it is not part of jaxgen.
        json: print the metrics as JSON instead of a table.
    """

    run: RunFolder
    metrics: tuple[str, ...] | None = None
    samples: int | None = None
    extractor: str | None = None
    resizer: str | None = None
    split: str | None = None
    seed: int = 0
    data_dir: str | None = None
    best: bool = False
    family: str | None = None
    json: bool = False


def run(arguments: list[str]) -> None:
    """Evaluate and print."""
    options = parse(Options, arguments, command="jaxgen evaluate")
    seed = check_seed(options.seed)
    _check(options)
    trained = with_data_in(load_with_notice(options.run, options.family, best=options.best), options.data_dir)
    metrics: Mapping[str, Any]
    if options.metrics is None:
        metrics = evaluate_run(trained, seed=seed, data=load_test_split(trained.config, trained.example))
        if not metrics:
            raise InputError(f"the model '{trained.family}' has no metrics on '{trained.config.data}'")
        title = f"{trained.name} on the test split of {trained.config.data}, step {trained.step}"
    else:
        metrics = _of_samples(trained, options)
        title = f"samples of {trained.name} beside {trained.config.data}, step {trained.step}"
    if options.json:
        print(json.dumps(metrics, indent=2, allow_nan=False))
    else:
        print_metrics(metrics, title=title)


def _check(options: Options) -> None:
    """Refuse options that do not apply, before anything is loaded."""
    if options.metrics is None:
        for name in ("samples", "extractor", "resizer", "split"):
            if getattr(options, name) is not None:
                raise InputError(f"--{name} must be left out where no --metrics are given, as it applies to them alone")
    elif options.metrics == ():
        raise InputError("--metrics must be followed by at least one name of a metric, got none")
    if options.samples is not None and options.samples < 2:
        raise InputError(f"--samples must be at least 2, got {options.samples}")


def _of_samples(trained: Run, options: Options) -> Mapping[str, Any]:
    assert options.metrics is not None
    extractor = load_extractor(options.extractor or default_extractor(trained.config.data), resizer=options.resizer)
    with ImageProgress() as progress:
        return evaluate_samples(
            trained,
            jax.random.key(options.seed),
            options.metrics,
            extractor,
            count=SAMPLES if options.samples is None else options.samples,
            split=options.split or "train",
            progress=progress,
        )
