"""`jaxgen evaluate RUN`."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from jaxgen.analysis.feature_metrics import FEATURE_METRICS
from jaxgen.cli.image_progress import ImageProgress
from jaxgen.cli.options import RunFolder
from jaxgen.cli.output import check_seed, load_with_notice, notice
from jaxgen.cli.parse import parse
from jaxgen.cli.table import print_metrics
from jaxgen.errors import InputError, check_known
from jaxgen.metrics.extractors import default_extractor, load_extractor
from jaxgen.runs import Run, evaluate_run
from jaxgen.runs.config import check_known_data
from jaxgen.runs.disentanglement_metrics import disentanglement_metrics
from jaxgen.runs.evaluation import load_test_split, with_data_in
from jaxgen.runs.likelihood_metrics import DRAWS, LIKELIHOOD_METRICS, check_densities, evaluate_densities
from jaxgen.runs.measured_file import FILE, Measured, add_measured
from jaxgen.runs.path_length_metrics import PATH_LENGTH_METRICS, check_paths, path_length_metrics
from jaxgen.runs.sample_evaluation import SAMPLES, check_samples, evaluate_samples

NAMES = (*FEATURE_METRICS, *PATH_LENGTH_METRICS, *LIKELIHOOD_METRICS, "disentanglement")
"""Names of all metrics that may be chosen."""


@dataclass(frozen=True)
class Options:
    """Evaluate a trained run on the test split of its data, or by chosen metrics of its samples and densities.

    A chosen metric is printed with its protocol: for features the extractor, its resizer, the numbers of real examples
    and of samples, and the split. Numbers of different protocols do not compare. Chosen metrics are also stored, in
    the file measured.jsonl of the run, from which `jaxgen compare` and `jaxgen report` read them.

    Example: jaxgen evaluate runs/vae-digits --metrics fid kid precision_recall

    Attributes:
        run: run folder.
        metrics: metrics of the features of samples: fid, fid_infinity, kid, inception_score, precision_recall,
            density_coverage, vendi_score, memorization, intra_class; or of paths between latents: ppl_zfull,
            ppl_zend, ppl_wfull, ppl_wend; or of the densities of a VAE: importance_weighted_bound, active_units, rate,
            distortion, mutual_information; or disentanglement, of the latents of the data set shapes; by default none,
            and the run is evaluated on the test split.
        samples: number of samples or of steps on paths of each seed, for metrics of features; by default 10000.
        extractor: network whose features are compared, vgg16 for LPIPS along paths; by default the one that was trained
            for the run's data.
        resizer: function that makes images as large as the extractor needs: tf1_bilinear, bilinear,
            antialiased_bicubic or none; by default that of its publication.
        split: split of the data that the samples are compared with, for metrics of features; by default train.
        truncation: bound of the latents of the samples, or share of their styles, as of jaxgen sample, for metrics of
            features; by default none.
        draws: number of draws of the importance-weighted bound; by default 5000.
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
    truncation: float | None = None
    draws: int | None = None
    seed: int = 0
    data_dir: str | None = None
    best: bool = False
    family: str | None = None
    json: bool = False


def run(arguments: list[str]) -> None:
    """Evaluate and print."""
    options = parse(Options, arguments, command="jaxgen evaluate")
    seed = check_seed(options.seed)
    chosen = _chosen(options)
    trained = with_data_in(load_with_notice(options.run, options.family, best=options.best), options.data_dir)
    metrics: dict[str, Any]
    if options.metrics is None:
        metrics = evaluate_run(trained, seed=seed, data=load_test_split(trained.config, trained.example))
        if not metrics:
            raise InputError(f"the model '{trained.family}' has no metrics on '{trained.config.data}'")
        title = f"{trained.name} on the test split of {trained.config.data}, step {trained.step}"
    else:
        # Before samples are drawn, which takes long.
        if chosen.of_densities:
            check_densities(trained)
        if chosen.of_paths:
            check_paths(trained, chosen.of_paths)
        metrics = dict(_by_extractor(trained, options, chosen))
        metrics |= _of_densities(trained, options, chosen.of_densities)
        if "disentanglement" in options.metrics:
            metrics |= disentanglement_metrics(trained, jax.random.key(seed))
        _store(trained, " ".join(["evaluate --metrics", *options.metrics]), seed, metrics)
        title = f"{trained.name} on {trained.config.data}, step {trained.step}"
    if options.json:
        print(json.dumps(metrics, indent=2, allow_nan=False))
    else:
        print_metrics(metrics, title=title)


def _store(trained: Run, command: str, seed: int, metrics: dict[str, Any]) -> None:
    """Store metrics in the folder of the run; they are printed in any case."""
    try:
        add_measured(trained.folder, Measured(trained.step, command, seed, metrics))
    except InputError as error:
        notice(f"the metrics are not stored in {FILE}: {error}")


class Chosen(NamedTuple):
    """The chosen metrics by what they need."""

    of_features: list[str]
    of_paths: list[str]
    of_densities: list[str]


def _chosen(options: Options) -> Chosen:
    """Return the chosen metrics; refuse options that do not apply, before anything is loaded."""
    if options.metrics == ():
        raise InputError("--metrics must be followed by at least one name of a metric, got none")
    for name in options.metrics or ():
        check_known("metric", name, NAMES)
    chosen = Chosen(
        [name for name in options.metrics or () if name in FEATURE_METRICS],
        [name for name in options.metrics or () if name in PATH_LENGTH_METRICS],
        [name for name in options.metrics or () if name in LIKELIHOOD_METRICS],
    )
    for name in ("samples", "extractor", "resizer", "split", "truncation"):
        applies = chosen.of_features if name in ("split", "truncation") else chosen.of_features + chosen.of_paths
        if getattr(options, name) is not None and not applies:
            raise InputError(f"--{name} must be left out without --metrics of features such as fid, as it is for them")
    if options.draws is not None and "importance_weighted_bound" not in chosen.of_densities:
        raise InputError("--draws must be left out without --metrics importance_weighted_bound, as it is for that one")
    for name, least in (("samples", 2), ("draws", 1)):
        count = getattr(options, name)
        if count is not None and not least <= count < 2**31:
            raise InputError(f"--{name} must be at least {least} and below 2^31, got {count}")
    return chosen


def _by_extractor(trained: Run, options: Options, chosen: Chosen) -> dict[str, Any]:
    """The metrics for which an extractor compares images."""
    if not chosen.of_features and not chosen.of_paths:
        return {}
    check_samples(trained)
    if chosen.of_features:  # Before the sentence that an extractor must be chosen, which would not be enough.
        check_known_data(trained.config)
    extractor = load_extractor(options.extractor or default_extractor(trained.config.data), resizer=options.resizer)
    key, count = jax.random.key(options.seed), SAMPLES if options.samples is None else options.samples
    found: dict[str, Any] = {}
    with ImageProgress() as progress:
        options_of_both: dict[str, Any] = {"count": count, "progress": progress}
        if chosen.of_features:
            further: dict[str, Any] = {"split": options.split or "train", "truncation": options.truncation}
            found |= evaluate_samples(trained, key, chosen.of_features, extractor, **further, **options_of_both)
        if chosen.of_paths:
            found |= path_length_metrics(trained, key, chosen.of_paths, extractor, **options_of_both)
    return found


def _of_densities(trained: Run, options: Options, names: list[str]) -> dict[str, Any]:
    if not names:
        return {}
    draws = DRAWS if options.draws is None else options.draws
    return evaluate_densities(trained, jax.random.key(options.seed), names, k=draws)
