"""Names of classes as the text of figures."""

from collections.abc import Sequence

from jaxgen._signatures import checked
from jaxgen.errors import printable
from jaxgen.typing import AnyArray, Int

LONGEST = 20
"""Largest number of characters of a name; a longer one is cut."""


@checked
def label_texts(labels: Sequence[int] | Int[AnyArray, " n"], names: Sequence[str]) -> list[str]:
    r"""Return the text for each label: the name of its class, or the number where the class has no name.

    Args:
        labels: labels of classes.
        names: name of each class in order of the labels; empty where they have none.

    Returns:
        Texts of at most `LONGEST` characters, without characters that cannot be printed.

    Example:
        >>> label_texts([1, 0], ["cat", "a domesticated descendant of the wolf"]), label_texts([1, 0], [])
        (['a domesticated desc…', 'cat'], ['1', '0'])
    """
    return [_cut(printable(names[label])) if label < len(names) else str(label) for label in labels]


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
