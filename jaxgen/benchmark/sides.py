"""The sides that are timed: training in jaxgen in two forms, and a matrix product as reference."""

import time
from threading import Semaphore, Thread
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.benchmark.workloads.workload import FLOAT32, Data
from jaxgen.data import batch_indices, take
from jaxgen.game import Model, State
from jaxgen.training import jit
from jaxgen.training.chunk import Chunk
from jaxgen.training.loop import Fit as Result
from jaxgen.training.loop import fit
from jaxgen.typing import Array, Batch, Key, KeyArray

History = list[dict[str, Any]]
"""Metrics of completed chunks."""


class Fit:
    """Training in jaxgen as users run it: `fit`, one chunk per repeat.

    `fit` runs in a thread of its own. Its callback, which is called between two compiled chunks, waits there until the
    next chunk is requested.

    Args:
        model: model to train.
        data: arrays to train on.
        key: key of the run; an array of keys trains as many seeds at once.
        batch_size: number of examples per update.
        steps: number of steps per chunk.
        chunks: number of chunks that will be requested.
        state: first state; None for the initial state of `fit`.

    Attributes:
        history: metrics of the completed chunks.
    """

    def __init__(
        self,
        model: Model,
        data: Data,
        *,
        key: Key[Array, "..."],
        batch_size: int,
        steps: int,
        chunks: int,
        state: State | None = None,
    ) -> None:
        self.steps = steps
        self.history: History = []
        options: dict[str, Any] = {"batch_size": batch_size, "chunk": steps, "state": state}
        self._arguments: dict[str, Any] = {"key": key, "steps": steps * chunks, **options}
        self._requested, self._completed = Semaphore(0), Semaphore(0)
        self._outcome: Result | Exception | None = None
        # If the benchmark ends early, the thread waits forever and must not keep the process alive.
        self._thread = Thread(target=self._fit, args=(model, data), daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Run the next chunk; the first call also compiles."""
        if self._outcome is None:
            self._requested.release()
            self._completed.acquire()
        if isinstance(self._outcome, Exception):
            raise self._outcome

    @property
    def compile_seconds(self) -> float:
        """Seconds of the compilation, available after the last chunk."""
        self._thread.join()
        assert isinstance(self._outcome, Result)
        return self._outcome.compile_seconds

    def _fit(self, model: Model, data: Data) -> None:
        self._requested.acquire()
        try:
            self._outcome = fit(model, data, callbacks=[self._wait], **self._arguments)
        except Exception as error:
            self._outcome = error
            self._completed.release()

    def _wait(self, chunk: Chunk) -> None:
        self.history.append(chunk.metrics)
        self._completed.release()
        if chunk.step < self._arguments["steps"]:
            self._requested.acquire()


class SingleSteps:
    """Training in jaxgen step by step: each step is a call of a compiled function that also selects its batch.

    Args:
        model: model to train.
        data: arrays to train on.
        batch_size: number of examples per update.
        steps: number of steps per repeat.

    Attributes:
        compiled: the compiled function.
        compile_seconds: seconds of its compilation.
    """

    def __init__(self, model: Model, data: Data, *, batch_size: int, steps: int) -> None:
        examples = len(next(iter(data.values())))

        def train_step(key: KeyArray, state: State, data: Batch, number: Array) -> State:
            order_key, steps_key = jax.random.split(key)
            indices = batch_indices(order_key, number, examples=examples, batch_size=batch_size * model.slices)
            return model.step(jax.random.fold_in(steps_key, number), state, take(data, indices))[0]

        self.steps = steps
        self._key, self._data, self._completed = jax.random.key(0), jax.device_put(dict(data)), 0
        self._state = jax.jit(model.init)(self._key, {name: array[:1] for name, array in self._data.items()})
        started = time.perf_counter()
        program = jit(train_step, donate_argnums=1)
        self.compiled = program.lower(self._key, self._state, self._data, np.int32(0)).compile()
        self.compile_seconds = time.perf_counter() - started

    def run(self) -> None:
        """Run the next steps."""
        for number in range(self._completed, self._completed + self.steps):
            self._state = self.compiled(self._key, self._state, self._data, np.int32(number))
        self._completed += self.steps
        jax.block_until_ready(self._state)


class Products:
    """Products of two square matrices, as a reference for the operations per second that the machine can reach.

    Args:
        size: number of rows of each matrix.
        steps: number of products per repeat.
        precision: dtype of the matrices.
    """

    def __init__(self, *, size: int, steps: int, precision: str = FLOAT32) -> None:
        self.steps = steps
        self.flop = 2 * size**3
        self._factors = jax.random.normal(jax.random.key(0), (2, size, size), precision)
        self._product = jax.jit(jnp.matmul)

    def run(self) -> None:
        """Compute the products."""
        for _ in range(self.steps):
            product = self._product(*self._factors)
        jax.block_until_ready(product)
