"""What a preset is: a published combination of the options of a family."""

from typing import Any, NamedTuple


class Preset(NamedTuple):
    """Published combination of options.

    Attributes:
        config: options, of the type that the family has.
        summary: description in a few words.
        reference: paper, and section, equation or table.
        family: name of the family to which the options belong.
        batch_size: number of examples in one update of a player, of the largest images where they grow; None where the
            paper does not state one.
    """

    config: Any
    summary: str
    reference: str
    family: str = "gan"
    batch_size: int | None = None

    @property
    def description(self) -> str:
        """The summary, the batch size and the reference, as one line for the list of models."""
        batch_size = "" if self.batch_size is None else f", batch size {self.batch_size:,}"
        return f"{self.summary}{batch_size} ({self.reference})"
