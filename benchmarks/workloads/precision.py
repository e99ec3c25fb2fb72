"""Mixed precision, of a workload's two sides: products in bfloat16, parameters, optimizers and losses in float32."""

import jax

from jaxgen.game import Model
from jaxgen.nn.precision import mixed_precision
from jaxgen.typing import Params
from workloads.twin import Twin
from workloads.workload import FLOAT32, Data, Workload


def in_words(precision: str) -> str:
    """What the products are computed in, and everything else."""
    if precision != FLOAT32:
        return f"products in {precision}, everything else in float32"
    return "float32" if jax.default_backend() == "cpu" else "float32, products in TF32 where the device has it"


def in_precision(workload: Workload, precision: str) -> Workload:
    """The same workload, within jaxgen's `mixed_precision` and PyTorch's `autocast` if products are in bfloat16."""
    if precision == workload.precision:
        return workload

    def build(data: Data) -> Model:
        model = workload.build(data)
        players = tuple(player._replace(loss=mixed_precision()(player.loss)) for player in model.players)
        return model._replace(step=mixed_precision()(model.step), players=players)

    def twin(params: Params, *, compiled: bool) -> Twin:
        return workload.twin(params, compiled=compiled).in_mixed_precision()

    def scaled(**sizes: int) -> Workload:
        return in_precision(workload.scaled(**sizes), precision)

    return workload._replace(build=build, twin=twin, scaled=scaled, precision=precision)
