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
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from jax.interpreters.partial_eval import dce_jaxpr
from jax.stages import Compiled

from jaxgen.game import Model, Player, State, Step, game
from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.training import jit
from jaxgen.typing import Batch

COUNTED = "products and convolutions of the traced step"
"""What `of_algorithm` counts."""


def of_algorithm(model: Model, state: State, batch: Batch, *, padding: bool = True) -> int:
    """Count the operations of the products and convolutions of one step, on average over the steps.

    An update with a lazy regularizer, at every k-th step, counts as one k-th. Products with a vector, as those of a
    power iteration, are not counted: they are few operations.

    Args:
        model: model, whose own step and players are counted.
        state: state of the model, or its shapes.
        batch: batch of one step, or its shapes.
        padding: as for `of_traced_step`.

    Returns:
        Number of multiplications and additions.
    """
    total = Fraction(of_traced_step(model.step, state, batch, padding=padding))
    # In the traced step every update that may be due is computed.
    for step, every in _regularized_steps(model):
        total -= (1 - Fraction(1, every)) * of_traced_step(step, state, batch, padding=padding)
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


def of_traced_step(step: Step, state: State, batch: Batch, *, padding: bool = True) -> int:
    """Count the operations of the products and convolutions of a step in which every update is due.

    Args:
        step: step function of a model.
        state: state of the model, or its shapes.
        batch: batch of one step, or its shapes.
        padding: whether multiplications of the zeros around the images of a convolution count, as PyTorch's counter
            does and XLA's does not.

    Returns:
        Number of multiplications and additions.
    """
    # The functions of jaxgen's own convolutions have other shapes of products.
    with convolutions_by_xla():
        # A new function, because JAX caches the traces of functions that it has seen.
        jaxpr = jax.make_jaxpr(lambda *arguments: step(*arguments))(jax.random.key(0), state, batch)
    # Without operations whose results are not used, which a compiler removes as well.
    used, _ = dce_jaxpr(jaxpr.jaxpr, [True] * len(jaxpr.jaxpr.outvars))
    return _operations(used, padding)


def further_iterations(jaxpr: Jaxpr, *, times: int = 1) -> Iterator[tuple[ClosedJaxpr, int]]:
    """Yield the body of each loop and the number of its iterations after the first, in all runs of the loop.

    XLA counts each body once, also that of a loop within a loop.

    Args:
        jaxpr: a traced program.
        times: how often the program runs.

    Yields:
        Loops whose number of iterations is known: their body, and the number.

    Example:
        >>> sums = lambda x: jax.lax.fori_loop(0, 3, lambda i, x: x + 1, x)
        >>> traced = jax.make_jaxpr(lambda x: jax.lax.fori_loop(0, 5, lambda i, x: sums(x), x))(1.0)
        >>> [count for _, count in further_iterations(traced.jaxpr)]
        [4, 10]
    """
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan":
            body, length = equation.params["jaxpr"], equation.params["length"]
            yield body, times * (length - 1)
            yield from further_iterations(body.jaxpr, times=times * length)
        else:
            for inner in _inner(equation):
                yield from further_iterations(inner, times=times)


def _regularized_steps(model: Model) -> Iterator[tuple[Step, int]]:
    """For each lazy regularizer, a step with its update alone, on a slice of the batch; and its interval."""
    for player in model.players:
        for regularizer in player.regularizers:
            if regularizer.every > 1:
                yield _step_of(player._replace(loss=regularizer.loss), slices=model.slices), regularizer.every


def _operations(jaxpr: Jaxpr, padding: bool) -> int:
    """The operations of a program; a branch counts as much as the largest, the body of a loop once per iteration."""
    total = 0
    for equation in jaxpr.eqns:
        inner = [_operations(program, padding) for program in _inner(equation)]
        match equation.primitive.name:
            case "dot_general":
                total += _of_product(equation)
            case "conv_general_dilated":
                total += _of_convolution(equation, padding)
            case "scan":
                total += equation.params["length"] * sum(inner)
            case "cond":
                total += max(inner)
            case _:
                total += sum(inner)
    return total


def _of_product(equation: JaxprEqn) -> int:
    """Each element of the result is a sum over the contracted axes; 0 for products with a vector."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    (left, right), output = _shapes(equation)
    if min(len(left), len(right)) < 2:
        return 0
    return 2 * math.prod(output) * math.prod(left[axis] for axis in contracted)


def _of_convolution(equation: JaxprEqn, padding: bool) -> int:
    """The multiplications of each pair of channels along each spatial axis."""
    numbers = equation.params["dimension_numbers"]
    (image, kernel), output = _shapes(equation)
    examples, features = (output[axis] for axis in numbers.out_spec[:2])
    channels = kernel[numbers.rhs_spec[1]]
    axes = zip(numbers.lhs_spec[2:], numbers.rhs_spec[2:], numbers.out_spec[2:], strict=True)
    sizes = [(image[i], kernel[k], output[o]) for i, k, o in axes]
    pairs = (
        map(_with_padding, sizes) if padding else (_within(equation, *size, axis) for axis, size in enumerate(sizes))
    )
    return 2 * examples * features * channels * math.prod(pairs)


def _with_padding(sizes: tuple[int, int, int]) -> int:
    """The number of pairs of a pixel of the input and a weight, along one axis.

    Of a pixel of the input, a weight and a pixel of the output that belong together, any two determine the third. So
    there are at most as many as the two smallest of the three sizes have pairs, however strides and dilations are
    distributed among the three in a forward pass, its transpose or a gradient.
    """
    return math.prod(sorted(sizes)[:2])


def _within(equation: JaxprEqn, pixels: int, window: int, outputs: int, axis: int) -> int:
    """The number of those pairs whose pixel is one of the input, not of the zeros around and between its pixels."""
    stride, of_window = (equation.params[name][axis] for name in ("window_strides", "rhs_dilation"))
    between, (before, _) = equation.params["lhs_dilation"][axis], equation.params["padding"][axis]
    places = np.arange(outputs)[:, None] * stride + np.arange(window) * of_window - before
    return int(np.sum((places >= 0) & (places <= (pixels - 1) * between) & (places % between == 0)))


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
