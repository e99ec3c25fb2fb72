"""The protocol of a number: what must be equal before two values of a metric may be compared.

    fid[inception_2015, tf1_bilinear, n=50000/50000, split=cifar10:train]

Values of a Fréchet distance differ by more than the models that they compare when the network, the function that
resizes images, the number of examples or the split differs (Parmar et al. 2022, arXiv:2104.11222). A number is
therefore printed and stored with its protocol as its name, and numbers of different protocols are never put into one
column or curve.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jaxgen.errors import InputError, shortened

SEPARATORS = re.compile(r"[\[\],\s]+")
"""Characters that a choice does not have, as they separate the parts of the text; a single space between words may."""

PATTERN = re.compile(r"([^\[\],\s]+)\[([^\[\]]+)\]")
"""What `Protocol.__str__` writes."""


@dataclass(frozen=True)
class Protocol:
    """How a metric was measured.

    Attributes:
        metric: name of the metric, e.g. `fid`.
        choices: all choices by which values differ, e.g. the extractor, its resizer, the numbers of real examples and
            of samples, and the split of the data; texts without brackets and commas, in the order of the metric.
    """

    metric: str
    choices: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in (self.metric, *self.choices):
            if not part or re.search(r"[\[\],]", part):
                raise InputError(f"parts of a protocol must have no brackets and no commas, got {shortened(part)}")

    def __str__(self) -> str:
        """Return the protocol as it is printed with a number and stored as its name."""
        return f"{self.metric}[{', '.join(self.choices)}]"

    def lines(self, longest: int = 45) -> list[str]:
        """Return the choices in lines, e.g. above a figure.

        Args:
            longest: largest number of characters in a line of several choices.

        Returns:
            The lines.

        Example:
            >>> Protocol("fid", ("mnist_v1", "n=9/9", "split=mnist:train")).lines(20)
            ['mnist_v1, n=9/9', 'split=mnist:train']
        """
        lines: list[str] = []
        for choice in self.choices:
            if lines and len(lines[-1]) + len(choice) + 2 <= longest:
                lines[-1] += f", {choice}"
            else:
                lines.append(choice)
        return lines

    @classmethod
    def parse(cls, text: str) -> "Protocol":
        """Return the protocol that `str` has written.

        Args:
            text: e.g. `fid[inception_2015, tf1_bilinear, n=50000/50000, split=cifar10:train]`.

        Returns:
            The protocol.

        Raises:
            InputError: if the text is not a protocol.

        Example:
            >>> Protocol.parse("rate[n=360, split=digits:test]").choices
            ('n=360', 'split=digits:test')
        """
        found = PATTERN.fullmatch(text)
        if found is None:
            raise InputError(f"a protocol must be written as 'fid[inception_2015, n=9/9]', got {shortened(text)}")
        return cls(found[1], tuple(found[2].split(", ")))


def metric_of(name: str) -> str:
    """Return the name of a metric without its protocol.

    Args:
        name: name of a metric, or the text of a protocol.

    Returns:
        The name.

    Example:
        >>> metric_of("rate[n=360, split=digits:test]"), metric_of("elbo")
        ('rate', 'elbo')
    """
    return name.partition("[")[0]


def choice(text: str) -> str:
    """Return a text of the user, such as the name of a folder, as a choice: what separates choices becomes a hyphen.

    Args:
        text: any text.

    Returns:
        The text without brackets, commas and spaces.

    Example:
        >>> choice("my images, [2]")
        'my-images-2-'
    """
    return SEPARATORS.sub("-", text)


def check_comparable(protocols: Sequence[Protocol]) -> None:
    """Check that numbers may stand in one column or curve: that their protocols are equal.

    Args:
        protocols: protocols of the numbers.

    Raises:
        InputError: if two differ; the message names what differs.

    Example:
        >>> check_comparable([Protocol("fid", ("mnist_v1", "n=9/9")), Protocol("fid", ("mnist_v1", "n=9/5"))])
        Traceback (most recent call last):
            ...
        jaxgen.errors.InputError: values of fid must be measured by one protocol to be compared, got n=9/9 and n=9/5
    """
    for other in protocols[1:]:
        if protocols[0] != other:
            mine, others = differences(protocols[0], other)
            raise InputError(
                f"values of {protocols[0].metric} must be measured by one protocol to be compared, got {mine} and "
                f"{others}"
            )


def differences(one: Protocol, other: Protocol) -> tuple[str, str]:
    """Return what differs between two protocols.

    Args:
        one: first protocol.
        other: second protocol.

    Returns:
        The parts that the first has and the second does not, and the reverse; "nothing else" where there are none.

    Example:
        >>> differences(Protocol("kid", ("digits_v1", "n=9/9")), Protocol("kid", ("mnist_v1", "n=9/9")))
        ('digits_v1', 'mnist_v1')
    """
    parts = [(each.metric, *each.choices) for each in (one, other)]
    only = [[part for part in mine if part not in theirs] for mine, theirs in (parts, parts[::-1])]
    return ", ".join(only[0]) or "nothing else", ", ".join(only[1]) or "nothing else"
