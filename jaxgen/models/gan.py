"""Generative adversarial networks (Goodfellow et al. 2014, arXiv:1406.2661), composed from parts.

A generator turns noise z into examples G(z); a discriminator D tells them from real ones x. In a turn D makes its
moves, then G makes its own, and each minimizes one side of an adversarial loss (`jaxgen.losses`):

    D:  mean of  loss.discriminator(D(x), D(G(z)))  +  penalty_weight * penalty(D)  -  log p(class | x, G(z))
    G:  mean of  loss.generator(D(G(z)))                                            -  log p(class | G(z))

The last terms are there with an auxiliary classifier only. Whatever else has been published is a choice of parts:

    architecture    mlp, dcgan, resnet
    loss            minimax, non_saturating, least_squares, hinge, wasserstein, relativistic_average
    slope of D      a penalty (gradient, one_sided_gradient, dragan, r1), clipped weights, spectral normalization
    normalization   none, batch, layer, spectral, in either network
    condition       none, concatenation, projection, auxiliary_classifier (`jaxgen.models.gan_networks`)
    against collapse    packing (PacGAN), unrolled_steps (D's next moves, seen ahead by G)
    optimization    moves a turn, learning rate of either player, optimizer, average of the generator's weights

`jaxgen.models.gan_config` says what goes together, and `jaxgen.models.presets` holds the combinations that have names.
Pictures are shown to the networks with values in [-1, 1], points as they are.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jaxgen.errors import InputError
from jaxgen.game import Model, Player, State, game, unchanged
from jaxgen.losses import clip_weights
from jaxgen.models.gan_config import LOSSES, PENALTIES, Config, completed
from jaxgen.models.gan_networks import DiscriminatorOutput, GanNetworks, Label
from jaxgen.models.labels import Labels, count_classes, each_label
from jaxgen.models.preprocessing import from_signed, is_image, preprocess
from jaxgen.nn import dcgan, sngan
from jaxgen.nn.mlp import MLP, Maxout
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Stats


def build(config: Config, example: Batch) -> Model:
    """A generative adversarial network for data like the example.

    Args:
        config: the choices.
        example: a batch of any size, for the shape of the data and the number of classes.

    Returns:
        The model. `sample(key, state, n)` gives pictures in [0, 1], or points; of a conditional model with
        `label=...`, one for all or one for each, without which it goes through the classes. `decode` does the same with
        given noise vectors as codes. `evaluate` gives, for every real example and one generated example beside it, the
        discriminator's `real_output` and `fake_output` (logits, or the critic's values) and its `discriminator_loss`,
        penalty not included: a discriminator that knows its training data by heart has a lower loss on them than on
        others. Batch normalization uses running averages over real and generated batches, which in training it
        normalizes apart: such a loss compares data, not with that of training. A relativistic loss is none of a single
        example, and is left out. Where examples are packed, none has an output of its own, and there is no `evaluate`.

    Raises:
        InputError: if choices do not go together with the data.

    Example:
        >>> model = build(Config(hidden=(16,), latent_dim=2), {"point": jnp.zeros((1, 2))})
        >>> state = model.init(jax.random.key(0), {"point": jnp.zeros((1, 2))})
        >>> model.sample(jax.random.key(1), state, 3).shape
        (3, 2)
    """
    config = completed(config, example)
    networks = _networks(config, example)
    loss = LOSSES[config.loss]

    def generated(z: Array, state: State, label: Label) -> Array:
        return networks.generate(z, label, state.params | state.ema, state.stats, training=False)[0]

    def decode(state: State, code: Float[Array, "batch latent"], *, label: Labels | None = None) -> Array:
        x = generated(code, state, _each_label(networks, label, len(code)))
        return from_signed(x) if networks.images else x

    def sample(key: KeyArray, state: State, n: int, *, label: Labels | None = None) -> Array:
        return decode(state, networks.noise(key, n), label=label)

    def evaluate(key: KeyArray, state: State, batch: Batch) -> Metrics:
        real, label = networks.shown(batch), networks.label(batch)
        fake = generated(networks.noise(key, len(real)), state, label)
        of_real, _ = networks.discriminate(real, label, state.params, state.stats, training=False)
        of_fake, _ = networks.discriminate(fake, label, state.params, state.stats, training=False)
        outputs = {"real_output": of_real.output, "fake_output": of_fake.output}
        if loss.relativistic:  # It would depend on which other examples are in the batch.
            return outputs
        return {"discriminator_loss": loss.discriminator(of_real.output, of_fake.output), **outputs}

    players = _players(config, networks)
    init, step = game(networks.init, players, ema=None if config.ema is None else {"generator": config.ema})
    return Model(
        init,
        step,
        sample,
        decode=decode,
        evaluate=evaluate if config.packing == 1 else None,
        players=players,
        conditions=("label",) if networks.classes else (),
        prior=networks.noise,
    )


class Objectives(NamedTuple):
    """What the players minimize.

    Attributes:
        config: without open choices.
        networks: of both players.
    """

    config: Config
    networks: GanNetworks

    def discriminator(
        self, key: KeyArray, params: Params, state: State, batch: Batch
    ) -> tuple[Array, tuple[Stats, Metrics]]:
        """The discriminator's loss."""
        noise_key, penalty_key = jax.random.split(key)
        networks, label = self.networks, self.networks.label(batch)
        real = networks.shown(batch)
        z = networks.noise(noise_key, len(real))
        fake, _ = networks.generate(z, label, params, state.stats, training=True)
        return self.adversarial_discriminator_loss(
            penalty_key, params, state.stats, networks.pack(real), networks.pack(fake), label
        )

    def adversarial_discriminator_loss(
        self, key: KeyArray, params: Params, stats: Stats, real: Array, fake: Array, label: Label
    ) -> tuple[Array, tuple[Stats, Metrics]]:
        """The discriminator's loss on packed examples; the adversarial part is reported by itself as well."""
        of_real, of_fake, moved = self.networks.discriminate_both(real, fake, label, params, stats)
        value = LOSSES[self.config.loss].discriminator(of_real.output, of_fake.output).mean()
        metrics = {
            "adversarial_loss": value,
            "real_output": of_real.output.mean(),
            "fake_output": of_fake.output.mean(),
        }
        if self.config.penalty != "none":

            def critic(x: Array) -> Float[Array, " batch"]:
                return self.networks.discriminate(x, label, params, stats, training=True)[0].output

            metrics["penalty"] = PENALTIES[self.config.penalty].of(critic, key, real, fake).mean()
            value += (self.config.penalty_weight or 0.0) * metrics["penalty"]
        if label is not None and of_real.class_logits is not None:
            metrics["class_nll"] = _class_nll(of_real, label) + _class_nll(of_fake, label)
            value += metrics["class_nll"]
        return value, (moved, metrics)

    def generator(
        self, key: KeyArray, params: Params, state: State, batch: Batch, *, rival: Player
    ) -> tuple[Array, tuple[Stats, Metrics]]:
        """The generator's loss; the rival is the discriminator."""
        noise_key, ahead_key = jax.random.split(key)
        networks, label = self.networks, self.networks.label(batch)
        real, stats, metrics = networks.shown(batch), state.stats, {}
        fake, moved = networks.generate(networks.noise(noise_key, len(real)), label, params, stats, training=True)
        real, fake = networks.pack(real), networks.pack(fake)
        if self.config.unrolled_steps:

            def adversarial_discriminator_loss(
                key: KeyArray, params: Params, stats: Stats
            ) -> tuple[Array, tuple[Stats, Metrics]]:
                return self.adversarial_discriminator_loss(key, params, stats, real, fake, label)

            params, stats = _look_ahead(
                rival, adversarial_discriminator_loss, self.config.unrolled_steps, ahead_key, params, state
            )
        loss = LOSSES[self.config.loss]
        of_fake, _ = networks.discriminate(fake, label, params, stats, training=True)
        of_real = (
            networks.discriminate(real, label, params, stats, training=True)[0].output if loss.relativistic else None
        )
        value = loss.generator(of_fake.output, of_real).mean()
        if label is not None and of_fake.class_logits is not None:
            metrics["class_nll"] = _class_nll(of_fake, label)
            value += metrics["class_nll"]
        return value, (moved, metrics)


def _players(config: Config, networks: GanNetworks) -> tuple[Player, Player]:
    """Who plays, in order of moving."""
    objectives = Objectives(config, networks)
    discriminator = Player(
        "discriminator",
        ("discriminator",),
        objectives.discriminator,
        _optimizer(config, config.discriminator_learning_rate or config.learning_rate),
        config.discriminator_updates,
        unchanged if config.clip is None else partial(clip_weights, bound=config.clip),
    )
    generator = Player(
        "generator",
        ("generator",),
        partial(objectives.generator, rival=discriminator),
        _optimizer(config, config.learning_rate),
        config.generator_updates,
    )
    return discriminator, generator


Ahead: TypeAlias = tuple[Params, optax.OptState, Stats]


def _look_ahead(
    rival: Player,
    loss: Callable[[KeyArray, Params, Stats], tuple[Array, tuple[Stats, Metrics]]],
    steps: int,
    key: KeyArray,
    params: Params,
    state: State,
) -> tuple[Params, Stats]:
    """All parameters and statistics after some more moves of the rival, by its own optimizer, on the examples at hand.

    The generator's gradient goes through these moves: what it gains now and loses when D answers is no gain (Metz et
    al. 2017, arXiv:1611.02163, equations 6 to 8).
    """

    def move(carry: Ahead, i: Array) -> tuple[Ahead, None]:
        own, opt, stats = carry

        def of_own(own: Params) -> tuple[Array, tuple[Stats, Metrics]]:
            return loss(jax.random.fold_in(key, i), params | own, stats)

        gradients, (moved, _) = jax.grad(of_own, has_aux=True)(own)
        updates, opt = rival.tx.update(gradients, opt, own)
        return (rival.project(optax.apply_updates(own, updates)), opt, stats | moved), None

    own = {name: params[name] for name in rival.trains}
    (own, _, stats), _ = jax.lax.scan(move, (own, state.opt[rival.name], state.stats), jnp.arange(steps))
    return params | own, stats


def _class_nll(output_of_discriminator: DiscriminatorOutput, label: Array) -> Float[Array, ""]:
    """Mean of -log p(class | example), in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(output_of_discriminator.class_logits, label).mean()


def _optimizer(config: Config, learning_rate: float | None) -> optax.GradientTransformation:
    assert learning_rate is not None
    # Moves that the generator looks ahead are differentiated; the root of 0, where a unit is dead, has no derivative.
    differentiable = config.unrolled_steps > 0
    if config.optimizer == "rmsprop":
        # Beside the root, as in PyTorch: 1e-8 under the root would dwarf the gradients of a clipped critic.
        epsilon = 1e-16 if differentiable else 1e-8
        return optax.rmsprop(learning_rate, decay=config.b2, eps=epsilon, eps_in_sqrt=differentiable)
    assert config.b1 is not None
    return optax.adam(learning_rate, config.b1, config.b2, eps_root=1e-16 if differentiable else 0.0)


def _networks(config: Config, example: Batch) -> GanNetworks:
    """Both networks, by a config without open choices."""
    shape = preprocess(example).shape[1:]
    classes = 0 if config.condition == "none" else count_classes(example)
    outputs = (1 + classes,) if config.condition in ("projection", "auxiliary_classifier") else ()
    generator_normalization: Any = config.generator_normalization
    discriminator_normalization: Any = config.discriminator_normalization
    hidden: Any = config.hidden
    width: Any = config.width
    generator: Any
    discriminator: Any
    if config.architecture == "dcgan":
        scale = config.weight_scale or dcgan.WEIGHT_SCALE
        generator = dcgan.Generator(shape, width, generator_normalization, scale)
        discriminator = dcgan.Discriminator(width, outputs, discriminator_normalization, scale)
    elif config.architecture == "resnet":
        sngan.smallest_map(*shape[:2])
        generator = sngan.ResidualGenerator(shape, 2 * width, generator_normalization)
        discriminator = sngan.ResidualDiscriminator(width, outputs, discriminator_normalization)
    else:
        start: Any = {} if config.weight_scale is None else {"kernel_init": dcgan.normal(config.weight_scale)}
        leaky_relu = partial(jax.nn.leaky_relu, negative_slope=dcgan.LEAK)
        activation = leaky_relu if config.maxout == 1 else Maxout(config.maxout)
        of_discriminator = hidden if config.discriminator_hidden is None else config.discriminator_hidden
        generator = MLP(hidden, shape, normalization=generator_normalization, **start)
        discriminator = MLP(of_discriminator, outputs, activation, normalization=discriminator_normalization, **start)
    assert config.latent_dim is not None
    return GanNetworks(
        generator,
        discriminator,
        config.latent_dim,
        shape,
        is_image(example),
        config.prior,
        config.condition,
        classes,
        config.packing,
    )


def _each_label(networks: GanNetworks, label: Labels | None, n: int) -> Label:
    """A label for each of n examples, if the networks take any."""
    if networks.classes:
        return each_label(label, n, networks.classes)
    if label is not None:
        raise InputError("this model is not conditioned on labels: train one with a condition, e.g. 'projection'")
    return None
