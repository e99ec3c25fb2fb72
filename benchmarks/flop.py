"""Floating-point operations of a training step: those of the algorithm, and those that the compiler left in it.

The first are the products and convolutions that PyTorch calls, forward and backward. How jaxgen computes a convolution
cannot inflate that number, so it is the one that shares of the machine's speed are taken of.
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
    """Count the products and convolutions of one turn.

    Args:
        twin: not compiled, which plays this turn.
        batch: of the turn.

    Returns:
        Multiplications and additions.
    """
    with Counter() as counter:
        twin.turn(batch)
    return counter.flop


class Counter(TorchDispatchMode):
    """Counts as PyTorch's `FlopCounterMode`, which does not work where the gradient of a gradient is taken."""

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
        """Carry out an operation, and count what it takes."""
        result = operation(*args, **(kwargs or {}))
        if count := flop_registry.get(operation.overloadpacket):
            self.flop += count(*args, **(kwargs or {}), out_val=result)
        return result


def of_compiled_turn(compiled: Compiled, model: Model, state: State, batch: Batch) -> float:
    """Count the operations in the compiled program of one turn, elementwise ones included.

    Args:
        compiled: the program, which plays one turn.
        model: that it plays.
        state: or its shapes.
        batch: of one move, or its shapes.

    Returns:
        What the compiler counts, and what it leaves out: to it, the body of a loop runs once, however often it does.
    """
    again = ((player.updates - 1, player) for player in model.players if player.updates > 1)
    return _flop(compiled) + sum(times * _flop(_one_move(player, state, batch)) for times, player in again)


def _one_move(player: Player, state: State, batch: Batch) -> Compiled:
    """The program of one move of a player, which is a turn of a game that it plays alone."""
    _, step = game(lambda key, batch: {}, [player._replace(updates=1)])
    return jit(step).lower(jax.random.key(0), state, batch).compile()


def _flop(compiled: Compiled) -> float:
    return compiled.cost_analysis()["flops"]
