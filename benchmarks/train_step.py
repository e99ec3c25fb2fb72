"""Time training steps of jaxgen beside the same steps in PyTorch, and print the ratios.

    python benchmarks/train_step.py [--quick] [--only NAME] [--json FILE]

Both sides have the same architecture, batch size, optimizer and data, and use all cores (`taskset` gives them fewer).
Before anything is timed, their losses on the same weights, data and noise must agree. Times are medians over
interleaved repeats in this one process. Other processes slow both sides down, but not equally: measure on an idle
machine.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import torch
from agreement import TOLERANCE, Agreement, compare
from timing import FIT, STEP, Times, interleaved, single_steps
from workloads import WORKLOADS
from workloads.twin import Twin, endless_batches
from workloads.workload import Workload

from jaxgen.game import Model
from jaxgen.typing import Batch

EAGER = "torch"
COMPILED = "torch.compile"


def main() -> None:
    arguments = parse()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(cores)
    device = f"{jax.devices()[0].device_kind}, {processor()}, {cores} cores"
    print(f"{device}; PyTorch uses {torch.get_num_threads()} threads, XLA one for each core")
    print(f"jax {jax.__version__}, PyTorch {torch.__version__}, load before the start {os.getloadavg()[0]:.1f}\n")
    chosen = [workload for workload in WORKLOADS if arguments.only in (None, workload.name)]
    rows = []
    for workload in chosen:
        rows.append(measure(workload, repeats=arguments.repeats))
        print_row(rows[-1])
    geomean = statistics.geometric_mean(row["ratio"] for row in rows)
    print(f"geometric mean of the ratios: {geomean:.2f}")
    if arguments.json:
        versions = {"jax": jax.__version__, "torch": str(torch.__version__)}
        report = {"device": device, "threads": cores, **versions, "geomean_ratio": geomean, "workloads": rows}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", dest="repeats", action="store_const", const=5, default=15, help="5 repeats, not 15")
    parser.add_argument("--only", choices=[workload.name for workload in WORKLOADS], help="a single workload")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to a file as well")
    return parser.parse_args()


def measure(workload: Workload, *, repeats: int) -> dict[str, Any]:
    """Compare, then time, one workload."""
    data = workload.data()
    model = workload.build(data)
    play_step, step_seconds = first_turn_timed(single_steps(model, data, batch_size=workload.batch_size))
    sides, compile_seconds = {STEP: play_step}, {STEP: step_seconds}
    differences = []
    for name in (EAGER, COMPILED):
        try:
            twin, agreement = agreeing_twin(workload, model, data, compiled=name == COMPILED)
        except torch._dynamo.exc.TorchDynamoException as error:
            print(f"{name} does not work here: {str(error).strip().splitlines()[0]}")
            continue
        differences.append(agreement.largest_difference)
        compile_seconds[name] = agreement.first_turn_seconds
        batches = endless_batches(torch.tensor(workload.observed(data)), workload.batch_size)
        sides[name] = partial(twin.play, batches)
    times, compile_seconds[FIT] = interleaved(
        model, data, batch_size=workload.batch_size, turns=workload.turns, repeats=repeats, others=sides
    )
    return row(workload, times, compile_seconds, max(differences))


def agreeing_twin(workload: Workload, model: Model, data: Batch, *, compiled: bool) -> tuple[Twin, Agreement]:
    """Make the PyTorch side, and see to it that it computes what jaxgen computes."""
    state = model.init(jax.random.key(0), {name: array[:1] for name, array in data.items()})
    twin = workload.twin(state.params, compiled=compiled)
    agreement = compare(workload, model, state, twin, data)
    if not (difference := agreement.largest_difference) <= TOLERANCE:
        raise SystemExit(f"{workload.name}: losses differ by {difference:.1e}, more than {TOLERANCE}: nothing to time")
    return twin, agreement


def first_turn_timed(play: Callable[[int], None]) -> tuple[Callable[[int], None], float]:
    """Play one turn, in which everything is compiled."""
    started = time.perf_counter()
    play(1)
    return play, time.perf_counter() - started


def row(
    workload: Workload, times: Mapping[str, Times], compile_seconds: Mapping[str, float], difference: float
) -> dict[str, Any]:
    """What is known of a workload; `torch_ms` is the time of PyTorch's faster mode."""
    fastest = min((name for name in times if name in (EAGER, COMPILED)), key=lambda name: times[name].median)
    jaxgen, torch_ = times[FIT], times[fastest]
    return {
        "name": workload.name,
        "jaxgen_ms": jaxgen.median,
        "torch_ms": torch_.median,
        "ratio": torch_.median / jaxgen.median,
        "bar": workload.bar,
        "torch_mode": fastest,
        "jaxgen_examples_per_second": workload.batch_size / jaxgen.median * 1e3,
        "torch_examples_per_second": workload.batch_size / torch_.median * 1e3,
        "loss_difference": difference,
        "sides": {
            name: {"ms": side.median, "spread": side.spread, "compile_seconds": compile_seconds[name]}
            for name, side in times.items()
        },
    }


def print_row(row: Mapping[str, Any]) -> None:
    print(f"{row['name']}: losses agree within {row['loss_difference']:.0e}")
    print(f"  {'':15}{'ms a step':>12}{'spread':>9}{'examples/s':>13}{'compilation':>13}")
    batch_size = row["jaxgen_examples_per_second"] * row["jaxgen_ms"] / 1e3
    for name, side in row["sides"].items():
        rate = batch_size / side["ms"] * 1e3
        print(f"  {name:15}{side['ms']:12.3f}{side['spread']:9.0%}{rate:13,.0f}{side['compile_seconds']:11.1f} s")
    print(f"  {row['torch_mode']} / {FIT} = {row['ratio']:.2f}, bar {row['bar']}\n")


def processor() -> str:
    """The processor's name, as the operating system knows it."""
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        if cpuinfo.exists()
        else []
    )
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
