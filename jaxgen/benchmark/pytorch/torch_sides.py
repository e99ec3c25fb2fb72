"""Training in PyTorch as a side of the benchmark: each mode is compared with jaxgen before it is timed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import torch

from jaxgen.benchmark.case import KEY, Case
from jaxgen.benchmark.pytorch import agreement
from jaxgen.benchmark.pytorch.torch_device import torch_device
from jaxgen.benchmark.pytorch.torch_memory import of_twin
from jaxgen.benchmark.pytorch.twin import Batch, Twin, endless_batches
from jaxgen.benchmark.sides import History
from jaxgen.benchmark.step_report import COMPILED, DISAGREES, EAGER, TORCH


class TorchSteps:
    """Training in PyTorch.

    Args:
        twin: networks and players to train.
        batches: batches to train on.
        steps: number of steps per repeat.
    """

    def __init__(self, twin: Twin, batches: Iterator[Batch], *, steps: int) -> None:
        self.steps = steps
        self._twin, self._batches = twin, batches

    def run(self) -> None:
        """Run the next steps."""
        self._twin.run(self._batches, self.steps)


class TorchSides(NamedTuple):
    """The modes of PyTorch that can be timed.

    Attributes:
        sides: name of the mode -> side.
        facts: name of the mode -> its numbers other than times.
        left_out: name of the mode -> why it is not timed.
    """

    sides: dict[str, TorchSteps]
    facts: dict[str, dict[str, Any]]
    left_out: dict[str, str]


def torch_sides(case: Case, history: History) -> TorchSides:
    """Return the modes of PyTorch whose losses agree with jaxgen's.

    Args:
        case: workload with its data and its model.
        history: metrics of the first steps of jaxgen.

    Returns:
        The modes, and those that do not work or do not agree.
    """
    run, device = first_steps(case, history), torch_device()
    known = COMPILED if case.workload.compile_is_faster else EAGER
    found = TorchSides({}, {}, {})
    for name in sorted(TORCH, key=lambda mode: mode != known):
        try:
            twin = case.workload.twin(case.state, compiled=name == COMPILED).to(device)
            with full_float32():
                compared = agreement.compare(run, twin)
        except RuntimeError as error:  # Such as that of `torch.compile` where there is no C++ compiler.
            found.left_out[name] = f"it does not work here: {str(error).strip().splitlines()[0]}"
            continue
        if compared.holds:
            batches = torch_batches(case, twin)
            found.sides[name] = TorchSteps(twin, batches, steps=case.steps)
            found.facts[name] = {
                "compile_seconds": compared.first_step_seconds,
                "loss_difference": compared.largest_difference,
                "drift": compared.drift,
                "memory_mib": of_twin(twin, batches) / 2**20,
            }
        else:
            found.left_out[name] = f"{DISAGREES}, got {compared}"
        if case.quick:
            break
    return found


def faster_mode(case: Case) -> tuple[str, TorchSteps]:
    """Return the mode of PyTorch that is known to be faster, with its name and without a comparison of losses."""
    compiled = case.workload.compile_is_faster
    twin = case.workload.twin(case.state, compiled=compiled).to(torch_device())
    return COMPILED if compiled else EAGER, TorchSteps(twin, torch_batches(case, twin), steps=case.steps)


def torch_batches(case: Case, twin: Twin) -> Iterator[Batch]:
    """Return the data as tensors on the device of the twin, in one batch per step."""
    tensors = tuple(tensor.to(twin.device) for tensor in twin.tensors(case.data))
    return endless_batches(tensors, case.workload.batch_size * case.model.slices)


def first_steps(case: Case, history: History) -> agreement.Run:
    """Return the steps of jaxgen whose losses are compared."""
    start = case.workload, case.model, case.data, KEY, case.state
    if jax.default_backend() == "cpu":
        return agreement.Run(*start, agreement.first_losses(case.model, history))
    with full_float32():  # The timed program may use TF32, which is too inexact for the comparison.
        return agreement.begin(*start)


@contextmanager
def full_float32() -> Iterator[None]:
    """Disable TF32 on both sides within this context."""
    backends: tuple[Any, ...] = torch.backends.cuda.matmul, torch.backends.cudnn
    allowed = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    try:
        with jax.default_matmul_precision("highest"):
            yield
    finally:
        for backend, before in zip(backends, allowed, strict=True):
            backend.allow_tf32 = before
