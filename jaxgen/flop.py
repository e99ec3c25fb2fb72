"""Floating-point operations of a training step: those of the algorithm, and those of the compiled program.

The first are the products and convolutions of the step as JAX traces it, forward and backward, with convolutions as
single operations also where jaxgen computes them otherwise. Shares of the speed of a machine are computed from this
number, which PyTorch's own counter confirms for its side.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
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


def of_algorithm(model: Model, state: State, batch: Batch) -> int:
    """Count the operations of the products and convolutions of one step, on average over the steps.

    An update with a lazy regularizer, at every k-th step, counts as one k-th. Products with a vector, as those of a
    power iteration, are not counted: they are few operations.

    Args:
        model: model, whose own step and players are counted.
        state: state of the model, or its shapes.
        batch: batch of one step, or its shapes.

    Returns:
        Number of multiplications and additions.
    """
    with convolutions_by_xla():
        total = Fraction(of_traced_step(model.step, state, batch))
        # In the traced step every update that may be due is computed.
        for step, every in _regularized_steps(model):
            total -= (1 - Fraction(1, every)) * of_traced_step(step, state, batch)
    return round(total)


def of_compiled_step(compiled: Compiled, model: Model, state: State, batch: Batch) -> float:
    """Count the operations of the compiled program of one step, elementwise ones included.

    XLA counts the body of a loop once, and an update with a lazy regularizer as if it were due at every step. The
    remaining iterations of a loop, the further updates of a player, are added here, and of an update at every k-th step
    one k-th is left.

    Args:
        compiled: program of one step of the model.
        model: model, whose own step and players are counted.
        state: state of the model, or its shapes.
        batch: batch of one update, or its shapes.

    Returns:
        Number of operations.
    """
    repeated = ((player.updates - 1, _step_of(player)) for player in model.players if player.updates > 1)
    rare = ((1 / every - 1, step) for step, every in _regularized_steps(model))
    return _flop(compiled) + sum(times * _flop(_compiled(step, state, batch)) for times, step in (*repeated, *rare))


def of_traced_step(step: Step, state: State, batch: Batch) -> int:
    """Count the operations of the products and convolutions of a step in which every update is due.

    Args:
        step: step function of a model.
        state: state of the model, or its shapes.
        batch: batch of one step, or its shapes.

    Returns:
        Number of multiplications and additions.
    """
    # A new function, because JAX caches the traces of functions that it has seen.
    jaxpr = jax.make_jaxpr(lambda *arguments: step(*arguments))(jax.random.key(0), state, batch)
    # Without operations whose results are not used, which a compiler removes as well.
    used, _ = dce_jaxpr(jaxpr.jaxpr, [True] * len(jaxpr.jaxpr.outvars))
    return _operations(used)


def _regularized_steps(model: Model) -> Iterator[tuple[Step, int]]:
    """For each lazy regularizer, a step with its update alone, on a slice of the batch; and its interval."""
    for player in model.players:
        for regularizer in player.regularizers:
            if regularizer.every > 1:
                yield _step_of(player._replace(loss=regularizer.loss), slices=model.slices), regularizer.every


def _operations(jaxpr: Jaxpr) -> int:
    """The operations of a program; a branch counts as much as the largest, the body of a loop once per iteration."""
    total = 0
    for equation in jaxpr.eqns:
        match equation.primitive.name:
            case "dot_general":
                total += _of_product(equation)
            case "conv_general_dilated":
                total += _of_convolution(equation)
            case "scan":
                total += equation.params["length"] * sum(map(_operations, _inner(equation)))
            case "cond":
                total += max(map(_operations, _inner(equation)))
            case _:
                total += sum(map(_operations, _inner(equation)))
    return total


def _of_product(equation: JaxprEqn) -> int:
    """Each element of the result is a sum over the contracted axes; 0 for products with a vector."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    (left, right), output = _shapes(equation)
    if min(len(left), len(right)) < 2:
        return 0
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


def _step_of(player: Player, *, slices: int = 1) -> Step:
    """A step that is one update of a player alone, with one of the slices of the batch."""
    _, step = game(lambda key, batch: {}, [player._replace(updates=1, regularizers=())])
    return lambda key, state, batch: step(key, state, jax.tree.map(lambda x: x[::slices], batch))


def _compiled(step: Step, state: State, batch: Batch) -> Compiled:
    compiled: Compiled = jit(step).lower(jax.random.key(0), state, batch).compile()
    return compiled


def _flop(compiled: Compiled) -> float:
    costs: Any = compiled.cost_analysis()
    return float(costs["flops"])
