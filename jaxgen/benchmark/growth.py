"""Growth of the time of a training step with the batch size and with the width of the networks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgen.benchmark.case import KEY, prepare
from jaxgen.benchmark.machine import PyTorch
from jaxgen.benchmark.sides import Fit
from jaxgen.benchmark.step_report import FIT
from jaxgen.benchmark.timing import Side, interleaved
from jaxgen.benchmark.workloads.workload import Workload

NAMES = ("MLP VAE", "conv VAE 28", "DCGAN 28")
BATCH_SIZES = (16, 64, 256, 1024)
WIDTHS = (16, 64, 256)
REPEATS = 5


def measure_growth(workloads: Sequence[Workload], pytorch: PyTorch) -> Iterator[dict[str, Any]]:
    """Time three workloads at all batch sizes and all widths, PyTorch in the mode that is known to be faster."""
    for workload in workloads:
        if workload.name in NAMES:
            for growing, sizes in (("batch_size", BATCH_SIZES), ("width", WIDTHS)):
                times = [_milliseconds(workload, {growing: size}, pytorch) for size in sizes]
                sides = {name: [at_size[name] for at_size in times] for name in times[0]}
                yield {
                    "name": workload.name,
                    "growing": growing,
                    "sizes": list(sizes),
                    "sides": sides,
                    "growth": {name: exponent(sizes, values) for name, values in sides.items()},
                }


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float | None:
    """Return the exponent p of `value ~ size^p`, by least squares of the logarithms; None if values are too small."""
    if min(values) < 0.1:
        return None
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def growth_text(row: Mapping[str, Any]) -> str:
    """Return one line for each side and one for the ratios."""
    growing = row["growing"].replace("_", " ")
    lines = [f"{row['name']}, {growing:18}" + "".join(f"{size:>10,}" for size in row["sizes"]) + f"{'growth':>9}"]
    for name, values in row["sides"].items():
        power = row["growth"][name]
        times = "".join(f"{value:10.3f}" for value in values)
        lines.append(f"  {name + ', ms':25}{times}" + (f"{power:9.2f}" if power is not None else f"{'-':>9}"))
    ours, *others = row["sides"].values()
    for theirs in others:
        lines.append(f"  {'ratio':25}" + "".join(f"{b / a:10.2f}" for a, b in zip(ours, theirs, strict=True)))
    return "\n".join(lines) + "\n"


def _milliseconds(workload: Workload, size: dict[str, int], pytorch: PyTorch) -> dict[str, float]:
    """The milliseconds per step by name of the side."""
    scaled = workload.scaled(**size)
    steps = max(1, scaled.steps * workload.batch_size // scaled.batch_size // 4)
    case = prepare(scaled._replace(steps=steps), quick=False)
    fit = Fit(case.model, case.data, key=KEY, batch_size=scaled.batch_size, steps=steps, chunks=REPEATS + 1)
    sides: dict[str, Side] = {FIT: fit}
    if pytorch.problem is None:
        from jaxgen.benchmark.pytorch.torch_sides import faster_mode

        name, side = faster_mode(case)
        sides[name] = side
    return {name: times.median for name, times in interleaved(sides, repeats=REPEATS).items()}
