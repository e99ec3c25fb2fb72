"""`jaxgen metrics compare REAL FAKE` and `jaxgen metrics weights NAME`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from jaxgen.cli.options import Positional
from jaxgen.cli.output import notice, print_line
from jaxgen.cli.parse import parse
from jaxgen.errors import InputError


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
class WeightsOptions:
    """Install the published weights of a network, which metrics of images use.

    They are converted into $JAXGEN_WEIGHTS, or jaxgen/weights in the folder of caches.

    Example: jaxgen metrics weights inception --from pt_inception-2015-12-05-6726825d.pth

    Attributes:
        name: inception or vgg16.
        from_: the published file; its SHA-256 is checked.
        download: download the published file.
    """

    name: Annotated[Literal["inception", "vgg16"], Positional("NAME")]
    from_: Path | None = None
    download: bool = False


def run(arguments: list[str]) -> None:
    """Run an action."""
    if not arguments or arguments[0] not in ("compare", *ACTIONS):
        parse(Options, arguments[:1], command="jaxgen metrics")  # Prints the help, or says which actions there are.
        return
    action, *rest = arguments
    if action == "compare":
        from jaxgen.cli.metrics_compare import run as compare

        compare(rest)
        return
    options, function = ACTIONS[action]
    function(parse(options, rest, command=f"jaxgen metrics {action}"))


def weights(options: WeightsOptions) -> None:
    """Install weights and print the path of the converted file."""
    from jaxgen.metrics.extractors import PUBLISHED_WEIGHTS, download_weights, install_weights

    published = PUBLISHED_WEIGHTS[options.name]
    if (options.from_ is None) != options.download:
        given = "both" if options.download else "none"
        raise InputError(f"jaxgen metrics weights needs either --from FILE or --download, got {given}: {published.how}")
    if options.from_ is None:
        notice(f"downloading {published.url}")
        print_line(download_weights(published))
    else:
        print_line(install_weights(published, options.from_))


ACTIONS: dict[str, tuple[type, Callable[[Any], None]]] = {"weights": (WeightsOptions, weights)}
"""Name of an action -> its options, and the function that is called with them."""
