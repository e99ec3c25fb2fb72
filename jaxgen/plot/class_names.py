"""Names of classes as the text of figures."""

from collections.abc import Iterable, Sequence

LONGEST = 20
"""Largest number of characters of a name; a longer one is cut."""


def label_texts(labels: Iterable[int], names: Sequence[str]) -> list[str]:
    r"""Return the text for each label: the name of its class, or the number where the classes have no names.

    Args:
        labels: labels of classes.
        names: name of each class in order of the labels; empty where they have none.

    Returns:
        Texts that matplotlib shows as they are: without its formulas between `$`, and of at most `LONGEST` characters.

    Example:
        >>> label_texts([1, 0], ["cat", "_$dog"]), label_texts([1, 0], [])
        ([' _\\$dog', 'cat'], ['1', '0'])
    """
    return [_text(names[label]) if names else str(label) for label in labels]


def _text(name: str) -> str:
    shown = "".join(character if character.isprintable() else "?" for character in name)
    shown = shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown  # Legends leave out what begins with an underscore.
