"""Ratios and shares that follow from the times of the training steps, and the targets of jaxgen's developers."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxgen.flop import COUNTED

FIT, STEP, SEEDS = "jaxgen fit", "jaxgen step", "8 seeds at once"
EAGER, COMPILED = "torch", "torch.compile"
TORCH = (EAGER, COMPILED)

DISAGREES = "its losses must agree with jaxgen's before it is timed"
"""Why a mode of PyTorch that computes something else is left out."""

RUNS = 8
"""Number of seeds at once."""

Row = Mapping[str, Any]
"""Measurements of one workload."""


class Target(NamedTuple):
    """A limit for a measured number.

    Attributes:
        text: description of the number.
        measured: measured number; None if it was not measured.
        limit: limit of the number.
        at_least: whether the limit is a lower limit; otherwise it is an upper one.
    """

    text: str
    measured: float | None
    limit: float
    at_least: bool = True

    @property
    def holds(self) -> bool:
        """Whether the number is within its limit; False for NaN."""
        if self.measured is None:
            return False
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def __str__(self) -> str:
        """Return the target, whether it holds, and the number, in one line."""
        target = f"{self.text}, {'at least' if self.at_least else 'at most'} {self.limit:.2f}"
        if self.measured is None:
            return f"not measured: {target}"
        return f"{'holds' if self.holds else 'MISSED'}: {target}: {self.measured:.2f}"


def complete(row: Mapping[str, Any]) -> dict[str, Any]:
    """Add to the times of a workload what follows from them; `torch` is the faster mode of PyTorch."""
    sides = row["sides"]
    ours = sides[FIT]["ms"]
    mode = min((name for name in TORCH if name in sides), key=lambda name: sides[name]["ms"], default=None)
    theirs = sides[mode]["ms"] if mode else None
    stepped = sides[STEP]["ms"] if STEP in sides else None
    gigaflops = {name: row["flop"] / side["ms"] / 1e6 for name, side in sides.items() if name != SEEDS}
    return {
        **row,
        "jaxgen_ms": ours,
        "jaxgen_step_ms": stepped,
        "scan_distance": max(ours / stepped, stepped / ours) - 1 if stepped else None,
        "torch_ms": theirs,
        "torch_mode": mode,
        "ratio": theirs / ours if theirs else None,
        "jaxgen_examples_per_second": row["examples"] / ours * 1e3,
        "torch_examples_per_second": row["examples"] / theirs * 1e3 if theirs else None,
        "gemm_share": gigaflops[FIT] / row["gemm_gflops"],
        "torch_gemm_share": gigaflops[mode] / row["gemm_gflops"] if mode else None,
        "seeds": _seeds(sides[SEEDS]["ms"], ours, theirs) if SEEDS in sides else None,
    }


def _seeds(milliseconds: float, ours: float, theirs: float | None) -> dict[str, float | None]:
    """The time of all seeds at once, relative to runs one after the other in jaxgen and in PyTorch."""
    return {
        "ms": milliseconds,
        "against_eight_runs": milliseconds / (RUNS * ours),
        "against_torch": RUNS * theirs / milliseconds if theirs else None,
    }


def geometric_mean(rows: Sequence[Row]) -> float | None:
    """Return the geometric mean of the ratios; None if there are none."""
    ratios = [row["ratio"] for row in rows if row["ratio"] is not None]
    return statistics.geometric_mean(ratios) if ratios else None


def targets(rows: Sequence[Row]) -> list[Target]:
    """Return all targets with the numbers of the measured workloads."""
    shares = [row["gemm_share"] for row in rows if row["convolutional"]]
    seeds = {
        kind: [row["seeds"]["against_eight_runs"] for row in rows if row["seeds"] and row["convolutional"] == kind]
        for kind in (False, True)
    }
    return [
        Target("geometric mean of the ratios", geometric_mean(rows), 1.5),
        Target("smallest ratio", min(_measured(rows, "ratio"), default=None), 1.0),
        Target("smallest share of the GEMM rate with convolutions", min(shares, default=None), 0.6),
        Target(
            "relative difference of fit and single steps",
            max(_measured(rows, "scan_distance"), default=None),
            0.15,
            at_least=False,
        ),
        Target("time of 8 seeds / 8 runs, MLPs", max(seeds[False], default=None), 0.5, at_least=False),
        Target("time of 8 seeds / 8 runs, convolutions", max(seeds[True], default=None), 0.9, at_least=False),
    ]


def row_text(row: Row) -> str:
    """Return a table of all sides of a workload."""
    agreement = f"losses agree within {row['loss_difference']:.0e}, " if row["loss_difference"] is not None else ""
    compiled = f", {row['compiled_flop'] / 1e9:.3g} in the compiled program" if row["compiled_flop"] else ""
    lines = [
        f"{row['name']}: {agreement}{row['flop'] / 1e9:.3g} GFLOP/step in {COUNTED}{compiled}; "
        f"GEMM in the same repeats {row['gemm_gflops']:.0f} GFLOP/s",
        f"  {'':17}{'ms/step':>10}{'spread':>8}{'examples/s':>12}{'of GEMM':>9}{'compiled in':>13}{'memory':>11}",
    ]
    for name, side in row["sides"].items():
        # In the measured time every seed completes one step.
        runs = RUNS if name == SEEDS else 1
        rate = runs * row["examples"] / side["ms"] * 1e3
        share = runs * row["flop"] / side["ms"] / 1e6 / row["gemm_gflops"]
        memory = f"{side['memory_mib']:,.1f} MiB" if "memory_mib" in side else "-"
        lines.append(
            f"  {name:17}{side['ms']:10.3f}{side['spread']:8.0%}{rate:12,.0f}{share:9.0%}"
            f"{side['compile_seconds']:11.1f} s{memory:>11}"
        )
    lines += [f"  {name} is left out: {reason}" for name, reason in row["left_out"].items()]
    if row["ratio"] is not None:
        lines.append(f"  {row['torch_mode']} / {FIT} = {row['ratio']:.2f}")
    return "\n".join(lines) + "\n"


def summary_text(report: Mapping[str, Any]) -> str:
    """Return one line per workload."""
    rows = report["workloads"]
    lines = [
        f"{'':14}{'jaxgen ms':>11}{'torch ms':>11}{'ratio':>8}{'of GEMM':>9}{'torch':>7}{'fit/step':>11}{'seeds':>8}"
    ]
    for row in rows:
        scanned = row["jaxgen_step_ms"] and row["jaxgen_ms"] / row["jaxgen_step_ms"]
        seeds = row["seeds"] and row["seeds"]["against_eight_runs"]
        lines.append(
            f"{row['name']:14}{row['jaxgen_ms']:11.3f}{_number(row['torch_ms'], 11, '.3f')}"
            f"{_number(row['ratio'], 8, '.2f')}{row['gemm_share']:9.0%}{_number(row['torch_gemm_share'], 7, '.0%')}"
            f"{_number(scanned, 11, '.2f')}{_number(seeds, 8, '.2f')}"
        )
    lines.append(f"GEMM {report['gemm_gflops']:.0f} GFLOP/s; seeds: time of 8 at once / 8 runs one after the other")
    return "\n".join(lines)


def _measured(rows: Sequence[Row], name: str) -> list[float]:
    return [row[name] for row in rows if row[name] is not None]


def _number(value: float | None, width: int, form: str) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"
