"""The protocol of a number: everything that must be equal before two values of a metric may be compared.

    fid[inception_2015, tf1_bilinear, n=50000/50000, split=train]

Values of a Fréchet distance differ by more than the models that they compare when the network, the function that
resizes images, the number of examples or the split differs (Parmar et al. 2022, arXiv:2104.11222). A number is
therefore printed and stored with its protocol, and numbers of different protocols are never put into one column.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jaxgen.errors import InputError, shortened


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a metric of samples was measured.

    Attributes:
        metric: name of the metric, e.g. `fid`.
        extractor: name of the network and its weights, e.g. `inception_2015`.
        resizer: name of the function that changed the size of the images; `none` if they were not resized.
        real: number of real examples.
        fake: number of samples.
        split: split of the data set, or another name of the real examples.
        options: further choices by which published forms differ, e.g. `k=3`, in the order of the metric.
    """

    metric: str
    extractor: str
    resizer: str
    real: int
    fake: int
    split: str
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the protocol as it is printed behind a number and stored as its name."""
        parts = [self.extractor, self.resizer, f"n={self.real}/{self.fake}", f"split={self.split}", *self.options]
        return f"{self.metric}[{', '.join(parts)}]"

    @classmethod
    def parse(cls, text: str) -> "Protocol":
        """Return the protocol that `str` has written.

        Args:
            text: e.g. `fid[inception_2015, tf1_bilinear, n=50000/50000, split=train]`.

        Returns:
            The protocol.

        Raises:
            InputError: if the text is not a protocol.

        Example:
            >>> Protocol.parse("kid[inception_2015, tf1_bilinear, n=5/9, split=test, subsets=100]").options
            ('subsets=100',)
        """
        found = PATTERN.fullmatch(text)
        if found is None:
            raise InputError(
                "a protocol must be written as 'fid[inception_2015, tf1_bilinear, n=50000/50000, split=train]', got "
                f"{shortened(text)}"
            )
        metric, extractor, resizer, real, fake, split, options = found.groups()
        further = tuple(options.removeprefix(", ").split(", ")) if options else ()
        return cls(
            metric=metric, extractor=extractor, resizer=resizer, real=int(real), fake=int(fake), split=split,
            options=further,
        )  # fmt: skip


PATTERN = re.compile(r"([^\[\]]+)\[([^\[\],]+), ([^\[\],]+), n=(\d+)/(\d+), split=([^\[\],]+)((?:, [^\[\],]+)*)\]")
"""What `Protocol.__str__` writes."""


def check_comparable(protocols: Sequence[Protocol]) -> None:
    """Check that numbers may stand in one column or curve: that their protocols are equal.

    Args:
        protocols: protocols of the numbers.

    Raises:
        InputError: if two differ; the message names what differs.

    Example:
        >>> one = Protocol.parse("fid[inception_2015, tf1_bilinear, n=50000/50000, split=train]")
        >>> check_comparable([one, Protocol.parse("fid[inception_2015, tf1_bilinear, n=50000/10000, split=train]")])
        Traceback (most recent call last):
            ...
        jaxgen.errors.InputError: numbers must be measured by one protocol to be compared, got fake 50000 and 10000 ...
    """
    for other in protocols[1:]:
        if differing := differences(protocols[0], other):
            raise InputError(
                f"numbers must be measured by one protocol to be compared, got {' and '.join(differing)} in "
                f"{protocols[0]} and {other}: measure both in the same way"
            )


def differences(one: Protocol, other: Protocol) -> list[str]:
    """Return what differs between two protocols.

    Args:
        one: first protocol.
        other: second protocol.

    Returns:
        For each attribute that differs, its name and its two values; empty for equal protocols.

    Example:
        >>> one = Protocol.parse("kid[digits_v1, none, n=5/9, split=test]")
        >>> differences(one, Protocol.parse("kid[mnist_v1, none, n=5/9, split=train]"))
        ['extractor digits_v1 and mnist_v1', 'split test and train']
    """
    return [
        f"{name} {_written(mine)} and {_written(others)}"
        for name, mine in vars(one).items()
        if mine != (others := getattr(other, name))
    ]


def _written(value: str | int | tuple[str, ...]) -> str:
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)
