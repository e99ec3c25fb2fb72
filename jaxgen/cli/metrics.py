"""`jaxgen metrics compare REAL FAKE` and `jaxgen metrics weights NAME`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from jaxgen.cli.options import Positional
from jaxgen.cli.output import notice, print_line
from jaxgen.cli.parse import parse
from jaxgen.errors import InputError

DEFAULT_METRICS = ("fid", "kid", "precision_recall", "density_coverage")
"""Metrics that are measured where none are named."""


@dataclass(frozen=True)
class Options:
    """Compare sets of images by metrics of features, or install weights that they need.

    jaxgen metrics ACTION --help shows the options of an action.

    Example: jaxgen metrics compare mnist:test samples.npz

    Attributes:
        action: compare, which compares two sets of images; or weights, which installs the published weights of a
            network.
    """

    action: Annotated[Literal["compare", "weights"], Positional("ACTION")]


@dataclass(frozen=True)
class CompareOptions:
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


@dataclass(frozen=True)
class WeightsOptions:
    """Install the published weights of a network, which metrics of images and the model style_transfer use.

    They are converted into $JAXGEN_WEIGHTS, or jaxgen/weights in the folder of caches.

    Example: jaxgen metrics weights inception --from pt_inception-2015-12-05-6726825d.pth

    Attributes:
        name: inception or vgg16 for metrics, vgg_normalised or vgg19 for style_transfer.
        from_: the published file; its SHA-256 is checked.
        download: download the published file.
    """

    name: Annotated[Literal["inception", "vgg16", "vgg_normalised", "vgg19"], Positional("NAME")]
    from_: Path | None = None
    download: bool = False


def run(arguments: list[str]) -> None:
    """Run an action."""
    if not arguments or arguments[0] not in ACTIONS:
        parse(Options, arguments[:1], command="jaxgen metrics")  # Prints the help, or says which actions there are.
        return
    action, *rest = arguments
    options, function = ACTIONS[action]
    function(parse(options, rest, command=f"jaxgen metrics {action}"))


def compare(options: CompareOptions) -> None:
    """Compare two sets of images and print the metrics."""
    from jaxgen.cli.metrics_compare import compare_sets

    compare_sets(options)


def weights(options: WeightsOptions) -> None:
    """Install weights and print the path of the converted file."""
    from jaxgen.metrics.extractors import PUBLISHED_WEIGHTS, download_weights, install_weights
    from jaxgen.models.style_transfer import ENCODER_WEIGHTS

    published = (PUBLISHED_WEIGHTS | ENCODER_WEIGHTS)[options.name]
    if (options.from_ is None) != options.download:
        given = "both" if options.download else "none"
        raise InputError(f"jaxgen metrics weights needs either --from FILE or --download, got {given}: {published.how}")
    if options.from_ is None:
        notice(f"downloading {published.url}")
        print_line(download_weights(published))
    else:
        print_line(install_weights(published, options.from_))


ACTIONS: dict[str, tuple[type, Callable[[Any], None]]] = {
    "compare": (CompareOptions, compare),
    "weights": (WeightsOptions, weights),
}
"""Name of an action -> its options, and the function that is called with them."""
