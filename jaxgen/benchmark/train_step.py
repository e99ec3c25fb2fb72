"""Measure one training step: the numbers of the report of a benchmark.

Both sides have the same architecture, batch size, optimizer and data, and use all cores or the same GPU, where both may
use TF32. Before they are timed, their losses with the same weights, data and noise must agree. Times are medians over
interleaved repeats in one process.

The share of the GEMM rate is the number of operations per second of the algorithm, products and convolutions, divided
by that of a large matrix product, the fastest of those between the same repeats. Memory is that of one step without the
data set.
"""

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax

from jaxgen import flop
from jaxgen.benchmark import step_memory, step_report
from jaxgen.benchmark.case import KEY, Case
from jaxgen.benchmark.machine import PyTorch
from jaxgen.benchmark.sides import Fit, Products, SingleSteps
from jaxgen.benchmark.step_report import FIT, RUNS, SEEDS, STEP
from jaxgen.benchmark.timing import Side, interleaved
from jaxgen.training.seeds import seed_keys

GEMM = "GEMM"
LARGE = 100
"""Steps per repeat below which a workload is large, as all with convolutions are: `--quick` leaves out their single
steps and seeds."""

FORMAT = 1
"""Version of the format of the report."""


def measure(case: Case, pytorch: PyTorch) -> dict[str, Any]:
    """Compare the losses of one workload, if PyTorch is there, then time it."""
    workload = case.workload
    ours = _jaxgen_sides(case)
    for _ in range(case.first_chunks):
        ours[FIT].run()
    theirs: dict[str, Side] = {}
    facts: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    if pytorch.problem is None:
        from jaxgen.benchmark.pytorch.torch_sides import torch_sides

        found = torch_sides(case, ours[FIT].history)
        theirs, facts, left_out = {**found.sides}, found.facts, found.left_out
    products = _matrix_products(workload.precision)
    times = interleaved({GEMM: products, **ours, **theirs}, repeats=case.repeats)
    best = min(times.pop(GEMM).milliseconds)
    compared = [fact["loss_difference"] for fact in facts.values()]
    facts |= _jaxgen_facts(case, ours)
    return step_report.complete(
        {
            "name": workload.name,
            "convolutional": workload.convolutional,
            "examples": workload.batch_size * case.model.slices,
            "flop": flop.of_algorithm(case.model, *_shapes(case, workload.batch_size * case.model.slices)),
            "compiled_flop": _compiled_flop(case, ours),
            "gemm_gflops": products.flop / best / 1e6,
            "loss_difference": max(compared, default=None),
            "left_out": left_out,
            "sides": {name: {"ms": side.median, "spread": side.spread, **facts[name]} for name, side in times.items()},
        }
    )


def summarize(rows: Sequence[step_report.Row]) -> dict[str, Any]:
    """Return the numbers of all workloads, and those that follow from several."""
    return {
        "gemm_gflops": statistics.median(row["gemm_gflops"] for row in rows),
        "geomean_ratio": step_report.geometric_mean(rows),
        "flop_counted": flop.COUNTED,
        "workloads": list(rows),
    }


def _matrix_products(precision: str) -> Products:
    """Products of matrices that are large enough to reach the speed of the device."""
    size, steps = (2048, 2) if jax.default_backend() == "cpu" else (8192, 10)
    return Products(size=size, steps=steps, precision=precision)


def _jaxgen_sides(case: Case) -> dict[str, Any]:
    """`fit` with one seed and with several, and single steps, by name of the side."""
    workload = case.workload
    start = partial(Fit, case.model, case.data, batch_size=workload.batch_size)
    # The chunks whose losses are compared, one that warms up, and the repeats.
    single = start(key=KEY, state=case.state, steps=case.steps, chunks=case.first_chunks + 1 + case.repeats)
    sides: dict[str, Any] = {FIT: single}
    if case.quick and workload.steps < LARGE:
        return sides
    sides[STEP] = SingleSteps(case.model, case.data, batch_size=workload.batch_size, steps=case.steps)
    if workload.seeds:
        # Enough steps that the constant time of a chunk is negligible, as with one seed.
        steps = max(1, case.steps // 4)
        sides[SEEDS] = start(key=seed_keys(0, RUNS), steps=steps, chunks=case.repeats + 1)
    return sides


def _jaxgen_facts(case: Case, sides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The numbers other than times by name of the side, after the times were measured."""
    facts: dict[str, dict[str, Any]] = {name: {"compile_seconds": side.compile_seconds} for name, side in sides.items()}
    if STEP in sides:
        facts[STEP]["memory_mib"] = step_memory.of_program(sides[STEP].compiled, case.data) / 2**20
    return facts


def _compiled_flop(case: Case, sides: Mapping[str, Any]) -> float | None:
    if STEP not in sides:
        return None
    return flop.of_compiled_step(sides[STEP].compiled, case.model, *_shapes(case, case.workload.batch_size))


def _shapes(case: Case, examples: int) -> tuple[Any, Any]:
    """The shapes of the state and of a batch."""
    batch = {name: array[:examples] for name, array in case.data.items()}
    return jax.eval_shape(lambda *arrays: arrays, case.state, batch)
