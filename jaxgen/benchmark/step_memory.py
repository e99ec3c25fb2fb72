"""Peak memory of a training step, in bytes without the data set, as the compiler has planned it.

That of PyTorch is what its allocator reports (`pytorch.torch_memory`). Buffers that a library allocates within a
routine are no arrays, and are counted on neither side.
"""

from jax.stages import Compiled

from jaxgen.benchmark.workloads.workload import Data
from jaxgen.memory import planned_bytes


def of_program(compiled: Compiled, data: Data) -> int:
    """Return the bytes that the compiler has planned for a program, without the data that it receives."""
    planned = planned_bytes(compiled)
    assert planned is not None
    return planned - sum(array.nbytes for array in data.values())
