"""Peak memory of a training step in PyTorch, in bytes without the data set, as its allocator reports it."""

import os
from collections.abc import Callable, Iterator
from itertools import accumulate

import torch
from torch.profiler import ProfilerActivity, profile

from jaxgen.benchmark.pytorch.twin import Batch, Twin

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # Else PyTorch's profiler prints when it starts and stops.


def of_twin(twin: Twin, batches: Iterator[Batch]) -> int:
    """Return the bytes of parameters, averages and optimizer states, plus those that a step allocates at its peak."""
    allocated = sum(parameter.nbytes for average in twin.averages for parameter in average.network.parameters())
    for player in twin.players:
        for parameter in twin.parameters[player.name]:
            parameter.grad = None
            tensors = [value for value in player.optimizer.state[parameter].values() if torch.is_tensor(value)]
            allocated += sum(tensor.nbytes for tensor in (parameter, *tensors))
    return allocated + peak_increase(lambda: twin.run(batches, steps=1), twin.device)


def peak_increase(work: Callable[[], None], device: torch.device) -> int:
    """Return the largest increase, in bytes, of the memory that PyTorch has allocated during a call."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())), default=0)
