"""Averages of a model's metrics over a whole data set."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._signatures import checked
from jaxgen.batch_checks import check_data
from jaxgen.data import Stream, count_examples, example
from jaxgen.data.large_arrays import LARGEST_BATCH, split_batches
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.training.compiler import jit_for_few_calls
from jaxgen.training.seeds import add_seed_axis, over_seeds
from jaxgen.typing import Array, Batch, Float, Key, KeyArray, Metrics

Evaluate = Callable[[KeyArray, State, Batch], Metrics]


@checked
def evaluate(
    model: Model, state: State, data: Batch | Stream, *, key: Key[Array, ""], several_seeds: bool = False
) -> dict[str, np.ndarray]:
    """Return the mean of each of a model's metrics over the examples of a data set.

    Args:
        model: model with an `evaluate`.
        state: state of one seed, or of several along a leading axis.
        data: arrays whose leading axis is that of the examples, or a stream.
        key: key of the noise in the metrics, the same for all seeds.
        several_seeds: whether the state has a leading axis of seeds.

    Returns:
        Metric name -> its mean over the examples, a float32 scalar, or `[seeds]`.

    Raises:
        InputError: if the model has no `evaluate`, `check_data` refuses the data, they do not fit the model, or have no
            examples.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.models import vae
        >>> digits = load("digits", split="test")
        >>> model = vae.build(vae.Config(), digits)
        >>> sorted(evaluate(model, model.init(jax.random.key(0), digits), digits, key=jax.random.key(1)))
        ['elbo', 'kl', 'mse', 'reconstruction']
    """
    if model.evaluate is None:
        raise InputError("this model has no metrics on examples")
    if not isinstance(data, Stream):
        check_data(data)
    examples = count_examples(data)
    if not examples:
        raise InputError("the data must have at least one example, got none")
    if model.check is not None:
        model.check(example(data))
    totals: dict[str, np.ndarray] = {}
    state = state if several_seeds else add_seed_axis(state)
    sums = jit_for_few_calls(_sums, static_argnums=0)
    for number, batch in enumerate(_batches(data)):
        for name, value in sums(model.evaluate, key, state, np.int32(number), batch).items():
            totals[name] = totals.get(name, np.float64(0)) + np.asarray(value, np.float64)
    means = {name: (total / examples).astype(np.float32) for name, total in totals.items()}
    return means if several_seeds else {name: value[0] for name, value in means.items()}


def _sums(
    evaluate_batch: Evaluate, key: KeyArray, state: State, number: Array, batch: Batch
) -> dict[str, Float[Array, " seeds"]]:
    """The sums of the metrics over the examples of a batch, for every seed."""

    def of_seed(state: State) -> dict[str, Array]:
        metrics = evaluate_batch(jax.random.fold_in(key, number), state, batch)
        return jax.tree.map(lambda values: jnp.sum(values, axis=0), metrics)

    return over_seeds(of_seed)(state)


def _batches(data: Batch | Stream) -> Iterator[Batch]:
    return data.in_order(LARGEST_BATCH) if isinstance(data, Stream) else split_batches(dict(data), LARGEST_BATCH)
