"""VAE/GAN: autoencoding beyond pixels (Larsen, Sonderby, Larochelle & Winther 2016, arXiv:1512.09300).

A variational autoencoder whose decoder is the generator of a GAN. How alike a picture x and its reconstruction are is
not measured in pixels but in Dis_l, a hidden layer of the discriminator. In every turn there are three pictures, the
real x, its reconstruction x~ = Dec(z) with z ~ q(z|x), and a sample x_p = Dec(z_p) with z_p ~ N(0, I), and three terms:

    L_prior = KL[q(z|x) || N(0, I)]
    L_like  = -log N(Dis_l(x) | Dis_l(x~), I)
    L_GAN   = log Dis(x) + log(1 - Dis(x~)) + log(1 - Dis(x_p))

    the encoder        minimizes  L_prior + L_like         (not L_GAN)
    the decoder        minimizes  gamma L_like + L_GAN
    the discriminator  maximizes  L_GAN                    (not L_like)

All three move at once, by gradients of the same forward pass: Algorithm 1 of the paper, with L_GAN as its equation 8
defines it. (The updates printed in Algorithm 1 have the sign of a loss that the discriminator minimizes.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgen.divergences import kl_standard_normal
from jaxgen.errors import InputError
from jaxgen.game import Model, Player, State, game
from jaxgen.losses import feature_similarity
from jaxgen.models.gan_networks import forward
from jaxgen.models.preprocessing import from_signed, is_image, preprocess, to_signed
from jaxgen.models.vae import reparameterize
from jaxgen.models.validation import check_not_negative, check_positive
from jaxgen.nn.dcgan import HIDDEN, Discriminator, Generator, map_sizes
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Stats


@dataclass(frozen=True)
class Config:
    """What can be chosen about a VAE/GAN.

    Attributes:
        width: channels of the first convolution of the encoder and the discriminator, and before the decoder's last.
        latent: length of the code.
        layer: l, the hidden layer of the discriminator in which pictures are compared, counted from 1; where nothing
            is chosen, the last one. The first is not normalized, so that distances in it start out small.
        gamma: weight of L_like against L_GAN for the decoder: large keeps the content, small gives the style of real
            pictures.
        learning_rate: of RMSProp, for all three players; the paper's.
    """

    width: int = 32
    latent_dim: int = 20
    layer: int | None = None
    gamma: float = 1e-3
    learning_rate: float = 3e-4

    def __post_init__(self) -> None:
        check_positive(width=self.width, latent_dim=self.latent_dim, learning_rate=self.learning_rate)
        check_not_negative(gamma=self.gamma)


class Terms(NamedTuple):
    """What one forward pass gives, for every example.

    Attributes:
        prior: L_prior, in nats.
        like: L_like, in nats.
        real_output: logit of Dis(x).
        reconstructed_output: logit of Dis(x~).
        sampled_output: logit of Dis(x_p).
        reconstruction: x~.
        stats: the new statistics of all networks.
    """

    prior: Float[Array, " batch"]
    like: Float[Array, " batch"]
    real_output: Float[Array, " batch"]
    reconstructed_output: Float[Array, " batch"]
    sampled_output: Float[Array, " batch"]
    reconstruction: Float[Array, "batch height width channels"]
    stats: Stats

    @property
    def adversarial(self) -> Float[Array, " batch"]:
        """L_GAN, in nats."""
        log_sigmoid = jax.nn.log_sigmoid
        return (
            log_sigmoid(self.real_output) + log_sigmoid(-self.reconstructed_output) + log_sigmoid(-self.sampled_output)
        )


class Networks(NamedTuple):
    """The three networks, and how they are called.

    Attributes:
        encoder: from pictures to mean and log variance of q(z|x).
        decoder: from codes to pictures, before their tanh.
        discriminator: from pictures to one logit each.
        layer: the discriminator's hidden layer in which pictures are compared.
        latent: length of the code.
        shape: of a picture.
    """

    encoder: Any
    decoder: Any
    discriminator: Any
    layer: int
    latent_dim: int
    shape: tuple[int, ...]

    def init(self, key: KeyArray, batch: Batch) -> dict[str, Params]:
        """Initialize all three."""
        encoder_key, decoder_key, discriminator_key = jax.random.split(key, 3)
        image = jnp.zeros((1, *self.shape))
        return {
            "encoder": self.encoder.init(encoder_key, image),
            "decoder": self.decoder.init(decoder_key, jnp.zeros((1, self.latent_dim))),
            "discriminator": self.discriminator.init(discriminator_key, image),
        }

    def shown(self, batch: Batch) -> Float[Array, "batch height width channels"]:
        """The real pictures as the networks see them, with values in [-1, 1]."""
        return to_signed(preprocess(batch))

    def posterior(
        self, x: Array, params: Params, stats: Stats, *, training: bool
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"], Stats]:
        """Mean and log variance of q(z|x), and the encoder's new statistics."""
        output, stats = forward(self.encoder, "encoder", x, params, stats, training=training)
        mean, log_var = jnp.split(output, 2, axis=-1)
        return mean, log_var, stats

    def decode(self, z: Array, params: Params, stats: Stats, *, training: bool) -> tuple[Array, Stats]:
        """The pictures Dec(z) with values in [-1, 1], and the decoder's new statistics."""
        x, stats = forward(self.decoder, "decoder", z, params, stats, training=training)
        return jnp.tanh(x), stats

    def discriminate(
        self, x: Array, params: Params, stats: Stats, *, training: bool
    ) -> tuple[Float[Array, " batch"], Float[Array, " batch *features"], Stats]:
        """The logits of Dis(x), the hidden layer Dis_l(x), and the discriminator's new statistics."""
        variables = {"params": params["discriminator"], **stats.get("discriminator", {})}
        mutable = [HIDDEN, "batch_stats"] if training else [HIDDEN]
        logits, updated = self.discriminator.apply(variables, x, mutable=mutable)
        features = updated.pop(HIDDEN)[f"layer_{self.layer}"][0]
        return logits, features, {"discriminator": updated} if updated else {}

    def play(self, key: KeyArray, x: Array, params: Params, stats: Stats, *, training: bool) -> Terms:
        """The forward pass that all players share."""
        code_key, prior_key = jax.random.split(key)
        mean, log_var, encoder_stats = self.posterior(x, params, stats, training=training)
        z = reparameterize(code_key, mean, log_var)
        z_prior = jax.random.normal(prior_key, z.shape)
        # Every batch of pictures passes on its own, normalized by its own statistics.
        reconstruction, decoder_stats = self.decode(z, params, stats, training=training)
        sampled, decoder_stats = self.decode(z_prior, params, stats | decoder_stats, training=training)
        real_output, features, moved = self.discriminate(x, params, stats, training=training)
        reconstructed_output, reconstructed_features, moved = self.discriminate(
            reconstruction, params, stats | moved, training=training
        )
        sampled_output, _, moved = self.discriminate(sampled, params, stats | moved, training=training)
        return Terms(
            prior=kl_standard_normal(mean, log_var),
            like=feature_similarity(features, reconstructed_features),
            real_output=real_output,
            reconstructed_output=reconstructed_output,
            sampled_output=sampled_output,
            reconstruction=reconstruction,
            stats=encoder_stats | decoder_stats | moved,
        )


def build(config: Config, example: Batch) -> Model:
    """A VAE/GAN for pictures like the example.

    Args:
        config: the choices.
        example: a batch of any size, for the shape of the pictures.

    Returns:
        The model. `sample(key, state, n)` decodes codes from the prior. `evaluate` gives, from one code per example,
        `kl` (L_prior) and `feature_nll` (L_like) in nats, the mean squared error `mse` of pixels in [0, 1], and the
        discriminator's logits of the three pictures.

    Raises:
        InputError: if the examples are not pictures, or the discriminator has no such layer.

    Example:
        >>> images = {"image": jnp.zeros((1, 8, 8, 1))}
        >>> model = build(Config(width=8, latent_dim=2), images)
        >>> state = jax.jit(model.init)(jax.random.key(0), images)
        >>> model.sample(jax.random.key(1), state, 3).shape
        (3, 8, 8, 1)
    """
    networks = _networks(config, example)

    def prior(key: KeyArray, n: int) -> Float[Array, "n latent"]:
        return jax.random.normal(key, (n, config.latent_dim))

    def sample(key: KeyArray, state: State, n: int) -> Array:
        return decode(state, prior(key, n))

    def encode(state: State, batch: Batch) -> Float[Array, "batch latent"]:
        mean, _, _ = networks.posterior(networks.shown(batch), state.params, state.stats, training=False)
        return mean

    def posterior(key: KeyArray, state: State, batch: Batch) -> Float[Array, "batch latent"]:
        mean, log_var, _ = networks.posterior(networks.shown(batch), state.params, state.stats, training=False)
        return reparameterize(key, mean, log_var)

    def decode(state: State, code: Float[Array, "batch latent"]) -> Array:
        signed, _ = networks.decode(code, state.params, state.stats, training=False)
        return from_signed(signed)

    def reconstruct(state: State, batch: Batch) -> Array:
        return decode(state, encode(state, batch))

    def evaluate(key: KeyArray, state: State, batch: Batch) -> Metrics:
        terms = networks.play(key, networks.shown(batch), state.params, state.stats, training=False)
        error = from_signed(terms.reconstruction) - preprocess(batch)
        return {
            "kl": terms.prior,
            "feature_nll": terms.like,
            "mse": jnp.square(error).mean(axis=(1, 2, 3)),
            "real_output": terms.real_output,
            "reconstructed_output": terms.reconstructed_output,
            "sampled_output": terms.sampled_output,
        }

    def play(key: KeyArray, params: Params, state: State, batch: Batch) -> Terms:
        return networks.play(key, networks.shown(batch), params, state.stats, training=True)

    players = _players(config)
    init, step = game(networks.init, players, shared=play)
    return Model(init, step, sample, encode, decode, reconstruct, evaluate, players, prior=prior, posterior=posterior)


def _players(config: Config) -> tuple[Player, ...]:
    """The three players: one forward pass, three things to minimize."""

    def player(name: str, minimized: Callable[[Terms], Float[Array, " batch"]]) -> Player:
        def loss(key: KeyArray, params: Params, state: State, terms: Terms) -> tuple[Array, tuple[Stats, Metrics]]:
            own_stats = {network: moved for network, moved in terms.stats.items() if network == name}
            return minimized(terms).mean(), (own_stats, reports[name](terms))

        return Player(name, (name,), loss, optax.rmsprop(config.learning_rate))

    reports: dict[str, Callable[[Terms], Metrics]] = {
        "encoder": lambda terms: {"kl": terms.prior.mean(), "feature_nll": terms.like.mean()},
        "decoder": lambda terms: {},
        "discriminator": lambda terms: {
            "real_output": terms.real_output.mean(),
            "reconstructed_output": terms.reconstructed_output.mean(),
            "sampled_output": terms.sampled_output.mean(),
        },
    }
    return (
        player("encoder", lambda terms: terms.prior + terms.like),
        player("decoder", lambda terms: config.gamma * terms.like + terms.adversarial),
        player("discriminator", lambda terms: -terms.adversarial),
    )


def _networks(config: Config, example: Batch) -> Networks:
    if not is_image(example):
        raise InputError("a VAE/GAN compares pictures by a convolutional discriminator, and these data are points")
    shape = preprocess(example).shape[1:]
    layers = len(map_sizes(*shape[:2])) - 1
    layer = layers if config.layer is None else config.layer
    if not 1 <= layer <= layers:
        raise InputError(
            f"layer must be from 1 to {layers}, the hidden layers of a discriminator of "
            f"{shape[0]}x{shape[1]} pictures, got {layer}"
        )
    return Networks(
        encoder=Discriminator(width=config.width, shape=(2 * config.latent_dim,)),
        decoder=Generator(shape=shape, width=config.width),
        discriminator=Discriminator(width=config.width),
        layer=layer,
        latent_dim=config.latent_dim,
        shape=shape,
    )
