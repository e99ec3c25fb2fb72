"""Batches drawn on the device and batches read from a stream, against rows of the arrays taken by NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.data import Stream, batch_indices
from jaxgen.data.streaming import ArraySource
from jaxgen.game import Model, Player, game
from jaxgen.training import feed as feeds
from jaxgen.training.batch_feed import from_arrays, from_stream
from jaxgen.training.loop import fit
from jaxgen.training.mesh import data_parallel_mesh
from jaxgen.training.seeds import seed_keys

BATCH = 12
BYTES = BATCH * (8 * 8 + 4)
"""Of a batch: a byte a pixel, four a label."""


@pytest.fixture
def mesh():
    return data_parallel_mesh(BATCH, jax.local_devices()[:1])


def rows(images, key, turn):
    indices = np.asarray(batch_indices(key, turn, examples=60, batch_size=BATCH))
    return {name: array[indices] for name, array in images.items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
        assert a[name].dtype == b[name].dtype


def test_arrays_are_moved_once_and_drawn_by_turn(images, mesh):
    feed = from_arrays(images, BATCH, chunk=5, mesh=mesh)
    key = jax.random.key(4)
    assert feed.fetch(0, 5) is feed.fetch(5, 3)
    assert feed.turns == 5
    assert feed.example["image"].shape == (1, 8, 8, 1)
    for turn in (0, 4, 5, 17):
        assert_same(feed.draw(feed.fetch(0, 5), key, turn, turn % 5), rows(images, key, turn))


def test_a_stream_gives_the_batches_of_a_block_and_pads_the_last(images, mesh):
    key = jax.random.key(4)
    feed = from_stream(Stream(ArraySource(images)), key, BATCH, chunk=4, mesh=mesh)
    assert feed.turns == 4
    assert feed.example.keys() == images.keys()
    for first, count in ((6, 2), (8, 4), (12, 1)):
        fetched = feed.fetch(first, count)
        assert fetched["image"].shape == (4, BATCH, 8, 8, 1)
        for i in range(count):
            assert_same(feed.draw(fetched, key, first + i, i), rows(images, key, first + i))


def test_every_run_has_an_order_of_its_own(images, mesh):
    keys = seed_keys(1, 2)
    feed = from_stream(Stream(ArraySource(images)), keys, BATCH, chunk=3, mesh=mesh)
    assert feed.per_run
    fetched = feed.fetch(0, 3)
    for run in range(2):
        own = jax.tree.map(lambda x, run=run: x[run], fetched)
        for i in range(3):
            assert_same(feed.draw(own, keys[run], i, i), rows(images, keys[run], i))


@pytest.mark.parametrize(
    ("limit", "turns", "turns_of_three"),
    [(1, 1, 1), (2 * BYTES - 1, 1, 1), (2 * BYTES, 2, 1), (6 * BYTES, 6, 2), (100 * BYTES, 7, 7)],
)
def test_no_block_of_a_stream_is_larger_than_the_limit_or_than_one_turn(
    limit, turns, turns_of_three, images, mesh, monkeypatch
):
    monkeypatch.setattr(feeds, "BLOCK_BYTES", limit)
    feed = from_stream(Stream(ArraySource(images)), jax.random.key(4), BATCH, chunk=7, mesh=mesh)
    assert feed.turns == turns
    assert sum(x.nbytes for x in feed.fetch(0, 1).values()) == turns * BYTES
    several = from_stream(Stream(ArraySource(images)), seed_keys(4, 3), BATCH, chunk=7, mesh=mesh)
    assert several.turns == turns_of_three
    assert sum(x.nbytes for x in several.fetch(0, 1).values()) == 3 * turns_of_three * BYTES


@pytest.fixture
def mean() -> Model:
    """The mean picture, found by gradient descent."""

    def loss(key, params, state, batch):
        return jnp.mean((batch["image"] / 255 - params["mean"]) ** 2 * batch["label"].mean()), ({}, {})

    players = (Player("mean", ("mean",), loss, optax.sgd(0.1)),)
    return Model(*game(lambda key, batch: {"mean": {"params": jnp.zeros((8, 8, 1))}}, players), None, players=players)


@pytest.mark.parametrize("key", [jax.random.key(2), seed_keys(2, 2)], ids=["one run", "two runs"])
def test_training_from_a_stream_is_training_from_memory_bit_by_bit(key, mean, images, monkeypatch):
    def train(data):
        seen = []

        def look(chunk):
            seen.append((chunk.step, chunk.turns, jax.tree.map(np.array, chunk.state), chunk.metrics))

        fit(mean, data, key=key, steps=17, batch_size=BATCH, chunk=7, first_step=3, callbacks=[look])
        return seen

    from_memory, from_disk = train(images), train(Stream(ArraySource(images)))
    monkeypatch.setattr(feeds, "BLOCK_BYTES", 4 * BYTES)
    in_blocks = train(Stream(ArraySource(images)))
    assert [seen[:2] for seen in from_memory] == [(7, 4), (14, 7), (17, 3)]
    assert np.abs(from_memory[-1][2].params["mean"]).max() > 0
    for x, y, z in zip(*map(jax.tree.leaves, (from_memory, from_disk, in_blocks)), strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(x, z)
