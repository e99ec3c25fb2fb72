"""`jaxgen metrics compare REAL FAKE`."""

import json

import jax

from jaxgen.analysis.feature_metrics import Sets, check_metrics, feature_metrics
from jaxgen.analysis.image_features import features_of_data, reference_name
from jaxgen.cli.image_progress import ImageProgress
from jaxgen.cli.metrics import CompareOptions
from jaxgen.cli.output import check_seed, notice
from jaxgen.cli.table import print_metrics
from jaxgen.data import count_examples, example
from jaxgen.data.image_sets import ImageSet, open_image_set
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import default_extractor, load_extractor


def compare_sets(options: CompareOptions) -> None:
    """Measure and print.

    Args:
        options: options of the command.

    Raises:
        InputError: if a set cannot be opened or does not fit the extractor, or a metric cannot be measured.
    """
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


def _opened(name: str, options: CompareOptions) -> ImageSet:
    images = open_image_set(name, data_dir=options.data_dir, image_size=options.image_size)
    if images.notice:
        notice(f"{name}{images.notice}")
    return images
