"""One step of large families on several devices is that of one device: their statistics are of the global batch.

Those are the groups of the minibatch standard deviation (StyleGAN2, and PGGAN within a fade), the average of styles,
the path length, the sign of the adaptive augmentation, and batch normalization with the spectral vectors (BigGAN). In
float64, so that what remains is rounding; on devices into which XLA divides the CPU when a process requests it at its
start.
"""

import os
import subprocess
import sys

ON_DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jaxgen.models import REGISTRY
from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.training.mesh import data_parallel_mesh, replicate, spread

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)
DATA = {"image": rng.integers(0, 256, (16, 8, 8, 1), np.uint8), "label": np.arange(16, dtype=np.int32) % 3}

def state_of(model, step):
    state = jax.jit(model.init)(jax.random.key(0), DATA)
    # Other values than those of the initialization, among which are zeros.
    values = iter(np.abs(np.random.default_rng(1).normal(size=100_000)))
    def changed(x):
        floating = jnp.issubdtype(x.dtype, jnp.floating)
        return jnp.asarray(x, jnp.float64) + next(values) / 10 if floating else x
    return jax.tree.map(changed, state).replace(step=jnp.int32(step))

def compare(family, step, **options):
    model = REGISTRY[family].build(REGISTRY[family].config(**options), DATA)
    function = model.phases[1].step if model.phases else model.step
    batch = {name: x[: 8 * model.slices] for name, x in DATA.items()}
    state = state_of(model, step)

    def on(count):
        mesh = data_parallel_mesh(8, jax.devices()[:count])

        @jax.jit
        def of_spread(key, state, batch):
            batch = spread(batch, mesh)
            return function(key, state, batch)

        with convolutions_by_xla():
            return jax.device_get(of_spread(jax.random.key(2), replicate(state, mesh), replicate(batch, mesh)))

    one = on(1)
    changes = jax.tree.map(lambda x, y: np.abs(x - y).max(), jax.device_get(state.stats), one[0].stats)
    unchanged = [jax.tree_util.keystr(path) for path, x in jax.tree.leaves_with_path(changes) if x == 0]
    assert all("noise" in path for path in unchanged), unchanged
    for (path, x), y in zip(jax.tree.leaves_with_path(one), jax.tree.leaves(on(2)), strict=True):
        # Gradients with respect to images are float32, as the images are.
        rounding = 1e-6 if x.dtype == np.float32 else 1e-10
        np.testing.assert_allclose(y, x, rtol=rounding, atol=rounding, err_msg=f"{family} {path}")

compare(
    "stylegan2",
    3,
    base=16,
    largest=2,
    latent_dim=2,
    style_dim=2,
    mapping_layers=1,
    path_length_every=3,
    penalty_every=3,
    augmentation="adaptive",
    pipeline="noise",
)
compare("biggan", 0, width=1, latent_dim=2, shared_dim=2, discriminator_updates=1)
compare("progressive", 20, base=16, largest=2, latent_dim=2, group=4, stabilize=64, fade=400, batch_sizes=(8,))
"""


def test_two_devices_compute_the_step_of_one():
    flags = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"  # 0: compile quickly
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", ON_DEVICES], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
