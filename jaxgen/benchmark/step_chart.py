"""The bar chart of the training steps: the time of PyTorch divided by that of jaxgen."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OURS, LINE = "#3b6fb6", "#8a8a8a"


def draw(report: Mapping[str, Any]) -> "Figure":
    """Return a figure with one bar for each workload that was timed on both sides, the first on top."""
    from matplotlib.figure import Figure

    rows = [row for row in report["workloads"] if row["ratio"] is not None]
    figure = Figure(figsize=(8, 1.4 + 0.42 * len(rows)), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    background = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # So that the line does not cross the labels.
    bars = axes.barh([row["name"] for row in rows], [row["ratio"] for row in rows], color=OURS, height=0.65)
    axes.bar_label(bars, [_label(row) for row in rows], padding=4, fontsize=9, bbox=background)
    axes.invert_yaxis()
    axes.axvline(1, color=LINE, linewidth=1.2)
    # Space for the label of the longest bar.
    axes.set_xlim(0, 1.5 * max([1, *(row["ratio"] for row in rows)]))
    axes.set_xlabel("speed relative to PyTorch (grey line)")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.suptitle("A training step of jaxgen and of PyTorch", fontsize=12)
    axes.set_title(
        f"{report['device']}, {report['precision']}; geometric mean {report['geomean_ratio']:.2f}",
        fontsize=9,
        color="#555555",
    )
    return figure


def _label(row: Mapping[str, Any]) -> str:
    ours, theirs = (f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}" for ms in (row["jaxgen_ms"], row["torch_ms"]))
    return f"{row['ratio']:.2f}  ({ours} ms, PyTorch {theirs} ms)"
