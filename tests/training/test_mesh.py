"""Data parallelism, on four devices into which XLA divides the CPU when a process requests it at its start."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.training.mesh import data_parallel_mesh

FOUR_AGAINST_ONE = '''
import flax.linen as linen
import jax, jax.numpy as jnp, numpy as np, optax
from jaxgen.data import Stream
from jaxgen.data.streaming import ArraySource
from jaxgen.game import Model, Player, Regularizer, game
from jaxgen.training import batch_feed
from jaxgen.training.loop import fit
from jaxgen.training.states import initial_state
from jaxgen.training.mesh import data_parallel_mesh
from jaxgen.training.seeds import seed_keys, select_seed

assert jax.local_device_count() == 4

class Autoencoder(linen.Module):
    """A VAE with batch norm in its encoder; smooth, so that rounding errors remain small."""

    @linen.compact
    def __call__(self, key, x):
        hidden = linen.BatchNorm(use_running_average=False)(linen.Dense(12)(x))
        mean, log_var = jnp.split(linen.Dense(4)(jnp.tanh(hidden)), 2, axis=-1)
        z = mean + jnp.exp(log_var / 2) * jax.random.normal(key, mean.shape)
        return linen.Dense(6)(z), 0.5 * jnp.sum(mean**2 + jnp.exp(log_var) - 1 - log_var, axis=-1)

network, layouts = Autoencoder(), []

def init_networks(key, batch):
    return {"vae": network.init(key, key, jnp.zeros((2, 6)))}

def loss(key, params, state, batch):
    x = batch["image"].reshape(-1, 6) / 64 - 2
    # Called when the program has been compiled, with the layout that the compiler chose.
    jax.debug.inspect_array_sharding(x, callback=layouts.append)
    variables = {"params": params["vae"], **state.stats["vae"]}
    (decoded, kl), stats = network.apply(variables, key, x, mutable=["batch_stats"])
    error = jnp.sum((decoded - x) ** 2, axis=-1)
    return jnp.mean(error + kl), ({"vae": stats}, {"kl": kl.mean()})

def size_loss(key, params, state, batch):
    x = batch["image"].reshape(-1, 6) / 64 - 2
    return jnp.mean((x @ params["vae"]["Dense_0"]["kernel"]) ** 2), ({}, {})

data = {"image": np.random.default_rng(0).integers(0, 256, (200, 2, 3, 1), np.uint8)}

def compare(key, updates):
    terms = (Regularizer("size", size_loss, 3),)
    player = Player("vae", ("vae",), loss, optax.sgd(0.05), updates=updates, regularizers=terms)
    model, axes, keys = Model(*game(init_networks, [player]), (player,)), key.shape, jnp.atleast_1d(key)
    start = jax.device_get(initial_state(model, keys, data))
    start = start if key.ndim else jax.device_get(select_seed(start, 0))
    # One seed is computed without an axis of seeds.
    batch_axes = axes if len(keys) > 1 else ()

    def train(data, devices=None):
        layouts.clear()
        result = fit(model, data, key=key, steps=8, batch_size=16, chunk=3, state=start, devices=devices)
        shapes = {layout.shard_shape((*batch_axes, 16, 6)) for layout in layouts}
        return (jax.device_get(result.state), result.history), shapes

    together, parts = train(data)
    alone, complete = train(data, jax.local_devices()[:1])
    assert parts == {(*batch_axes, 4, 6)}, parts
    assert complete == {(*batch_axes, 16, 6)}, complete
    params = alone[0].params, start.params
    change = max(np.abs(x - y).max() for x, y in zip(*map(jax.tree.leaves, params), strict=True))
    assert change > 0.1, change
    assert alone[1]["vae/size/loss"].count(axis=-1).tolist() == ([3] * len(keys) if axes else 3)

    # From a stream, in blocks of two steps; every device receives only its part of each batch.
    batch_feed.BLOCK_BYTES = 2 * key.size * updates * 16 * 6
    feed = batch_feed.from_stream(Stream(ArraySource(data)), keys, updates * 16, data_parallel_mesh(16))
    block = feed.fetch(0, 2)["image"]
    held = {(shard.device, shard.data.shape) for shard in block.addressable_shards}
    assert held == {(device, (len(keys), 2, updates * 4, 2, 3, 1)) for device in jax.devices()}, held
    streamed, parts = train(Stream(ArraySource(data)))
    assert parts == {(*batch_axes, 4, 6)}, parts

    for others in (together, streamed):
        for x, y in zip(jax.tree.leaves(others[0]), jax.tree.leaves(alone[0]), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)
        for name, values in others[1].items():
            np.testing.assert_allclose(values, alone[1][name], rtol=1e-5, atol=1e-5)

compare(jax.random.key(0), updates=3)
compare(seed_keys(0, 2), updates=1)
'''


def test_four_devices_compute_the_result_of_one():
    """With several updates per step, a lazy regularizer and several seeds, from memory and from a stream."""
    flags = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"  # 0: compile quickly
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FOUR_AGAINST_ONE],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(("batch_size", "devices"), [(10, 4), (3, 2), (1, 8)])
def test_a_batch_that_does_not_divide_by_the_devices_is_refused(batch_size, devices):
    message = rf"must be a multiple of {devices}, the number of devices, got {batch_size}"
    with pytest.raises(InputError, match=message):
        data_parallel_mesh(batch_size, jax.local_devices()[:1] * devices)


def test_the_mesh_holds_the_given_devices():
    mesh = data_parallel_mesh(5, jax.local_devices()[:1])
    np.testing.assert_array_equal(mesh.devices, jax.local_devices()[:1])
