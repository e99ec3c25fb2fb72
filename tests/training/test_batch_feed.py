"""Batches taken on the device and batches read from a stream, against rows of the arrays taken by NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.data import Stream, batch_indices
from jaxgen.data.streaming import ArraySource
from jaxgen.game import Model, Player, game
from jaxgen.training import batch_feed
from jaxgen.training.batch_feed import from_arrays, from_stream
from jaxgen.training.loop import fit
from jaxgen.training.mesh import data_parallel_mesh
from jaxgen.training.seeds import seed_keys, select_seed
from jaxgen.training.states import initial_state

BATCH = 12
BYTES = BATCH * (8 * 8 + 4)
"""Bytes of a batch: one per pixel, four per label."""


@pytest.fixture
def mesh():
    return data_parallel_mesh(BATCH, jax.local_devices()[:1])


def rows(images, key, step):
    indices = np.asarray(batch_indices(key, step, examples=60, batch_size=BATCH))
    return {name: array[indices] for name, array in images.items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
        assert a[name].dtype == b[name].dtype


def test_arrays_are_copied_once_and_batches_are_taken_by_step(images, mesh):
    feed = from_arrays(images, BATCH, mesh=mesh)
    key = jax.random.key(4)
    assert feed.fetch(0, 5) is feed.fetch(5, 3)
    assert not feed.per_seed
    assert_same(feed.fetch(0, 5), images)
    for step in (0, 4, 5, 17):
        assert_same(feed.batch(feed.fetch(0, 5), key, step, step % 5), rows(images, key, step))


def test_a_stream_gives_the_batches_of_a_block_and_pads_the_last_block(images, mesh, monkeypatch):
    monkeypatch.setattr(batch_feed, "BLOCK_STEPS", 4)
    keys = seed_keys(4, 1)
    feed = from_stream(Stream(ArraySource(images)), keys, BATCH, mesh=mesh)
    assert feed.steps == 4
    for first, count in ((6, 2), (8, 4), (12, 1)):
        fetched = feed.fetch(first, count)
        assert fetched.keys() == images.keys()
        assert fetched["image"].shape == (1, 4, BATCH, 8, 8, 1)
        of_seed = jax.tree.map(lambda x: x[0], fetched)
        for i in range(count):
            assert_same(feed.batch(of_seed, keys[0], first + i, i), rows(images, keys[0], first + i))


def test_every_seed_has_its_own_order(images, mesh):
    keys = seed_keys(1, 2)
    feed = from_stream(Stream(ArraySource(images)), keys, BATCH, mesh=mesh)
    assert feed.per_seed
    fetched = feed.fetch(0, 3)
    for seed in range(2):
        of_seed = jax.tree.map(lambda x, seed=seed: x[seed], fetched)
        for i in range(3):
            assert_same(feed.batch(of_seed, keys[seed], i, i), rows(images, keys[seed], i))


@pytest.mark.parametrize(
    ("limit", "steps", "steps_of_three"),
    [(1, 1, 1), (2 * BYTES - 1, 1, 1), (2 * BYTES, 2, 1), (6 * BYTES, 6, 2), (100 * BYTES, 7, 7)],
)
def test_a_block_of_a_stream_is_at_most_as_large_as_the_limit_or_as_one_step(
    limit, steps, steps_of_three, images, mesh, monkeypatch
):
    monkeypatch.setattr(batch_feed, "BLOCK_STEPS", 7)
    monkeypatch.setattr(batch_feed, "BLOCK_BYTES", limit)
    feed = from_stream(Stream(ArraySource(images)), seed_keys(4, 1), BATCH, mesh=mesh)
    assert feed.steps == steps
    assert sum(x.nbytes for x in feed.fetch(0, 1).values()) == steps * BYTES
    several = from_stream(Stream(ArraySource(images)), seed_keys(4, 3), BATCH, mesh=mesh)
    assert several.steps == steps_of_three
    assert sum(x.nbytes for x in several.fetch(0, 1).values()) == 3 * steps_of_three * BYTES


@pytest.fixture
def mean() -> Model:
    """The mean image, found by gradient descent."""

    def loss(key, params, state, batch):
        return jnp.mean((batch["image"] / 255 - params["mean"]) ** 2 * batch["label"].mean()), ({}, {})

    players = (Player("mean", ("mean",), loss, optax.sgd(0.1)),)
    return Model(*game(lambda key, batch: {"mean": {"params": jnp.zeros((8, 8, 1))}}, players), players)


@pytest.mark.parametrize("key", [jax.random.key(2), seed_keys(2, 2)], ids=["one seed", "two seeds"])
def test_training_from_a_stream_is_training_from_memory_bit_by_bit(key, mean, images, monkeypatch):
    state = initial_state(mean, jnp.atleast_1d(key), images).replace(step=jnp.int32(3))
    state = state if key.ndim else select_seed(state, 0)

    def train(data):
        chunks = []

        def record(chunk):
            chunks.append((chunk.step, chunk.steps, jax.tree.map(np.array, chunk.state), chunk.metrics))

        fit(mean, data, key=key, steps=17, batch_size=BATCH, chunk=7, state=state, first_step=3, callbacks=[record])
        return chunks

    from_memory, from_disk = train(images), train(Stream(ArraySource(images)))
    monkeypatch.setattr(batch_feed, "BLOCK_BYTES", 4 * BYTES)
    in_blocks = train(Stream(ArraySource(images)))
    assert [chunk[:2] for chunk in from_memory] == [(7, 4), (14, 7), (17, 3)]
    assert np.abs(from_memory[-1][2].params["mean"]).max() > 0
    for x, y, z in zip(*map(jax.tree.leaves, (from_memory, from_disk, in_blocks)), strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(x, z)
