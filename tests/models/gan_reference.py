"""The networks, keys and losses of GANs in NumPy and float64: references for the tests of `jaxgen.models.gan`."""

from typing import Any

import jax
import numpy as np

from jaxgen.data import load
from jaxgen.game import Model, State
from jaxgen.models.gan_config import Config
from tests.models.random_states import random_state

POINTS = {"point": np.random.default_rng(0).normal(1.0, 0.5, (40, 2)).astype(np.float32)}
LABELLED = POINTS | {"label": np.arange(40) % 4}
"""Points of four classes."""
IMAGES = {"image": load("digits")["image"][:20]}

NO_CHANGE = 1e-30
"""A learning rate that changes no float32 parameter: the second player has the networks that the first one had."""

MLP = Config(hidden=(7,), latent_dim=3, learning_rate=NO_CHANGE)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def leaky_relu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def mlp(params: dict[str, Any], x: np.ndarray, activation: Any) -> np.ndarray:
    """Apply a fully connected network in float64."""
    layers = [jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params[f"Dense_{i}"]) for i in range(len(params))]
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    for layer in layers[:-1]:
        x = activation(x @ layer["kernel"] + layer["bias"])
    return x @ layers[-1]["kernel"] + layers[-1]["bias"]


def outputs(state: State, x: np.ndarray) -> np.ndarray:
    """Apply the discriminator to examples, `[batch, outputs]`."""
    return mlp(state.params["discriminator"], x, leaky_relu)


def logits(state: State, x: np.ndarray) -> np.ndarray:
    """Apply the discriminator to examples, `[batch]`."""
    return outputs(state, x)[:, 0]


def generated(state: State, latent: np.ndarray) -> np.ndarray:
    """Apply the generator to latents, `[batch, features]`."""
    return mlp(state.params["generator"], latent, relu)


def update_key(key: jax.Array, player: int, update: int) -> jax.Array:
    """Return the key of one update of a player within the step of the given key."""
    return jax.random.fold_in(jax.random.fold_in(key, player), update)


def discriminator_latent(key: jax.Array, update: int, shape: tuple[int, int]) -> np.ndarray:
    """Return the latents of one update of the discriminator; the other half of its key is for the penalty."""
    return np.asarray(jax.random.normal(jax.random.split(update_key(key, 0, update))[0], shape))


def generator_latent(key: jax.Array, n: int) -> np.ndarray:
    """Return the latents of the generator's update; the other half of its key is for the unrolled updates."""
    return np.asarray(jax.random.normal(jax.random.split(update_key(key, 1, 0))[0], (n, MLP.latent_dim)))


def first_step(model: Model, batch: dict[str, Any], key: jax.Array) -> tuple[State, dict[str, float]]:
    """Return a state with random parameters and the metrics of the first step from it."""
    start = random_state(model, batch)
    _, metrics = jax.jit(model.step)(key, start, batch)
    return start, {name: float(value) for name, value in metrics.items()}


def trained(model: Model, batch: dict[str, Any], *, steps: int) -> State:
    """Return the state after some steps with the same batch."""
    step = jax.jit(model.step)
    state = jax.jit(model.init)(jax.random.key(3), batch)
    for i in range(steps):
        state, _ = step(jax.random.fold_in(jax.random.key(4), i), state, batch)
    return state


def changed(before: Any, after: Any) -> bool:
    """Return whether a bit of a pytree has changed."""
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return any(np.asarray(a).tobytes() != np.asarray(b).tobytes() for a, b in pairs)
