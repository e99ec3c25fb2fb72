"""Some examples of a data set: for figures, for metrics, and for a training with few examples."""

from functools import partial

import jax
import numpy as np

from jaxgen._signatures import checked
from jaxgen.data.batching import batch_indices
from jaxgen.data.description import count_examples
from jaxgen.data.streaming import Stream
from jaxgen.errors import InputError
from jaxgen.memory import bytes_of, check_host_memory
from jaxgen.typing import Array, Batch, Int, KeyArray


@checked
def first_examples(data: Batch | Stream, count: int) -> Batch:
    """Return the first examples of a data set, or all where there are fewer.

    Args:
        data: arrays or a stream.
        count: number of examples.

    Returns:
        A batch.

    Raises:
        InputError: if the machine has too little memory for the examples of a stream.

    Example:
        >>> import numpy as np
        >>> first_examples({"label": np.arange(9)}, 3)
        {'label': array([0, 1, 2])}
    """
    if isinstance(data, Stream):
        _check_stream_memory(data, count)
        return next(iter(data.in_order(count)))
    return {name: array[:count] for name, array in data.items()}


@checked
def random_examples(key: KeyArray, data: Batch | Stream, count: int) -> Batch:
    """Return examples drawn without replacement, or all in any order where there are fewer.

    Unlike the first ones, they represent all classes: data that come in folders are ordered by class.

    Args:
        key: PRNG key of the draw.
        data: arrays or a stream.
        count: number of examples.

    Returns:
        A batch.

    Raises:
        InputError: if the machine has too little memory for the examples of a stream.

    Example:
        >>> import jax, numpy as np
        >>> drawn = random_examples(jax.random.key(0), {"label": np.repeat(np.arange(2), 500)}, 100)["label"]
        >>> len(drawn), sorted(set(drawn.tolist()))
        (100, [0, 1])
    """
    examples = count_examples(data)
    count = min(count, examples)
    if isinstance(data, Stream):
        _check_stream_memory(data, count)
        return next(iter(data.batches(key, 0, 1, batch_size=count)))
    indices = np.asarray(_first_indices(key, examples, count))
    return {name: np.asarray(array)[indices] for name, array in data.items()}


@checked
def subset(data: Batch | Stream, count: int) -> Batch | Stream:
    """Return a random subset of the training examples, the same for every seed of a run.

    A larger subset contains the smaller ones.

    Args:
        data: arrays or a stream.
        count: number of examples.

    Returns:
        As many examples, in their order; a stream of a stream.

    Raises:
        InputError: if there are fewer examples.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, section 2: trainings with subsets of several sizes.

    Example:
        >>> import numpy as np
        >>> len(subset({"label": np.arange(9)}, 3)["label"])
        3
    """
    examples = count_examples(data)
    if not 1 <= count <= examples:
        raise InputError(f"subset must be from 1 to the {examples} training examples, got {count}")
    # Not of the seed: the seeds of one program share their data.
    indices = np.sort(np.asarray(jax.random.permutation(jax.random.key(0), examples))[:count])
    if isinstance(data, Stream):
        return data.select(indices.tolist())
    return {name: np.asarray(array)[indices] for name, array in data.items()}


def _check_stream_memory(data: Stream, count: int) -> None:
    count = min(count, data.examples)
    needed = count * bytes_of(data.example())
    check_host_memory(f"{count} examples of a stream", needed, "give a smaller number of examples")


@partial(jax.jit, static_argnums=(1, 2))  # Otherwise each of some twenty operations would be compiled by itself.
def _first_indices(key: KeyArray, examples: int, count: int) -> Int[Array, " count"]:
    return batch_indices(key, 0, examples=examples, batch_size=count)
