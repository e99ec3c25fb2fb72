"""Peak memory of a training step, in bytes without the data set, as the compiler has planned it.

That of PyTorch is what its allocator reports (`pytorch.torch_memory`). Buffers that a library allocates within a
routine are no arrays, and are counted on neither side.
"""

from typing import Any

from jax.stages import Compiled

from jaxgen.benchmark.workloads.workload import Data


def of_program(compiled: Compiled, data: Data) -> int:
    """Return the bytes that the compiler has planned for a program, without the data that it receives."""
    plan: Any = compiled.memory_analysis()
    planned: int = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
    return planned - plan.alias_size_in_bytes - sum(array.nbytes for array in data.values())
