"""The adversarial autoencoder (Makhzani et al. 2016, arXiv:1511.05644), a family outside the package.

An encoder g maps an image x to a latent z, a decoder f maps it back, and a discriminator D distinguishes the latents
g(x) from draws of the prior p(z) = N(0, I). In a step three players make one update each, on the same batch:

    player            trains               minimizes the mean of
    reconstruction    encoder, decoder     |f(g(x)) - x|^2
    discriminator     discriminator        -log D(z) - log(1 - D(g(x))),    z ~ p(z)
    regularization    encoder              -log D(g(x))

The encoder is trained by two players, each with an optimizer state of its own (section 2 of the paper). Where D cannot
distinguish the two, the latents of the data have the distribution p(z), and f decodes draws of p(z) to new images.

    jaxgen train examples/adversarial_autoencoder.py --data digits --latent-dim 2
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxgen import Family, Model, Player, State, game
from jaxgen.losses import non_saturating, squared_error
from jaxgen.models.optimizer import OptimizerConfig, make_optimizer
from jaxgen.models.preprocessing import preprocess
from jaxgen.nn.autoencoding import Network
from jaxgen.nn.mlp import MLP
from jaxgen.typing import Array, Batch, KeyArray, Metrics, Params, Stats

LossResult = tuple[Array, tuple[Stats, Metrics]]


@dataclass(frozen=True, kw_only=True)
class Config(OptimizerConfig):
    """Widths of the hidden layers, dimension of z, and the options of the optimizer of each player."""

    b1: float | None = 0.5  # As usual for GANs; with 0.9 the variance of the latents oscillates.
    hidden: tuple[int, ...] = (256, 256)
    latent_dim: int = 8

    def __post_init__(self) -> None:
        self.check_optimizer()


def build(config: Config, example: Batch) -> Model:
    """Build an adversarial autoencoder for images of the shape of an example."""
    encoder: Network = MLP(config.hidden, shape=(config.latent_dim,))
    decoder: Network = MLP(config.hidden[::-1], shape=preprocess(example).shape[1:])
    discriminator: Network = MLP(config.hidden, shape=())

    def init_networks(key: KeyArray, batch: Batch) -> dict[str, Params]:
        keys, z = jax.random.split(key, 3), jnp.zeros((1, config.latent_dim))
        return {
            "encoder": encoder.init(keys[0], preprocess(batch), train=False),
            "decoder": decoder.init(keys[1], z, train=False),
            "discriminator": discriminator.init(keys[2], z, train=False),
        }

    def g(params: Params, batch: Batch) -> Array:
        return encoder.apply({"params": params["encoder"]}, preprocess(batch), train=False)

    def f(params: Params, z: Array) -> Array:  # Values in [0, 1].
        return jax.nn.sigmoid(decoder.apply({"params": params["decoder"]}, z, train=False))

    def d(params: Params, z: Array) -> Array:  # The logit of D(z).
        return discriminator.apply({"params": params["discriminator"]}, z, train=False)

    def sample_latent(key: KeyArray, n: int) -> Array:
        return jax.random.normal(key, (n, config.latent_dim))

    def reconstruction_loss(key: KeyArray, params: Params, state: State, batch: Batch) -> LossResult:
        error = squared_error(f(params, g(params, batch)), preprocess(batch))
        return error.sum(axis=(1, 2, 3)).mean(), ({}, {"mse": error.mean()})

    def discriminator_loss(key: KeyArray, params: Params, state: State, batch: Batch) -> LossResult:
        fake = g(params, batch)
        real_logit, fake_logit = d(params, sample_latent(key, len(fake))), d(params, fake)
        metrics = {"real_output": real_logit.mean(), "fake_output": fake_logit.mean()}
        return non_saturating.discriminator(real_logit, fake_logit).mean(), ({}, metrics)

    def regularization_loss(key: KeyArray, params: Params, state: State, batch: Batch) -> LossResult:
        return non_saturating.generator(d(params, g(params, batch))).mean(), ({}, {})

    def reconstruct(state: State, batch: Batch) -> Array:
        return f(state.params, g(state.params, batch))

    def evaluate(key: KeyArray, state: State, batch: Batch) -> Metrics:
        mse = squared_error(reconstruct(state, batch), preprocess(batch)).mean(axis=(1, 2, 3))
        return {"mse": mse, "fake_output": d(state.params, g(state.params, batch))}

    players = (
        Player("reconstruction", ("encoder", "decoder"), reconstruction_loss, make_optimizer(config)),
        Player("discriminator", ("discriminator",), discriminator_loss, make_optimizer(config)),
        Player("regularization", ("encoder",), regularization_loss, make_optimizer(config)),
    )
    init, step = game(init_networks, players)
    return Model(
        init=init,
        step=step,
        players=players,
        sample=lambda key, state, n: f(state.params, sample_latent(key, n)),
        encode=lambda state, batch: g(state.params, batch),
        decode=lambda state, latent: f(state.params, latent),
        reconstruct=reconstruct,
        evaluate=evaluate,
        sample_latent=sample_latent,
        sample_posterior=lambda key, state, batch: g(state.params, batch),
    )


FAMILY = Family(
    name="adversarial-autoencoder",
    config=Config,
    build=build,
    summary="adversarial autoencoder: latents matched to the prior by a discriminator (Makhzani et al. 2016)",
)
