"""Mixed precision on both sides of a workload: products in bfloat16; parameters, optimizers and losses in float32."""

from typing import TYPE_CHECKING

import jax

from jaxgen.benchmark.workloads.workload import FLOAT32, Data, Workload
from jaxgen.game import Model, State
from jaxgen.models.mixed_precision import in_mixed_precision

if TYPE_CHECKING:
    from jaxgen.benchmark.pytorch.twin import Twin


def describe_precision(precision: str) -> str:
    """Return a description of the precision of the products and of everything else."""
    if precision != FLOAT32:
        return f"products in {precision}, everything else in float32"
    return "float32" if jax.default_backend() == "cpu" else "float32, products in TF32 where the device supports it"


def in_precision(workload: Workload, precision: str) -> Workload:
    """Return the workload with products in a precision, by `in_mixed_precision` and PyTorch's `autocast`."""
    if precision == workload.precision:
        return workload

    def build(data: Data) -> Model:
        return in_mixed_precision(workload.build(data))

    def twin(state: State, *, compiled: bool) -> "Twin":
        return workload.twin(state, compiled=compiled).in_mixed_precision()

    def scaled(**sizes: int) -> Workload:
        return in_precision(workload.scaled(**sizes), precision)

    return workload._replace(build=build, twin=twin, scaled=scaled, precision=precision)
