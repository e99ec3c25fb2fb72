"""Extractors: networks with fixed weights that turn images into features and logits, each with its resizer and name."""

from collections.abc import Callable
from functools import partial

from jaxgen.errors import InputError, check_known
from jaxgen.metrics.extractors.extractor import Extracted, Extractor, quantize
from jaxgen.metrics.extractors.packaged import PACKAGED, packaged_extractor

__all__ = [
    "DEFAULT_EXTRACTORS",
    "EXTRACTORS",
    "Extracted",
    "Extractor",
    "default_extractor",
    "load_extractor",
    "quantize",
]

EXTRACTORS: dict[str, Callable[[], Extractor]] = {name: partial(packaged_extractor, name) for name in PACKAGED}
"""Name -> function that loads the extractor."""

DEFAULT_EXTRACTORS = {
    "digits": "digits_v1",
    "mnist_small": "mnist_v1",
    "mnist": "mnist_v1",
    "fashion_mnist": "fashion_mnist_v1",
}
"""Name of a data set -> extractor whose features are those of its classes."""


def load_extractor(name: str) -> Extractor:
    """Load an extractor.

    Args:
        name: one of `EXTRACTORS`.

    Returns:
        The extractor.

    Raises:
        InputError: if there is no extractor of that name, or its weights are not on this machine; the message says
            where to get them.

    Example:
        >>> load_extractor("digits_v1").size
        (8, 8)
    """
    check_known("extractor", name, EXTRACTORS)
    return EXTRACTORS[name]()


def default_extractor(data: str) -> str:
    """Return the name of the extractor of a data set, where one was trained for it.

    Args:
        data: name of the data set.

    Returns:
        The name.

    Raises:
        InputError: if none was.

    Example:
        >>> default_extractor("fashion_mnist")
        'fashion_mnist_v1'
    """
    if data not in DEFAULT_EXTRACTORS:
        raise InputError(
            f"an extractor must be chosen for the data '{data}', as none was trained for them, with --extractor: one "
            f"of {', '.join(EXTRACTORS)}"
        )
    return DEFAULT_EXTRACTORS[data]
