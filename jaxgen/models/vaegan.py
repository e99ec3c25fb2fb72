"""VAE/GAN: autoencoding beyond pixels (Larsen, Sonderby, Larochelle & Winther 2016, arXiv:1512.09300).

A variational autoencoder whose decoder is the generator of a GAN. The distance of an image x from its reconstruction is
measured not in pixels but in Dis_l, a hidden layer of the discriminator. Every step has three images, the real x, its
reconstruction x~ = Dec(z) with z ~ q(z|x), and a sample x_p = Dec(z_p) with z_p ~ N(0, I), and three terms:

    L_prior = KL[q(z|x) || N(0, I)]
    L_like  = -log N(Dis_l(x) | Dis_l(x~), I)
    L_GAN   = log Dis(x) + log(1 - Dis(x~)) + log(1 - Dis(x_p))

    the encoder        minimizes  L_prior + L_like         (not L_GAN)
    the decoder        minimizes  gamma L_like + L_GAN
    the discriminator  maximizes  L_GAN                    (not L_like)

All three are updated at once, by gradients of the same forward pass: Algorithm 1 of the paper, with L_GAN as its
equation 8 defines it. (The updates printed in Algorithm 1 have the sign of a loss that the discriminator minimizes.)
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgen.divergences.gaussian import draw_normal, kl_standard_normal
from jaxgen.errors import InputError
from jaxgen.game import Model, Player, State, game
from jaxgen.losses import feature_similarity
from jaxgen.models.checked_model import checked
from jaxgen.models.networks import apply_network, check_network, init_network, make_dropout_key
from jaxgen.models.optimizer import (
    AdversarialOptimizerConfig,
    OptimizerName,
    check_optimizers,
    freeze_networks,
    make_optimizer,
    optimizer_of_discriminator,
)
from jaxgen.models.preprocessing import from_signed, is_image, preprocess, to_signed
from jaxgen.models.validation import check_build, check_not_negative, check_positive
from jaxgen.nn.autoencoding import Network
from jaxgen.nn.dcgan import Discriminator, Generator, map_sizes
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Stats


@dataclass(frozen=True, kw_only=True)
class Config(AdversarialOptimizerConfig):
    """Options of a VAE/GAN.

    The options of the optimizer, by default RMSProp with the paper's learning rate, are those of all three players,
    unless the discriminator has its own. RMSProp adds eps under the root of the mean of squared gradients.

    Attributes:
        width: channels of the first convolution of the encoder and the discriminator, and before the decoder's last.
        latent_dim: dimension of the latent.
        layer: l, the hidden layer of the discriminator in which images are compared, counted from 1; by default the
            last one. The first is not normalized, so that distances in it are small at first.
        gamma: weight of L_like against L_GAN for the decoder: a large one keeps the content, a small one gives the
            style of real images.
    """

    optimizer: OptimizerName = "rmsprop"
    learning_rate: float | None = 3e-4
    b2: float = 0.9
    width: int = 32
    latent_dim: int = 20
    layer: int | None = None
    gamma: float = 1e-3

    def __post_init__(self) -> None:
        self.check_optimizer()
        check_positive(width=self.width, latent_dim=self.latent_dim)
        check_not_negative(gamma=self.gamma)


class Networks(NamedTuple):
    """The three networks of a VAE/GAN.

    Attributes:
        encoder: `[batch, *event] -> [batch, 2 * latent_dim]`, mean and log variance of q(z|x).
        decoder: `[batch, latent_dim] -> [batch, *event]`, before the tanh of images.
        discriminator: `[batch, *event] -> ([batch], [batch, *features])`, one logit per image and Dis_l.
    """

    encoder: Network
    decoder: Network
    discriminator: Network


class Terms(NamedTuple):
    """Results of one forward pass, for every example.

    Attributes:
        prior: L_prior, in nats.
        like: L_like, in nats.
        real_output: logit of Dis(x).
        reconstructed_output: logit of Dis(x~).
        sampled_output: logit of Dis(x_p).
        reconstruction: x~.
        stats: new statistics of all networks.
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


def build(
    config: Config,
    example: Batch,
    *,
    encoder: Network | None = None,
    decoder: Network | None = None,
    discriminator: Network | None = None,
    encoder_optimizer: optax.GradientTransformation | None = None,
    decoder_optimizer: optax.GradientTransformation | None = None,
    discriminator_optimizer: optax.GradientTransformation | None = None,
) -> Model:
    """Build a VAE/GAN for images of the shape of an example.

    Args:
        config: options.
        example: batch of any size that shows the shape of the images.
        encoder: module in place of the convolutional one, `[batch, *event] -> [batch, 2 * latent_dim]`, mean and log
            variance of q(z|x) side by side; see `jaxgen.models.networks`. All networks have images in [-1, 1].
        decoder: module in place of the convolutional one, `[batch, latent_dim] -> [batch, *event]`, before a tanh.
        discriminator: module in place of the convolutional one, `[batch, *event] -> ([batch], [batch, *features])`: one
            logit per image, and the layer in which images are compared.
        encoder_optimizer: optimizer in place of that of the config.
        decoder_optimizer: optimizer in place of that of the config.
        discriminator_optimizer: optimizer in place of that of the config.

    Returns:
        The model. `sample(key, state, n)` decodes draws from N(0, I). `evaluate` gives, from one draw of z per example,
        `kl` (L_prior) and `feature_nll` (L_like) in nats, the mean squared error `mse` of pixels in [0, 1], and the
        discriminator's logits of the three images.

    Raises:
        InputError: if the examples are not images, the discriminator has no such layer, or a module does not fit its
            role.

    Example:
        >>> images = {"image": jnp.zeros((1, 8, 8, 1))}
        >>> model = build(Config(width=8, latent_dim=2), images)
        >>> state = jax.jit(model.init)(jax.random.key(0), images)
        >>> model.sample(jax.random.key(1), state, 3).shape
        (3, 8, 8, 1)
    """
    check_build(config, Config, example)
    check_optimizers(
        encoder_optimizer=encoder_optimizer,
        decoder_optimizer=decoder_optimizer,
        discriminator_optimizer=discriminator_optimizer,
    )
    if not is_image(example):
        raise InputError("a VAE/GAN compares images by a convolutional discriminator, and these data are points")
    shape, width = preprocess(example).shape[1:], config.width
    networks = Networks(
        encoder=encoder or Discriminator(width=width, shape=(2 * config.latent_dim,)),
        decoder=decoder or Generator(shape=shape, width=width),
        discriminator=discriminator or Discriminator(width=width, feature_layer=_layer(config, shape)),
    )
    image, z = (jax.ShapeDtypeStruct((2, *size), jnp.float32) for size in (shape, (config.latent_dim,)))
    check_network("encoder", encoder, (image,), (2 * config.latent_dim,))
    check_network("decoder", decoder, (z,), shape)
    check_network("discriminator", discriminator, (image,), (), with_features=True)
    shared, own = (make_optimizer(c, eps_in_root=True) for c in (config, optimizer_of_discriminator(config)))
    all_players = (
        Player("encoder", ("encoder",), encoder_loss, encoder_optimizer or shared),
        Player("decoder", ("decoder",), partial(decoder_loss, config), decoder_optimizer or shared),
        Player("discriminator", ("discriminator",), discriminator_loss, discriminator_optimizer or own),
    )
    players = freeze_networks(all_players, config.freeze)
    init, step = game(partial(init_networks, networks, config), players, shared=partial(shared_pass, networks))
    model = Model(
        init=init,
        step=step,
        players=players,
        sample=partial(sample, networks, config),
        encode=partial(encode, networks),
        decode=partial(decode, networks),
        reconstruct=partial(reconstruct, networks),
        evaluate=partial(evaluate, networks),
        sample_latent=partial(sample_latent, config),
        sample_posterior=partial(sample_posterior, networks),
    )
    return checked(model, example, latent_dim=config.latent_dim)


def shared_pass(networks: Networks, key: KeyArray, params: Params, state: State, batch: Batch) -> Terms:
    """Compute the forward pass from which the losses of all players are computed."""
    return forward(networks, key, to_signed(preprocess(batch)), params, state.stats, train=True)


def forward(networks: Networks, key: KeyArray, x: Array, params: Params, stats: Stats, *, train: bool) -> Terms:
    """Compute all terms for real images x with values in [-1, 1]."""
    latent_key, prior_key = jax.random.split(key)
    dropout_keys = jax.random.split(make_dropout_key(key), 6)
    mean, log_var, encoder_stats = _posterior(networks, x, params, stats, train=train, key=dropout_keys[0])
    z = draw_normal(latent_key, mean, log_var)[0]
    z_p = jax.random.normal(prior_key, z.shape)
    # Every batch of images is passed separately and normalized by its own statistics.
    reconstruction, new = _decoded(networks, z, params, stats, train=train, key=dropout_keys[1])
    sampled, decoder_stats = _decoded(networks, z_p, params, stats | new, train=train, key=dropout_keys[2])
    discriminate = partial(apply_network, networks.discriminator, "discriminator", params, train=train)
    (real_output, features), new = discriminate(stats, x, key=dropout_keys[3])
    (reconstructed_output, reconstructed), new = discriminate(stats | new, reconstruction, key=dropout_keys[4])
    (sampled_output, _), new = discriminate(stats | new, sampled, key=dropout_keys[5])
    return Terms(
        prior=kl_standard_normal(mean, log_var),
        like=feature_similarity(features, reconstructed),
        real_output=real_output,
        reconstructed_output=reconstructed_output,
        sampled_output=sampled_output,
        reconstruction=reconstruction,
        stats=encoder_stats | decoder_stats | new,
    )


def encoder_loss(key: KeyArray, params: Params, state: State, terms: Terms) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the encoder's loss: the mean of `L_prior + L_like`."""
    metrics = {"kl": terms.prior.mean(), "feature_nll": terms.like.mean()}
    return jnp.mean(terms.prior + terms.like), (_stats_of("encoder", terms), metrics)


def decoder_loss(
    config: Config, key: KeyArray, params: Params, state: State, terms: Terms
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the decoder's loss: the mean of `gamma L_like + L_GAN`."""
    return jnp.mean(config.gamma * terms.like + terms.adversarial), (_stats_of("decoder", terms), {})


def discriminator_loss(
    key: KeyArray, params: Params, state: State, terms: Terms
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the discriminator's loss: the mean of `-L_GAN`."""
    metrics = {
        "real_output": terms.real_output.mean(),
        "reconstructed_output": terms.reconstructed_output.mean(),
        "sampled_output": terms.sampled_output.mean(),
    }
    return -jnp.mean(terms.adversarial), (_stats_of("discriminator", terms), metrics)


def init_networks(networks: Networks, config: Config, key: KeyArray, batch: Batch) -> dict[str, Params]:
    """Initialize all three networks."""
    encoder_key, decoder_key, discriminator_key = jax.random.split(key, 3)
    image = jnp.zeros((1, *preprocess(batch).shape[1:]))
    return {
        "encoder": init_network(networks.encoder, encoder_key, image),
        "decoder": init_network(networks.decoder, decoder_key, jnp.zeros((1, config.latent_dim))),
        "discriminator": init_network(networks.discriminator, discriminator_key, image),
    }


def sample_latent(config: Config, key: KeyArray, n: int) -> Float[Array, "n latent"]:
    """Draw n latents from the prior N(0, I)."""
    return jax.random.normal(key, (n, config.latent_dim))


def sample(networks: Networks, config: Config, key: KeyArray, state: State, n: int) -> Array:
    """Return n decoded draws from the prior, images in [0, 1]."""
    return decode(networks, state, sample_latent(config, key, n))


def encode(networks: Networks, state: State, batch: Batch) -> Float[Array, "batch latent"]:
    """Return the mean of q(z|x) of each example."""
    return _posterior(networks, to_signed(preprocess(batch)), state.params, state.stats, train=False)[0]


def sample_posterior(networks: Networks, key: KeyArray, state: State, batch: Batch) -> Float[Array, "batch latent"]:
    """Draw one latent of q(z|x) for each example."""
    mean, log_var, _ = _posterior(networks, to_signed(preprocess(batch)), state.params, state.stats, train=False)
    return draw_normal(key, mean, log_var)[0]


def decode(networks: Networks, state: State, latent: Float[Array, "batch latent"]) -> Array:
    """Return the decoded latents, images in [0, 1]."""
    return from_signed(_decoded(networks, latent, state.params, state.stats, train=False)[0])


def reconstruct(networks: Networks, state: State, batch: Batch) -> Array:
    """Return the decoded mean of q(z|x) of each example."""
    return decode(networks, state, encode(networks, state, batch))


def evaluate(networks: Networks, key: KeyArray, state: State, batch: Batch) -> Metrics:
    """Return the terms, the squared error of pixels and the discriminator's logits of each example."""
    x = preprocess(batch)
    terms = forward(networks, key, to_signed(x), state.params, state.stats, train=False)
    return {
        "kl": terms.prior,
        "feature_nll": terms.like,
        "mse": jnp.square(from_signed(terms.reconstruction) - x).mean(axis=(1, 2, 3)),
        "real_output": terms.real_output,
        "reconstructed_output": terms.reconstructed_output,
        "sampled_output": terms.sampled_output,
    }


def _posterior(
    networks: Networks, x: Array, params: Params, stats: Stats, *, train: bool, key: KeyArray | None = None
) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"], Stats]:
    """Mean and log variance of q(z|x), and the encoder's new statistics."""
    output, stats = apply_network(networks.encoder, "encoder", params, stats, x, train=train, key=key)
    mean, log_var = jnp.split(output, 2, axis=-1)
    return mean, log_var, stats


def _decoded(
    networks: Networks, z: Array, params: Params, stats: Stats, *, train: bool, key: KeyArray | None = None
) -> tuple[Array, Stats]:
    """The images Dec(z) with values in [-1, 1], and the decoder's new statistics."""
    x, stats = apply_network(networks.decoder, "decoder", params, stats, z, train=train, key=key)
    return jnp.tanh(x), stats


def _stats_of(name: str, terms: Terms) -> Stats:
    return {network: new for network, new in terms.stats.items() if network == name}


def _layer(config: Config, shape: tuple[int, ...]) -> int:
    """The hidden layer of the convolutional discriminator in which images are compared."""
    layers = len(map_sizes(*shape[:2])) - 1
    layer = layers if config.layer is None else config.layer
    if not 1 <= layer <= layers:
        raise InputError(
            f"layer must be from 1 to {layers}, the number of hidden layers of a discriminator of "
            f"{shape[0]}x{shape[1]} images, got {layer}"
        )
    return layer
