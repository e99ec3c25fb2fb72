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


@pytest.mark.parametrize("convolutional", [False, True])
def test_each_run_is_its_lone_run(convolutional, classifier, pictures):
    model = classifier(convolutional=convolutional)
    histories = []
    common = {"steps": 6, "batch_size": 12, "chunk": 3}
    several = fit(
        model, pictures, key=seed_keys(7, 3), **common, hooks=[lambda chunk: histories.append(chunk.metrics)]
    ).state
    losses = np.concatenate([metrics["classifier/loss"] for metrics in histories], axis=-1)
    assert losses.shape == (3, 6)
    assert len({tuple(run) for run in losses.tolist()}) == 3
    for run in range(3):
        lone = []
        alone = fit(
            model, pictures, key=jax.random.key(7 + run), **common, hooks=[lambda chunk: lone.append(chunk.metrics)]
        ).state
        for x, y in zip(jax.tree.leaves(several), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(x[run], y, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(losses[run], np.concatenate([m["classifier/loss"] for m in lone]), rtol=1e-5)


def test_batch_norm_slices_and_averages_of_several_runs(duel, points):
    model = duel(optax.sgd(0.1))
    several = fit(model, points, key=seed_keys(0, 2), steps=4, batch_size=16).state
    for run in range(2):
        alone = fit(model, points, key=jax.random.key(run), steps=4, batch_size=16).state
        for x, y in zip(jax.tree.leaves(several), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(x[run], y, rtol=1e-5, atol=1e-6)


def test_on_the_cpu_convolutions_take_turns_and_on_accelerators_they_do_not(monkeypatch):
    def convolve(run):
        return jax.lax.conv(run["x"], run["w"], (1, 1), "SAME")

    rng = np.random.default_rng(0)
    runs = {
        "x": jnp.asarray(rng.standard_normal((3, 2, 4, 5, 5)), jnp.float32),
        "w": jnp.asarray(rng.standard_normal((3, 6, 4, 3, 3)), jnp.float32),
    }
    alone = np.stack([convolve(jax.tree.map(lambda x: x[i], runs)) for i in range(3)])
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
