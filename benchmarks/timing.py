"""Timing in interleaved repeats: whatever else the machine does, it does to all sides alike.

jaxgen is timed as users run it, through `fit`. Its hooks are called between compiled chunks, so that is where the
others take their turns: one repeat of each, over and over, in one process.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np

from jaxgen.data import batch_indices, take
from jaxgen.game import Model, State
from jaxgen.training.loop import Chunk, fit
from jaxgen.typing import Array, Batch, KeyArray

FIT = "jaxgen fit"
STEP = "jaxgen step"


class Times(NamedTuple):
    """What was measured of one side.

    Attributes:
        milliseconds: a turn, one number per repeat.
    """

    milliseconds: list[float]

    @property
    def median(self) -> float:
        """Of the repeats, milliseconds a turn."""
        return statistics.median(self.milliseconds)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a share of the median."""
        lower, _, upper = statistics.quantiles(self.milliseconds, n=4)
        return (upper - lower) / 2 / self.median


def interleaved(
    model: Model,
    data: Batch,
    *,
    batch_size: int,
    turns: int,
    repeats: int,
    others: Mapping[str, Callable[[int], None]],
) -> tuple[dict[str, Times], float]:
    """Time jaxgen's `fit` and, between its chunks, everything else.

    Args:
        model: what `fit` trains.
        data: on which.
        batch_size: examples a move.
        turns: of one repeat, a multiple of the chunk.
        repeats: that count; one more, the first, warms up and does not.
        others: name -> a function that plays so many turns and returns when they are over.

    Returns:
        Name -> times, `fit` among them; and the seconds that compiling `fit`'s program took.
    """
    milliseconds: dict[str, list[float]] = {FIT: [], **{name: [] for name in others}}
    started = time.perf_counter()

    def repeat(chunk: Chunk) -> None:
        nonlocal started
        if chunk.step % turns:
            return
        milliseconds[FIT].append((time.perf_counter() - started) / turns * 1e3)
        for name, play in others.items():
            started = time.perf_counter()
            play(turns)
            milliseconds[name].append((time.perf_counter() - started) / turns * 1e3)
        started = time.perf_counter()

    steps = turns * (repeats + 1)
    result = fit(model, data, key=jax.random.key(0), steps=steps, batch_size=batch_size, hooks=[repeat])
    return {name: Times(values[1:]) for name, values in milliseconds.items()}, result.compile_seconds


def single_steps(model: Model, data: Batch, *, batch_size: int) -> Callable[[int], None]:
    """Play turns one by one, each a call of a jitted function that draws its batch and makes one step."""
    examples = len(next(iter(data.values())))

    def turn(key: KeyArray, state: State, data: Batch, number: Array) -> State:
        order_key, turns_key = jax.random.split(key)
        batch = take(data, batch_indices(order_key, number, examples=examples, batch_size=batch_size * model.slices))
        return model.step(jax.random.fold_in(turns_key, number), state, batch)[0]

    step = jax.jit(turn, donate_argnums=1)
    key = jax.random.key(0)
    on_device = jax.device_put(dict(data))
    state = jax.jit(model.init)(key, jax.tree.map(lambda array: array[:1], on_device))
    played = 0

    def play(turns: int) -> None:
        nonlocal state, played
        for number in range(played, played + turns):
            state = step(key, state, on_device, np.int32(number))
        played += turns
        jax.block_until_ready(state)

    return play
