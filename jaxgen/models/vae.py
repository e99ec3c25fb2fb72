"""The variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114), with the beta of Higgins et al. 2017.

An example x has a latent code z ~ N(0, I) and a decoder p(x|z); an encoder q(z|x) approximates the posterior. Training
minimizes the negative evidence lower bound

    -log p(x)  <=  E_q[-log p(x|z)] + KL[q(z|x) || N(0, I)]     in nats per example,

with gradients through the sample by writing it as z = mean + sigma * epsilon (the reparameterization trick). Encoder
and decoder may be conditioned on c, such as a label: p(x|c), q(z|x, c), p(x|z, c). With the objective `iwae` it is the
importance-weighted autoencoder (Burda et al. 2016), which minimizes a tighter bound from several draws of z,

    -log p(x)  <=  -E log 1/k sum_i p(x|z_i) p(z_i) / q(z_i|x)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen._arrays import is_known
from jaxgen.divergences.gaussian import draw_normal, kl_standard_normal
from jaxgen.errors import InputError, check_known
from jaxgen.game import LatentDensities, Model, Player, State, game
from jaxgen.models.checked_model import checked
from jaxgen.models.dependences import Dependence, of_architectures
from jaxgen.models.likelihood import Likelihood, LikelihoodName, choose_likelihood
from jaxgen.models.networks import apply_network, check_network, init_network, make_dropout_key
from jaxgen.models.optimizer import OptimizerConfig, check_optimizers, freeze_networks, make_optimizer
from jaxgen.models.preprocessing import preprocess
from jaxgen.models.validation import check_build, check_not_negative, check_positive, check_widths
from jaxgen.nn.autoencoding import ActivationName, Architecture, Network, make_decoder, make_encoder
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Stats

Condition = Callable[[Batch], Float[Array, "batch c"] | None]


@dataclass(frozen=True, kw_only=True)
class Config(OptimizerConfig):
    """Options of a variational autoencoder.

    Attributes:
        architecture: architecture of the encoder and, mirrored, of the decoder.
        hidden: widths of the encoder's hidden layers (mlp).
        width: channels of the encoder's first convolution (conv).
        latent_dim: dimension of the latent.
        likelihood: distribution p(x|z). Bernoulli is for images and also takes grey values in [0, 1].
        scale: standard deviation of the Gaussian, or scale of the Laplace likelihood, in units of x (gaussian,
            laplace).
        learn_scale: whether the scale is learned, one for all pixels, starting from `scale` (gaussian, laplace).
        beta: weight of the KL term; 1 gives the evidence lower bound (elbo).
        objective: bound that is maximized: the evidence lower bound, as its mean over the draws, or the
            importance-weighted bound of the draws, which for one draw is the former with an estimated KL term.
        draws: number of draws of z per example and update.
        activation: nonlinearity of the hidden layers (mlp).
        binarize: whether images are binarized anew at each use, in metrics too: a pixel is 1 with its grey value as the
            probability, else 0 (bernoulli). Without a key, as for latents and reconstructions, grey values are encoded.
    """

    architecture: Architecture = "mlp"
    hidden: tuple[int, ...] = (400,)
    width: int = 32
    latent_dim: int = 20
    likelihood: LikelihoodName = "bernoulli"
    scale: float = 1.0
    learn_scale: bool = False
    beta: float = 1.0
    objective: Literal["elbo", "iwae"] = "elbo"
    draws: int = 1
    activation: ActivationName = "relu"
    binarize: bool = False

    def __post_init__(self) -> None:
        self.check_optimizer()
        check_widths(hidden=self.hidden)
        check_positive(width=self.width, latent_dim=self.latent_dim, draws=self.draws)
        check_positive(scale=self.scale)
        check_not_negative(beta=self.beta)
        check_known("objective", self.objective, ("elbo", "iwae"))
        if self.objective == "iwae" and is_known(self.beta) and self.beta != 1:
            raise InputError(
                "beta must be 1 for the objective 'iwae', whose bound has no KL term of its own to weight, got "
                f"{self.beta}: choose elbo"
            )

    def dependences(self, example: Batch) -> tuple[Dependence, ...]:
        """Return which options have an effect for data."""
        scaled = self.likelihood in ("gaussian", "laplace")
        return (
            *super().dependences(example),
            *of_architectures(self.architecture, hidden=["mlp"], width=["conv"]),
            Dependence(("scale",), scaled, "gaussian and laplace", "likelihood='gaussian'"),
        )


class Networks(NamedTuple):
    """The networks of a variational autoencoder, and what they depend on.

    Attributes:
        encoder: `[batch, *event] -> [batch, 2 * latent_dim]`, mean and log variance of q(z|x).
        decoder: `[batch, latent_dim] -> [batch, *event]`, parameters of p(x|z): logits of a Bernoulli, else the mean.
        likelihood: distribution p(x|z).
        condition: `batch -> c`, the condition of each example; None without one.
    """

    encoder: Network
    decoder: Network
    likelihood: Likelihood
    condition: Condition


class Terms(NamedTuple):
    """The terms of both bounds, per example, in nats.

    Attributes:
        reconstruction: -log p(x|z) of each draw of z.
        log_ratio: log p(z) - log q(z|x) of each draw.
        kl: KL[q(z|x) || N(0, I)].
        stats: new statistics of both networks.
    """

    reconstruction: Float[Array, "draws batch"]
    log_ratio: Float[Array, "draws batch"]
    kl: Float[Array, " batch"]
    stats: Stats


def no_condition(batch: Batch) -> None:
    """Return None: the condition of an unconditional model."""
    return


def build(
    config: Config,
    example: Batch,
    *,
    encoder: Network | None = None,
    decoder: Network | None = None,
    likelihood: Likelihood | None = None,
    optimizer: optax.GradientTransformation | None = None,
    condition: Condition = no_condition,
) -> Model:
    """Build a variational autoencoder for data of the shape of an example.

    Args:
        config: options.
        example: batch of any size that shows the shape of the data.
        encoder: module in place of the named architecture, `[batch, *event] -> [batch, 2 * latent_dim]`, mean and log
            variance of q(z|x) side by side; see `jaxgen.models.networks`.
        decoder: module in place of the named architecture, `[batch, latent_dim] -> [batch, *event]`.
        likelihood: distribution in place of the named one.
        optimizer: optimizer in place of that of the config.
        condition: `batch -> c`, one vector per example on which encoder and decoder are conditioned.

    Returns:
        The model. `sample(key, state, n)` decodes draws from N(0, I) to the mean of p(x|z); `evaluate` gives `elbo`,
        `reconstruction` and `kl` in nats per example from one draw of z each, and the mean squared error `mse`. With a
        condition, `sample` and `decode` take it as `condition=`.

    Raises:
        InputError: if the options do not fit each other or the data, or a module does not fit its role.

    Example:
        >>> model = build(Config(hidden=(16,), latent_dim=2), {"image": jnp.zeros((1, 8, 8, 1))})
        >>> state = model.init(jax.random.key(0), {"image": jnp.zeros((1, 8, 8, 1))})
        >>> model.sample(jax.random.key(1), state, 3).shape
        (3, 8, 8, 1)
    """
    check_build(config, Config, example)
    check_optimizers(optimizer=optimizer)
    shape = preprocess(example).shape[1:]
    features = 2 * config.latent_dim
    layers: Any = {"hidden": config.hidden, "width": config.width, "activation": config.activation}
    networks = Networks(
        encoder=encoder or make_encoder(config.architecture, **layers, features=features),
        decoder=decoder or make_decoder(config.architecture, **layers, shape=shape),
        likelihood=likelihood
        or choose_likelihood(config.likelihood, example, learn_scale=config.learn_scale, binarize=config.binarize),
        condition=condition,
    )
    two = {name: np.zeros((2, *x.shape[1:]), x.dtype) for name, x in example.items()}
    x, c = preprocess(two), condition(two)
    check_network("encoder", encoder, (x, c), (features,))
    check_network("decoder", decoder, (jax.ShapeDtypeStruct((2, config.latent_dim), jnp.float32), c), shape)
    player = Player(
        name="vae",
        trains=("encoder", "decoder", "scale") if config.learn_scale else ("encoder", "decoder"),
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
        evaluate=partial(evaluate, networks, config),
        sample_latent=partial(sample_latent, config),
        sample_posterior=partial(sample_posterior, networks, config),
        latent_densities=partial(latent_densities, networks, config),
    )
    conditions = () if condition is no_condition else ("condition",)
    return checked(model, example, latent_dim=config.latent_dim, conditions=conditions)


def loss(
    networks: Networks, config: Config, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the negative bound of a batch.

    `mean of  E_q[-log p(x|z)] + beta KL[q(z|x) || N(0, I)]`, or with the objective iwae
    `mean of  -log 1/k sum_i p(x|z_i) p(z_i) / q(z_i|x)`

    Args:
        networks: the networks.
        config: options.
        key: PRNG key of z, of dropout and of binarized images.
        params: parameters of all networks.
        state: state of the training.
        batch: examples.

    Returns:
        The loss in nats per example, new statistics, and the metrics `reconstruction` and `kl`.

    Reference:
        Kingma & Welling 2014, arXiv:1312.6114, equation 10; beta: Higgins et al. 2017, equation 4; iwae: Burda et al.
        2016, arXiv:1509.00519, equation 8.
    """
    batch = observe(config, key, batch)
    terms = bound_terms(networks, config, key, params, state.stats, batch, draws=config.draws, train=True)
    metrics = {"reconstruction": terms.reconstruction.mean(), "kl": terms.kl.mean()}
    if config.objective == "iwae":
        log_weights = terms.log_ratio - terms.reconstruction
        value = -jnp.mean(jax.nn.logsumexp(log_weights, axis=0) - math.log(config.draws))
    else:
        value = jnp.mean(terms.reconstruction.mean(axis=0) + config.beta * terms.kl)
    return value, (terms.stats, metrics)


def observe(config: Config, key: KeyArray, batch: Batch) -> Batch:
    """Return the examples that the model is given: with `binarize`, images with a draw of every pixel."""
    if not config.binarize:
        return batch
    # A key that differs from all others of a loss, as those of dropout do.
    return {**batch, "image": jax.random.bernoulli(make_dropout_key(key, 2), preprocess(batch)).astype(jnp.float32)}


def bound_terms(
    networks: Networks,
    config: Config,
    key: KeyArray,
    params: Params,
    stats: Stats,
    batch: Batch,
    *,
    draws: int,
    train: bool,
) -> Terms:
    """Compute the terms of the bounds from draws of z for each example."""
    encoder_key, decoder_key = make_dropout_key(key), make_dropout_key(key, 1)
    mean, log_var, encoder_stats = _posterior(networks, params, stats, batch, train=train, key=encoder_key)

    def repeated(x: Array) -> Array:
        return jnp.broadcast_to(x, (draws, *x.shape))

    def joined(x: Array) -> Array:
        return x.reshape(-1, *x.shape[2:])

    z, log_ratio = draw_normal(key, repeated(mean), repeated(log_var))
    condition = networks.condition(batch)
    decoded, decoder_stats = apply_network(
        networks.decoder,
        "decoder",
        params,
        stats,
        joined(z),
        None if condition is None else joined(repeated(condition)),
        train=train,
        key=decoder_key,
    )
    nll = networks.likelihood.nll(decoded, joined(repeated(preprocess(batch))), _log_scale(config, params))
    kl = kl_standard_normal(mean, log_var)
    return Terms(nll.reshape(draws, -1), log_ratio, kl, encoder_stats | decoder_stats)


def init_networks(networks: Networks, config: Config, key: KeyArray, batch: Batch) -> dict[str, Params]:
    """Initialize the encoder, the decoder and, where it is learned, the logarithm of the scale."""
    encoder_key, decoder_key = jax.random.split(key)
    x, c = preprocess(batch), networks.condition(batch)
    variables = {
        "encoder": init_network(networks.encoder, encoder_key, x, c),
        "decoder": init_network(networks.decoder, decoder_key, jnp.zeros((len(x), config.latent_dim)), c),
    }
    if config.learn_scale:
        variables["scale"] = {"params": jnp.log(jnp.float32(config.scale))}
    return variables


def sample_latent(config: Config, key: KeyArray, n: int) -> Float[Array, "n latent"]:
    """Draw n latents from the prior N(0, I)."""
    return jax.random.normal(key, (n, config.latent_dim))


def sample(
    networks: Networks,
    config: Config,
    key: KeyArray,
    state: State,
    n: int,
    *,
    condition: Float[Array, "n c"] | None = None,
) -> Array:
    """Return the means of p(x|z) of n draws from the prior."""
    return decode(networks, state, sample_latent(config, key, n), condition=condition)


def encode(networks: Networks, state: State, batch: Batch) -> Float[Array, "batch latent"]:
    """Return the mean of q(z|x) of each example."""
    return _posterior(networks, state.params, state.stats, batch, train=False)[0]


def sample_posterior(
    networks: Networks, config: Config, key: KeyArray, state: State, batch: Batch
) -> Float[Array, "batch latent"]:
    """Draw one latent of q(z|x) for each example."""
    batch = observe(config, key, batch)
    mean, log_var, _ = _posterior(networks, state.params, state.stats, batch, train=False)
    return draw_normal(key, mean, log_var)[0]


def latent_densities(networks: Networks, config: Config, key: KeyArray, state: State, batch: Batch) -> LatentDensities:
    """Return mean and log variance of q(z|x), and log p(x|z) as a function of one latent for each example."""
    batch = observe(config, key, batch)
    x, condition = preprocess(batch), networks.condition(batch)
    mean, log_var, _ = _posterior(networks, state.params, state.stats, batch, train=False)

    def log_likelihood(latent: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        decoded, _ = apply_network(
            networks.decoder, "decoder", state.params, state.stats, latent, condition, train=False
        )
        return -networks.likelihood.nll(decoded, x, _log_scale(config, state.params))

    return LatentDensities(mean, log_var, log_likelihood)


def decode(
    networks: Networks,
    state: State,
    latent: Float[Array, "batch latent"],
    *,
    condition: Float[Array, "batch c"] | None = None,
) -> Array:
    """Return the mean of p(x|z) of each latent."""
    decoded, _ = apply_network(networks.decoder, "decoder", state.params, state.stats, latent, condition, train=False)
    return networks.likelihood.mean(decoded)


def reconstruct(networks: Networks, state: State, batch: Batch) -> Array:
    """Return the mean of p(x|z) at the mean of q(z|x) of each example."""
    return decode(networks, state, encode(networks, state, batch), condition=networks.condition(batch))


def evaluate(networks: Networks, config: Config, key: KeyArray, state: State, batch: Batch) -> Metrics:
    """Return the evidence lower bound, its terms and the mean squared error of each example."""
    batch = observe(config, key, batch)
    terms = bound_terms(networks, config, key, state.params, state.stats, batch, draws=1, train=False)
    reconstruction = terms.reconstruction[0]
    squares = jnp.square(reconstruct(networks, state, batch) - preprocess(batch))
    return {
        "elbo": -(reconstruction + terms.kl),
        "reconstruction": reconstruction,
        "kl": terms.kl,
        "mse": squares.reshape(len(squares), -1).mean(axis=-1),
    }


def _posterior(
    networks: Networks, params: Params, stats: Stats, batch: Batch, *, train: bool, key: KeyArray | None = None
) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"], Stats]:
    """Mean and log variance of q(z|x), and the encoder's new statistics."""
    output, stats = apply_network(
        networks.encoder,
        "encoder",
        params,
        stats,
        preprocess(batch),
        networks.condition(batch),
        train=train,
        key=key,
    )
    mean, log_var = jnp.split(output, 2, axis=-1)
    return mean, log_var, stats


def _log_scale(config: Config, params: Params) -> Array:
    return params.get("scale", jnp.log(config.scale))
