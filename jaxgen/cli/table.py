"""Print metrics as a table."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def print_metrics(metrics: Mapping[str, Any], *, title: str) -> None:
    """Print metrics, one per line; for several seeds their mean, standard deviation and worst value.

    Args:
        metrics: metric name -> number, or a mapping with `mean`, `sd` and `worst` over seeds; None where a value is not
            finite.
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
    print(title)
    table = Table("metric", *columns)
    for name, value in metrics.items():
        values = [value[column] for column in columns] if isinstance(value, Mapping) else [value]
        table.add_row(name, *[_number(v) for v in values])
    Console().print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
