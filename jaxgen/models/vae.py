"""The variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114), with the beta of Higgins et al. 2017.

An example x is explained by a code z ~ N(0, I) and a decoder p(x|z); an encoder q(z|x) guesses the code. Training
minimizes the negative evidence lower bound

    -log p(x)  <=  E_q[-log p(x|z)] + KL[q(z|x) || N(0, I)]     in nats per example,

with gradients through the sample by writing it as z = mean + sigma * epsilon (the reparameterization trick). Encoder
and decoder may be told a condition c, such as a label; it then stands behind every bar: p(x|c), q(z|x, c), p(x|z, c).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from jaxgen.divergences import kl_standard_normal
from jaxgen.errors import InputError, check_known
from jaxgen.game import Model, Player, State, game
from jaxgen.models.likelihood import LIKELIHOODS, Likelihood, LikelihoodName
from jaxgen.models.preprocessing import is_image, preprocess
from jaxgen.models.validation import check_not_negative, check_positive
from jaxgen.nn.autoencoding import Architecture, decoder, encoder
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Stats


@dataclass(frozen=True)
class Config:
    """What can be chosen about a variational autoencoder.

    Attributes:
        architecture: of the encoder and, mirrored, the decoder.
        hidden: widths of the encoder's hidden layers (mlp).
        width: channels of the encoder's first convolution (conv).
        latent: length of the code.
        likelihood: p(x|z). Bernoulli is for pictures and also takes grey values in [0, 1].
        scale: of the Gaussian (its standard deviation) or the Laplace likelihood, in units of x.
        learn_scale: whether the scale is learned, one for all pixels, starting from `scale`.
        beta: weight of the KL term; 1 is the evidence lower bound.
        learning_rate: of Adam.
    """

    architecture: Architecture = "mlp"
    hidden: tuple[int, ...] = (400,)
    width: int = 32
    latent_dim: int = 20
    likelihood: LikelihoodName = "bernoulli"
    scale: float = 1.0
    learn_scale: bool = False
    beta: float = 1.0
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        check_positive(hidden=min(self.hidden, default=1), width=self.width, latent_dim=self.latent_dim)
        check_positive(scale=self.scale, learning_rate=self.learning_rate)
        check_not_negative(beta=self.beta)


def unconditional(batch: Batch) -> None:
    """The condition of a model that is told nothing."""
    return


def build(
    config: Config, example: Batch, *, condition_of: Callable[[Batch], Float[Array, "batch c"] | None] = unconditional
) -> Model:
    """A variational autoencoder for data like the example.

    Args:
        config: the choices.
        example: a batch of any size, for the shape of the data.
        condition_of: `batch -> c`, one vector per example that encoder and decoder are told.

    Returns:
        The model. `sample(key, state, n)` draws codes from the prior and returns the mean of p(x|z); `evaluate` gives
        `elbo`, `reconstruction` and `kl`, in nats per example, from one code per example. With a condition, `sample`
        and `decode` take it as `condition=`.

    Raises:
        InputError: if the choices do not fit each other or the data.

    Example:
        >>> model = build(Config(hidden=(16,), latent_dim=2), {"image": jnp.zeros((1, 8, 8, 1))})
        >>> state = model.init(jax.random.key(0), {"image": jnp.zeros((1, 8, 8, 1))})
        >>> model.sample(jax.random.key(1), state, 3).shape
        (3, 8, 8, 1)
    """
    shape = preprocess(example).shape[1:]
    likelihood = _likelihood(config, example)
    hidden, width = config.hidden, config.width
    encoder_network = encoder(config.architecture, hidden=hidden, width=width, features=2 * config.latent_dim)
    decoder_network = decoder(config.architecture, hidden=hidden, width=width, shape=shape)

    def init_networks(key: KeyArray, batch: Batch) -> dict[str, Params]:
        encoder_key, decoder_key = jax.random.split(key)
        x, c = preprocess(batch), condition_of(batch)
        networks = {
            "encoder": encoder_network.init(encoder_key, x, c),
            "decoder": decoder_network.init(decoder_key, jnp.zeros((len(x), config.latent_dim)), c),
        }
        if config.learn_scale:
            networks["scale"] = {"params": jnp.float32(math.log(config.scale))}
        return networks

    def posterior_parameters(
        params: Params, batch: Batch
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        """Mean and log variance of q(z|x)."""
        output = encoder_network.apply({"params": params["encoder"]}, preprocess(batch), condition_of(batch))
        mean, log_var = jnp.split(output, 2, axis=-1)
        return mean, log_var

    def decoded(params: Params, z: Float[Array, "batch latent"], c: Float[Array, "batch c"] | None) -> Array:
        """The parameters of p(x|z): logits of a Bernoulli, else the mean."""
        return decoder_network.apply({"params": params["decoder"]}, z, c)

    def elbo_terms(
        key: KeyArray, params: Params, batch: Batch
    ) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
        """E_q[-log p(x|z)] from one code per example, and KL[q(z|x) || N(0, I)]."""
        mean, log_var = posterior_parameters(params, batch)
        z = reparameterize(key, mean, log_var)
        log_scale = params.get("scale", math.log(config.scale))
        nll = likelihood.nll(decoded(params, z, condition_of(batch)), preprocess(batch), log_scale)
        return nll, kl_standard_normal(mean, log_var)

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, tuple[Stats, Metrics]]:
        reconstruction, kl = elbo_terms(key, params, batch)
        metrics = {"reconstruction": reconstruction.mean(), "kl": kl.mean()}
        return jnp.mean(reconstruction + config.beta * kl), ({}, metrics)

    def prior(key: KeyArray, n: int) -> Float[Array, "n latent"]:
        return jax.random.normal(key, (n, config.latent_dim))

    def sample(key: KeyArray, state: State, n: int, *, condition: Float[Array, "n c"] | None = None) -> Array:
        return decode(state, prior(key, n), condition=condition)

    def encode(state: State, batch: Batch) -> Float[Array, "batch latent"]:
        mean, _ = posterior_parameters(state.params, batch)
        return mean

    def posterior(key: KeyArray, state: State, batch: Batch) -> Float[Array, "batch latent"]:
        return reparameterize(key, *posterior_parameters(state.params, batch))

    def decode(
        state: State, code: Float[Array, "batch latent"], *, condition: Float[Array, "batch c"] | None = None
    ) -> Array:
        return likelihood.mean(decoded(state.params, code, condition))

    def reconstruct(state: State, batch: Batch) -> Array:
        return decode(state, encode(state, batch), condition=condition_of(batch))

    def evaluate(key: KeyArray, state: State, batch: Batch) -> Metrics:
        reconstruction, kl = elbo_terms(key, state.params, batch)
        squares = jnp.square(reconstruct(state, batch) - preprocess(batch))
        mse = squares.reshape(len(squares), -1).mean(axis=-1)
        return {"elbo": -(reconstruction + kl), "reconstruction": reconstruction, "kl": kl, "mse": mse}

    networks = ("encoder", "decoder", "scale") if config.learn_scale else ("encoder", "decoder")
    players = (Player("vae", networks, loss, optax.adam(config.learning_rate)),)
    init, step = game(init_networks, players)
    return Model(init, step, sample, encode, decode, reconstruct, evaluate, players, prior=prior, posterior=posterior)


def reparameterize(
    key: KeyArray, mean: Float[Array, "batch latent"], log_var: Float[Array, "batch latent"]
) -> Float[Array, "batch latent"]:
    """A sample of N(mean, exp(log_var)) through which gradients flow.

        z = mean + exp(log_var / 2) * epsilon,   epsilon ~ N(0, I)

    Args:
        key: of epsilon.
        mean: of the normal distribution.
        log_var: logarithm of its variance.

    Returns:
        One sample per example.

    Reference:
        Kingma & Welling 2014, arXiv:1312.6114, section 2.4.

    Example:
        >>> mean = jnp.array([[3.0, -1.0]])
        >>> reparameterize(jax.random.key(0), mean, jnp.full((1, 2), -jnp.inf))
        Array([[ 3., -1.]], dtype=float32)
    """
    return mean + jnp.exp(log_var / 2) * jax.random.normal(key, mean.shape, mean.dtype)


def _likelihood(config: Config, example: Batch) -> Likelihood:
    check_known("likelihood", config.likelihood, LIKELIHOODS)
    likelihood = LIKELIHOODS[config.likelihood]
    if config.learn_scale and not likelihood.scaled:
        raise InputError(f"the {config.likelihood} likelihood has no scale to learn: choose gaussian or laplace")
    if not likelihood.scaled and not is_image(example):
        raise InputError(f"the {config.likelihood} likelihood is for pictures: choose gaussian or laplace for points")
    return likelihood
