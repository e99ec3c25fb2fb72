"""Print metrics as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from jaxgen.cli.output import print_line, print_table
from jaxgen.runs.config import RunConfig, format_value
from jaxgen.runs.preview import Preview
from jaxgen.runs.step_cost import StepCost

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
    if preview.phases:
        print_line("")
        print_line("phases:")
        _print_pairs({phase.name: f"{phase.steps:,} steps of {phase.batch_size:,}" for phase in preview.phases})
    for network, arrays in preview.shapes.items():
        print_line("")
        print_line(f"{network}: {preview.parameters[network]:,} parameters")
        _print_pairs({name: str(list(shape)) for name, shape in arrays.items()})
    size = f"{preview.state_bytes / 2**20:,.1f} MiB"
    total = f"{sum(preview.parameters.values()):,} parameters"
    print_line("")
    print_line(f"all networks: {total}; state with optimizers and averages{' of all seeds' if seeds else ''}: {size}")


def print_costs(costs: Sequence[StepCost]) -> None:
    """Print what a step of every phase costs.

    Args:
        costs: costs of the phases.

    Example:
        >>> from jaxgen.runs.step_cost import Lowered
        >>> lowered = {"cpu": Lowered(4e9, 2e9), "cuda": Lowered(2.5e9, 1e9)}
        >>> print_costs([StepCost("training", 32, 2_000_000_000, 1_500_000_000, lowered, 2**30)])
        <BLANKLINE>
        cost of one step of one seed, which was not run:
          training: 32 examples in an update
            products and convolutions    2 GFLOP; 1.5 GFLOP on average over the steps
            lowered for cpu              4 GFLOP, of which 50 % are these; 2 GB read and written before fusion
            lowered for cuda             2.5 GFLOP, of which 80 % are these; 1 GB read and written before fusion
            memory, as compiled here     1.00 GiB
    """
    print_line("")
    print_line("cost of one step of one seed, which was not run:")
    for cost in costs:
        print_line(f"  {cost.phase}: {cost.batch_size} examples in an update")
        lazy = cost.mean_products != cost.products
        mean = f"; {cost.mean_products / 1e9:,.4g} GFLOP on average over the steps" if lazy else ""
        lines = {"products and convolutions": f"{cost.products / 1e9:,.4g} GFLOP{mean}"}
        lines |= {
            f"lowered for {platform}": f"{found.operations / 1e9:,.4g} GFLOP, of which {cost.share(platform):.0%} are "
            f"these; {found.bytes / 1e9:,.4g} GB read and written before fusion".replace("%", " %")
            for platform, found in cost.lowered.items()
        }
        if cost.memory is not None:
            lines["memory, as compiled here"] = f"{cost.memory / 2**30:,.2f} GiB"
        for name, text in lines.items():
            print_line(f"    {name:<27}  {text}")


def _described(data: Mapping[str, Any]) -> str:
    arrays = [f"{name} {x['dtype']} {x['shape']}" for name, x in data.items() if name != "label"]
    return ", ".join([*arrays, *([f"{data['label']['classes']} classes"] if "label" in data else [])])


def _print_pairs(pairs: Mapping[str, str]) -> None:
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        print_line(f"  {name:<{width}}  {value}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
