"""What a training step costs, without running it: operations, bytes and memory of every phase of a training."""

from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jaxgen.flop import further_iterations, of_algorithm, of_traced_step
from jaxgen.game import Model
from jaxgen.memory import planned_bytes
from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.runs.preparation import Prepared
from jaxgen.training.compiler import jit
from jaxgen.training.leaves import batch_shapes
from jaxgen.training.phases import Stage, stages

ACCELERATORS = ("cuda", "tpu")
"""Platforms for which the program is lowered beside that of this machine."""


class Lowered(NamedTuple):
    """A step lowered for a platform, before its compiler has joined operations.

    Attributes:
        operations: number of all operations, in every iteration of a loop.
        bytes: bytes that all of them read and write: an upper bound of the traffic with the memory.
    """

    operations: float
    bytes: float

    def plus(self, other: "Lowered", times: int) -> "Lowered":
        """Return the sum with another program that runs a number of times."""
        return Lowered(self.operations + times * other.operations, self.bytes + times * other.bytes)


class StepCost(NamedTuple):
    """The cost of one step of one seed in a phase of a training.

    Attributes:
        phase: name of the phase.
        batch_size: number of examples in one update.
        products: operations of products and convolutions in a step in which every regularizer is due, without those
            of the zeros around images.
        mean_products: the same on average over the steps, where a regularizer is due at every k-th of them.
        lowered: platform -> all operations of the lowered program, with each convolution as a plain one, in which every
            branch of a condition counts.
        memory: bytes that the compiler of this machine plans for a step: arguments, results and what is between;
            None where it does not say.
    """

    phase: str
    batch_size: int
    products: int
    mean_products: int
    lowered: dict[str, Lowered]
    memory: int | None

    def share(self, platform: str) -> float:
        """Return the share of products and convolutions in all operations of the lowered program."""
        return self.products / self.lowered[platform].operations


def step_costs(prepared: Prepared) -> list[StepCost]:
    """Lower and compile one step of every phase of a training, and count what it costs. Nothing is run.

    Args:
        prepared: a training that could start.

    Returns:
        The costs of the phases that the training reaches, in their order.

    Example:
        >>> from jaxgen.models import REGISTRY
        >>> from jaxgen.runs import RunConfig
        >>> from jaxgen.runs.preparation import prepare_run
        >>> config = RunConfig(REGISTRY["vae"].config(hidden=(8,), latent_dim=2), batch_size=10)
        >>> [found] = step_costs(prepare_run("unused", "vae", config))
        >>> found.batch_size, found.products, found.mean_products
        (10, 54080, 54080)
    """
    return [_of_stage(prepared, stage) for stage in stages(prepared.trained_model, prepared.config.steps)]


def _of_stage(prepared: Prepared, stage: Stage) -> StepCost:
    phase, example = stage.phase, prepared.description.example
    batch_size = phase.batch_size or prepared.config.update_size
    batch = jax.eval_shape(phase.preprocess, batch_shapes(example, batch_size * phase.slices))
    state = jax.eval_shape(lambda key: prepared.model.init(key, example), jax.random.key(0))
    arguments: tuple[Any, ...] = (jax.random.key(0), state, batch)

    # Functions of their own: JAX stores traces, and convolutions are chosen while a function is traced.
    with convolutions_by_xla():
        plain = jax.jit(lambda *given: phase.step(*given)).trace(*arguments)
    # Compiled as in training: its options decide whether features are stored or computed again.
    here = jit(lambda *given: phase.step(*given), donate_argnums=1).trace(*arguments)
    own = "cuda" if jax.default_backend() == "gpu" else jax.default_backend()
    model = Model(prepared.model.init, phase.step, phase.players)
    return StepCost(
        phase=phase.name,
        batch_size=batch_size,
        products=of_traced_step(phase.step, state, batch, padding=False),
        mean_products=of_algorithm(model, state, batch, padding=False),
        lowered={platform: _lowered(plain.jaxpr, platform) for platform in dict.fromkeys((own, *ACCELERATORS))},
        memory=planned_bytes(here.lower().compile()),
    )


def _lowered(program: ClosedJaxpr, platform: str) -> Lowered:
    """Count what XLA counts, which is the body of each loop once, and the further iterations."""
    total = _counted(program, platform)
    for body, times in further_iterations(program.jaxpr):
        total = total.plus(_counted(body, platform), times)
    return total


def _counted(program: ClosedJaxpr, platform: str) -> Lowered:
    arguments = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in program.in_avals]
    costs: Any = jax.jit(jaxpr_as_fun(program)).trace(*arguments).lower(lowering_platforms=(platform,)).cost_analysis()
    return Lowered(costs["flops"], costs["bytes accessed"])
