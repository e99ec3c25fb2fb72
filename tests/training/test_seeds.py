"""Several runs in one program against runs of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.training.loop import fit
from jaxgen.training.seeds import convolves, over_seeds, seed_keys


def test_keys_are_those_of_lone_runs():
    for i, key in enumerate(seed_keys(40, 3)):
        np.testing.assert_array_equal(jax.random.key_data(key), jax.random.key_data(jax.random.key(40 + i)))


@pytest.mark.parametrize("kind", ["fully connected", "convolutional", "duel"])
def test_each_run_is_its_lone_run(kind, by_hand, classifier, pictures, duel, points):
    if kind == "duel":
        model, data = duel(optax.sgd(0.1)), points
    else:
        model, data = classifier(convolutional=kind == "convolutional"), pictures
    chunks = []
    several = fit(model, data, key=seed_keys(7, 3), steps=6, batch_size=12, chunk=4, hooks=[chunks.append]).state
    for run in range(3):
        alone = by_hand(model, data, jax.random.key(7 + run), 6, 12)
        for x, y in zip(jax.tree.leaves(several), jax.tree.leaves(alone[-1][0]), strict=True):
            np.testing.assert_allclose(x[run], y, rtol=1e-5, atol=1e-6)
        for name in alone[0][1]:
            values = np.concatenate([chunk.metrics[name] for chunk in chunks], axis=-1)
            assert len(np.unique(values[:, -1])) > 1
            np.testing.assert_allclose(values[run], [m[name] for _, m in alone], rtol=1e-5, atol=1e-6)


def test_on_the_cpu_convolutions_take_turns_and_on_accelerators_they_do_not(monkeypatch):
    def convolve(run):
        return jax.lax.conv(run["x"], run["w"], (1, 1), "SAME")

    rng = np.random.default_rng(0)
    runs = {
        "x": jnp.asarray(rng.standard_normal((3, 2, 4, 5, 5)), jnp.float32),
        "w": jnp.asarray(rng.standard_normal((3, 6, 4, 3, 3)), jnp.float32),
    }
    alone = np.stack([convolve({"x": x, "w": w}) for x, w in zip(runs["x"], runs["w"], strict=True)])
    for backend, grouped in (("cpu", False), ("gpu", True)):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        program = str(jax.make_jaxpr(over_seeds(convolve))(runs))
        assert ("feature_group_count=3" in program) is grouped
        assert ("scan[" in program) is not grouped
        np.testing.assert_allclose(over_seeds(convolve)(runs), alone, rtol=1e-5, atol=1e-5)


def test_a_convolution_is_found_at_any_depth():
    @jax.custom_jvp
    def smooth(x):
        return jnp.convolve(x, jnp.ones(3), mode="same")

    smooth.defjvp(lambda primals, tangents: (smooth(*primals), smooth(*tangents)))
    nested = jax.jit(lambda x: jax.lax.fori_loop(0, 3, lambda i, x: jax.checkpoint(smooth)(x), x))
    assert convolves(jax.grad(lambda x: smooth(x).sum()), jnp.ones(5))
    assert convolves(nested, jax.ShapeDtypeStruct((5,), jnp.float32))
    assert not convolves(lambda x: x @ x, jnp.ones(5))
