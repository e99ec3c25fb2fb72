"""The two ways in which jaxgen gives up: the user's input is wrong, or the training diverged."""

import difflib
from collections.abc import Collection, Iterable


class InputError(ValueError):
    """Something the user gave is wrong; the message is one sentence that says what is wrong and what would be right."""


class DivergenceError(ArithmeticError):
    """A loss or a gradient became NaN or infinite; the message names the step and the player."""


LONGEST_LIST = 20
"""Names that a message still lists in full."""


def check_known(kind: str, name: str, known: Collection[str]) -> None:
    """Refuse a name that is not known.

    Args:
        kind: what is named, for the message.
        name: what was asked for.
        known: the names that there are.

    Raises:
        InputError: with the nearest known name.

    Example:
        >>> check_known("likelihood", "gausian", ["bernoulli", "gaussian"])
        Traceback (most recent call last):
        jaxgen.errors.InputError: there is no likelihood 'gausian': did you mean 'gaussian'?
    """
    if not isinstance(name, str) or name not in known:
        raise InputError(f"there is no {kind} {name!r}: {nearest(str(name), known)}")


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which of the known words was probably meant.

    Args:
        word: what the user typed.
        known: the words that would have been right.

    Returns:
        `"did you mean 'vae'?"`; where none is near, the list of known words, if it is short enough to be read.

    Example:
        >>> nearest("veae", ["vae", "gan"])
        "did you mean 'vae'?"
        >>> nearest("diffusion", ["vae", "gan"])
        'known are gan, vae'
    """
    known = sorted(known)
    if match := difflib.get_close_matches(word, known, n=1):
        return f"did you mean {match[0]!r}?"
    return f"known are {', '.join(known)}" if len(known) <= LONGEST_LIST else "no name is near it"
