"""The autoencoder: linear, fully connected or convolutional; denoising or with a penalty on the code, if asked.

An encoder g maps an example x to a code z, a decoder f maps it back, and training minimizes, per example,

    |f(g(c(x))) - x|^2  +  l1 |z|_1  +  l2 |z|_2^2,    z = g(c(x)),    the squares summed over pixels,

where c corrupts the input (Vincent et al. 2010) or, in a plain autoencoder, does nothing. The reconstruction is
compared with the clean x. No sigmoid follows the decoder, whatever the architecture: the squared error is the negative
log-likelihood of Gaussian noise, whose mean is unbounded, its gradient does not vanish at black and white, and the
linear autoencoder finds the subspace of the principal components (Baldi & Hornik 1989).
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from jaxgen.errors import InputError, check_known
from jaxgen.game import Model, Player, State, game
from jaxgen.losses import l1_latent, l2_latent, squared_error
from jaxgen.models.corruption import CORRUPTIONS, CorruptionName
from jaxgen.models.preprocessing import is_image, preprocess
from jaxgen.models.validation import check_not_negative, check_positive
from jaxgen.nn.autoencoding import Architecture, decoder, encoder
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Stats


@dataclass(frozen=True)
class Config:
    """What can be chosen about an autoencoder.

    Attributes:
        architecture: of the encoder and, mirrored, the decoder.
        hidden: widths of the encoder's hidden layers (mlp).
        width: channels of the encoder's first convolution (conv).
        latent: length of the code.
        corruption: of the input while training; any but `none` makes a denoising autoencoder.
        corruption_level: standard deviation of Gaussian noise in units of x, or the probability that a value is lost.
        l1: weight of the L1 norm of the code.
        l2: weight of the squared L2 norm of the code.
        learning_rate: of Adam.
    """

    architecture: Architecture = "mlp"
    hidden: tuple[int, ...] = (400,)
    width: int = 32
    latent_dim: int = 20
    corruption: CorruptionName = "none"
    corruption_level: float = 0.25
    l1: float = 0.0
    l2: float = 0.0
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        check_positive(hidden=min(self.hidden, default=1), width=self.width, latent_dim=self.latent_dim)
        check_positive(learning_rate=self.learning_rate)
        check_not_negative(corruption_level=self.corruption_level, l1=self.l1, l2=self.l2)
        if self.corruption in ("masking", "salt_and_pepper") and self.corruption_level > 1:
            raise InputError(f"the corruption_level of {self.corruption} is a probability, got {self.corruption_level}")


def build(config: Config, example: Batch) -> Model:
    """An autoencoder for data like the example.

    Args:
        config: the choices.
        example: a batch of any size, for the shape of the data.

    Returns:
        The model. Nothing is corrupted outside training: to denoise, reconstruct a noisy batch. `evaluate` gives
        `squared_error`, summed over pixels, and `mse`, its mean over pixels. `sample(key, state, n)` decodes codes
        drawn from N(0, I), although nothing has taught the encoder to spread its codes so: most samples look like no
        example.

    Raises:
        InputError: if the choices do not fit the data.

    Example:
        >>> model = build(Config(hidden=(16,), latent_dim=2), {"image": jnp.zeros((1, 8, 8, 1))})
        >>> state = model.init(jax.random.key(0), {"image": jnp.zeros((1, 8, 8, 1))})
        >>> model.encode(state, {"image": jnp.zeros((3, 8, 8, 1))}).shape
        (3, 2)
    """
    if config.corruption == "salt_and_pepper" and not is_image(example):
        raise InputError("salt and pepper are black and white, which only pictures have: choose another corruption")
    shape = preprocess(example).shape[1:]
    check_known("corruption", config.corruption, CORRUPTIONS)
    corrupt = CORRUPTIONS[config.corruption]
    hidden, width = config.hidden, config.width
    encoder_network = encoder(config.architecture, hidden=hidden, width=width, features=config.latent_dim)
    decoder_network = decoder(config.architecture, hidden=hidden, width=width, shape=shape)

    def init_networks(key: KeyArray, batch: Batch) -> dict[str, Params]:
        encoder_key, decoder_key = jax.random.split(key)
        return {
            "encoder": encoder_network.init(encoder_key, preprocess(batch)),
            "decoder": decoder_network.init(decoder_key, jnp.zeros((1, config.latent_dim))),
        }

    def encoded(params: Params, x: Array) -> Float[Array, "batch latent"]:
        return encoder_network.apply({"params": params["encoder"]}, x)

    def decoded(params: Params, z: Float[Array, "batch latent"]) -> Array:
        return decoder_network.apply({"params": params["decoder"]}, z)

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, tuple[Stats, Metrics]]:
        x = preprocess(batch)
        z = encoded(params, corrupt(key, x, config.corruption_level))
        error = _sum_over_pixels(squared_error(decoded(params, z), x))
        penalty = config.l1 * l1_latent(z) + config.l2 * l2_latent(z)
        metrics = {"squared_error": error.mean(), "penalty": penalty.mean()}
        return jnp.mean(error + penalty), ({}, metrics)

    def prior(key: KeyArray, n: int) -> Float[Array, "n latent"]:
        return jax.random.normal(key, (n, config.latent_dim))

    def sample(key: KeyArray, state: State, n: int) -> Array:
        return decode(state, prior(key, n))

    def encode(state: State, batch: Batch) -> Float[Array, "batch latent"]:
        return encoded(state.params, preprocess(batch))

    def posterior(key: KeyArray, state: State, batch: Batch) -> Float[Array, "batch latent"]:
        return encode(state, batch)  # The encoder gives no distribution.

    def decode(state: State, code: Float[Array, "batch latent"]) -> Array:
        return decoded(state.params, code)

    def reconstruct(state: State, batch: Batch) -> Array:
        return decode(state, encode(state, batch))

    def evaluate(key: KeyArray, state: State, batch: Batch) -> Metrics:
        error = _sum_over_pixels(squared_error(reconstruct(state, batch), preprocess(batch)))
        return {"squared_error": error, "mse": error / math.prod(shape)}

    players = (Player("autoencoder", ("encoder", "decoder"), loss, optax.adam(config.learning_rate)),)
    init, step = game(init_networks, players)
    return Model(init, step, sample, encode, decode, reconstruct, evaluate, players, prior=prior, posterior=posterior)


def _sum_over_pixels(values: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    return values.reshape(len(values), -1).sum(axis=-1)
