"""Small games on which the training is tried: they say nothing of any model in the library."""

from collections.abc import Callable

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.game import Model, Player, game
from jaxgen.typing import Array


class Normalized(linen.Module):
    """Two dense layers with a batch norm between them."""

    features: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        x = linen.BatchNorm(use_running_average=False, momentum=0.9)(linen.Dense(24)(x))
        return linen.Dense(self.features)(linen.relu(x))


class Convolutional(linen.Module):
    features: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        x = linen.relu(linen.Conv(4, (3, 3), strides=(2, 2))(x))
        return linen.Dense(self.features)(x.reshape(len(x), -1))


class FullyConnected(linen.Module):
    features: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        x = linen.relu(linen.Dense(16)(x.reshape(len(x), -1)))
        return linen.Dense(self.features)(x)


@pytest.fixture(scope="session")
def points() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"point": rng.standard_normal((200, 2)).astype(np.float32)}


@pytest.fixture(scope="session")
def pictures() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (60, 8, 8, 1), np.uint8),
        "label": rng.integers(0, 10, 60).astype(np.int32),
    }


@pytest.fixture(scope="session")
def duel() -> Callable[..., Model]:
    """A GAN on points that has everything: noise, batch norm, Adam, an average, two moves of one player."""
    generator, critic = Normalized(2), Normalized(1)

    def build(tx: optax.GradientTransformation = optax.adam(1e-3), updates: int = 2) -> Model:
        def init_networks(key, batch):
            keys = jax.random.split(key)
            networks = {"generator": generator.init(keys[0], jnp.zeros((2, 3)))}
            return networks | {"critic": critic.init(keys[1], batch["point"].repeat(2, axis=0))}

        def apply(name, network, params, state, x):
            variables = {"params": params[name], **state.stats[name]}
            return network.apply(variables, x, mutable=["batch_stats"])

        def critic_loss(key, params, state, batch):
            noise = jax.random.normal(key, (len(batch["point"]), 3))
            fake, _ = apply("generator", generator, params, state, noise)
            on_real, stats = apply("critic", critic, params, state, batch["point"])
            on_fake, _ = apply("critic", critic, params, state, fake)
            loss = jax.nn.softplus(-on_real).mean() + jax.nn.softplus(on_fake).mean()
            return loss, ({"critic": stats}, {"gap": on_real.mean() - on_fake.mean()})

        def generator_loss(key, params, state, batch):
            noise = jax.random.normal(key, (len(batch["point"]), 3))
            fake, stats = apply("generator", generator, params, state, noise)
            on_fake, _ = apply("critic", critic, params, state, fake)
            return jax.nn.softplus(-on_fake).mean(), ({"generator": stats}, {})

        players = (
            Player("critic", ("critic",), critic_loss, tx, updates=updates),
            Player("generator", ("generator",), generator_loss, tx),
        )
        return Model(*game(init_networks, players, ema={"generator": 0.9}), sample=None, players=players)

    return build


@pytest.fixture(scope="session")
def classifier() -> Callable[..., Model]:
    """One player that tells labels from noisy pictures, with or without convolutions."""

    def build(*, convolutional: bool = False) -> Model:
        network = Convolutional(10) if convolutional else FullyConnected(10)

        def init_networks(key, batch):
            return {"classifier": network.init(key, batch["image"] / 255)}

        def loss(key, params, state, batch):
            x = batch["image"] / 255 + 0.1 * jax.random.normal(key, batch["image"].shape)
            logits = network.apply({"params": params["classifier"]}, x)
            loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()
            return loss, ({}, {"accuracy": jnp.mean(logits.argmax(-1) == batch["label"])})

        players = (Player("classifier", ("classifier",), loss, optax.adam(1e-3)),)
        return Model(*game(init_networks, players), sample=None, players=players)

    return build
