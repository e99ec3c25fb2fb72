"""The file in which a benchmark stores its numbers, checked before anything is measured."""

import argparse
from collections.abc import Callable
from pathlib import Path


def output_file(suffix: str) -> Callable[[str], Path]:
    """Return the `type` of an argument of `argparse` that is the path of a file to be written.

    Args:
        suffix: end of its name, e.g. ".json".

    Returns:
        A function from what the user has given to the path. It raises `ArgumentTypeError` if the file cannot be
        written there.

    Example:
        >>> output_file(".json")("numbers.json").name
        'numbers.json'
    """

    def checked(text: str) -> Path:
        # Imported here, because the memory of some benchmarks' processes is measured, some of them without JAX.
        from jaxgen.cli.output import check_output
        from jaxgen.errors import InputError

        try:
            check_output(Path(text), (suffix,))
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return Path(text)

    return checked
