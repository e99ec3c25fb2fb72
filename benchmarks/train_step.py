"""Time training steps of jaxgen beside the same steps in PyTorch, and print the ratios.

    python benchmarks/train_step.py [--quick] [--bfloat16] [--only NAME ...] [--json FILE] [--chart FILE]
    python benchmarks/train_step.py --growth [--bfloat16]

Both sides have the same architecture, batch size, optimizer and data, and use all cores (`taskset` gives them fewer),
or the same GPU, where both are allowed TF32. Before anything is timed, their losses on the same weights, data and noise
must agree. Times are medians over interleaved repeats in this one process. Other processes slow both sides down, but
not equally: measure on an idle machine.

The share of the GEMM rate is that of the operations in the algorithm, products and convolutions, per second, in those
of a large matrix product that is timed in the same repeats. Memory is that of one turn, the data set left out.

`--bfloat16` times mixed precision: products in bfloat16, that large one too, and everything else in float32, by
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
from agreement import TURNS, Run, begin, compare, first_losses
from chart import draw
from machine import describe, torch_device, use_all_cores
from report import COMPILED, EAGER, FIT, RUNS, SEEDS, STEP, TORCH, print_row, print_summary
from sides import Fit, Products, SingleSteps, TorchTurns
from timing import interleaved
from workloads import WORKLOADS
from workloads.precision import in_precision, in_words
from workloads.twin import Batch as TorchBatch
from workloads.twin import Twin, endless_batches
from workloads.workload import BFLOAT16, FLOAT32, Data, Workload

from jaxgen.game import Model, State
from jaxgen.plot import save
from jaxgen.training.loop import initial_state
from jaxgen.training.seeds import seed_keys

GEMM = "GEMM"
LARGE = 100
"""With fewer turns a second than this a workload is large, as all with convolutions are: `--quick` leaves their single
steps and seeds out."""


def main() -> None:
    arguments = parse()
    precision = BFLOAT16 if arguments.bfloat16 else FLOAT32
    workloads = [in_precision(workload, precision) for workload in WORKLOADS]
    machine = describe()
    conditions = machine["report"] | {"precision": precision}
    use_all_cores()
    print(f"{machine['text']}\n{in_words(precision)}\n")
    if arguments.growth:
        write(conditions | {"growth": growth.measure(workloads, torch_device())}, arguments.json)
        return
    if arguments.quick:
        print(
            "quick: few and short repeats, PyTorch in the mode known to be faster, no single steps and seeds of large "
            "workloads, and where turns are long, the losses of the first one alone are compared\n"
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
    parser.add_argument("--quick", action="store_true", help="few and short repeats, and no more programs than needed")
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--only", action="append", choices=names, help="this workload; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to a file as well")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the ratios")
    parser.add_argument("--growth", action="store_true", help="time other batch sizes and widths instead")
    parser.add_argument("--bfloat16", action="store_true", help="products in bfloat16 in place of float32")
    arguments = parser.parse_args()
    if arguments.growth and (arguments.quick or arguments.only or arguments.chart):
        parser.error("--growth has workloads and repeats of its own, and no chart: leave out --quick, --only, --chart")
    for file in (arguments.json, arguments.chart):
        if file and not file.parent.is_dir():
            parser.error(f"there is no folder '{file.parent}' to write {file.name} to: make it first")
    return arguments


def write(report: Mapping[str, Any], file: Path | None) -> None:
    if file:
        file.write_text(json.dumps(report, indent=2) + "\n")


KEY = jax.random.key(0)
"""Of the run that both sides begin."""


class Case(NamedTuple):
    """A workload, made ready; `state` is the one before the first turn."""

    workload: Workload
    data: Data
    model: Model
    state: State
    quick: bool

    @property
    def repeats(self) -> int:
        """How often every side has its turns."""
        return 3 if self.quick else 9

    @property
    def turns(self) -> int:
        """Those of a repeat, fewer for a quick look.

        The first turn of a repeat finds fresh pages of memory, on both sides. The fewer turns follow it, the longer
        they seem: in a quick look, those of large networks by up to a fifth.
        """
        return max(2, self.workload.turns // 4) if self.quick else self.workload.turns

    @property
    def first_chunks(self) -> int:
        """Those of whose turns the losses are compared."""
        return 1 if self.quick else -(-TURNS // self.turns)

    def torch_batches(self, device: torch.device) -> Iterator[TorchBatch]:
        """The data as the twin takes them, a turn at a time."""
        tensors = tuple(tensor.to(device) for tensor in self.workload.tensors(self.data))
        return endless_batches(tensors, self.workload.batch_size * self.model.slices)


def prepare(workload: Workload, *, quick: bool) -> Case:
    data = workload.data()
    model = workload.build(data)
    state = initial_state(model, KEY, {name: array[:1] for name, array in data.items()})
    return Case(workload, data, model, state, quick)


def measure(case: Case) -> dict[str, Any]:
    """Compare, then time, one workload."""
    workload = case.workload
    ours = jaxgen_sides(case)
    theirs = agreeing_sides(case, ours[FIT])
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
            "compiled_flop": flop.of_compiled_turn(ours[STEP].compiled, case.model, *shapes(case))
            if STEP in ours
            else None,
            "gemm_gflops": products.flop / best / 1e6,
            "loss_difference": max((fact["loss_difference"] for _, fact in theirs.values()), default=None),
            "sides": {name: {"ms": side.median, "spread": side.spread, **facts[name]} for name, side in times.items()},
        }
    )


def matrix_products(precision: str) -> Products:
    """As large as the device needs them to show its speed."""
    size, turns = (2048, 2) if jax.default_backend() == "cpu" else (8192, 10)
    return Products(size=size, turns=turns, precision=precision)


def jaxgen_sides(case: Case) -> dict[str, Any]:
    """`fit`, alone and with several seeds, and single steps."""
    workload = case.workload
    start = partial(Fit, case.model, case.data, batch_size=workload.batch_size)
    # Chunks before the repeats, to compare losses, and one that warms up.
    alone = start(key=KEY, state=case.state, turns=case.turns, chunks=case.first_chunks + 1 + case.repeats)
    sides: dict[str, Any] = {FIT: alone}
    if case.quick and workload.turns < LARGE:
        return sides
    sides[STEP] = SingleSteps(case.model, case.data, batch_size=workload.batch_size, turns=case.turns)
    if workload.seeds:
        # Enough of them that what a chunk takes beside its turns, as with one run, does not count.
        turns = max(1, case.turns // 4)
        sides[SEEDS] = start(key=seed_keys(0, RUNS), turns=turns, chunks=case.repeats + 1)
    return sides


def jaxgen_facts(case: Case, sides: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Name of the side -> what is known of it beside its times, after these were taken."""
    facts = {name: {"compile_seconds": side.compile_seconds} for name, side in sides.items()}
    if STEP in sides:
        facts[STEP]["memory_mib"] = memory.of_program(sides[STEP].compiled, case.data) / 2**20
    return facts


def agreeing_sides(case: Case, ours: Fit) -> dict[str, tuple[TorchTurns, dict[str, float]]]:
    """PyTorch's modes, each held against jaxgen first: name -> the side, and what is known of it beside its times."""
    begun = first_turns(case, ours)
    if (device := torch_device()) is None:
        return {}
    known = COMPILED if case.workload.compile_is_faster else EAGER
    sides = {}
    for name in (known,) if case.quick else TORCH:
        try:
            twin, facts = agreeing_twin(begun, device, compiled=name == COMPILED)
        except torch._dynamo.exc.TorchDynamoException as error:
            print(f"{case.workload.name}: {name} does not work here: {str(error).strip().splitlines()[0]}")
            continue
        batches = case.torch_batches(device)
        facts["memory_mib"] = memory.of_twin(twin, batches) / 2**20
        sides[name] = TorchTurns(twin, batches, turns=case.turns), facts
    return sides


def first_turns(case: Case, ours: Fit) -> Run:
    """Let jaxgen begin."""
    for _ in range(case.first_chunks):
        ours.play()
    begun = case.workload, case.model, case.data, KEY, case.state
    if jax.default_backend() == "cpu":
        return Run(*begun, first_losses(case.model, ours.history))
    with full_float32():  # What is timed may use TF32 there, with which nothing could be compared.
        return begin(*begun)


def agreeing_twin(begun: Run, device: torch.device, *, compiled: bool) -> tuple[Twin, dict[str, float]]:
    """Make the PyTorch side, and see to it that it computes what jaxgen computes."""
    twin = begun.workload.twin(begun.state.params, compiled=compiled).to(device)
    with full_float32():
        agreement = compare(begun, twin)
    if not agreement.holds:
        raise SystemExit(f"{begun.workload.name}: the two sides disagree, nothing to time: {agreement}")
    return twin, {
        "compile_seconds": agreement.first_turn_seconds,
        "loss_difference": agreement.largest_difference,
        "drift": agreement.drift,
    }


@contextmanager
def full_float32() -> Iterator[None]:
    """Without TF32, on both sides."""
    backends = torch.backends.cuda.matmul, torch.backends.cudnn
    allowed = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    with jax.default_matmul_precision("highest"):
        yield
    for backend, before in zip(backends, allowed, strict=True):
        backend.allow_tf32 = before


def shapes(case: Case) -> tuple[Any, Any]:
    """Those of the state, and of the batch of one move."""
    batch = {name: array[: case.workload.batch_size] for name, array in case.data.items()}
    return jax.eval_shape(lambda *arrays: arrays, case.state, batch)


if __name__ == "__main__":
    main()
