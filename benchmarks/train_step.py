"""Time training steps of jaxgen and of PyTorch, and print the ratios.

    python benchmarks/train_step.py [--quick] [--bfloat16] [--only NAME ...] [--json FILE] [--chart FILE]
    python benchmarks/train_step.py --growth [--bfloat16]

Both sides have the same architecture, batch size, optimizer and data, and use all cores (`taskset` assigns fewer) or
the same GPU, where both may use TF32. Before they are timed, their losses with the same weights, data and noise must
agree. Times are medians over interleaved repeats in one process. Other processes slow both sides down, but not equally:
measure on an idle machine.

The share of the GEMM rate is the number of operations per second of the algorithm, products and convolutions, divided
by that of a large matrix product, which is timed in the same repeats. Memory is that of one step without the data set.

`--bfloat16` times mixed precision: all products, also the large one, in bfloat16 and everything else in float32, by
`mixed_precision` in jaxgen and `torch.autocast` in PyTorch.

`--growth` times three workloads with batches of 16 to 1,024 examples and networks of width 16 to 256.
"""

import argparse
import json
import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flop
import growth
import jax
import memory
import report
import torch
from agreement import STEPS, Run, begin, compare, first_losses
from chart import draw
from machine import describe, torch_device, use_all_cores
from report import COMPILED, EAGER, FIT, RUNS, SEEDS, STEP, TORCH, print_row, print_summary
from sides import Fit, Products, SingleSteps, TorchSteps
from timing import interleaved
from workloads import WORKLOADS
from workloads.precision import describe_precision, in_precision
from workloads.twin import Batch as TorchBatch
from workloads.twin import Twin, endless_batches
from workloads.workload import BFLOAT16, FLOAT32, Data, Workload

from jaxgen.game import Model, State
from jaxgen.plot import save
from jaxgen.training.loop import initial_state
from jaxgen.training.seeds import seed_keys, select_seed

GEMM = "GEMM"
LARGE = 100
"""Steps per repeat below which a workload is large, as all with convolutions are: `--quick` leaves out their single
steps and seeds."""

KEY = jax.random.key(0)
"""Key of the run that both sides begin."""


def main() -> None:
    arguments = parse()
    precision = BFLOAT16 if arguments.bfloat16 else FLOAT32
    workloads = [in_precision(workload, precision) for workload in WORKLOADS]
    machine = describe()
    conditions = machine["report"] | {"precision": precision}
    use_all_cores()
    print(f"{machine['text']}\n{describe_precision(precision)}\n")
    if arguments.growth:
        write(conditions | {"growth": growth.measure(workloads, torch_device())}, arguments.json)
        return
    if arguments.quick:
        print(
            "quick: few and short repeats, PyTorch in the mode known to be faster, no single steps and seeds of large "
            "workloads; where steps are long, only the losses of the first repeat are compared\n"
        )
    rows = []
    for workload in workloads:
        if not arguments.only or workload.name in arguments.only:
            rows.append(measure(prepare(workload, quick=arguments.quick)))
            print_row(rows[-1])
    summary = conditions | {
        "quick": arguments.quick,
        "gemm_gflops": statistics.median(row["gemm_gflops"] for row in rows),
        "geomean_ratio": report.geometric_mean(rows),
        "workloads": rows,
    }
    print_summary(summary)
    write(summary, arguments.json)
    if arguments.chart:
        save(draw(summary), arguments.chart)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="use few and short repeats and compile fewer programs")
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--only", action="append", choices=names, help="measure this workload only; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers to this file")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="also write a bar chart of the ratios to this file")
    parser.add_argument("--growth", action="store_true", help="time other batch sizes and widths instead")
    parser.add_argument("--bfloat16", action="store_true", help="compute products in bfloat16 instead of float32")
    arguments = parser.parse_args()
    if arguments.growth and (arguments.quick or arguments.only or arguments.chart):
        parser.error("--growth has workloads and repeats of its own, and no chart: leave out --quick, --only, --chart")
    for file in (arguments.json, arguments.chart):
        if file and not file.parent.is_dir():
            parser.error(f"the folder of a file must exist, got {file}: create '{file.parent}' first")
    return arguments


def write(report: Mapping[str, Any], file: Path | None) -> None:
    if file:
        file.write_text(json.dumps(report, indent=2) + "\n")


class Case(NamedTuple):
    """A workload with its data and its model; `state` is the state before the first step."""

    workload: Workload
    data: Data
    model: Model
    state: State
    quick: bool

    @property
    def repeats(self) -> int:
        """Number of repeats of every side."""
        return 3 if self.quick else 9

    @property
    def steps(self) -> int:
        """Number of steps per repeat, fewer for `--quick`.

        The first step of a repeat runs in newly allocated pages of memory, on both sides. The fewer steps follow it,
        the longer they appear to be: with `--quick`, those of large networks by up to a fifth.
        """
        return max(2, self.workload.steps // 4) if self.quick else self.workload.steps

    @property
    def first_chunks(self) -> int:
        """Number of chunks of whose steps the losses are compared."""
        return 1 if self.quick else -(-STEPS // self.steps)

    def torch_batches(self, device: torch.device) -> Iterator[TorchBatch]:
        """Return the data as tensors for the twin, in one batch per step."""
        tensors = tuple(tensor.to(device) for tensor in self.workload.tensors(self.data))
        return endless_batches(tensors, self.workload.batch_size * self.model.slices)


def prepare(workload: Workload, *, quick: bool) -> Case:
    """Create the data, the model and its first state."""
    data = workload.data()
    model = workload.build(data)
    states = initial_state(model, KEY[None], {name: array[:1] for name, array in data.items()})
    return Case(workload, data, model, select_seed(states, 0), quick)


def measure(case: Case) -> dict[str, Any]:
    """Compare the losses of one workload, then time it."""
    workload = case.workload
    ours = jaxgen_sides(case)
    theirs = torch_sides(case, ours[FIT])
    products = matrix_products(workload.precision)
    sides = {GEMM: products, **ours, **{name: side for name, (side, _) in theirs.items()}}
    times = interleaved(sides, repeats=case.repeats)
    best = min(times.pop(GEMM).milliseconds)
    facts = {name: fact for name, (_, fact) in theirs.items()} | jaxgen_facts(case, ours)
    eager = workload.twin(case.state.params, compiled=False)
    return report.complete(
        {
            "name": workload.name,
            "convolutional": workload.convolutional,
            "examples": workload.batch_size * case.model.slices,
            "flop": flop.of_algorithm(eager, next(case.torch_batches(torch.device("cpu")))),
            "compiled_flop": flop.of_compiled_step(ours[STEP].compiled, case.model, *shapes(case))
            if STEP in ours
            else None,
            "gemm_gflops": products.flop / best / 1e6,
            "loss_difference": max((fact["loss_difference"] for _, fact in theirs.values()), default=None),
            "sides": {name: {"ms": side.median, "spread": side.spread, **facts[name]} for name, side in times.items()},
        }
    )


def matrix_products(precision: str) -> Products:
    """Return products of matrices that are large enough to reach the speed of the device."""
    size, steps = (2048, 2) if jax.default_backend() == "cpu" else (8192, 10)
    return Products(size=size, steps=steps, precision=precision)


def jaxgen_sides(case: Case) -> dict[str, Any]:
    """Return `fit` with one seed and with several, and single steps, by name of the side."""
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


def jaxgen_facts(case: Case, sides: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the numbers other than times by name of the side, after the times were measured."""
    facts = {name: {"compile_seconds": side.compile_seconds} for name, side in sides.items()}
    if STEP in sides:
        facts[STEP]["memory_mib"] = memory.of_program(sides[STEP].compiled, case.data) / 2**20
    return facts


def torch_sides(case: Case, ours: Fit) -> dict[str, tuple[TorchSteps, dict[str, float]]]:
    """Return the modes of PyTorch, whose losses agree with jaxgen's, and their numbers other than times."""
    run = first_steps(case, ours)
    if (device := torch_device()) is None:
        return {}
    known = COMPILED if case.workload.compile_is_faster else EAGER
    sides = {}
    for name in (known,) if case.quick else TORCH:
        try:
            twin, facts = agreeing_twin(run, device, compiled=name == COMPILED)
        except torch._dynamo.exc.TorchDynamoException as error:
            print(f"{case.workload.name}: {name} does not work here: {str(error).strip().splitlines()[0]}")
            continue
        batches = case.torch_batches(device)
        facts["memory_mib"] = memory.of_twin(twin, batches) / 2**20
        sides[name] = TorchSteps(twin, batches, steps=case.steps), facts
    return sides


def first_steps(case: Case, ours: Fit) -> Run:
    """Run the steps of jaxgen whose losses are compared."""
    for _ in range(case.first_chunks):
        ours.run()
    start = case.workload, case.model, case.data, KEY, case.state
    if jax.default_backend() == "cpu":
        return Run(*start, first_losses(case.model, ours.history))
    with full_float32():  # The timed program may use TF32, which is too inexact for the comparison.
        return begin(*start)


def agreeing_twin(run: Run, device: torch.device, *, compiled: bool) -> tuple[Twin, dict[str, float]]:
    """Build the PyTorch side and check that its losses agree with jaxgen's."""
    twin = run.workload.twin(run.state.params, compiled=compiled).to(device)
    with full_float32():
        agreement = compare(run, twin)
    if not agreement.holds:
        raise SystemExit(f"the losses of both sides of {run.workload.name} must agree before timing, got {agreement}")
    return twin, {
        "compile_seconds": agreement.first_step_seconds,
        "loss_difference": agreement.largest_difference,
        "drift": agreement.drift,
    }


@contextmanager
def full_float32() -> Iterator[None]:
    """Disable TF32 on both sides within this context."""
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    allowed = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    with jax.default_matmul_precision("highest"):
        yield
    for backend, before in zip(backends, allowed, strict=True):
        backend.allow_tf32 = before


def shapes(case: Case) -> tuple[Any, Any]:
    """Return the shapes of the state and of the batch of one update."""
    batch = {name: array[: case.workload.batch_size] for name, array in case.data.items()}
    return jax.eval_shape(lambda *arrays: arrays, case.state, batch)


if __name__ == "__main__":
    main()
