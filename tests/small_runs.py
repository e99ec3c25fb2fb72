"""Untrained runs of the families of the package, and families from outside whose programs compile quickly."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen.data import example, load
from jaxgen.game import Model, Phase, Player, Regularizer, game
from jaxgen.models import REGISTRY, Family
from jaxgen.models.preprocessing import preprocess
from jaxgen.runs import Run, RunConfig
from jaxgen.training.states import initial_state


@functools.cache
def untrained(family: str, seeds: int | None = None) -> Run:
    """A run on digits with two-dimensional latents, before its first step."""
    run = stateless(family, seeds)
    return run._replace(state=initial_state(run.model, run.config.keys, run.example))


def stateless(family: str, seeds: int | None = None) -> Run:
    """The same run without a state, for which nothing is compiled."""
    shown = example(load("digits"))
    few: dict[str, dict[str, Any]] = {
        "biggan": {"width": 1, "shared_dim": 2},
        "progressive": {"base": 16, "largest": 4},
        "style_transfer": {"encoder_weights": "random", "width": 2, "stages": 2},
        "stylegan": {"base": 16, "largest": 4, "style_dim": 2, "mapping_layers": 1},
        "stylegan2": {"base": 16, "largest": 4, "style_dim": 2, "mapping_layers": 1},
        "vaegan": {"width": 4},
    }
    options: dict[str, Any] = few.get(family, {"hidden": (16,)})
    options |= {} if family in ("classifier", "style_transfer") else {"latent_dim": 2}
    if family in ("classifier", "gan"):
        options["architecture"] = "mlp"
    config = RunConfig(REGISTRY[family].config(**options), seeds=seeds)
    model = REGISTRY[family].build(config.model_config, shown)
    return Run(Path("absent"), family, config, shown, model, None, 0, {}, ())


@dataclass(frozen=True)
class LinearConfig:
    """Options of a denoising linear autoencoder.

    Attributes:
        latent_dim: dimension of the latent.
        samples: whether the model samples and decodes.
        change: last step of the first of two phases; None for a training without phases.
        regularizer_every: number of steps between two updates with the regularizer; None for none.
    """

    latent_dim: int = 3
    samples: bool = True
    change: int | None = None
    regularizer_every: int | None = None


def build_linear(config: LinearConfig, example) -> Model:
    """A denoising linear autoencoder of flat examples with one matrix W: z = x W and x = z W^T."""
    shape = preprocess(example).shape[1:]

    def flat(batch):
        x = preprocess(batch)
        return x.reshape(len(x), -1)

    def init_networks(key, batch):
        return {"net": {"params": 0.1 * jax.random.uniform(key, (flat(batch).shape[1], config.latent_dim))}}

    def encode(state, batch):
        return flat(batch) @ state.params["net"]

    def decode(state, latent):
        return (latent @ state.params["net"].T).reshape(-1, *shape)

    def reconstruct(state, batch):
        return decode(state, encode(state, batch))

    def evaluate(key, state, batch):
        return {"mse": jnp.square(reconstruct(state, batch) - preprocess(batch)).reshape(len(flat(batch)), -1).mean(-1)}

    def loss(key, params, state, batch):
        x = flat(batch)
        noisy = x + 0.1 * jax.random.uniform(key, x.shape)
        return jnp.mean((noisy @ params["net"] @ params["net"].T - x) ** 2), ({}, {})

    def size(key, params, state, batch):
        noise = 0.1 * jax.random.uniform(key, params["net"].shape)
        return jnp.mean((params["net"] + noise) ** 2), ({}, {"examples": jnp.float32(len(flat(batch)))})

    every = config.regularizer_every
    terms = () if every is None else (Regularizer("size", size, every),)
    player = Player("net", ("net",), loss, optax.adam(1e-2), regularizers=terms)
    init, step = game(init_networks, [player])
    phases = ()
    if config.change is not None:
        second = player._replace(updates=2, regularizers=(Regularizer("size", size, 3),))
        step_of_second = game(init_networks, [second])[1]
        phases = (
            Phase("first", config.change, step, (player,)),
            Phase("second", None, step_of_second, (second,), batch_size=8, reset=("net",)),
        )
    model = Model(init, step, (player,), encode=encode, evaluate=evaluate, phases=phases)
    if not config.samples:
        return model
    return model._replace(
        sample=lambda key, state, n: decode(state, jax.random.uniform(key, (n, config.latent_dim))),
        decode=decode,
        reconstruct=reconstruct,
    )


LINEAR = Family("linear", LinearConfig, build_linear, "denoising linear autoencoder")
"""A family that is not part of the package."""


@dataclass(frozen=True)
class DivergingConfig:
    """The family has no options."""


def build_diverging(config: DivergingConfig, example) -> Model:
    """One number that decreases by 1 at every step from 25.5; its square root is not real from step 27 on."""

    def loss(key, params, state, batch):
        return params["x"] + 0 * jnp.sqrt(params["x"]), ({}, {})

    players = (Player("counter", ("x",), loss, optax.sgd(1.0)),)
    init, step = game(lambda key, batch: {"x": {"params": jnp.float32(25.5)}}, players)
    return Model(init, step, players, sample=lambda key, state, n: jnp.full((n, 8, 8, 1), state.params["x"]))


DIVERGING = Family("diverging", DivergingConfig, build_diverging, "diverges at step 27")
"""A family that is not part of the package and whose training diverges."""


def assert_same_state(a: Run, b: Run) -> None:
    """Check that two runs have the same steps, the same state, bit by bit, and the same diverged seeds."""
    assert (a.step, a.diverged) == (b.step, b.diverged)
    assert jax.tree.structure(a.state) == jax.tree.structure(b.state)
    for x, y in zip(jax.tree.leaves(a.state), jax.tree.leaves(b.state), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def log_lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of the log of a run."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def untimed(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of a log without the time that their steps took."""
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]
