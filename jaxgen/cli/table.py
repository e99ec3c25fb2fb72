"""Print metrics as a table."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from jaxgen.cli.output import print_line, print_table
from jaxgen.runs.config import RunConfig, format_value
from jaxgen.runs.preview import Preview

NOTES = {
    "modes": "modes: those with at least one sample of high quality; of stacked digits, with any sample, as published.",
    "mode_kl_all": "mode_kl_all: KL divergence of the modes' shares from the true ones, of all samples, also of those "
    "of low quality, which cover no mode.",
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
        table.add_row(name, *[_number(v) for v in values])
    print_table(table)
    for note in (NOTES[name] for name in metrics if name in NOTES):
        print_line(note)


def print_preview(name: str, config: RunConfig[Any], preview: Preview) -> None:
    """Print what a training would be.

    Args:
        name: name of the family or of the preset.
        config: config of the run.
        preview: the complete options, the data and the parameters.

    Example:
        >>> from jaxgen.runs import RunConfig
        >>> data = {"point": {"shape": [2], "dtype": "float32"}}
        >>> found = Preview({"hidden": (8,), "clip": None}, data, 100, {"net": {"kernel": (2, 8)}}, 2**20)
        >>> print_preview("gan", RunConfig(None, data="ring"), found)
        gan on ring: 100 training examples, point float32 [2]
        <BLANKLINE>
          hidden  8
        <BLANKLINE>
        net: 16 parameters
          kernel  [2, 8]
        <BLANKLINE>
        all networks: 16 parameters; state with optimizers and averages: 1.0 MiB
    """
    seeds = "" if config.seeds is None else f", {config.seeds} seeds"
    print_line(f"{name} on {config.data}{seeds}: {preview.examples:,} training examples, {_described(preview.data)}")
    print_line("")
    _print_pairs({name: format_value(value) for name, value in preview.options.items() if value is not None})
    for network, arrays in preview.shapes.items():
        print_line("")
        print_line(f"{network}: {preview.parameters[network]:,} parameters")
        _print_pairs({name: str(list(shape)) for name, shape in arrays.items()})
    size = f"{preview.state_bytes / 2**20:,.1f} MiB"
    total = f"{sum(preview.parameters.values()):,} parameters"
    print_line("")
    print_line(f"all networks: {total}; state with optimizers and averages{' of all seeds' if seeds else ''}: {size}")


def _described(data: Mapping[str, Any]) -> str:
    arrays = [f"{name} {x['dtype']} {x['shape']}" for name, x in data.items() if name != "label"]
    return ", ".join([*arrays, *([f"{data['label']['classes']} classes"] if "label" in data else [])])


def _print_pairs(pairs: Mapping[str, str]) -> None:
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        print_line(f"  {name:<{width}}  {value}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
