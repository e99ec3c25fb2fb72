"""Small games on which the training is tried. They are written without networks, because compiling takes longer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.data import batch_indices
from jaxgen.game import Model, Player, game

ADAM = optax.adam(1e-2)


@pytest.fixture(scope="session")
def points() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"point": rng.standard_normal((200, 2)).astype(np.float32)}


@pytest.fixture(scope="session")
def images() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (60, 8, 8, 1), np.uint8),
        "label": rng.integers(0, 10, 60).astype(np.int32),
    }


@pytest.fixture(scope="session")
def duel() -> Callable[..., Model]:
    """A GAN on points that has everything: noise, statistics over the batch, an average, two moves of one player."""

    def build(tx: optax.GradientTransformation = ADAM, updates: int = 2) -> Model:
        def init_networks(key, batch):
            keys = jax.random.split(key)
            return {
                "generator": {"params": jax.random.uniform(keys[0], (3, 2), minval=-1)},
                "critic": {"params": jax.random.uniform(keys[1], (2, 5), minval=-1), "running": jnp.zeros(2)},
            }

        def generate(key, params, batch):
            return jax.random.uniform(key, (len(batch["point"]), 3)) @ params["generator"]

        def score(params, x):
            return jnp.tanh((x - x.mean(0)) / (x.std(0) + 0.1) @ params["critic"]).sum(-1) + x.sum(-1)

        def critic_loss(key, params, state, batch):
            on_real, on_fake = score(params, batch["point"]), score(params, generate(key, params, batch))
            running = 0.9 * state.stats["critic"]["running"] + 0.1 * batch["point"].mean(0)
            loss = jnp.mean(on_fake - on_real) + jnp.sum(params["critic"] ** 2)
            return loss, ({"critic": {"running": running}}, {"largest": on_real.max()})

        def generator_loss(key, params, state, batch):
            return -score(params, generate(key, params, batch)).mean(), ({}, {})

        players = (
            Player("critic", ("critic",), critic_loss, tx, updates=updates),
            Player("generator", ("generator",), generator_loss, tx),
        )
        return Model(*game(init_networks, players, ema={"generator": 0.9}), sample=None, players=players)

    return build


@pytest.fixture(scope="session")
def classifier() -> Callable[..., Model]:
    """One player that tells labels from noisy pictures, with or without a convolution."""

    def build(*, convolutional: bool) -> Model:
        def init_networks(key, batch):
            keys = jax.random.split(key)
            kernel = jax.random.uniform(keys[0], (3, 3, 1, 4), minval=-0.3, maxval=0.3)
            dense = jax.random.uniform(keys[1], (64, 10), minval=-0.1, maxval=0.1)
            return {"classifier": {"params": {"kernel": kernel, "dense": dense}}}

        def logits(params, x):
            if convolutional:
                axes = ("NHWC", "HWIO", "NHWC")
                x = jnp.tanh(jax.lax.conv_general_dilated(x, params["kernel"], (2, 2), "SAME", dimension_numbers=axes))
            return x.reshape(len(x), -1) @ params["dense"]

        def loss(key, params, state, batch):
            x = batch["image"] / 255 + 0.1 * jax.random.uniform(key, batch["image"].shape)
            guesses = logits(params["classifier"], x)
            loss = optax.softmax_cross_entropy_with_integer_labels(guesses, batch["label"]).mean()
            return loss, ({}, {"accuracy": jnp.mean(guesses.argmax(-1) == batch["label"])})

        players = (Player("classifier", ("classifier",), loss, ADAM),)
        return Model(*game(init_networks, players), sample=None, players=players)

    return build


@pytest.fixture(scope="session")
def by_hand() -> Callable[..., list[tuple[Any, Any]]]:
    """State and metrics after every turn, played one by one without the loop."""

    def play(model, data, key, steps, batch_size):
        init, order, turns = jax.random.split(key, 3)
        step, history = jax.jit(model.step), []
        size = {"examples": len(next(iter(data.values()))), "batch_size": batch_size * model.slices}
        state = jax.jit(model.init)(init, {name: x[:1] * 0 for name, x in data.items()})
        for t in range(steps):
            indices = np.asarray(batch_indices(order, t, **size))
            batch = {name: x[indices] for name, x in data.items()}
            state, metrics = step(jax.random.fold_in(turns, t), state, batch)
            history.append((state, metrics))
        return history

    return play
