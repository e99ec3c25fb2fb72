"""Reading of `summary.json`, the result of a run, which may be missing, damaged or edited."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxgen.callbacks.best_state import Found
from jaxgen.regular_files import read_regular

MAX_BYTES = 2**24
"""Largest size in bytes of a summary that is read; it has some thousand."""

LARGEST = 3.5e38
"""Larger values are no values of a metric in float32."""

OF_SEEDS = {"mean", "sd", "worst", "seeds"}
"""Entries of a metric of several seeds."""


class Summary(NamedTuple):
    """What a run found.

    Attributes:
        step: number of steps of the training.
        ended_early: whether that is fewer than it could have taken.
        best: the best state, of which the metrics are; None where none was kept, or none was found.
        test: metric name -> its value on the test split, None where it is not finite; for several seeds what
            `summarize` returns.
    """

    step: int
    ended_early: bool
    best: Found | None
    test: Mapping[str, Any]


def read_summary(folder: Path, seeds: int | None) -> Summary | None:
    """Read the summary of a run.

    Args:
        folder: folder of the run.
        seeds: number of seeds of the run; None for a single run.

    Returns:
        The summary; None where there is none, or where it has not the form in which a training writes it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "summary.json").write_text('{"step": 60, "test": {"elbo": -24.5}}')
        ...     read_summary(Path(folder), None)
        Summary(step=60, ended_early=False, best=None, test={'elbo': -24.5})
    """
    try:
        content = json.loads(read_regular(folder / "summary.json", largest=MAX_BYTES))
        step, ended_early, test = content["step"], content.get("ended_early", False), content["test"]
        best = Found.stored(content)
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return None
    if type(step) is not int or not 0 <= step < 2**31 or type(ended_early) is not bool or not isinstance(test, dict):
        return None
    if not all(is_metric(value, seeds) for value in test.values()):
        return None
    return Summary(step, ended_early, best if best.step else None, test)


def is_metric(value: Any, seeds: int | None) -> bool:
    """Return whether a value has the form of a metric in a file: a number or None, for several seeds a summary.

    Args:
        value: value in the file.
        seeds: number of seeds of the run; None for a single run.

    Returns:
        Whether it has.

    Example:
        >>> is_metric(0.5, None), is_metric(float("nan"), None), is_metric(0.5, seeds=3)
        (True, False, False)
    """
    if seeds is None:
        return _is_value(value)
    if not (isinstance(value, dict) and set(value) == OF_SEEDS and isinstance(value["seeds"], list)):
        return False
    numbers = [*value["seeds"], value["mean"], value["sd"], value["worst"]]
    return len(value["seeds"]) == seeds and all(map(_is_value, numbers))


def _is_value(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and abs(value) <= LARGEST)  # NaN is not.
