"""The training loop: compiled chunks of many steps, with host code only between them.

A chunk is what callbacks receive. A training may consist of phases (`jaxgen.training.phases`), each with a compiled
program of its own (`jaxgen.training.stage_program`); a chunk never extends over two of them.

The key of step t and the examples of its batch are functions of (run key, t) alone, and one compiled program computes
any number of steps. A run that is stopped between two steps and continued therefore ends with the same bits.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_integers, check_key
from jaxgen.batch_checks import check_data
from jaxgen.data import Stream, batches_per_epoch, count_examples, example
from jaxgen.errors import DivergenceError, InputError
from jaxgen.game import Model, State
from jaxgen.interruption import deferred
from jaxgen.memory import bytes_of, check_memory, memory_errors
from jaxgen.training.chunk import Callback, Chunk, Divergence, Unfinished, assemble_history
from jaxgen.training.leaves import describe_sizes
from jaxgen.training.mesh import data_parallel_mesh
from jaxgen.training.phases import check_optimizers, check_steps, stages
from jaxgen.training.printed_progress import PrintedProgress
from jaxgen.training.seeds import add_seed_axis, extract_seed
from jaxgen.training.stage_program import NO_STEPS, StageProgram, chunk_of
from jaxgen.training.states import SMALLER, check_state, initial_state
from jaxgen.typing import Array, Batch, Key


class Fit(NamedTuple):
    """Result of a training.

    Attributes:
        state: last state, with a leading axis of seeds where several keys were given.
        diverged: number of the seed -> where it diverged, for those that did.
        compile_seconds: time of compilation, or of loading the programs from JAX's cache.
        history: metric name -> values at every step from `first_step` on, `[steps]`, or `[seeds, steps]` for several
            keys; masked at steps without a value.
    """

    state: State
    diverged: Mapping[int, Divergence]
    compile_seconds: float
    history: dict[str, np.ma.MaskedArray]

    def __repr__(self) -> str:
        """Return what was trained in one line, without the arrays."""
        shape = next(iter(self.history.values())).shape if self.history else (0,)
        seeds = shape[0] if len(shape) > 1 else None
        several = "" if seeds is None else f", {seeds} seeds"
        diverged = f", diverged: {sorted(self.diverged)}" if self.diverged else ""
        metrics = ", ".join(sorted(self.history))
        sizes = describe_sizes(self.state.params, seeds=seeds)
        return f"Fit(step {int(self.state.step)}{several}{diverged}, {sizes}, history of {shape[-1]} steps: {metrics})"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a training between two blocks of steps; nothing that was computed is lost.

    `fit(..., state=error.result.state, first_step=error.step, diverged=error.result.diverged,
    unfinished=error.unfinished)` continues the training, with the same bits and the same calls of the callbacks as
    without the interruption.

    Attributes:
        step: number of completed steps.
        result: what `fit` would have returned if these were all steps.
        unfinished: the steps since the callbacks were called last.
    """

    def __init__(self, step: int, result: Fit, unfinished: Unfinished) -> None:
        super().__init__(f"interrupted after step {step}")
        self.step, self.result, self.unfinished = step, result, unfinished


@memory_errors(SMALLER)
def fit(
    model: Model,
    data: Batch | Stream,
    *,
    key: Key[Array, "..."],
    steps: int,
    batch_size: int,
    state: State | None = None,
    first_step: int = 0,
    diverged: Mapping[int, Divergence] | None = None,
    unfinished: Unfinished | None = None,
    chunk: int = 100,
    callbacks: Sequence[Callback] = (),
    on_compiled: Callable[[float], None] | None = None,
    stop: Callable[[Chunk], bool] | None = None,
    devices: Sequence[jax.Device] | None = None,
    progress: bool = False,
) -> Fit:
    """Train a model.

    Args:
        model: model to train.
        data: arrays whose leading axis is that of the examples, copied to the device once; or a stream.
        key: key of the run. An array of keys trains as many independent seeds in one compiled program; seed i is the
            run of key i alone, within float32 rounding.
        steps: number of steps in all, including those before `first_step`.
        batch_size: number of examples in one update of a player; phases may have their own.
        state: state to continue from, `model.init` where it is None. Its buffers are not changed.
        first_step: number of steps that `state` has completed, `state.step`.
        diverged: seeds that had diverged before `first_step`.
        unfinished: steps before `first_step` for which the callbacks have not been called, see `Interrupted`.
        chunk: largest number of steps between two calls of the callbacks, at least 1.
        callbacks: functions called in this order after every chunk.
        on_compiled: function called after each compilation with its seconds.
        stop: function called after the callbacks: whether the training ends with this chunk, e.g. because a validation
            metric no longer improves.
        devices: devices over which the batch is sharded; all local ones where it is None.
        progress: whether to print the losses and the speed to stderr every few seconds.

    Returns:
        The last state, the history of metrics, and the seeds that diverged: they are computed to the end beside the
        others but have no meaning.

    Raises:
        InputError: if `check_data` refuses the data, a number of steps or the batch size is impossible, see
            `check_batch_size`, the state is not one of this model for these seeds, or the device has too little memory.
        DivergenceError: if a loss or a gradient is not finite, in the only seed or in all of them. The callbacks are
            not called for the chunk in which that happened.
        Interrupted: a KeyboardInterrupt with the state and the history so far, when Ctrl-C is pressed after the first
            compilation; raised when the running steps, of about a second, are complete.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.models import vae
        >>> digits = load("digits")
        >>> model = vae.build(vae.Config(hidden=(32,), latent_dim=2), digits)
        >>> result = fit(model, digits, key=jax.random.key(0), steps=20, batch_size=64)
        >>> int(result.state.step), result.history["vae/loss"].shape
        (20, (20,))
    """
    check_arguments(model, data, key)
    _check_numbers(key, steps=steps, batch_size=batch_size, first_step=first_step, chunk=chunk)
    _check_examples(model, data)
    check_batch_size(model, data, batch_size, devices)
    callbacks = [*callbacks, PrintedProgress(first_step, steps)] if progress else callbacks
    callbacks = callbacks if key.ndim else [_of_single_seed(callback) for callback in callbacks]
    keys = key if key.ndim else key[None]
    now = _first_state(model, keys, state, data, first_step, several_seeds=key.ndim == 1)
    lost, compile_seconds = dict(diverged or {}), 0.0
    unfinished = unfinished or NO_STEPS
    chunks: list[tuple[int, dict[str, np.ndarray]]] = []

    def result_at(step: int) -> Fit:
        history: dict[str, Any] = assemble_history(chunks, first_step, step, keys.size)
        if key.ndim:
            return Fit(now, lost, compile_seconds, history)
        return Fit(extract_seed(now, 0), lost, compile_seconds, {name: values[0] for name, values in history.items()})

    def call_back(chunk: Chunk) -> bool:
        for callback in callbacks:
            chunk = chunk._replace(metrics={**chunk.metrics, **(callback(chunk) or {})})
        chunks.append((chunk.step, chunk.metrics))
        return stop is not None and stop(chunk)

    every_stage = stages(model, steps)
    remaining = [stage for stage in every_stage if stage.steps.stop > first_step]
    check_optimizers(remaining, now)
    check_steps(remaining[1:], now, batch_size, example(data))  # The first one is compiled at once.
    if unfinished.steps and not remaining:  # Fewer steps than before: the chunk ends here.
        call_back(chunk_of(every_stage[-1], steps, now, unfinished, lost))
    with contextlib.ExitStack() as training:
        interrupted: Callable[[], bool] = bool  # Never.
        for stage in remaining:
            if interrupted():
                raise Interrupted(stage.steps.start, result_at(stage.steps.start), NO_STEPS)
            program = StageProgram(model, data, keys, now, stage, first_step, batch_size, chunk, devices)
            compile_seconds += program.compile_seconds
            if on_compiled is not None:
                on_compiled(program.compile_seconds)
            if stage is remaining[0]:
                interrupted = training.enter_context(deferred("the running steps are completed first"))
            for result, rest in program.run(lost, unfinished, interrupted):
                now, lost, unfinished = result.state, dict(result.diverged), NO_STEPS
                if len(lost) == keys.size:
                    raise DivergenceError(_sentence(lost))
                if rest is not None:
                    if rest.steps:
                        chunks.append((result.step, result.metrics))
                    raise Interrupted(result.step, result_at(result.step), rest)
                if call_back(result):
                    return result_at(result.step)
        if interrupted():
            raise Interrupted(steps, result_at(steps), NO_STEPS)
    return result_at(steps)


def check_batch_size(
    model: Model, data: Batch | Stream, batch_size: int, devices: Sequence[jax.Device] | None = None
) -> None:
    """Check that a model can be trained with batches of a size, in all of its phases.

    Args:
        model: model in whose step every update uses a batch of its own.
        data: arrays whose leading axis is that of the examples, or a stream.
        batch_size: number of examples in one update of a player.
        devices: devices over which the batch is sharded; all local ones where it is None.

    Raises:
        InputError: if the data have fewer examples than a step needs, or the batch does not divide by the devices.

    Example:
        >>> from jaxgen.models import gan
        >>> points = {"point": np.zeros((100, 2), np.float32)}
        >>> check_batch_size(gan.build(gan.Config(discriminator_updates=5), points), points, 30)
        Traceback (most recent call last):
            ...
        jaxgen.errors.InputError: a step has 5 updates with 30 examples each and the data have only 100: give a batch
        size of at most 20
    """
    examples = count_examples(data)
    sizes = [(phase.slices, phase.batch_size or batch_size) for phase in model.phases] or [(model.slices, batch_size)]
    for slices, size in sizes:
        batches_per_epoch(examples=examples, batch_size=size)
        if size * slices > examples:
            raise InputError(
                f"a step has {slices} updates with {size} examples each and the data have only {examples}: "
                f"give a batch size of at most {examples // slices}"
            )
        data_parallel_mesh(size, devices)


def check_arguments(model: Any, data: Any, key: Any) -> None:
    """Check the types of a model, of data and of a key or several.

    Args:
        model: must be a model.
        data: must be a mapping of arrays that have an axis of examples, or a stream.
        key: must be a typed PRNG key, or an array of them.

    Raises:
        InputError: if one of them is not.

    Example:
        >>> check_arguments("vae", {}, 0)
        Traceback (most recent call last):
            ...
        jaxgen.errors.InputError: model must be a jaxgen.Model, got str: build one, as by jaxgen.models.vae.build
    """
    if not isinstance(model, Model):
        raise InputError(
            f"model must be a jaxgen.Model, got {type(model).__name__}: build one, as by jaxgen.models.vae.build"
        )
    if not isinstance(data, Stream | Mapping):
        raise InputError(
            f"data must be a mapping of arrays or a stream, got {type(data).__name__}: use jaxgen.data.load"
        )
    for name, array in ({} if isinstance(data, Stream) else data).items():
        known = name in ("image", "point", "label")  # See check_data.
        is_array = isinstance(array, np.ndarray | jax.Array)
        if not is_array or not array.ndim or (not known and array.dtype.kind in "OUS"):
            got = f"{array.dtype} {array.shape}" if hasattr(array, "shape") else type(array).__name__
            raise InputError(f"{name} of the data must be an array of numbers with an axis of examples, got {got}")
    check_key(key, several=True)


def _first_state(
    model: Model,
    keys: Key[Array, " seeds"],
    state: State | None,
    data: Batch | Stream,
    first_step: int,
    *,
    several_seeds: bool,
) -> State:
    """The state from which the training starts, with an axis of seeds; its buffers may be overwritten."""
    if state is None:
        state = initial_state(model, keys, example(data))
    elif not isinstance(state, State):
        raise InputError(f"state must be a jaxgen.State, got {type(state).__name__}: give the state of a result of fit")
    else:
        # A copy: what the caller still holds must survive the donation of the buffers.
        state = _copy(state) if several_seeds else _copy_with_seed_axis(state)
        check_state(model, keys, state, example(data))
    if int(state.step) != first_step:
        raise InputError(
            f"first_step must be the number of steps that the state has completed, {int(state.step)}, got {first_step}"
        )
    return state


@jax.jit
def _copy(state: State) -> State:
    return jax.tree.map(jnp.copy, state)


@jax.jit
def _copy_with_seed_axis(state: State) -> State:
    return add_seed_axis(_copy(state))


def _of_single_seed(callback: Callback) -> Callback:
    """The callback of a run of one key, whose chunks have no axis of seeds."""

    def call(chunk: Chunk) -> dict[str, np.ndarray]:
        metrics = {name: values[0] for name, values in chunk.metrics.items()}
        added = callback(chunk._replace(state=extract_seed(chunk.state, 0), metrics=metrics)) or {}
        return {name: np.ma.asanyarray(values)[None] for name, values in added.items()}

    return call


def _check_numbers(key: Key[Array, "..."], *, steps: int, batch_size: int, first_step: int, chunk: int) -> None:
    check_integers(steps=steps, batch_size=batch_size, first_step=first_step, chunk=chunk)
    if chunk < 1:
        raise InputError(f"chunk must be at least 1, got {chunk}")
    if first_step < 0:
        raise InputError(f"first_step must be at least 0, got {first_step}")
    if steps < first_step:
        raise InputError(f"steps must be at least first_step, which is {first_step}, got {steps}")
    if key.ndim > 1 or key.size == 0:
        raise InputError(f"key must be one key, or one for each of at least one seed, got keys of shape {key.shape}")


def _check_examples(model: Model, data: Batch | Stream) -> None:
    """Refuse data that are in memory but are no examples of the model, or of which the device cannot hold a copy."""
    if not isinstance(data, Stream):
        (check_data if model.check is None else model.check)(data)
        check_memory("a copy of the data on the device", bytes_of(dict(data)), "stream them from disk")


def _sentence(diverged: Mapping[int, Divergence]) -> str:
    if len(diverged) == 1:
        return str(next(iter(diverged.values())))
    return "every seed diverged: " + "; ".join(f"in seed {seed} {where}" for seed, where in sorted(diverged.items()))
