"""What a preset is: a published combination of the options of a family."""

from typing import Any, NamedTuple


class Preset(NamedTuple):
    """Published combination of options.

    Attributes:
        config: options, of the type that the family has.
        summary: description in a few words.
        reference: paper, and section, equation or table.
        family: name of the family to which the options belong.
    """

    config: Any
    summary: str
    reference: str
    family: str = "gan"

    @property
    def description(self) -> str:
        """The summary and the reference, as one line for the list of models."""
        return f"{self.summary} ({self.reference})"
