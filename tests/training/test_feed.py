"""Batches drawn on the device and batches read from a stream, against rows of the arrays taken by NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.data import Stream, batch_indices
from jaxgen.data.streaming import Held
from jaxgen.game import Model, Player, game
from jaxgen.training.feed import from_arrays, from_stream
from jaxgen.training.loop import fit
from jaxgen.training.mesh import data_parallel_mesh
from jaxgen.training.seeds import seed_keys

BATCH = 12


@pytest.fixture
def mesh():
    return data_parallel_mesh(BATCH, jax.local_devices()[:1])


def rows(pictures, key, turn):
    indices = np.asarray(batch_indices(key, turn, examples=60, batch_size=BATCH))
    return {name: array[indices] for name, array in pictures.items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
        assert a[name].dtype == b[name].dtype


def test_arrays_are_moved_once_and_drawn_by_turn(pictures, mesh):
    feed = from_arrays(pictures, BATCH, mesh)
    key = jax.random.key(4)
    assert feed.fetch(0, 5) is feed.fetch(5, 3)
    assert feed.examples == 60
    assert feed.example["image"].shape == (1, 8, 8, 1)
    for turn in (0, 4, 5, 17):
        assert_same(feed.draw(feed.fetch(0, 5), key, turn, turn % 5), rows(pictures, key, turn))


def test_a_stream_gives_the_batches_of_a_chunk_and_pads_the_last(pictures, mesh):
    key = jax.random.key(4)
    feed = from_stream(Stream(Held(pictures)), key, BATCH, chunk=4, mesh=mesh)
    assert feed.example.keys() == pictures.keys()
    for first, count in ((6, 2), (8, 4), (12, 1)):
        fetched = feed.fetch(first, count)
        assert fetched["image"].shape == (4, BATCH, 8, 8, 1)
        for i in range(count):
            assert_same(feed.draw(fetched, key, first + i, i), rows(pictures, key, first + i))


def test_every_run_has_an_order_of_its_own(pictures, mesh):
    keys = seed_keys(1, 2)
    feed = from_stream(Stream(Held(pictures)), keys, BATCH, chunk=3, mesh=mesh)
    assert feed.per_run
    fetched = feed.fetch(0, 3)
    for run in range(2):
        own = jax.tree.map(lambda x, run=run: x[run], fetched)
        for i in range(3):
            assert_same(feed.draw(own, keys[run], i, i), rows(pictures, keys[run], i))


@pytest.mark.parametrize("key", [jax.random.key(2), seed_keys(2, 2)], ids=["one run", "two runs"])
def test_training_from_a_stream_is_training_from_memory_bit_by_bit(key, pictures):
    def loss(key, params, state, batch):
        return jnp.mean((batch["image"] / 255 - params["mean"]) ** 2 * batch["label"].mean()), ({}, {})

    players = (Player("mean", ("mean",), loss, optax.sgd(0.1)),)
    model = Model(*game(lambda key, batch: {"mean": {"params": jnp.zeros((8, 8, 1))}}, players), None, players=players)
    from_memory, from_disk = (
        fit(model, data, key=key, steps=8, batch_size=BATCH, chunk=3).state
        for data in (pictures, Stream(Held(pictures)))
    )
    assert np.abs(from_memory.params["mean"]).max() > 0
    np.testing.assert_array_equal(from_memory.params["mean"], from_disk.params["mean"])
