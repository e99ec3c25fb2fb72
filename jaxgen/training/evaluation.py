"""What a model is worth on a whole data set."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.data import Stream, count_examples
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.training.seeds import over_seeds
from jaxgen.typing import Array, Batch, Key

LARGEST_BATCH = 1000
"""Examples that are evaluated at once."""


def evaluate(
    model: Model, state: State, data: Batch | Stream, *, key: Key[Array, "..."], runs: int | None = None
) -> dict[str, np.ndarray]:
    """Average a model's metrics over data.

    Args:
        model: must have an `evaluate`.
        state: of one run, or of several along a leading axis.
        data: arrays whose leading axis are the examples, or a stream.
        key: for the noise in the metrics, if any; all runs get the same.
        runs: how many the state holds along a leading axis; None for a state without such an axis.

    Returns:
        Metric name -> its mean over the examples, a float32 scalar, or `[runs]`.

    Raises:
        InputError: if the model has nothing to evaluate, or the data have no examples.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.models import vae
        >>> digits = load("digits", split="test")
        >>> model = vae.build(vae.Config(), digits)
        >>> sorted(evaluate(model, model.init(jax.random.key(0), digits), digits, key=jax.random.key(1)))
        ['elbo', 'kl', 'mse', 'reconstruction']
    """
    if model.evaluate is None:
        raise InputError("this model has nothing to evaluate on data")
    examples = count_examples(data)
    if not examples:
        raise InputError("there are no examples to evaluate on")
    evaluate_batch = model.evaluate
    totals: dict[str, np.ndarray] = {}

    @jax.jit
    def of_batch(state: State, number: Array, batch: Batch) -> dict[str, Array]:
        def of_run(state: State) -> dict[str, Array]:
            metrics = evaluate_batch(jax.random.fold_in(key, number), state, batch)
            return jax.tree.map(lambda values: jnp.sum(values, axis=0), metrics)

        return over_seeds(of_run)(state) if runs is not None else of_run(state)

    for number, batch in enumerate(_batches(data, examples)):
        for name, value in of_batch(state, jnp.int32(number), batch).items():
            totals[name] = totals.get(name, np.float64(0)) + np.asarray(value, np.float64)
    return {name: (total / examples).astype(np.float32) for name, total in totals.items()}


def _batches(data: Batch | Stream, examples: int) -> Iterator[Batch]:
    if isinstance(data, Stream):
        yield from data.in_order(LARGEST_BATCH)
        return
    for first in range(0, examples, LARGEST_BATCH):
        yield {name: array[first : first + LARGEST_BATCH] for name, array in data.items()}
