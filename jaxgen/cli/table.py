"""Numbers as a table."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def print_metrics(metrics: Mapping[str, Any], *, title: str) -> None:
    """Print metrics, one a line; of several seeds mean, standard deviation and worst.

    Args:
        metrics: metric name -> number, or `mean`, `sd` and `worst` over seeds.
        title: over the table.

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
