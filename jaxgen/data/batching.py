"""Compute the indices of batch number t as a pure function of a key and t.

Training visits the data in epochs. Each example is drawn at most once per epoch, and each epoch has a different order.
Shuffling by sorting random numbers costs a pass over all indices and needs an array that is carried along. Here the
order of an epoch is a keyed bijection of {0, ..., examples - 1}, evaluated only at the positions of one batch. It has
no state: a run that is resumed at step t uses the same batches as an uninterrupted run, and the order can be computed
under `jax.jit`, inside `jax.lax.scan` and for many keys at once under `jax.vmap`.

The bijection is a balanced Feistel network: (left, right) -> (right, left XOR f(right)) is invertible for any f, so a
few rounds with different f permute all pairs of half words. There are 4^k pairs, where 4^k is the smallest power of
four that is at least 4 and at least the number of examples. A value outside the data is permuted again until it falls
inside ("cycle walking"), which keeps the map a bijection.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt32

from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.typing import Array, Batch, Int, KeyArray

ROUNDS = 12
"""Rounds of the network: six mix large data well; below ten, orders of five examples show a bias over 400,000 keys."""


def batches_per_epoch(*, examples: int, batch_size: int) -> int:
    """Return the number of complete batches in one pass over the data; an epoch leaves out the remainder.

    Args:
        examples: number of examples.
        batch_size: number of examples per batch.

    Returns:
        `examples // batch_size`, at least 1.

    Raises:
        InputError: if the batch size is below 1 or larger than the number of examples.

    Example:
        >>> batches_per_epoch(examples=1437, batch_size=128)
        11
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    if batch_size > examples:
        raise InputError(f"batch_size must be at most the number of examples ({examples}), got {batch_size}")
    return examples // batch_size


@checked
def batch_indices(
    key: KeyArray, step: int | Int[Array, ""], *, examples: int, batch_size: int
) -> Int[Array, " batch_size"]:
    """Return the indices of batch number `step`.

    With `b = batches_per_epoch(...)`, step t is batch `t mod b` of epoch `t // b`. Within an epoch each example is
    drawn at most once; each epoch has a different order.

    Args:
        key: PRNG key that determines the order of all epochs.
        step: number of the batch, starting at 0; may be traced.
        examples: number of examples, below 2^31.
        batch_size: number of examples per batch.

    Returns:
        Indices in [0, examples), int32 [batch_size].

    Raises:
        InputError: if the batch size is below 1 or larger than the number of examples.

    Reference:
        Black and Rogaway 2002, "Ciphers with arbitrary finite domains": the Feistel network and cycle walking.

    Example:
        >>> import jax
        >>> epoch = [batch_indices(jax.random.key(0), step, examples=6, batch_size=2) for step in range(3)]
        >>> sorted(int(i) for batch in epoch for i in batch)
        [0, 1, 2, 3, 4, 5]
    """
    batches = batches_per_epoch(examples=examples, batch_size=batch_size)
    step = jnp.asarray(step, jnp.int32)
    positions = (step % batches) * batch_size + jnp.arange(batch_size, dtype=jnp.int32)
    return permute(jax.random.fold_in(key, step // batches), positions, size=examples)


def permute(key: KeyArray, positions: Int[Array, " n"], *, size: int) -> Int[Array, " n"]:
    """Evaluate a random permutation of {0, ..., size - 1} at some positions, without computing all of it.

    Args:
        key: PRNG key that determines the permutation.
        positions: integers in [0, size), [n].
        size: number of permuted elements, below 2^31.

    Returns:
        Elements of the permutation at these positions, int32 in [0, size), [n]; distinct for distinct positions.

    Raises:
        ValueError: if `size` is not in [1, 2^31).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> sorted(permute(jax.random.key(3), jnp.arange(5), size=5).tolist())
        [0, 1, 2, 3, 4]
    """
    if not 1 <= size < 2**31:
        raise ValueError(f"size must be in [1, 2**31), got {size}")
    return _walk(key, positions, size)


def take(data: Batch, indices: Int[Array, " n"]) -> dict[str, Array]:
    """Gather examples from every array of the data, on the device that stores them.

    Args:
        data: arrays with the examples along the leading axis.
        indices: integers in [0, examples), [n].

    Returns:
        Dict with the same names and the selected examples, leading axis n.

    Example:
        >>> import jax.numpy as jnp
        >>> take({"label": jnp.array([7, 8, 9])}, jnp.array([2, 0]))["label"].tolist()
        [9, 7]
    """
    return {name: jnp.take(array, indices, axis=0, mode="clip") for name, array in data.items()}


@partial(jax.jit, static_argnums=2)
def _walk(key: KeyArray, positions: Int[Array, " n"], size: int) -> Int[Array, " n"]:
    # At least one bit per half: a shift by 0 bits does not separate the halves.
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    round_keys = jax.random.bits(key, (ROUNDS,), jnp.uint32)

    def permute_outside(words_outside: tuple[Array, Array]) -> tuple[Array, Array]:
        words, outside = words_outside
        words = jnp.where(outside, _feistel(words, round_keys, half_bits), words)
        return words, words >= size

    start = positions.astype(jnp.uint32), jnp.ones(positions.shape, bool)
    words, _ = jax.lax.while_loop(lambda words_outside: jnp.any(words_outside[1]), permute_outside, start)
    return words.astype(jnp.int32)


def _feistel(words: UInt32[Array, " n"], round_keys: UInt32[Array, " rounds"], half_bits: int) -> UInt32[Array, " n"]:
    mask = np.uint32((1 << half_bits) - 1)
    left, right = words >> np.uint32(half_bits), words & mask
    for i in range(ROUNDS):
        left, right = right, left ^ (_mix(right ^ round_keys[i]) & mask)
    return (left << np.uint32(half_bits)) | right


def _mix(word: UInt32[Array, " n"]) -> UInt32[Array, " n"]:
    """Mix every bit into all bits of the word with the finalizer of MurmurHash3 (Appleby, public domain)."""
    word = (word ^ (word >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    word = (word ^ (word >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return word ^ (word >> np.uint32(16))
