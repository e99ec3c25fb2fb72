"""Growth of the time of a training step with the batch size and with the width of the networks."""

from collections.abc import Sequence

import jax
import torch
from functions import growth
from report import COMPILED, EAGER, FIT
from sides import Fit, TorchSteps
from timing import Side, interleaved
from workloads.twin import endless_batches
from workloads.workload import Workload

NAMES = ("MLP VAE", "conv VAE 28", "DCGAN 28")
BATCH_SIZES = (16, 64, 256, 1024)
WIDTHS = (16, 64, 256)
REPEATS = 5


def measure(workloads: Sequence[Workload], device: torch.device | None) -> list[dict]:
    """Time three workloads at all batch sizes and all widths, PyTorch in the mode that is known to be faster."""
    rows = []
    for workload in workloads:
        if workload.name in NAMES:
            for growing, sizes in (("batch_size", BATCH_SIZES), ("width", WIDTHS)):
                times = [milliseconds(workload, {growing: size}, device) for size in sizes]
                sides = {name: [at_size[name] for at_size in times] for name in times[0]}
                rows.append(
                    {
                        "name": workload.name,
                        "growing": growing,
                        "sizes": list(sizes),
                        "sides": sides,
                        "growth": {name: growth(list(sizes), values) for name, values in sides.items()},
                    }
                )
                print_row(rows[-1])
    return rows


def milliseconds(workload: Workload, size: dict[str, int], device: torch.device | None) -> dict[str, float]:
    """Return the milliseconds per step by name of the side."""
    scaled = workload.scaled(**size)
    data = scaled.data()
    model = scaled.build(data)
    steps = max(1, scaled.steps * workload.batch_size // scaled.batch_size // 4)
    key = jax.random.key(0)
    sides: dict[str, Side] = {
        FIT: Fit(model, data, key=key, batch_size=scaled.batch_size, steps=steps, chunks=REPEATS + 1)
    }
    if device is not None:
        state = model.init(key, {name: array[:1] for name, array in data.items()})
        twin = scaled.twin(state.params, compiled=scaled.compile_is_faster).to(device)
        tensors = tuple(tensor.to(device) for tensor in scaled.tensors(data))
        batches = endless_batches(tensors, scaled.batch_size * model.slices)
        sides[COMPILED if scaled.compile_is_faster else EAGER] = TorchSteps(twin, batches, steps=steps)
    return {name: times.median for name, times in interleaved(sides, repeats=REPEATS).items()}


def print_row(row: dict) -> None:
    """Print one line for each side and one for the ratios."""
    growing = row["growing"].replace("_", " ")
    print(f"{row['name']}, {growing:18}" + "".join(f"{size:>10,}" for size in row["sizes"]) + f"{'growth':>9}")
    for name, values in row["sides"].items():
        exponent = row["growth"][name]
        times = "".join(f"{value:10.3f}" for value in values)
        print(f"  {name + ', ms':25}{times}" + (f"{exponent:9.2f}" if exponent is not None else f"{'-':>9}"))
    ours, *others = row["sides"].values()
    for theirs in others:
        print(f"  {'ratio':25}" + "".join(f"{b / a:10.2f}" for a, b in zip(ours, theirs, strict=True)))
    print()
