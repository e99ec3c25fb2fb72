"""The training loop: compiled chunks of many turns, host code only between them.

A chunk is what the host looks at. Where the batches of a whole chunk would take too much memory, it is played in blocks
of fewer turns, of which the hooks know nothing.

The key of turn t and the examples it sees are functions of (run key, t) alone, and one compiled program plays chunks
of any length. A run that is stopped between two chunks and continued therefore ends with the same bits.

How turns are compiled (`jaxgen.training.compiler`) was chosen by measurement on the CPU (`benchmarks/train_step.py`). A
loop of turns takes 0.6 to 1.1 times as long as single calls, each of which finds fresh memory. A player's moves are a
loop within the turn: unrolled, those of WGAN-GP took 3 % less time, and the compiler a third more. Several seeds are
the business of `jaxgen.training.seeds`. Random numbers are drawn by threefry: they take 0.1 to 5 % of a turn, and as
long from XLA's own generator.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgen.data import Stream, batches_per_epoch, count_examples
from jaxgen.errors import DivergenceError, InputError
from jaxgen.game import Model, State
from jaxgen.training.batch_feed import BatchFeed, from_arrays, from_stream
from jaxgen.training.compiler import jit
from jaxgen.training.mesh import data_parallel_mesh, replicate, spread
from jaxgen.training.seeds import over_seeds
from jaxgen.typing import Array, Batch, Key, KeyArray, Metrics


class Divergence(NamedTuple):
    """Where a run left the numbers.

    Attributes:
        step: the turn, counted from 1.
        player: whose loss or gradient was the first to be NaN or infinite.
        quantity: `loss` or `gradient_norm`.
    """

    step: int
    player: str
    quantity: str

    def __str__(self) -> str:
        """Say it in one sentence."""
        return f"the {self.quantity.replace('_', ' ')} of player '{self.player}' is not finite at step {self.step}"


class Chunk(NamedTuple):
    """What the host sees between two compiled chunks.

    Attributes:
        step: turns played so far.
        state: after these turns. Its buffers are given away to the next chunk: copy what must last.
        metrics: metric name -> its value at every turn of the chunk, `[turns]`, or `[runs, turns]` for several.
        seconds: wall-clock time that the chunk took, compilation excluded.
        diverged: number of the run -> where it diverged.
    """

    step: int
    state: State
    metrics: dict[str, np.ndarray]
    seconds: float
    diverged: Mapping[int, Divergence]

    @property
    def turns(self) -> int:
        """How many turns the chunk had."""
        return next(iter(self.metrics.values())).shape[-1]

    def passes(self, every: int) -> bool:
        """Whether a multiple of so many turns is reached or passed in this chunk: time for what happens that often."""
        return self.step // every > (self.step - self.turns) // every

    @property
    def newly_diverged(self) -> dict[int, Divergence]:
        """The runs that diverged in this very chunk."""
        return {run: where for run, where in self.diverged.items() if where.step > self.step - self.turns}


class Fit(NamedTuple):
    """The end of a training.

    Attributes:
        state: the last one, with a leading axis of runs where several keys were given.
        diverged: number of the run -> where it diverged, for those that did.
        compile_seconds: time that the compiler took for the turns, or to find the program in JAX's cache.
    """

    state: State
    diverged: Mapping[int, Divergence]
    compile_seconds: float


class RunKeys(NamedTuple):
    """The independent streams of randomness of one run."""

    init: KeyArray
    order: KeyArray
    turns: KeyArray
    images: KeyArray
    judging: KeyArray


def run_keys(key: KeyArray) -> RunKeys:
    """Split the key of a run: for its first state, the order of its data, its turns, and two ways to look at it."""
    return RunKeys(*jax.random.split(key, 5))


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
    chunk: int = 100,
    callbacks: Sequence[Callable[[Chunk], None]] = (),
    when_compiled: Callable[[float], None] | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Fit:
    """Train a model.

    Args:
        model: what to train.
        data: arrays whose leading axis are the examples, moved to the device once; or a stream.
        key: of the run. An array of keys trains as many independent runs in one compiled program; run i is the one
            that key i alone gives, within float32 rounding.
        steps: turns in all, those before `first_step` included.
        batch_size: examples that a player sees in one move.
        state: where to go on from, `model.init` where there is none. It stays as it is.
        first_step: turns that `state` has behind it.
        diverged: runs that had diverged before `first_step`.
        chunk: turns between two looks of the host, at least 1.
        callbacks: called after every chunk: progress, logs, checkpoints, pictures.
        when_compiled: called once, before the first chunk if there is one, with the seconds that the compiler took.
        devices: over which the batch is spread, all local ones where nothing is given.

    Returns:
        The last state, and the runs that diverged: they are played on beside the others but mean nothing.

    Raises:
        InputError: if a number of turns is impossible, or the batch size, which `check_batch_size` looks at.
        DivergenceError: if a loss or a gradient is not finite, in the only run or in all of them. The hooks have not
            seen the chunk in which that happened.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.models import vae
        >>> digits = load("digits")
        >>> model = vae.build(vae.Config(hidden=(32,), latent_dim=2), digits)
        >>> result = fit(model, digits, key=jax.random.key(0), steps=20, batch_size=64)
        >>> int(result.state.step)
        20
    """
    _check_turns(key, steps, first_step, chunk)
    check_batch_size(model, data, batch_size, devices)
    mesh = data_parallel_mesh(batch_size, devices)
    feed = _feed(data, key, batch_size * model.slices, chunk, mesh)
    state = initial_state(model, key, feed.example) if state is None else state
    # Copies: a state that the caller still holds must survive the donation of its buffers.
    state = replicate(jax.tree.map(jnp.copy, state), mesh)
    players = [player.name for player in model.players]
    lost = dict(diverged or {})
    if first_step == steps:
        return Fit(state, lost, compile_seconds=0.0)
    chunks = _cut(range(first_step, steps), chunk)
    fetches = (feed.fetch(block.start, len(block)) for turns in chunks for block in _cut(turns, feed.turns))
    fetched = next(fetches)
    started = time.perf_counter()
    compiled = _compile(model, feed, mesh, key, state, fetched)
    compile_seconds = time.perf_counter() - started
    if when_compiled is not None:
        when_compiled(compile_seconds)
    for turns in chunks:
        started = time.perf_counter()
        histories = []
        for block in _cut(turns, feed.turns):
            state, history = compiled(key, state, fetched, np.int32(block.start), np.int32(len(block)))
            fetched = next(fetches, None)  # While the device computes.
            histories.append({name: np.asarray(values)[..., : len(block)] for name, values in history.items()})
        metrics = {name: np.concatenate([h[name] for h in histories], axis=-1) for name in histories[0]}
        seconds = time.perf_counter() - started
        lost = find_divergence(metrics, players, turns.start) | lost
        if len(lost) == key.size:
            raise DivergenceError(_one_sentence(lost))
        for hook in callbacks:
            hook(Chunk(turns.stop, state, metrics, seconds, lost))
    return Fit(state, lost, compile_seconds)


def check_batch_size(
    model: Model, data: Batch | Stream, batch_size: int, devices: Sequence[jax.Device] | None = None
) -> None:
    """Find out whether a model can be trained with batches of this size.

    Args:
        model: in one turn of which every move takes a batch of its own.
        data: arrays whose leading axis are the examples, or a stream.
        batch_size: examples that a player sees in one move.
        devices: over which the batch is spread, all local ones where nothing is given.

    Raises:
        InputError: if the data hold fewer examples than a turn needs, or the batch cannot be spread over the devices.

    Example:
        >>> from jaxgen.models import gan
        >>> points = {"point": np.zeros((100, 2), np.float32)}
        >>> check_batch_size(gan.build(gan.Config(discriminator_updates=5), points), points, 30)
        Traceback (most recent call last):
            ...
        jaxgen.errors.InputError: a turn has 5 moves on 30 examples each and the data hold only 100: give a batch size
        of at most 20
    """
    examples = count_examples(data)
    batches_per_epoch(examples=examples, batch_size=batch_size)
    if batch_size * model.slices > examples:
        raise InputError(
            f"a turn has {model.slices} moves on {batch_size} examples each and the data hold only {examples}: "
            f"give a batch size of at most {examples // model.slices}"
        )
    data_parallel_mesh(batch_size, devices)


def initial_state(model: Model, key: Key[Array, "..."], example: Batch) -> State:
    """The state before the first turn, with a leading axis of runs where several keys are given."""

    def init(key: KeyArray) -> State:
        return model.init(run_keys(key).init, example)

    return jax.jit(jax.vmap(init) if key.ndim else init)(key)


def find_divergence(
    metrics: Mapping[str, np.ndarray], players: Iterable[str], first_step: int
) -> dict[int, Divergence]:
    """Look for the first loss or gradient that is not finite, in every run.

    Args:
        metrics: metric name -> value at every turn, `[turns]` or `[runs, turns]`.
        players: in order of moving: what one of them spoils, the next ones inherit within the turn.
        first_step: turns played before these.

    Returns:
        Number of the run -> where it diverged.

    Example:
        >>> find_divergence({"vae/loss": np.array([1.0, np.nan])}, ["vae"], 100)
        {0: Divergence(step=102, player='vae', quantity='loss')}
    """
    found: dict[int, Divergence] = {}
    for player in players:
        for quantity in ("loss", "gradient_norm"):
            name = f"{player}/{quantity}"
            if name not in metrics:
                continue
            for run, values in enumerate(np.atleast_2d(metrics[name])):
                bad = np.flatnonzero(~np.isfinite(values))
                if len(bad) and (run not in found or first_step + bad[0] + 1 < found[run].step):
                    found[run] = Divergence(first_step + int(bad[0]) + 1, player, quantity)
    return found


def _check_turns(key: Key[Array, "..."], steps: int, first_step: int, chunk: int) -> None:
    if chunk < 1:
        raise InputError(f"chunk must be at least 1, got {chunk}")
    if first_step < 0:
        raise InputError(f"first_step must be at least 0, got {first_step}")
    if steps < first_step:
        raise InputError(f"steps must be at least first_step, which is {first_step}, got {steps}")
    if key.ndim > 1 or key.size == 0:
        raise InputError(f"key must be one key, or one for each of at least one run, got keys of shape {key.shape}")


def _cut(turns: range, length: int) -> list[range]:
    """Cut turns into parts. All but the last end at a multiple of the length, wherever the first begins."""
    firsts = range(turns.start - turns.start % length, turns.stop, length)
    return [range(max(first, turns.start), min(first + length, turns.stop)) for first in firsts]


def _feed(data: Batch | Stream, key: Key[Array, "..."], examples_a_turn: int, chunk: int, mesh: Mesh) -> BatchFeed:
    if isinstance(data, Stream):
        order_keys = jax.vmap(run_keys)(key).order if key.ndim else run_keys(key).order
        return from_stream(data, order_keys, examples_a_turn, chunk, mesh)
    return from_arrays(data, examples_a_turn, chunk, mesh)


def _compile(
    model: Model, feed: BatchFeed, mesh: Mesh, key: Key[Array, "..."], state: State, fetched: Any
) -> Callable[..., tuple[State, Metrics]]:
    """Compile `(key, state, fetched, first, count) -> (state, history)`, which plays `count` turns from `first` on."""

    def play(key: KeyArray, state: State, fetched: Any, first: Array, count: Array) -> tuple[State, Metrics]:
        keys = run_keys(key)

        def turn(i: Array, state: State) -> tuple[State, Metrics]:
            batch = spread(feed.draw(fetched, keys.order, first + i, i), mesh)
            return model.step(jax.random.fold_in(keys.turns, first + i), state, batch)

        def record(i: Array, carry: tuple[State, Metrics]) -> tuple[State, Metrics]:
            state, history = carry
            state, metrics = turn(i, state)
            return state, jax.tree.map(lambda h, m: h.at[i].set(m), history, metrics)

        metrics = jax.eval_shape(turn, first, state)[1]
        history = jax.tree.map(lambda m: jnp.zeros((feed.turns, *m.shape), m.dtype), metrics)
        return jax.lax.fori_loop(0, count, record, (state, history))

    def play_all(
        key: Key[Array, " runs"], state: State, fetched: Any, first: Array, count: Array
    ) -> tuple[State, Metrics]:
        if feed.per_run:
            return over_seeds(lambda run: play(run[0], run[1], run[2], first, count))((key, state, fetched))
        return over_seeds(lambda run: play(run[0], run[1], fetched, first, count))((key, state))

    # The new state is laid out as the old one was: it is the next call's argument, in the old one's buffers.
    layout = NamedSharding(mesh, PartitionSpec())
    chunk_of_turns = jit(play_all if key.ndim else play, donate_argnums=1, out_shardings=layout)
    return chunk_of_turns.lower(key, state, fetched, np.int32(0), np.int32(0)).compile()


def _one_sentence(diverged: Mapping[int, Divergence]) -> str:
    if len(diverged) == 1:
        return str(next(iter(diverged.values())))
    return "every run diverged: " + "; ".join(f"in run {run} {where}" for run, where in sorted(diverged.items()))
