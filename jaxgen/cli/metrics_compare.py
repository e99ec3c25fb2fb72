"""`jaxgen metrics compare REAL FAKE`."""

import json
import re
from dataclasses import dataclass
from typing import Annotated

import jax

from jaxgen.analysis.feature_metrics import Sets, check_measurable, check_metrics, feature_metrics
from jaxgen.analysis.image_features import features_of_data
from jaxgen.cli.image_progress import ImageProgress
from jaxgen.cli.options import Positional
from jaxgen.cli.output import check_seed, notice
from jaxgen.cli.parse import parse
from jaxgen.cli.table import print_metrics
from jaxgen.data import Stream, count_examples, example
from jaxgen.data.image_sets import open_image_set
from jaxgen.data.sources import DATASETS
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import Extractor, default_extractor, load_extractor
from jaxgen.typing import Batch

DEFAULT_METRICS = ("fid", "kid", "precision_recall", "density_coverage")
"""Metrics that are measured where none are named."""


@dataclass(frozen=True)
class Options:
    """Compare two sets of images by metrics of features: samples with real images, in this order.

    A set is a folder of images, an .npz or .npy file, or a data set with its split, as mnist:test.

    Example: jaxgen metrics compare mnist:test samples.npz --metrics fid kid

    Attributes:
        real: real images.
        fake: samples.
        metrics: metrics to measure, of fid, kid, inception_score, precision_recall, density_coverage, vendi_score.
        extractor: network whose features are compared; by default the one that was trained for the data set of the
            real images.
        resizer: function that makes images as large as the extractor needs: tf1_bilinear, bilinear,
            antialiased_bicubic or none; by default that of its publication.
        image_size: height and width in pixels to which images are scaled and cropped; by default images keep their
            size, which must be the same for all of a set.
        seed: seed of the subsets of the kernel distance.
        data_dir: folder of the data sets.
        json: print the metrics as JSON instead of a table.
    """

    real: Annotated[str, Positional("REAL")]
    fake: Annotated[str, Positional("FAKE")]
    metrics: tuple[str, ...] = DEFAULT_METRICS
    extractor: str | None = None
    resizer: str | None = None
    image_size: int | None = None
    seed: int = 0
    data_dir: str | None = None
    json: bool = False


def run(arguments: list[str]) -> None:
    """Measure and print."""
    options = parse(Options, arguments, command="jaxgen metrics compare")
    seed = check_seed(options.seed)
    check_metrics(options.metrics)
    name = options.real.partition(":")[0]
    extractor = load_extractor(options.extractor or default_extractor(name), resizer=options.resizer)
    data = [_opened(each, options, extractor) for each in (options.real, options.fake)]
    check_measurable(options.metrics, real=count_examples(data[0]), fake=count_examples(data[1]))
    with ImageProgress() as progress:
        real, fake = (features_of_data(extractor, each, progress=progress) for each in data)
    scaled = () if options.image_size is None else (f"image_size={options.image_size}",)
    found = feature_metrics(
        jax.random.key(seed), options.metrics, extractor, Sets(real, fake), split=_split(options.real), options=scaled
    )
    metrics = {str(measured.protocol): measured.value for measured in found}
    if options.json:
        print(json.dumps(metrics, indent=2, allow_nan=False))
    else:
        print_metrics(metrics, title=f"{options.fake} beside {options.real}")


def _opened(name: str, options: Options, extractor: Extractor) -> Batch | Stream:
    """Open a set of images that fit the extractor; the error names the set."""
    if options.image_size is not None and options.image_size < 1:
        raise InputError(f"--image-size must be at least 1, got {options.image_size}")
    opened = open_image_set(name, data_dir=options.data_dir, image_size=options.image_size)
    if opened.notice:
        notice(f"{name}{opened.notice}")
    try:
        extractor.check((count_examples(opened.data), *example(opened.data)["image"].shape[1:]))
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return opened.data


def _split(name: str) -> str:
    """The split of a data set, or the name of another set without the characters that separate parts of a protocol."""
    data, _, split = name.partition(":")
    return (split or "train") if data in DATASETS else re.sub(r"[\[\],]+", "-", name)
