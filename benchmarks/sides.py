"""What is timed: jaxgen's training in two forms, PyTorch's, and the matrix product that both are held against."""

import time
from collections.abc import Iterator
from threading import Semaphore, Thread

import jax
import jax.numpy as jnp
import numpy as np
from workloads.twin import Batch as TorchBatch
from workloads.twin import Twin
from workloads.workload import FLOAT32, Data

from jaxgen.data import batch_indices, take
from jaxgen.game import Model, State
from jaxgen.training import jit
from jaxgen.training.loop import Chunk, fit
from jaxgen.training.loop import Fit as Result
from jaxgen.typing import Array, Batch, Key, KeyArray


class Fit:
    """jaxgen as users run it: `fit`, a chunk at a time.

    `fit` runs in a thread of its own. Its hook is called between two compiled chunks, and there it waits until it is
    asked to go on.

    Args:
        model: to train.
        data: on which.
        key: of the run; several train as many runs at once.
        batch_size: examples a move.
        turns: of a chunk.
        chunks: that will be asked for.
        state: where to begin; as `fit` does where there is none.

    Attributes:
        history: the metrics of the chunks that were played.
    """

    def __init__(
        self,
        model: Model,
        data: Data,
        *,
        key: Key[Array, "..."],
        batch_size: int,
        turns: int,
        chunks: int,
        state: State | None = None,
    ) -> None:
        self.turns = turns
        self.history: list[dict[str, np.ndarray]] = []
        options = {"batch_size": batch_size, "chunk": turns, "state": state}
        self._arguments = {"key": key, "steps": turns * chunks, **options}
        self._go, self._over = Semaphore(0), Semaphore(0)
        self._outcome: Result | Exception | None = None
        # If the benchmark ends early, nobody asks any more, and the thread may not keep the process alive.
        self._thread = Thread(target=self._run, args=(model, data), daemon=True)
        self._thread.start()

    def play(self) -> None:
        """Play the next chunk; the first also compiles."""
        if self._outcome is None:
            self._go.release()
            self._over.acquire()
        if isinstance(self._outcome, Exception):
            raise self._outcome

    @property
    def compile_seconds(self) -> float:
        """The time that the compiler took, known after the last chunk."""
        self._thread.join()
        assert isinstance(self._outcome, Result)
        return self._outcome.compile_seconds

    def _run(self, model: Model, data: Data) -> None:
        self._go.acquire()
        try:
            self._outcome = fit(model, data, callbacks=[self._pause], **self._arguments)
        except Exception as error:
            self._outcome = error
            self._over.release()

    def _pause(self, chunk: Chunk) -> None:
        self.history.append(chunk.metrics)
        self._over.release()
        if chunk.step < self._arguments["steps"]:
            self._go.acquire()


class SingleSteps:
    """jaxgen step by step, each a call of a compiled function that draws its batch and plays one turn.

    Args:
        model: to train.
        data: on which.
        batch_size: examples a move.
        turns: of a repeat.

    Attributes:
        compiled: the program.
        compile_seconds: the time that the compiler took.
    """

    def __init__(self, model: Model, data: Data, *, batch_size: int, turns: int) -> None:
        examples = len(next(iter(data.values())))

        def turn(key: KeyArray, state: State, data: Batch, number: Array) -> State:
            order_key, turns_key = jax.random.split(key)
            indices = batch_indices(order_key, number, examples=examples, batch_size=batch_size * model.slices)
            return model.step(jax.random.fold_in(turns_key, number), state, take(data, indices))[0]

        self.turns = turns
        self._key, self._data, self._played = jax.random.key(0), jax.device_put(dict(data)), 0
        self._state = jax.jit(model.init)(self._key, {name: array[:1] for name, array in self._data.items()})
        started = time.perf_counter()
        program = jit(turn, donate_argnums=1)
        self.compiled = program.lower(self._key, self._state, self._data, np.int32(0)).compile()
        self.compile_seconds = time.perf_counter() - started

    def play(self) -> None:
        """Play the next turns."""
        for number in range(self._played, self._played + self.turns):
            self._state = self.compiled(self._key, self._state, self._data, np.int32(number))
        self._played += self.turns
        jax.block_until_ready(self._state)


class TorchTurns:
    """PyTorch's side.

    Args:
        twin: to train.
        batches: on which.
        turns: of a repeat.
    """

    def __init__(self, twin: Twin, batches: Iterator[TorchBatch], *, turns: int) -> None:
        self.turns = turns
        self._twin, self._batches = twin, batches

    def play(self) -> None:
        """Play the next turns."""
        self._twin.play(self._batches, self.turns)


class Products:
    """Products of two square matrices: as many operations a second as the machine can be expected to do.

    Args:
        size: of the matrices.
        turns: products of a repeat.
        precision: dtype of the matrices.
    """

    def __init__(self, *, size: int, turns: int, precision: str = FLOAT32) -> None:
        self.turns = turns
        self.flop = 2 * size**3
        self._factors = jax.random.normal(jax.random.key(0), (2, size, size), precision)
        self._product = jax.jit(jnp.matmul)

    def play(self) -> None:
        """Multiply."""
        for _ in range(self.turns):
            product = self._product(*self._factors)
        jax.block_until_ready(product)
