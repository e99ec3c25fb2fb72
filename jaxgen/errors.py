"""The exceptions of jaxgen, invalid input of the user and diverged training, and the text of their messages."""

import reprlib
from collections.abc import Collection, Iterable


class InputError(ValueError):
    """Invalid input of the user; the message is one sentence that states what is wrong and what is valid."""


class DivergenceError(ArithmeticError):
    """A loss or a gradient became NaN or infinite; the message names the step and the player."""


SYNONYMS = {
    "lr": "learning-rate",
    "bs": "batch-size",
    "num-epochs": "epochs",
    "num-steps": "steps",
    "iterations": "steps",
    "dataset": "data",
    "output": "out",
    "output-dir": "out",
    "num-samples": "n",
    "z-dim": "latent-dim",
    "latent": "latent-dim",
    "random-seed": "seed",
    "resolution": "image-size",
    "img-size": "image-size",
}
"""Options of other programs -> the option of this one, where the spelling does not suggest it."""

MAX_LISTED = 20
"""Largest number of choices that an error message lists."""


def check_known(kind: str, name: str, known: Collection[str]) -> None:
    """Raise an error if a name is not among the known names.

    Args:
        kind: what the name denotes, for the error message.
        name: name given by the user.
        known: valid names.

    Raises:
        InputError: if the name is unknown; the message suggests the most similar known name.

    Example:
        >>> check_known("likelihood", "gausian", ["bernoulli", "gaussian"])
        Traceback (most recent call last):
        jaxgen.errors.InputError: there is no likelihood 'gausian': did you mean 'gaussian'?
    """
    if not isinstance(name, str) or name not in known:
        word = name if isinstance(name, str) else shortened(name)
        raise InputError(f"there is no {kind} {shortened(name)}: {suggest(word, known)}")


class _Shortened(reprlib.Repr):
    """Values with a few elements of each sequence and mapping, and a few levels of them."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxlong, self.maxother = 3, MAX_QUOTED, MAX_QUOTED, MAX_QUOTED

    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to write integers of more than some thousand digits."""
        return super().repr_int(x, level) if x.bit_length() < 2**13 else f"an integer of {x.bit_length()} bits"


MAX_QUOTED = 200
"""Largest number of characters of a value that an error message quotes."""


def shortened(value: object) -> str:
    """Return the `repr` of a value for an error message, without most of it where it is long.

    The value may come from a file, and its `repr` may be larger than the memory.

    Args:
        value: anything.

    Returns:
        At most 200 characters, or as many and "...".

    Example:
        >>> shortened("vae"), shortened([[0] * 10**6])
        ("'vae'", '[[0, 0, 0, 0, 0, 0, ...]]')
    """
    text = _Shortened().repr(value)
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}..."


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a suggestion for an unknown word, as the end of an error message.

    Args:
        word: word given by the user.
        known: valid words.

    Returns:
        `"did you mean 'vae'?"` with the known word of the same meaning, or else the most similar one; if none is,
        the list of choices, if there are at most 20.

    Example:
        >>> suggest("veae", ["vae", "gan"])
        "did you mean 'vae'?"
        >>> suggest("--lr", ["--learning-rate", "--loss"])
        "did you mean '--learning-rate'?"
        >>> suggest("diffusion", ["vae", "gan"])
        'choices are gan, vae'
    """
    import difflib

    known = sorted(known)
    meant = SYNONYMS.get(_spelled(word))
    for name in known:
        if _spelled(name) == meant:
            return f"did you mean {name!r}?"
    if match := difflib.get_close_matches(word[:MAX_QUOTED], known, n=1):
        return f"did you mean {match[0]!r}?"
    return f"choices are {', '.join(known)}" if len(known) <= MAX_LISTED else "no known name is similar"


def _spelled(name: str) -> str:
    """An option of the command line or of a config file, as it is written in `SYNONYMS`."""
    return name.lstrip("-").replace("_", "-")


def printable(text: object) -> str:
    r"""Return a text that is safe on a terminal: characters that control it, and line breaks, are escaped.

    Names of data sets and classes, keys of a log, and messages that quote a file may contain sequences that place the
    cursor, change the title of the window or reverse the direction of writing.

    Args:
        text: anything; it is converted by `str`.

    Returns:
        The text in one line, with `\x1b` for the escape character and so on for all that `str.isprintable` rejects.

    Example:
        >>> print(printable("caf\u00e9 \x1b[2J\u202e"))
        café \x1b[2J\u202e
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
