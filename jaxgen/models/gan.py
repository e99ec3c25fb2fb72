"""Generative adversarial networks (Goodfellow et al. 2014, arXiv:1406.2661).

A generator turns noise z ~ N(0, I) into examples G(z); a discriminator D tells them from real ones. Two published games
are played here, and a further one is a line in `LOSSES` and in the defaults:

    non_saturating   D minimizes -log sigma(D(x)) - log(1 - sigma(D(G(z)))), G minimizes -log sigma(D(G(z)));
                     for pictures with the networks and the optimizer of DCGAN (Radford et al. 2016)
    wasserstein      D, called critic, minimizes D(G(z)) - D(x) + weight * (|grad D| - 1)^2, several moves a turn;
                     G minimizes -D(G(z)) (WGAN-GP, Gulrajani et al. 2017)

Pictures are shown to the networks with values in [-1, 1], points as they are.
"""

import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax

from jaxgen.errors import InputError, check_known
from jaxgen.game import Loss, Model, Player, State, game
from jaxgen.losses import AdversarialLoss, gradient_penalty, non_saturating, wasserstein
from jaxgen.models.observation import is_picture, observed
from jaxgen.models.validation import check_not_negative, check_positive
from jaxgen.nn.dcgan import LEAK, Discriminator, Generator
from jaxgen.nn.mlp import MLP
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Stats

Architecture = Literal["mlp", "dcgan"]
LossName = Literal["non_saturating", "wasserstein"]

LOSSES: dict[str, AdversarialLoss] = {"non_saturating": non_saturating, "wasserstein": wasserstein}


@dataclass(frozen=True)
class Config:
    """What can be chosen about a generative adversarial network. None is what goes with the loss.

    Attributes:
        architecture: of both networks; where nothing is chosen, dcgan for pictures and mlp for points.
        hidden: widths of the hidden layers of either network (mlp).
        width: channels of the discriminator's first and before the generator's last convolution (dcgan).
        latent: length of the noise vector; where nothing is chosen, 100 for pictures (Radford et al. 2016), and for
            points as many as they have coordinates (2 in the plane, as Gulrajani et al. 2017 and Lin et al. 2018 have).
        loss: what the players minimize.
        penalty_weight: of the gradient penalty; a discriminator with one has no batch normalization.
        critic_moves: of the discriminator, before each move of the generator.
        learning_rate: of Adam, for both players.
        b1: decay of Adam's mean of gradients.
        b2: decay of Adam's mean of squared gradients.
    """

    architecture: Architecture | None = None
    hidden: tuple[int, ...] = (64, 64)
    width: int = 32
    latent: int | None = None
    loss: LossName = "non_saturating"
    penalty_weight: float | None = None
    critic_moves: int | None = None
    learning_rate: float | None = None
    b1: float | None = None
    b2: float | None = None

    def __post_init__(self) -> None:
        check_positive(hidden=min(self.hidden, default=1), width=self.width)
        if self.latent is not None:
            check_positive(latent=self.latent)


class Choices(NamedTuple):
    """The choices of a `Config` that go with its loss, none of them open."""

    penalty_weight: float
    critic_moves: int
    learning_rate: float
    b1: float
    b2: float


FOR_PICTURES: dict[str, Choices] = {
    # Radford et al. 2016, section 4.
    "non_saturating": Choices(penalty_weight=0.0, critic_moves=1, learning_rate=2e-4, b1=0.5, b2=0.999),
    # Gulrajani et al. 2017, algorithm 1.
    "wasserstein": Choices(penalty_weight=10.0, critic_moves=5, learning_rate=1e-4, b1=0.0, b2=0.9),
}
"""What each loss was published with."""

FOR_POINTS: dict[str, Choices] = {
    "non_saturating": Choices(penalty_weight=0.0, critic_moves=1, learning_rate=1e-3, b1=0.5, b2=0.999),
    # The authors' weight for points, and ten times their learning rate: 2,500 turns cover the ring of eight.
    "wasserstein": Choices(penalty_weight=0.1, critic_moves=5, learning_rate=1e-3, b1=0.5, b2=0.9),
}
"""What works for points in the plane, where the networks are small and can learn faster."""


def build(config: Config, example: Batch) -> Model:
    """A generative adversarial network for data like the example.

    Args:
        config: the choices.
        example: a batch of any size, for the shape of the data.

    Returns:
        The model. `sample(key, state, n)` gives pictures in [0, 1], or points. `evaluate` gives, for every real example
        and one generated example beside it, the discriminator's `real_output` and `fake_output` (logits, or the
        critic's values) and its `discriminator_loss`, penalty not included: a discriminator that knows its training
        data by heart has a lower loss on them than on others. Batch normalization uses running averages over real and
        generated batches, which in training it normalizes apart: such a loss compares data, not with that of training.

    Raises:
        InputError: if a choice is unknown or impossible, or if choices do not go together.

    Example:
        >>> model = build(Config(hidden=(16,), latent=2), {"point": jnp.zeros((1, 2))})
        >>> state = model.init(jax.random.key(0), {"point": jnp.zeros((1, 2))})
        >>> model.sample(jax.random.key(1), state, 3).shape
        (3, 2)
    """
    choices = _choices(config, example)
    networks = _networks(config, choices, example)
    loss = LOSSES[config.loss]

    def generated(key: KeyArray, state: State, n: int) -> Array:
        return networks.generate(networks.noise(key, n), state.params, state.stats, training=False)[0]

    def sample(key: KeyArray, state: State, n: int) -> Array:
        x = generated(key, state, n)
        return from_signed(x) if networks.pictures else x

    def evaluate(key: KeyArray, state: State, batch: Batch) -> Metrics:
        real = networks.shown(batch)
        fake = generated(key, state, len(real))
        real_output, _ = networks.judge(real, state.params, state.stats, training=False)
        fake_output, _ = networks.judge(fake, state.params, state.stats, training=False)
        discriminator_loss = loss.discriminator(real_output, fake_output)
        return {"discriminator_loss": discriminator_loss, "real_output": real_output, "fake_output": fake_output}

    adam = optax.adam(choices.learning_rate, choices.b1, choices.b2)
    discriminator_loss, generator_loss = _losses(loss, choices.penalty_weight, networks)
    players = (
        Player("discriminator", ("discriminator",), discriminator_loss, adam, updates=choices.critic_moves),
        Player("generator", ("generator",), generator_loss, adam),
    )
    init, step = game(networks.init, players)
    return Model(init, step, sample, evaluate=evaluate, players=players)


class Networks(NamedTuple):
    """The two networks, and how they are called.

    Attributes:
        generator: from noise to examples; those that are pictures go through a tanh.
        discriminator: from examples to one number each.
        latent: length of the noise vector.
        shape: of one example.
        pictures: whether the examples are pictures.
    """

    generator: Any
    discriminator: Any
    latent: int
    shape: tuple[int, ...]
    pictures: bool

    def init(self, key: KeyArray, batch: Batch) -> dict[str, Params]:
        """Initialize both networks."""
        generator_key, discriminator_key = jax.random.split(key)
        return {
            "generator": self.generator.init(generator_key, jnp.zeros((1, self.latent))),
            "discriminator": self.discriminator.init(discriminator_key, jnp.zeros((1, *self.shape))),
        }

    def shown(self, batch: Batch) -> Float[Array, " batch *event"]:
        """The real examples as the discriminator sees them."""
        return to_signed(observed(batch)) if self.pictures else observed(batch)

    def noise(self, key: KeyArray, n: int) -> Float[Array, "n latent"]:
        """Noise vectors for n examples."""
        return jax.random.normal(key, (n, self.latent))

    def generate(self, z: Array, params: Params, stats: Stats, *, training: bool) -> tuple[Array, Stats]:
        """The examples G(z), and the new statistics of the generator."""
        x, stats = forward(self.generator, "generator", z, params, stats, training=training)
        return (jnp.tanh(x) if self.pictures else x), stats

    def judge(self, x: Array, params: Params, stats: Stats, *, training: bool) -> tuple[Float[Array, " batch"], Stats]:
        """The discriminator's outputs D(x), and its new statistics."""
        return forward(self.discriminator, "discriminator", x, params, stats, training=training)

    def judge_both(
        self, real: Array, fake: Array, params: Params, stats: Stats
    ) -> tuple[Float[Array, " batch"], Float[Array, " batch"], Stats]:
        """The outputs D(real) and D(fake) in training, and the discriminator's new statistics.

        Where there are statistics, real and generated examples pass one after the other, each batch normalized by its
        own. Where there are none, one pass is the same and faster.
        """
        if "discriminator" not in stats:
            outputs, stats = self.judge(jnp.concatenate([real, fake]), params, stats, training=True)
            return outputs[: len(real)], outputs[len(real) :], stats
        real_output, stats = self.judge(real, params, stats, training=True)
        fake_output, stats = self.judge(fake, params, stats, training=True)
        return real_output, fake_output, stats


def forward(network: Any, name: str, x: Array, params: Params, stats: Stats, *, training: bool) -> tuple[Array, Stats]:
    """Apply one network of a game.

    Args:
        network: a Flax module.
        name: of the network.
        x: what it is applied to.
        params: of all networks.
        stats: of all networks that have any.
        training: whether batch normalization uses the batch, and its running averages move.

    Returns:
        The output; and `{name: new statistics}`, or nothing where no statistics moved.

    Example:
        >>> network = MLP(hidden=(), shape=())
        >>> params = {"discriminator": network.init(jax.random.key(0), jnp.zeros((1, 2)))["params"]}
        >>> output, stats = forward(network, "discriminator", jnp.zeros((3, 2)), params, {}, training=True)
        >>> output.shape, stats
        ((3,), {})
    """
    variables = {"params": params[name], **stats.get(name, {})}
    output, updated = network.apply(variables, x, mutable=["batch_stats"] if training else [])
    return output, {name: updated} if updated else {}


def to_signed(pictures: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Values in [0, 1] as values in [-1, 1], the range of a tanh.

    Example:
        >>> to_signed(jnp.array([0.0, 0.25, 1.0]))
        Array([-1. , -0.5,  1. ], dtype=float32)
    """
    return 2 * pictures - 1


def from_signed(signed: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Undo `to_signed`.

    Example:
        >>> from_signed(jnp.array([-1.0, -0.5, 1.0]))
        Array([0.  , 0.25, 1.  ], dtype=float32)
    """
    return (signed + 1) / 2


def _losses(loss: AdversarialLoss, penalty_weight: float, networks: Networks) -> tuple[Loss, Loss]:
    """What the discriminator and what the generator minimizes."""

    def discriminator_loss(
        key: KeyArray, params: Params, state: State, batch: Batch
    ) -> tuple[Array, tuple[Stats, Metrics]]:
        noise_key, penalty_key = jax.random.split(key)
        real = networks.shown(batch)
        fake, _ = networks.generate(networks.noise(noise_key, len(real)), params, state.stats, training=True)
        real_output, fake_output, stats = networks.judge_both(real, fake, params, state.stats)
        value = loss.discriminator(real_output, fake_output).mean()
        metrics = {"real_output": real_output.mean(), "fake_output": fake_output.mean()}
        if penalty_weight:

            def critic(x: Array) -> Float[Array, " batch"]:
                return networks.judge(x, params, state.stats, training=True)[0]

            metrics["gradient_penalty"] = gradient_penalty(critic, penalty_key, real, fake).mean()
            value += penalty_weight * metrics["gradient_penalty"]
        return value, (stats, metrics)

    def generator_loss(
        key: KeyArray, params: Params, state: State, batch: Batch
    ) -> tuple[Array, tuple[Stats, Metrics]]:
        noise = networks.noise(key, len(observed(batch)))
        fake, stats = networks.generate(noise, params, state.stats, training=True)
        fake_output, _ = networks.judge(fake, params, state.stats, training=True)
        return loss.generator(fake_output).mean(), (stats, {})

    return discriminator_loss, generator_loss


def _networks(config: Config, choices: Choices, example: Batch) -> Networks:
    shape, pictures = observed(example).shape[1:], is_picture(example)
    generator: Any
    discriminator: Any
    if (config.architecture or ("dcgan" if pictures else "mlp")) == "dcgan":
        generator = Generator(shape=shape, width=config.width)
        discriminator = Discriminator(width=config.width, batch_norm=not choices.penalty_weight)
    else:
        generator = MLP(hidden=config.hidden, shape=shape)
        discriminator = MLP(hidden=config.hidden, shape=(), activation=partial(jax.nn.leaky_relu, negative_slope=LEAK))
    latent = config.latent or (100 if pictures else math.prod(shape))
    return Networks(generator, discriminator, latent, shape, pictures)


def _choices(config: Config, example: Batch) -> Choices:
    """Fill what the config leaves open with the defaults of its loss, and refuse what cannot work."""
    if config.architecture is not None:
        check_known("architecture", config.architecture, get_args(Architecture))
    if config.architecture == "dcgan" and not is_picture(example):
        raise InputError("the architecture 'dcgan' is for pictures, and these data are points: use 'mlp'")
    check_known("loss", config.loss, LOSSES)
    defaults = (FOR_PICTURES if is_picture(example) else FOR_POINTS)[config.loss]
    chosen = {name: value for name, value in asdict(config).items() if name in Choices._fields and value is not None}
    choices = defaults._replace(**chosen)
    check_positive(critic_moves=choices.critic_moves, learning_rate=choices.learning_rate)
    check_not_negative(penalty_weight=choices.penalty_weight, b1=choices.b1, b2=choices.b2)
    if max(choices.b1, choices.b2) >= 1:
        raise InputError(f"b1 and b2 are decays below 1, got {choices.b1} and {choices.b2}")
    if config.loss == "wasserstein" and not choices.penalty_weight:
        raise InputError("without a gradient penalty the loss 'wasserstein' has no minimum: give a penalty_weight > 0")
    return choices
