"""The two ways in which jaxgen gives up: the user's input is wrong, or the training diverged."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user gave is wrong; the message is one sentence that says what is wrong and what would be right."""


class DivergenceError(ArithmeticError):
    """A loss or a gradient became NaN or infinite; the message names the step and the player."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which of the known words was probably meant.

    Args:
        word: what the user typed.
        known: the words that would have been right.

    Returns:
        `"did you mean 'vae'?"`, or the list of known words where none is near.

    Example:
        >>> nearest("veae", ["vae", "gan"])
        "did you mean 'vae'?"
        >>> nearest("diffusion", ["vae", "gan"])
        'known are gan, vae'
    """
    known = sorted(known)
    match = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {match[0]!r}?" if match else f"known are {', '.join(known)}"
