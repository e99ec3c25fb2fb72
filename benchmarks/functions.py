"""Measure time and memory of jaxgen's costly functions and of the alternatives a user would call.

    python benchmarks/functions.py [--quick] [--only NAME] [--json FILE]
    python benchmarks/functions.py --large

Every side, jaxgen and its peers, runs in a process of its own with all cores (`taskset` assigns fewer). Their results
on the same inputs must agree. The sides are then timed alternately, so that other load on the machine affects them
equally; times are medians. Memory is the largest increase of the process during the first call, beyond the imports, the
inputs and the compiled program (Linux only). The growth is the exponent p of size^p, fitted over the sizes.

`--large` runs the MMD of two samples of 50,000 points in 2,048 dimensions once and prints the peak memory of the
process.
"""

import argparse
import json
import os
import platform
from collections.abc import Mapping
from typing import Any

import jax
import ot
import scipy
import torch
from output_file import output_file
from peers import COMPARISONS, mmd
from peers.comparison import JAXGEN, Comparison
from peers.worker import Worker

from jaxgen.benchmark.growth import exponent
from jaxgen.benchmark.machine import available_cores
from jaxgen.benchmark.timing import Times

GIB, MIB = 2**30, 2**20
LARGE = 50_000
LARGE_LIMIT = 4 * GIB
ENOUGH = 0.1
"""Shortest measurement, in seconds: short calls are repeated."""
LONG = 10.0
"""Total seconds of one call of each side above which three repeats are made."""


def main() -> None:
    arguments = parse()
    cores = available_cores()
    versions = {module.__name__: str(module.__version__) for module in (jax, torch, scipy, ot)}
    print(f"{platform.machine()}, {cores} cores, load before start {os.getloadavg()[0]:.1f}")
    print(", ".join(f"{name} {version}" for name, version in versions.items()) + "\n")
    if arguments.large:
        large()
        return
    rows = []
    for comparison in COMPARISONS:
        if arguments.only in (None, comparison.name):
            sizes = [size // 4 for size in comparison.sizes] if arguments.quick else comparison.sizes
            rows.append(measure(comparison, sizes, repeats=3 if arguments.quick else 7))
            print_rows(rows[-1])
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"cores": cores, "versions": versions, "functions": rows}, indent=2) + "\n"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="use a quarter of the sizes and 3 repeats instead of 7")
    parser.add_argument(
        "--only", choices=[comparison.name for comparison in COMPARISONS], help="measure one function only"
    )
    parser.add_argument("--json", type=output_file(".json"), metavar="FILE", help="also write the results to this file")
    parser.add_argument(
        "--large", action="store_true", help="run the MMD of samples whose kernel matrices exceed the memory"
    )
    return parser.parse_args()


def measure(comparison: Comparison, sizes: list[int], *, repeats: int) -> dict[str, Any]:
    """Compare the results of one function, then measure it, at all sizes."""
    measured = [measure_size(comparison, size, repeats=repeats) for size in sizes]
    sides = {
        name: {
            "ms": [at_size[name][0].median for at_size in measured],
            "spread": [at_size[name][0].spread for at_size in measured],
            "mib": [at_size[name][1] / MIB for at_size in measured],
        }
        for name in comparison.sides
    }
    for side in sides.values():
        side["ms_growth"], side["mib_growth"] = exponent(sizes, side["ms"]), exponent(sizes, side["mib"])
    fastest = [min(side["ms"][i] for name, side in sides.items() if name != JAXGEN) for i in range(len(sizes))]
    return {
        "name": comparison.name,
        "growing": comparison.growing,
        "sizes": list(sizes),
        "difference": max(at_size["difference"] for at_size in measured),
        "sides": sides,
        "ratio": [peer / own for peer, own in zip(fastest, sides[JAXGEN]["ms"], strict=True)],
    }


def measure_size(comparison: Comparison, size: int, *, repeats: int) -> dict[str, Any]:
    """Return time and memory by name of the side, and the largest difference of a peer's result from jaxgen's."""
    workers = {name: Worker(comparison.name, size, name) for name in comparison.sides}
    try:
        first = {name: worker.first_call() for name, worker in workers.items()}
        differences = [comparison.difference(first[JAXGEN].result, call.result) for call in first.values()]
        if not (difference := max(differences)) <= comparison.tolerance:
            limit = f"at most {comparison.tolerance:.0e} apart"
            raise SystemExit(f"results of {comparison.name} at {size} must be {limit}, got {difference:.1e}")
        calls = {name: max(1, round(ENOUGH / worker.seconds(1))) for name, worker in workers.items()}
        times: dict[str, list[float]] = {name: [] for name in workers}
        for _ in range(min(repeats, 3) if sum(call.seconds for call in first.values()) > LONG else repeats):
            for name, worker in workers.items():
                times[name].append(worker.seconds(calls[name]) / calls[name] * 1e3)
    finally:
        for worker in workers.values():
            worker.stop()
    return {name: (Times(times[name]), first[name].memory) for name in workers} | {"difference": difference}


def print_rows(row: Mapping[str, Any]) -> None:
    sizes = "".join(f"{size:>10,}" for size in row["sizes"])
    print(f"{row['name']}: results agree within {row['difference']:.0e}")
    print(f"  {row['growing']:28}{sizes}{'growth':>8}")
    for unit, title in (("ms", "ms"), ("mib", "MiB at most")):
        for name, side in row["sides"].items():
            values = "".join(f"{value:10,.1f}" for value in side[unit])
            power = side[f"{unit}_growth"]
            print(f"  {name:16}{title:12}{values}" + (f"{power:8.2f}" if power is not None else f"{'-':>8}"))
    print(f"  {'fastest peer / ' + JAXGEN:28}" + "".join(f"{ratio:10.2f}" for ratio in row["ratio"]) + "\n")


def large() -> None:
    """Run the large MMD in a new process."""
    worker = Worker(mmd.COMPARISON.name, LARGE, JAXGEN, dimensions=mmd.LARGE_DIMENSIONS)
    call = worker.first_call()
    worker.stop()
    print(f"mmd of 2 x {LARGE:,} points in {mmd.LARGE_DIMENSIONS:,} dimensions: {float(call.result[0]):.3e}")
    print(f"  {call.seconds:.0f} s; peak memory of the process {call.process_memory / GIB:.2f} GiB")
    if call.process_memory > LARGE_LIMIT:
        raise SystemExit(f"peak memory must be at most {LARGE_LIMIT / GIB:.0f} GiB")


if __name__ == "__main__":
    main()
