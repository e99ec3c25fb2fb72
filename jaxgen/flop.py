"""Floating-point operations of a training step: those of the algorithm, and those of the compiled program.

The first are the products and convolutions of the step as JAX traces it, forward and backward, with convolutions as
single operations also where jaxgen computes them otherwise. Shares of the speed of a machine are computed from this
number, which PyTorch's own counter confirms for its side.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
from jax.extend.core import Jaxpr, JaxprEqn
from jax.interpreters.partial_eval import dce_jaxpr
from jax.stages import Compiled

from jaxgen.game import Model, Player, State, Step, game
from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.training import jit
from jaxgen.typing import Batch

COUNTED = "products and convolutions of the traced step"
"""What `of_algorithm` counts."""


def of_algorithm(step: Step, state: State, batch: Batch, *, branch: Callable[[Iterable[int]], int] = max) -> int:
    """Count the operations of the products and convolutions of one step.

    Args:
        step: step function of a model.
        state: state of the model, or its shapes.
        batch: batch of one step, or its shapes.
        branch: function of the counts of the branches of a condition: `max` for a step in which all regularizers are
            due, `min` for one in which none that is not due at every step is.

    Returns:
        Number of multiplications and additions.
    """
    with convolutions_by_xla():
        # A new function, because JAX caches the traces of functions that it has seen.
        jaxpr = jax.make_jaxpr(lambda *arguments: step(*arguments))(jax.random.key(0), state, batch)
    # Without operations whose results are not used, which a compiler removes as well.
    used, _ = dce_jaxpr(jaxpr.jaxpr, [True] * len(jaxpr.jaxpr.outvars))
    return _operations(used, branch)


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


def _operations(jaxpr: Jaxpr, branch: Callable[[Iterable[int]], int]) -> int:
    """The operations of a program; the body of a loop counts once per iteration."""
    total = 0
    for equation in jaxpr.eqns:
        match equation.primitive.name:
            case "dot_general":
                total += _of_product(equation)
            case "conv_general_dilated":
                total += _of_convolution(equation)
            case "scan":
                total += equation.params["length"] * sum(_inner_operations(equation, branch))
            case "cond":
                total += branch(_inner_operations(equation, branch))
            case _:
                total += sum(_inner_operations(equation, branch))
    return total


def _inner_operations(equation: JaxprEqn, branch: Callable[[Iterable[int]], int]) -> list[int]:
    """The operations of each of the programs that an operation runs."""
    return [_operations(program, branch) for program in _inner(equation)]


def _of_product(equation: JaxprEqn) -> int:
    """Each element of the result is a sum over the contracted axes."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    (left, _), output = _shapes(equation)
    return 2 * math.prod(output) * math.prod(left[axis] for axis in contracted)


def _of_convolution(equation: JaxprEqn) -> int:
    """The multiplications of each pair of channels along each spatial axis, padding included.

    Of a pixel of the input, a weight and a pixel of the output that belong together, any two determine the third. So
    there are at most as many as the two smallest of the three sizes have pairs, however strides and dilations are
    distributed among the three in a forward pass, its transpose or a gradient.
    """
    numbers = equation.params["dimension_numbers"]
    (image, kernel), output = _shapes(equation)
    examples, features = (output[axis] for axis in numbers.out_spec[:2])
    channels = kernel[numbers.rhs_spec[1]]
    axes = zip(numbers.lhs_spec[2:], numbers.rhs_spec[2:], numbers.out_spec[2:], strict=True)
    pairs = (math.prod(sorted((image[i], kernel[k], output[o]))[:2]) for i, k, o in axes)
    return 2 * examples * features * channels * math.prod(pairs)


def _shapes(equation: JaxprEqn) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """The shapes of the operands, and of the result."""
    *operands, output = (variable.aval.shape for variable in [*equation.invars, *equation.outvars])  # type: ignore[attr-defined]
    return operands, output


def _inner(equation: JaxprEqn) -> Iterator[Jaxpr]:
    """The programs that an operation runs."""
    values: list[Any] = jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program)
    for value in values:
        if _is_program(value):
            yield getattr(value, "jaxpr", value)


def _is_program(value: Any) -> bool:
    return hasattr(value, "eqns")


def _one_update(player: Player, state: State, batch: Batch) -> Compiled:
    """The program of one update of a player, as a step of a game with this player alone."""
    _, step = game(lambda key, batch: {}, [player._replace(updates=1)])
    compiled: Compiled = jit(step).lower(jax.random.key(0), state, batch).compile()
    return compiled


def _flop(compiled: Compiled) -> float:
    costs: Any = compiled.cost_analysis()
    return float(costs["flops"])
