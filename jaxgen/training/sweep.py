"""Sweeps: a grid of numeric options times seeds, trained in one compiled program.

The options are arguments of the program, not constants in it, so one compilation serves all points of the grid. A point
and a seed together are what a seed is in `jaxgen.training.fit`: their states are stacked along the same axis, and the
options of each are stored in its state while it is trained.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.data import Stream
from jaxgen.data import example as example_of
from jaxgen.errors import InputError
from jaxgen.game import Model, Phase, State
from jaxgen.training.chunk import Divergence
from jaxgen.training.loop import fit
from jaxgen.training.seeds import extract_seeds, over_seeds
from jaxgen.training.states import compute_state, run_keys, with_pretrained
from jaxgen.typing import Array, Batch, Float, Key, KeyArray

OPTIONS = "swept options"
"""Entry of `State.stats` with the values of the options, beside the statistics of the networks."""

MOST_POINTS = 10_000
"""Largest number of points of a grid, each of which has a model that is built and a state in memory."""

Build = Callable[[Mapping[str, Any]], Model]
"""Function of the options that returns the model: option name -> value, a number or a traced array of one."""


class Point(NamedTuple):
    """A point of a grid and what its seeds ended with.

    Attributes:
        options: option name -> value.
        state: last state, with a leading axis of seeds.
        diverged: number of the seed -> where it diverged.
        history: metric name -> values at every step, `[seeds, steps]`.
    """

    options: Mapping[str, float]
    state: State
    diverged: Mapping[int, Divergence]
    history: Mapping[str, np.ndarray]


def grid(axes: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """Return all combinations of the values of some options.

    Args:
        axes: option name -> its values.

    Returns:
        One mapping for each combination; the last option varies fastest.

    Raises:
        InputError: if `check_axes` refuses them.

    Example:
        >>> grid({"learning_rate": [1e-4, 1e-3], "beta": [1.0, 4.0]})[1]
        {'learning_rate': 0.0001, 'beta': 4.0}
    """
    check_axes(axes)
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def check_axes(axes: Mapping[str, Sequence[float]]) -> None:
    """Check the values of the options of a sweep.

    Args:
        axes: option name -> its values.

    Raises:
        InputError: if there is no option, a value is not a finite number of float32, two values of an option are the
            same, or there are more than 10,000 combinations.

    Example:
        >>> check_axes({"beta": [1.0, 1.0]})
        Traceback (most recent call last):
            ...
        jaxgen.errors.InputError: the values of beta must be finite numbers that differ in float32, got 1.0, 1.0
    """
    if not axes:
        raise InputError("a sweep must have at least one option, got none: train a single run")
    for name, values in axes.items():
        with np.errstate(over="ignore"):
            numbers = [np.float32(value) if isinstance(value, int | float | np.number) else np.nan for value in values]
        if not numbers or not np.isfinite(numbers).all() or len(set(numbers)) < len(numbers):
            found = ", ".join(map(str, values)) or "none"
            raise InputError(f"the values of {name} must be finite numbers that differ in float32, got {found}")
    if (count := math.prod(map(len, axes.values()))) > MOST_POINTS:
        raise InputError(f"a sweep must have at most {MOST_POINTS:,} combinations, got {count:,}: give fewer values")


def fit_sweep(
    build: Build,
    data: Batch | Stream,
    *,
    axes: Mapping[str, Sequence[float]],
    key: Key[Array, " seeds"],
    steps: int,
    batch_size: int,
    **options: Any,
) -> list[Point]:
    """Train a model at all points of a grid of numeric options, with the same seeds at each.

    Args:
        build: function of the options that returns the model, e.g.
            `lambda options: vae.build(dataclasses.replace(config, **options), data)`.
        data: arrays whose leading axis is that of the examples, or a stream.
        axes: option name -> its values.
        key: keys of the seeds.
        steps: number of steps.
        batch_size: number of examples in one update of a player.
        **options: further arguments of `fit`, such as callbacks. In what callbacks receive, seed `p * seeds + s` is
            seed s of point p, and the state belongs to `swept(build, axes)`.

    Returns:
        The points in the order of `grid`. Each seed of a point is the run of its key and its options alone, within
        float32 rounding.

    Raises:
        InputError: if an option decides what is compiled, so that its value must be known before, or see `fit`.
        DivergenceError: if all seeds of all points diverge.

    Example:
        >>> import dataclasses
        >>> from jaxgen.data import load
        >>> from jaxgen.models import vae
        >>> from jaxgen.training import seed_keys
        >>> digits, config = load("digits"), vae.Config(hidden=(8,), latent_dim=2)
        >>> points = fit_sweep(
        ...     lambda options: vae.build(dataclasses.replace(config, **options), digits),
        ...     digits, axes={"beta": [1.0, 4.0]}, key=seed_keys(0, 2), steps=3, batch_size=16,
        ... )
        >>> [(point.options, point.history["vae/loss"].shape) for point in points]
        [({'beta': 1.0}, (2, 3)), ({'beta': 4.0}, (2, 3))]
    """
    points, keys = grid(axes), jnp.atleast_1d(key)
    model = swept(build, axes)
    state = sweep_state(build, points, keys, example_of(data))
    run = fit(model, data, key=jnp.tile(keys, len(points)), steps=steps, batch_size=batch_size, state=state, **options)
    return [point_of(points, number, keys.size, run.state, run.diverged, run.history) for number in range(len(points))]


def swept(build: Build, axes: Mapping[str, Sequence[float]]) -> Model:
    """Return a model whose functions take the values of some options from the state.

    Args:
        build: function of the options that returns the model.
        axes: option name -> its values.

    Returns:
        The model. Its functions of a state compute what those of the model with the state's options would.

    Raises:
        InputError: if a value is impossible, or an option decides what is compiled.
    """
    first, *_ = [build(point) for point in grid(axes)]  # All of them, because traced values are not checked.
    zeros = {name: jnp.zeros(()) for name in axes}
    _check_traceable(build, axes)

    def init(key: KeyArray, batch: Batch) -> State:
        return _with_options(first.init(key, batch), zeros)

    def of_state(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **conditions: Any) -> Any:
            state, options = _separated(next(x for x in arguments if isinstance(x, State)))
            function = getattr(build(options), name)
            return function(*(state if isinstance(x, State) else x for x in arguments), **conditions)

        return call

    def step_of(choose: Callable[[Model], Any]) -> Callable[..., Any]:
        def step(key: KeyArray, state: State, batch: Batch) -> tuple[State, Any]:
            plain, options = _separated(state)
            after, metrics = choose(build(options))(key, plain, batch)
            return _with_options(after, options), metrics

        return step

    def phase_of(number: int, phase: Phase) -> Phase:
        return phase._replace(step=step_of(lambda model: model.phases[number].step))

    posterior = ("sample_posterior", "latent_densities")
    names = ("sample", "encode", "decode", "reconstruct", "predict", "evaluate", *posterior)
    functions: dict[str, Any] = {name: of_state(name) for name in names if getattr(first, name) is not None}
    phases = tuple(phase_of(number, phase) for number, phase in enumerate(first.phases))
    step = step_of(lambda model: model.step)
    return first._replace(init=init, step=step, phases=phases, styles=None, style_transfer=None, **functions)


def sweep_state(
    build: Build, points: Sequence[Mapping[str, float]], keys: Key[Array, " seeds"], example: Batch
) -> State:
    """Return the state before the first step of all seeds of all points.

    Args:
        build: function of the options that returns the model.
        points: points of the grid.
        keys: keys of the seeds of each point.
        example: smallest batch that shows the shapes of the data.

    Returns:
        A state with a leading axis of points times seeds, with the options in its statistics.
    """
    options = {name: jnp.repeat(jnp.array([point[name] for point in points]), keys.size) for name in points[0]}

    def of_seed(run: tuple[KeyArray, Mapping[str, Array]]) -> State:
        key, values = run
        return _with_options(build(values).init(run_keys(key).init, example), values)

    seeds = (jnp.tile(keys, len(points)), options)
    return with_pretrained(
        build(points[0]),
        lambda: compute_state(
            over_seeds(of_seed), seeds, what="the states of the sweep", advice="give fewer values or seeds"
        ),
    )


def point_of(
    points: Sequence[Mapping[str, float]],
    number: int,
    seeds: int,
    state: State,
    diverged: Mapping[int, Divergence],
    history: Mapping[str, np.ndarray],
) -> Point:
    """Return one point of a sweep from the states and metrics of all.

    Args:
        points: points of the grid.
        number: number of the point.
        seeds: number of seeds of each point.
        state: state of all seeds of all points.
        diverged: number of the seed -> where it diverged, of all.
        history: metric name -> values, `[points * seeds, steps]`.

    Returns:
        The point; its state is one of the model without the options.
    """
    first, last = number * seeds, (number + 1) * seeds
    own = extract_seeds(without_options(state), first, seeds)
    lost = {seed - first: where for seed, where in diverged.items() if first <= seed < last}
    return Point(points[number], own, lost, {name: values[first:last] for name, values in history.items()})


def without_options(state: State) -> State:
    """Return the state of a sweep without the options, that of the model of a point.

    Args:
        state: state of one seed or of several.

    Returns:
        The state.
    """
    return state.replace(stats={name: value for name, value in state.stats.items() if name != OPTIONS})


def _with_options(state: State, options: Mapping[str, Float[Array, ""]]) -> State:
    return state.replace(stats={**state.stats, OPTIONS: dict(options)})


def _separated(state: State) -> tuple[State, dict[str, Float[Array, ""]]]:
    return without_options(state), state.stats[OPTIONS]


def _check_traceable(build: Build, axes: Mapping[str, Sequence[float]]) -> None:
    """Refuse options whose value must be known before a program is compiled, each by its name."""
    for name, values in axes.items():
        others = {other: values[0] for other, values in axes.items() if other != name}
        try:
            jax.eval_shape(partial(_built_with, build, name, others), jax.ShapeDtypeStruct((), jnp.float32))
        except jax.errors.JAXTypeError:
            raise not_traceable(name) from None


def not_traceable(name: str) -> InputError:
    """Return the error for an option whose value must be known before a program is compiled.

    Args:
        name: name of the option.

    Returns:
        The error.
    """
    return InputError(
        f"the option '{name}' cannot be swept in one program, because its value decides what is compiled: train a run "
        "for each of its values"
    )


def _built_with(build: Build, name: str, others: Mapping[str, float], value: Array) -> Array:
    build({**others, name: value})
    return value
