"""Several runs in one program against runs of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.game import State
from jaxgen.models import REGISTRY
from jaxgen.nn.convolution import convolve
from jaxgen.training.loop import fit
from jaxgen.training.seeds import have_large_networks, over_seeds, seed_keys


def test_keys_are_those_of_lone_runs():
    for i, key in enumerate(seed_keys(40, 3)):
        np.testing.assert_array_equal(jax.random.key_data(key), jax.random.key_data(jax.random.key(40 + i)))


@pytest.mark.parametrize("kind", ["fully connected", "convolutional", "duel"])
def test_each_run_is_its_lone_run(kind, by_hand, classifier, images, duel, points):
    if kind == "duel":
        model, data = duel(optax.sgd(0.1)), points
    else:
        model, data = classifier(convolutional=kind == "convolutional"), images
    chunks = []
    several = fit(model, data, key=seed_keys(7, 3), steps=6, batch_size=12, chunk=4, callbacks=[chunks.append]).state
    for run in range(3):
        alone = by_hand(model, data, jax.random.key(7 + run), 6, 12)
        for x, y in zip(jax.tree.leaves(several), jax.tree.leaves(alone[-1][0]), strict=True):
            np.testing.assert_allclose(x[run], y, rtol=1e-5, atol=1e-6)
        for name in alone[0][1]:
            values = np.concatenate([chunk.metrics[name] for chunk in chunks], axis=-1)
            assert len(np.unique(values[:, -1])) > 1
            np.testing.assert_allclose(values[run], [m[name] for _, m in alone], rtol=1e-5, atol=1e-6)


@pytest.fixture
def states():
    """Of three runs of a network with a window of weights."""
    rng = np.random.default_rng(0)

    def of_net(*shape):
        return State(jnp.arange(3), {"net": {"kernel": jnp.asarray(rng.standard_normal((3, *shape)))}}, {}, {}, {})

    return of_net


def smooth_and_mix(run):
    """Strided, hence no XLA convolution on the CPU: its gradient is a matrix product on patches."""
    state, x = run
    return convolve(x, state.params["net"]["kernel"], (2, 2), "SAME")


def test_on_the_cpu_convolutions_take_turns_and_on_accelerators_they_do_not(states, monkeypatch):
    x = jnp.asarray(np.random.default_rng(1).standard_normal((3, 2, 6, 6, 4)))
    state = states(3, 3, 4, 5)
    each = [smooth_and_mix(jax.tree.map(lambda leaf, run=run: leaf[run], (state, x))) for run in range(3)]
    for backend, in_turn in (("cpu", True), ("gpu", False)):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        together = over_seeds(smooth_and_mix)
        assert ("scan[" in str(jax.make_jaxpr(together)((state, x)))) is in_turn
        np.testing.assert_allclose(together((state, x)), np.stack(each), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("features", "in_turn"), [(455, False), (456, True)])
def test_fully_connected_networks_take_turns_from_65536_weights_in_a_layer_on(states, features, in_turn):
    def mix(run):
        state, x = run
        return x.reshape(len(x), -1) @ state.params["net"]["kernel"]

    program = jax.make_jaxpr(over_seeds(mix))((states(144, features), jnp.ones((3, 2, 6, 6, 4))))
    assert ("scan[" in str(program)) is in_turn


@pytest.mark.parametrize(
    ("family", "choices", "large"),
    [
        ("gan", {"architecture": "dcgan", "width": 8}, True),
        ("gan", {"architecture": "mlp"}, False),
        ("vae", {"architecture": "conv", "width": 8}, True),
        ("vae", {"architecture": "mlp"}, False),
        ("vae", {"architecture": "mlp", "hidden": (1024,)}, True),
    ],
)
def test_the_networks_of_the_families_are_told_apart(family, choices, large):
    images = {"image": np.zeros((2, 8, 8, 1), np.uint8), "label": np.arange(2)}
    model = REGISTRY[family].build(REGISTRY[family].config(**choices), images)
    state = jax.eval_shape(jax.vmap(lambda key: model.init(key, images)), seed_keys(0, 3))
    assert have_large_networks((seed_keys(0, 3), state, images)) is large
