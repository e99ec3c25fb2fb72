"""Floating-point operations of a training step: those of the algorithm, and those of the compiled program.

The first are the products and convolutions that PyTorch calls, forward and backward. This number does not depend on how
jaxgen computes a convolution, so shares of the machine's speed are computed from it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.stages import Compiled
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from workloads.twin import Batch as TorchBatch
from workloads.twin import Twin

from jaxgen.game import Model, Player, State, game
from jaxgen.training import jit
from jaxgen.typing import Batch


def of_algorithm(twin: Twin, batch: TorchBatch) -> int:
    """Count the operations of the products and convolutions of one step.

    Args:
        twin: PyTorch side, not compiled; the step changes its parameters.
        batch: batch of the step.

    Returns:
        Number of multiplications and additions.
    """
    with Counter() as counter:
        twin.step(batch)
    return counter.flop


class Counter(TorchDispatchMode):
    """Counter of operations like PyTorch's `FlopCounterMode`, which fails where gradients of gradients are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.flop = 0

    def __torch_dispatch__(
        self,
        operation: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Execute an operation and add its cost to the count."""
        result = operation(*args, **(kwargs or {}))
        if count := flop_registry.get(operation.overloadpacket):
            self.flop += count(*args, **(kwargs or {}), out_val=result)
        return result


def of_compiled_step(compiled: Compiled, model: Model, state: State, batch: Batch) -> float:
    """Count the operations of the compiled program of one step, elementwise ones included.

    XLA counts the body of a loop once. Its remaining iterations, the further updates of a player, are added here.

    Args:
        compiled: program of one step of the model.
        model: model without regularizers.
        state: state of the model, or its shapes.
        batch: batch of one update, or its shapes.

    Returns:
        Number of operations.
    """
    repeated = ((player.updates - 1, player) for player in model.players if player.updates > 1)
    return _flop(compiled) + sum(times * _flop(_one_update(player, state, batch)) for times, player in repeated)


def _one_update(player: Player, state: State, batch: Batch) -> Compiled:
    """The program of one update of a player, as a step of a game with this player alone."""
    _, step = game(lambda key, batch: {}, [player._replace(updates=1)])
    return jit(step).lower(jax.random.key(0), state, batch).compile()


def _flop(compiled: Compiled) -> float:
    return compiled.cost_analysis()["flops"]
