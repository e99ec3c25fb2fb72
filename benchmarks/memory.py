"""Bytes that a training step needs at its peak, the data set left out, on both sides as their allocators see them.

Buffers inside a library's routine are nobody's tensors and not counted, on neither side.
"""

import os
from collections.abc import Callable, Iterator
from itertools import accumulate

import torch
from jax.stages import Compiled
from torch.profiler import ProfilerActivity, profile
from workloads.twin import Batch, Twin
from workloads.workload import Data

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # Else PyTorch's profiler tells the terminal that it starts and stops.


def of_program(compiled: Compiled, data: Data) -> int:
    """What the compiler has planned for a program, without the data that it is given."""
    plan = compiled.memory_analysis()
    planned = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
    return planned - plan.alias_size_in_bytes - sum(array.nbytes for array in data.values())


def of_twin(twin: Twin, batches: Iterator[Batch]) -> int:
    """What is there between two turns, parameters and optimizers' states, and what a turn adds to it."""
    there = 0
    for player in twin.players:
        for parameter in twin.parameters[player.name]:
            parameter.grad = None
            tensors = [value for value in player.optimizer.state[parameter].values() if torch.is_tensor(value)]
            there += sum(tensor.nbytes for tensor in (parameter, *tensors))
    return there + added(lambda: twin.play(batches, turns=1), twin.device)


def added(work: Callable[[], None], device: torch.device) -> int:
    """The most that some work adds to the memory that PyTorch has allocated."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())), default=0)
