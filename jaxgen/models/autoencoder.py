"""The autoencoder: linear, fully connected or convolutional; optionally denoising or with a penalty on the latent.

An encoder g maps an example x to a latent z, a decoder f maps it back, and training minimizes, per example,

    |f(g(c(x))) - x|^2  +  l1 |z|_1  +  l2 |z|_2^2,    z = g(c(x)),    the squares summed over pixels,

where c corrupts the input (Vincent et al. 2010) or, in a plain autoencoder, is the identity. The reconstruction is
compared with the uncorrupted x. No sigmoid follows the decoder, whatever the architecture: the squared error is the
negative log-likelihood of Gaussian noise, whose mean is unbounded, its gradient does not vanish at black and white, and
the linear autoencoder finds the subspace of the principal components (Baldi & Hornik 1989).
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgen._arrays import is_known
from jaxgen.errors import InputError, check_known
from jaxgen.game import Model, Player, State, game
from jaxgen.losses import l1_latent, l2_latent, squared_error
from jaxgen.models.checked_model import checked
from jaxgen.models.corruption import CORRUPTIONS, Corruption, CorruptionName
from jaxgen.models.dependences import Dependence, of_architectures
from jaxgen.models.networks import apply_network, check_network, init_network, make_dropout_key
from jaxgen.models.optimizer import OptimizerConfig, check_optimizers, freeze_networks, make_optimizer
from jaxgen.models.preprocessing import is_image, preprocess
from jaxgen.models.validation import check_build, check_not_negative, check_positive, check_widths
from jaxgen.nn.autoencoding import Architecture, Network, make_decoder, make_encoder
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Stats


@dataclass(frozen=True, kw_only=True)
class Config(OptimizerConfig):
    """Options of an autoencoder.

    Attributes:
        architecture: architecture of the encoder and, mirrored, of the decoder.
        hidden: widths of the encoder's hidden layers (mlp).
        width: channels of the encoder's first convolution (conv).
        latent_dim: dimension of the latent.
        corruption: corruption of the input in training; any but `none` makes a denoising autoencoder.
        corruption_level: standard deviation of Gaussian noise in units of x, or probability that a value is lost.
        l1: weight of the L1 norm of the latent.
        l2: weight of the squared L2 norm of the latent.
    """

    architecture: Architecture = "mlp"
    hidden: tuple[int, ...] = (400,)
    width: int = 32
    latent_dim: int = 20
    corruption: CorruptionName = "none"
    corruption_level: float = 0.25
    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        self.check_optimizer()
        check_widths(hidden=self.hidden)
        check_positive(width=self.width, latent_dim=self.latent_dim)
        check_not_negative(corruption_level=self.corruption_level, l1=self.l1, l2=self.l2)
        probability = self.corruption in ("masking", "salt_and_pepper") and is_known(self.corruption_level)
        if probability and self.corruption_level > 1:
            raise InputError(
                f"corruption_level must be a probability, at most 1, for {self.corruption}, got {self.corruption_level}"
            )

    def dependences(self, example: Batch) -> tuple[Dependence, ...]:
        """Return which options have an effect for data."""
        return (
            *super().dependences(example),
            *of_architectures(self.architecture, hidden=["mlp"], width=["conv"]),
            Dependence(
                ("corruption_level",), self.corruption != "none", "a corruption", "one, such as corruption='masking'"
            ),
        )


class Networks(NamedTuple):
    """The networks of an autoencoder.

    Attributes:
        encoder: `[batch, *event] -> [batch, latent_dim]`.
        decoder: `[batch, latent_dim] -> [batch, *event]`.
        corrupt: `(key, x, level) -> corrupted x`, applied to the input in training.
    """

    encoder: Network
    decoder: Network
    corrupt: Corruption


def build(
    config: Config,
    example: Batch,
    *,
    encoder: Network | None = None,
    decoder: Network | None = None,
    corrupt: Corruption | None = None,
    optimizer: optax.GradientTransformation | None = None,
) -> Model:
    """Build an autoencoder for data of the shape of an example.

    Args:
        config: options.
        example: batch of any size that shows the shape of the data.
        encoder: module in place of the named architecture, `[batch, *event] -> [batch, latent_dim]`; see
            `jaxgen.models.networks`.
        decoder: module in place of the named architecture, `[batch, latent_dim] -> [batch, *event]`.
        corrupt: `(key, x, level) -> corrupted x` in place of the named corruption.
        optimizer: optimizer in place of that of the config.

    Returns:
        The model. Nothing is corrupted outside training: to denoise, reconstruct a noisy batch. `evaluate` gives
        `squared_error`, summed over pixels, and `mse`, its mean over pixels. `sample(key, state, n)` decodes draws from
        N(0, I), although the encoder is not trained to distribute latents so: most samples resemble no example.

    Raises:
        InputError: if the options do not fit the data, or a module does not fit its role.

    Example:
        >>> model = build(Config(hidden=(16,), latent_dim=2), {"image": jnp.zeros((1, 8, 8, 1))})
        >>> state = model.init(jax.random.key(0), {"image": jnp.zeros((1, 8, 8, 1))})
        >>> model.encode(state, {"image": jnp.zeros((3, 8, 8, 1))}).shape
        (3, 2)
    """
    check_build(config, Config, example)
    if config.corruption == "salt_and_pepper" and not is_image(example):
        raise InputError("salt and pepper are black and white, which only images have: choose another corruption")
    check_known("corruption", config.corruption, CORRUPTIONS)
    check_optimizers(optimizer=optimizer)
    shape = preprocess(example).shape[1:]
    hidden, width, latent_dim = config.hidden, config.width, config.latent_dim
    networks = Networks(
        encoder=encoder or make_encoder(config.architecture, hidden=hidden, width=width, features=latent_dim),
        decoder=decoder or make_decoder(config.architecture, hidden=hidden, width=width, shape=shape),
        corrupt=corrupt or CORRUPTIONS[config.corruption],
    )
    check_network("encoder", encoder, (jnp.zeros((2, *shape)),), (latent_dim,))
    check_network("decoder", decoder, (jax.ShapeDtypeStruct((2, latent_dim), jnp.float32),), shape)
    player = Player(
        name="autoencoder",
        trains=("encoder", "decoder"),
        loss=partial(loss, networks, config),
        tx=optimizer or make_optimizer(config),
    )
    (player,) = freeze_networks([player], config.freeze)
    init, step = game(partial(init_networks, networks, config), [player])
    model = Model(
        init=init,
        step=step,
        players=(player,),
        sample=partial(sample, networks, config),
        encode=partial(encode, networks),
        decode=partial(decode, networks),
        reconstruct=partial(reconstruct, networks),
        evaluate=partial(evaluate, networks),
        sample_latent=partial(sample_latent, config),
        sample_posterior=partial(sample_posterior, networks),
    )
    return checked(model, example, latent_dim=config.latent_dim)


def loss(
    networks: Networks, config: Config, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the reconstruction error of a batch and the penalty on its latents.

    `mean of  |f(z) - x|^2 + l1 |z|_1 + l2 |z|_2^2`, `z = g(c(x))`

    Args:
        networks: the networks.
        config: options.
        key: PRNG key of the corruption and of dropout.
        params: parameters of both networks.
        state: state of the training.
        batch: examples.

    Returns:
        The loss in squared units of x, new statistics, and the metrics `squared_error` and `penalty`.
    """
    x, stats = preprocess(batch), state.stats
    corrupted = networks.corrupt(key, x, config.corruption_level)
    keys = make_dropout_key(key), make_dropout_key(key, 1)
    z, encoder_stats = apply_network(networks.encoder, "encoder", params, stats, corrupted, train=True, key=keys[0])
    decoded, decoder_stats = apply_network(networks.decoder, "decoder", params, stats, z, train=True, key=keys[1])
    error = _sum_over_pixels(squared_error(decoded, x))
    penalty = config.l1 * l1_latent(z) + config.l2 * l2_latent(z)
    metrics = {"squared_error": error.mean(), "penalty": penalty.mean()}
    return jnp.mean(error + penalty), (encoder_stats | decoder_stats, metrics)


def init_networks(networks: Networks, config: Config, key: KeyArray, batch: Batch) -> dict[str, Params]:
    """Initialize the encoder and the decoder."""
    encoder_key, decoder_key = jax.random.split(key)
    return {
        "encoder": init_network(networks.encoder, encoder_key, preprocess(batch)),
        "decoder": init_network(networks.decoder, decoder_key, jnp.zeros((1, config.latent_dim))),
    }


def sample_latent(config: Config, key: KeyArray, n: int) -> Float[Array, "n latent"]:
    """Draw n latents from N(0, I)."""
    return jax.random.normal(key, (n, config.latent_dim))


def sample(networks: Networks, config: Config, key: KeyArray, state: State, n: int) -> Array:
    """Return n decoded draws from N(0, I)."""
    return decode(networks, state, sample_latent(config, key, n))


def encode(networks: Networks, state: State, batch: Batch) -> Float[Array, "batch latent"]:
    """Return the latent of each example."""
    return apply_network(networks.encoder, "encoder", state.params, state.stats, preprocess(batch), train=False)[0]


def sample_posterior(networks: Networks, key: KeyArray, state: State, batch: Batch) -> Float[Array, "batch latent"]:
    """Return the latent of each example: the encoder is deterministic."""
    return encode(networks, state, batch)


def decode(networks: Networks, state: State, latent: Float[Array, "batch latent"]) -> Array:
    """Return the decoded latents."""
    return apply_network(networks.decoder, "decoder", state.params, state.stats, latent, train=False)[0]


def reconstruct(networks: Networks, state: State, batch: Batch) -> Array:
    """Return the decoded latent of each example."""
    return decode(networks, state, encode(networks, state, batch))


def evaluate(networks: Networks, key: KeyArray, state: State, batch: Batch) -> Metrics:
    """Return the squared error of each example, summed over pixels and as their mean."""
    x = preprocess(batch)
    error = _sum_over_pixels(squared_error(reconstruct(networks, state, batch), x))
    return {"squared_error": error, "mse": error / math.prod(x.shape[1:])}


def _sum_over_pixels(values: Float[Array, " batch *event"]) -> Float[Array, " batch"]:
    return values.reshape(len(values), -1).sum(axis=-1)
