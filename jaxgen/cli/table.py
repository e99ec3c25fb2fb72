"""Print metrics as a table."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxgen.cli.output import print_line
from jaxgen.errors import printable

NOTES = {
    "mode_kl": "mode_kl: KL divergence of the modes' shares of all samples from the true ones; modes of a mixture: "
    "those with a sample of high quality."
}
"""Metric -> line below the table."""


def print_metrics(metrics: Mapping[str, Any], *, title: str) -> None:
    """Print metrics, one per line; for several seeds their mean, standard deviation and worst value.

    Args:
        metrics: metric name -> number, or a mapping with `mean`, `sd` and `worst` over seeds; None where a value is not
            finite, or no value is better than another.
        title: line above the table.

    Example:
        >>> print_metrics({"elbo": -24.4}, title="vae")
        vae
        ┏━━━━━━━━┳━━━━━━━┓
        ┃ metric ┃ value ┃
        ┡━━━━━━━━╇━━━━━━━┩
        │ elbo   │ -24.4 │
        └────────┴───────┘
    """
    several = any(isinstance(value, Mapping) for value in metrics.values())
    columns = ("mean", "sd", "worst") if several else ("value",)
    print_line(title)
    table = Table("metric", *columns)
    for name, value in metrics.items():
        values = [value[column] for column in columns] if isinstance(value, Mapping) else [value]
        # Text, as rich reads a string with brackets as markup.
        table.add_row(Text(printable(name)), *[_number(v) for v in values])
    Console().print(table)
    for note in (NOTES[name] for name in metrics if name in NOTES):
        print_line(note)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
