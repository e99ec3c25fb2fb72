"""`jaxgen metrics compare REAL FAKE`."""

import json
from dataclasses import dataclass
from typing import Annotated

import jax

from jaxgen.analysis.feature_metrics import Sets, check_metrics, feature_metrics
from jaxgen.analysis.image_features import features_of_data, reference_name
from jaxgen.cli.image_progress import ImageProgress
from jaxgen.cli.options import Positional
from jaxgen.cli.output import check_seed, notice
from jaxgen.cli.parse import parse
from jaxgen.cli.table import print_metrics
from jaxgen.data import count_examples, example
from jaxgen.data.image_sets import ImageSet, open_image_set
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import default_extractor, load_extractor

DEFAULT_METRICS = ("fid", "kid", "precision_recall", "density_coverage")
"""Metrics that are measured where none are named."""


@dataclass(frozen=True)
class Options:
    """Compare two sets of images by metrics of features: first the real images, then the samples.

    A set is a folder of images, an .npz or .npy file, or a data set with its split, as mnist:test.

    Example: jaxgen metrics compare mnist:test samples.npz --metrics fid kid

    Attributes:
        real: real images.
        fake: samples.
        metrics: metrics to measure, of fid, fid_infinity, kid, inception_score, precision_recall,
            density_coverage, vendi_score.
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
    check_metrics(options.metrics, held_out=False, labels=False)
    if options.image_size is not None and options.image_size < 1:
        raise InputError(f"--image-size must be at least 1, got {options.image_size}")
    extractor = load_extractor(
        options.extractor or default_extractor(options.real.partition(":")[0]), resizer=options.resizer
    )
    real, fake = (_opened(name, options) for name in (options.real, options.fake))
    check_metrics(
        options.metrics, examples=min(map(count_examples, (real.data, fake.data))), held_out=False, labels=False
    )
    for images in (real, fake):
        try:
            extractor.check((count_examples(images.data), *example(images.data)["image"].shape[1:]))
        except InputError as error:
            raise InputError(f"{images.name}: {error}") from None
    with ImageProgress() as progress:
        sets = Sets(
            features_of_data(extractor, real.data, progress=progress),
            features_of_data(extractor, fake.data, progress=progress),
            reference_name(real.name, None if real.is_data_set else real.data, options.image_size),
        )
    found = feature_metrics(jax.random.key(seed), options.metrics, extractor, sets)
    metrics = {str(measured.protocol): measured.value for measured in found}
    if options.json:
        print(json.dumps(metrics, indent=2, allow_nan=False))
    else:
        print_metrics(metrics, title=f"{options.fake} beside {options.real}")


def _opened(name: str, options: Options) -> ImageSet:
    images = open_image_set(name, data_dir=options.data_dir, image_size=options.image_size)
    if images.notice:
        notice(f"{name}{images.notice}")
    return images
