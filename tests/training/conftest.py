"""Small games on which training is tested. They are written without networks, because compiling takes longer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.averaging import Average, constant_decay
from jaxgen.data import batch_indices
from jaxgen.game import Model, Phase, Player, Regularizer, game

ADAM = optax.adam(1e-2)
EVERY = 5
"""Number of steps between two updates with the regularizer of the GAN below."""


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
def point_gan() -> Callable[..., Model]:
    """A GAN on points with noise, batch statistics, averages, two updates of one player, and a lazy regularizer."""

    def build(tx: optax.GradientTransformation = ADAM, updates: int = 2) -> Model:
        def init_networks(key, batch):
            keys = jax.random.split(key)
            return {
                "generator": {"params": jax.random.uniform(keys[0], (3, 2), minval=-1)},
                "critic": {"params": jax.random.uniform(keys[1], (2, 5), minval=-1), "running": jnp.zeros(2)},
            }

        def generate(key, params, batch):
            return jax.random.uniform(key, (len(batch["point"]), 3)) @ params["generator"]

        def values(params, x):
            return jnp.tanh((x - x.mean(0)) / (x.std(0) + 0.1) @ params["critic"]).sum(-1) + x.sum(-1)

        def critic_loss(key, params, state, batch):
            on_real, on_fake = values(params, batch["point"]), values(params, generate(key, params, batch))
            running = 0.9 * state.stats["critic"]["running"] + 0.1 * batch["point"].mean(0)
            loss = jnp.mean(on_fake - on_real) + jnp.sum(params["critic"] ** 2)
            return loss, ({"critic": {"running": running}}, {"largest": on_real.max()})

        def size_loss(key, params, state, batch):
            on_fake = values(params, generate(key, params, batch))
            return jnp.mean(on_fake**2) + jnp.mean(values(params, batch["point"]) ** 2), ({}, {"first": on_fake[0]})

        def generator_loss(key, params, state, batch):
            return -values(params, generate(key, params, batch)).mean(), ({}, {})

        players = (
            Player("critic", ("critic",), critic_loss, tx, updates, (Regularizer("size", size_loss, EVERY),)),
            Player("generator", ("generator",), generator_loss, tx),
        )
        averages = {name: Average(constant_decay(0.9), ("running",)) for name in ("generator", "critic")}
        return Model(*game(init_networks, players, ema=averages), players)

    return build


@pytest.fixture(scope="session")
def classifier() -> Callable[..., Model]:
    """One player that classifies noisy images, with or without a convolution."""

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
            predicted = logits(params["classifier"], x)
            loss = optax.softmax_cross_entropy_with_integer_labels(predicted, batch["label"]).mean()
            return loss, ({}, {"accuracy": jnp.mean(predicted.argmax(-1) == batch["label"])})

        players = (Player("classifier", ("classifier",), loss, ADAM),)
        return Model(*game(init_networks, players), players)

    return build


@pytest.fixture(scope="session")
def single_steps() -> Callable[..., list[tuple[Any, Any]]]:
    """State and metrics after every step, computed one by one without the loop; also with phases."""

    def train(model, data, key, steps, batch_size):
        init, order, step_keys = jax.random.split(key, 3)
        phases = model.phases or (Phase("only", None, model.step, model.players),)
        state = jax.jit(model.init)(init, {name: x[:1] * 0 for name, x in data.items()})
        history, first = [], 0
        for number, phase in enumerate(phases):
            last = steps if phase.steps is None else min(steps, first + phase.steps)
            order_of_phase = order if number == 0 else jax.random.fold_in(order, np.uint32(2**32 - number))
            size = {"examples": len(next(iter(data.values()))), "batch_size": (phase.batch_size or batch_size)}
            size["batch_size"] *= max(player.updates for player in phase.players)
            if number > 0:
                fresh = {
                    player.name: player.tx.init({name: state.params[name] for name in player.trains})
                    for player in phase.players
                    if player.name in phase.reset
                }
                state = state.replace(opt={**state.opt, **fresh})
            step = jax.jit(phase.step)
            for t in range(first, last):
                indices = np.asarray(batch_indices(order_of_phase, t - first, **size))
                batch = phase.preprocess({name: x[indices] for name, x in data.items()})
                state, metrics = step(jax.random.fold_in(step_keys, t), state, batch)
                history.append((state, metrics))
            first = last
        return history

    return train
