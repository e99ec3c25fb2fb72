"""Generative adversarial networks (Goodfellow et al. 2014, arXiv:1406.2661), composed from parts.

A generator G maps a latent z to an example G(z); a discriminator D distinguishes generated from real examples x. In a
step D makes its updates, then G makes its own, and each minimizes one side of an adversarial loss (`jaxgen.losses`):

    D:  mean of  loss.discriminator(D(x), D(G(z)))  +  penalty_weight * penalty(D)  -  log p(class | x, G(z))
    G:  mean of  loss.generator(D(G(z)))                                            -  log p(class | G(z))

The last terms are present only with an auxiliary classifier. Other published variants are choices of these parts:

    architecture        mlp, dcgan, resnet
    loss                minimax, non_saturating, least_squares, hinge, wasserstein, relativistic_average
    Lipschitz           a gradient penalty (gradient, one_sided_gradient, dragan, r1), in every step or every k-th;
                        weight clipping; spectral normalization
    normalization       none, batch, layer, spectral, in either network
    condition           none, concatenation, projection, auxiliary_classifier (`jaxgen.models.gan_networks`)
    mode collapse       packing (PacGAN), unrolled_steps (G minimizes its loss against D after D's next updates)
    optimization        updates per step, optimizer and learning rate of either player, average of the generator

`jaxgen.models.gan_config` states which of them can be combined, and `jaxgen.models.gan_presets` holds published
combinations. Images are handed to the networks with values in [-1, 1], points as they are.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jaxgen.averaging import Average, constant_decay, half_life_decay, with_averages
from jaxgen.errors import InputError
from jaxgen.game import Model, Player, Regularizer, State, game, unchanged
from jaxgen.losses import AdversarialLoss, clip_weights
from jaxgen.models.checked_model import checked
from jaxgen.models.gan_architectures import make_discriminator, make_generator
from jaxgen.models.gan_config import LOSSES, PENALTIES, PenaltyFunction, completed
from jaxgen.models.gan_config import Config as Config
from jaxgen.models.gan_networks import DiscriminatorOutput, Networks
from jaxgen.models.labels import Label, Labels, count_classes, each_label
from jaxgen.models.networks import make_dropout_key
from jaxgen.models.optimizer import check_optimizers, freeze_networks, make_optimizer, optimizer_of_discriminator
from jaxgen.models.preprocessing import from_signed, is_image, preprocess
from jaxgen.models.validation import check_build, check_not_negative
from jaxgen.nn.autoencoding import Network
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Scalar, Stats


def build(
    config: Config,
    example: Batch,
    *,
    generator: Network | None = None,
    discriminator: Network | None = None,
    loss: AdversarialLoss | None = None,
    penalty: PenaltyFunction | None = None,
    penalty_weight: float | None = None,
    generator_optimizer: optax.GradientTransformation | None = None,
    discriminator_optimizer: optax.GradientTransformation | None = None,
) -> Model:
    """Build a generative adversarial network for data of the shape of an example.

    Args:
        config: options.
        example: batch of any size that shows the shape of the data and the number of classes.
        generator: module in place of the named architecture, `[batch, latent_dim + classes] -> [batch, *event]`, before
            the tanh of images; see `jaxgen.models.networks`.
        discriminator: module in place of the named architecture, `[batch, *event] -> [batch]`, one logit per example;
            `[batch, 1 + classes]` with projection or an auxiliary classifier.
        loss: pair of losses in place of the named one.
        penalty: `(key, critic, real, fake) -> penalty` per example in place of the named one. Options that need a
            penalty, such as `penalty_every`, need `config.penalty` to name one.
        penalty_weight: weight of that penalty; by default `config.penalty_weight`, or 1.
        generator_optimizer: optimizer in place of that of the config.
        discriminator_optimizer: optimizer in place of that of the config.

    Returns:
        The model. `sample(key, state, n)` gives images in [0, 1], or points; a conditional model takes `label=...`, one
        for all or one for each, and cycles through the classes without it. `decode` does the same with given latents.
        With `truncation=t`, coordinates of normal latents beyond t are drawn again: less variety, and higher quality.
        Samples come from the average of the generator, with its own statistics, where there is one. `evaluate` gives,
        for every real example and one generated example beside it, the discriminator's `real_output` and `fake_output`
        (logits, or the critic's values) and its `discriminator_loss` without the penalty: a discriminator that has
        overfitted has a lower loss on its training data than on others. Batch normalization then uses running
        statistics over real and generated batches, which are normalized separately in training: such a loss compares
        data sets, not evaluation with training. A relativistic loss is not defined for a single example and is left
        out. With packing, no example has an output of its own, and there is no `evaluate`.

    Raises:
        InputError: if the options do not fit each other or the data, or a module does not fit its role.

    Example:
        >>> model = build(Config(hidden=(16,), latent_dim=2), {"point": jnp.zeros((1, 2))})
        >>> state = model.init(jax.random.key(0), {"point": jnp.zeros((1, 2))})
        >>> model.sample(jax.random.key(1), state, 3).shape
        (3, 2)
    """
    check_build(config, Config, example)
    check_optimizers(generator_optimizer=generator_optimizer, discriminator_optimizer=discriminator_optimizer)
    _check_parts(loss, penalty, penalty_weight)
    given_weight = config.penalty_weight if penalty_weight is None else penalty_weight
    config = completed(config, example, own_penalty=penalty is not None)
    objective = Objective(
        networks=_networks(config, example, generator, discriminator),
        config=config,
        loss=loss or LOSSES[config.loss],
        penalty=penalty or (PENALTIES[config.penalty].function if config.penalty != "none" else None),
        penalty_weight=_penalty_weight(config, given_weight, own=penalty is not None),
    )
    objective.networks.check(generator, discriminator)
    players = _players(objective, generator_optimizer, discriminator_optimizer)
    init, step = game(objective.networks.init, players, ema=_averages(config, objective.networks))
    networks = objective.networks
    model = Model(
        init=init,
        step=step,
        players=players,
        sample=partial(sample, networks),
        decode=partial(decode, networks),
        evaluate=partial(evaluate, objective) if config.packing == 1 else None,
        sample_latent=networks.sample_latent,
        conditions=("label",) if networks.classes else (),
        latent_options=networks.latent_options,
    )
    latent_dim, classes = networks.latent_dim, networks.classes or None
    return checked(model, example, latent_dim=latent_dim, classes=classes, conditions=("label",))


class Objective(NamedTuple):
    """Networks, losses and options: what the losses of both players depend on.

    Attributes:
        networks: generator and discriminator.
        config: options, completed for the data.
        loss: pair of adversarial losses.
        penalty: `(key, critic, real, fake) -> penalty` per example; None without one.
        penalty_weight: weight of the penalty.
    """

    networks: Networks
    config: Config
    loss: AdversarialLoss
    penalty: PenaltyFunction | None
    penalty_weight: float


def discriminator_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the discriminator's loss on a batch of real examples and as many generated ones.

    `mean of  loss.discriminator(D(x), D(G(z))) + penalty_weight * penalty(D) - log p(class | x, G(z))`

    Args:
        objective: networks, losses and options.
        key: PRNG key of z, of the penalty and of dropout.
        params: parameters of both networks.
        state: state of the training.
        batch: real examples.

    Returns:
        The loss, new statistics of the discriminator, and the metrics of `loss_on_examples`.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, algorithm 1.
    """
    latent_key, loss_key = jax.random.split(key)
    real, fake, label = _real_and_fake(objective, latent_key, params, state, batch)
    return loss_on_examples(objective, loss_key, params, state.stats, real, fake, label)


def loss_on_examples(
    objective: Objective, key: KeyArray, params: Params, stats: Stats, real: Array, fake: Array, label: Label
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the discriminator's loss on given packed examples; the adversarial term is also a metric of its own."""
    networks = objective.networks
    dropout_key = make_dropout_key(key)
    of_real, of_fake, new = networks.discriminate_both(real, fake, label, params, stats, key=dropout_key)
    value = objective.loss.discriminator(of_real.logit, of_fake.logit).mean()
    metrics = {"adversarial_loss": value, "real_output": of_real.logit.mean(), "fake_output": of_fake.logit.mean()}
    if objective.penalty is not None and objective.config.penalty_every == 1:
        metrics["penalty"] = _penalty(objective, key, params, stats, real, fake, label)
        value += objective.penalty_weight * metrics["penalty"]
    if label is not None and of_real.class_logits is not None:
        metrics["class_nll"] = _class_nll(of_real, label) + _class_nll(of_fake, label)
        value += metrics["class_nll"]
    return value, (new, metrics)


def penalty_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the weighted penalty alone, for updates in every k-th step: `penalty_weight * penalty(D)`."""
    latent_key, penalty_key = jax.random.split(key)
    real, fake, label = _real_and_fake(objective, latent_key, params, state, batch)
    penalty = _penalty(objective, penalty_key, params, state.stats, real, fake, label)
    return objective.penalty_weight * penalty, ({}, {"penalty": penalty})


def generator_loss(
    objective: Objective, opponent: Player, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the generator's loss on a batch of generated examples.

    `mean of  loss.generator(D(G(z))) - log p(class | G(z))`, with D after its next `unrolled_steps` updates.

    Args:
        objective: networks, losses and options.
        opponent: the discriminator as a player.
        key: PRNG key of z, of the unrolled updates and of dropout.
        params: parameters of both networks.
        state: state of the training.
        batch: real examples, for their number and labels and for relativistic losses.

    Returns:
        The loss, new statistics of the generator, and metrics.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, section 3 (the non-saturating loss).
    """
    latent_key, unrolled_key = jax.random.split(key)
    networks, label = objective.networks, objective.networks.label(batch)
    real, stats, metrics = networks.real(batch), state.stats, {}
    z, dropout_keys = networks.sample_latent(latent_key, len(real)), jax.random.split(make_dropout_key(key, 1), 3)
    fake, new = networks.generate(z, label, params, stats, train=True, key=dropout_keys[0])
    real, fake = networks.pack(real), networks.pack(fake)
    if objective.config.unrolled_steps:
        on_examples = partial(loss_on_examples, objective, real=real, fake=fake, label=label)
        params, stats = _unrolled(opponent, on_examples, objective.config.unrolled_steps, unrolled_key, params, state)
    of_fake, _ = networks.discriminate(fake, label, params, stats, train=True, key=dropout_keys[1])
    real_logit = None
    if objective.loss.relativistic:
        real_logit = networks.discriminate(real, label, params, stats, train=True, key=dropout_keys[2])[0].logit
    value = objective.loss.generator(of_fake.logit, real_logit).mean()
    if label is not None and of_fake.class_logits is not None:
        metrics["class_nll"] = _class_nll(of_fake, label)
        value += metrics["class_nll"]
    return value, (new, metrics)


def sample(
    networks: Networks,
    key: KeyArray,
    state: State,
    n: int,
    *,
    label: Labels | None = None,
    truncation: Scalar | None = None,
) -> Array:
    """Return n generated examples: images in [0, 1], or points.

    Reference:
        Brock, Donahue & Simonyan 2019, arXiv:1809.11096, section 3.1 (the truncation trick).
    """
    return decode(networks, state, networks.sample_latent(key, n, truncation=truncation), label=label)


def decode(
    networks: Networks, state: State, latent: Float[Array, "batch latent"], *, label: Labels | None = None
) -> Array:
    """Return the generated examples of given latents: images in [0, 1], or points."""
    x = _generated(networks, latent, state, _each_label(networks, label, len(latent)))
    return from_signed(x) if networks.images else x


def evaluate(objective: Objective, key: KeyArray, state: State, batch: Batch) -> Metrics:
    """Return the discriminator's outputs and loss for each real example and one generated example beside it."""
    networks = objective.networks
    real, label = networks.real(batch), networks.label(batch)
    fake = _generated(networks, networks.sample_latent(key, len(real)), state, label)
    of_real, _ = networks.discriminate(real, label, state.params, state.stats, train=False)
    of_fake, _ = networks.discriminate(fake, label, state.params, state.stats, train=False)
    outputs = {"real_output": of_real.logit, "fake_output": of_fake.logit}
    if objective.loss.relativistic:  # It would depend on which other examples are in the batch.
        return outputs
    return {"discriminator_loss": objective.loss.discriminator(of_real.logit, of_fake.logit), **outputs}


def _players(
    objective: Objective,
    generator_optimizer: optax.GradientTransformation | None,
    discriminator_optimizer: optax.GradientTransformation | None,
) -> tuple[Player, ...]:
    """The players in the order of their updates."""
    config, differentiable = objective.config, objective.config.unrolled_steps > 0
    regularizers: tuple[Regularizer, ...] = ()
    if objective.penalty is not None and config.penalty_every > 1:
        regularizers = (Regularizer("penalty", partial(penalty_loss, objective), config.penalty_every),)
    discriminator_config = optimizer_of_discriminator(config)
    discriminator = Player(
        name="discriminator",
        trains=("discriminator",),
        loss=partial(discriminator_loss, objective),
        tx=discriminator_optimizer
        or make_optimizer(discriminator_config, regularizers=regularizers, differentiable=differentiable),
        updates=config.discriminator_updates,
        regularizers=regularizers,
        project=unchanged if config.clip is None else partial(clip_weights, bound=config.clip),
    )
    generator = Player(
        name="generator",
        trains=("generator",),
        loss=partial(generator_loss, objective, discriminator),
        tx=generator_optimizer or make_optimizer(config, differentiable=differentiable),
        updates=config.generator_updates,
    )
    return freeze_networks((discriminator, generator), config.freeze)


def _check_parts(loss: Any, penalty: Any, penalty_weight: float | None) -> None:
    """Refuse what is no loss, no penalty or no weight, before the training."""
    if loss is not None and not (hasattr(loss, "discriminator") and hasattr(loss, "generator")):
        raise InputError(
            f"loss must be a jaxgen.losses.AdversarialLoss(discriminator=..., generator=...), got {loss!r}: the name "
            f"of a loss is an option of the config"
        )
    if penalty is not None and not callable(penalty):
        raise InputError(
            f"penalty must be a function (key, critic, real, fake) -> penalty per example, got {penalty!r}: the name "
            f"of a penalty is an option of the config"
        )
    check_not_negative(penalty_weight=penalty_weight or 0.0)


def _penalty_weight(config: Config, given: float | None, *, own: bool) -> float:
    """The weight of the penalty: of the user's own one the given weight, else that of the completed config."""
    if own:
        return 1.0 if given is None else given
    return 0.0 if config.penalty_weight is None else config.penalty_weight


def _averages(config: Config, networks: Networks) -> dict[str, Average]:
    """The moving average of the generator, if there is one."""
    recompute = partial(_averaged_statistics, networks)
    if config.ema is not None:
        return {"generator": Average(constant_decay(config.ema), recompute=recompute)}
    if config.ema_half_life is not None:
        decay = half_life_decay(config.ema_half_life, ramp_up=config.ema_ramp_up, start=config.ema_start)
        return {"generator": Average(decay, recompute=recompute)}
    return {}


def _averaged_statistics(networks: Networks, key: KeyArray, variables: Params, batch: Batch) -> Stats:
    """The statistics of a generator with these variables after generating a batch of as many examples."""
    latent_key, dropout_key = jax.random.split(key)
    params = {"generator": variables["params"]}
    stats = {"generator": {kind: value for kind, value in variables.items() if kind != "params"}}
    z = networks.sample_latent(latent_key, len(networks.real(batch)))
    _, new = networks.generate(z, networks.label(batch), params, stats, train=True, key=dropout_key)
    return new["generator"]


def _networks(config: Config, example: Batch, generator: Network | None, discriminator: Network | None) -> Networks:
    """Both networks, for options without None."""
    shape = preprocess(example).shape[1:]
    classes = 0 if config.condition == "none" else count_classes(example)
    outputs = (1 + classes,) if config.condition in ("projection", "auxiliary_classifier") else ()
    assert config.latent_dim is not None
    return Networks(
        generator=generator or make_generator(config, shape),
        discriminator=discriminator or make_discriminator(config, outputs),
        latent_dim=config.latent_dim,
        shape=shape,
        images=is_image(example),
        latent_distribution=config.latent_distribution,
        condition=config.condition,
        classes=classes,
        packing=config.packing,
    )


def _real_and_fake(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, Array, Label]:
    """The packed real examples of a batch, as many packed generated ones, and the labels of both."""
    networks, label = objective.networks, objective.networks.label(batch)
    real = networks.real(batch)
    z, dropout_key = networks.sample_latent(key, len(real)), make_dropout_key(key)
    fake, _ = networks.generate(z, label, params, state.stats, train=True, key=dropout_key)
    return networks.pack(real), networks.pack(fake), label


def _penalty(
    objective: Objective, key: KeyArray, params: Params, stats: Stats, real: Array, fake: Array, label: Label
) -> Float[Array, ""]:
    """The mean penalty over the examples."""
    assert objective.penalty is not None
    dropout_key = make_dropout_key(key, 1)

    def critic(x: Array) -> Float[Array, " batch"]:
        return objective.networks.discriminate(x, label, params, stats, train=True, key=dropout_key)[0].logit

    values = objective.penalty(key, critic, real, fake)
    if jnp.shape(values) != real.shape[:1]:
        raise InputError(f"penalty must return one value per example, {real.shape[:1]}, got shape {jnp.shape(values)}")
    return values.mean()


Unrolled: TypeAlias = tuple[Params, optax.OptState, Stats]


def _unrolled(
    opponent: Player,
    loss: Callable[[KeyArray, Params, Stats], tuple[Array, tuple[Stats, Metrics]]],
    steps: int,
    key: KeyArray,
    params: Params,
    state: State,
) -> tuple[Params, Stats]:
    """All parameters and statistics after some further updates of the opponent, by its optimizer, on the same examples.

    The generator's gradient flows through these updates (Metz et al. 2017, arXiv:1611.02163, equations 6 to 8).
    """
    tx = optax.with_extra_args_support(opponent.tx)

    def update(carry: Unrolled, i: Array) -> tuple[Unrolled, None]:
        own, opt, stats = carry

        def of_own(own: Params) -> tuple[Array, tuple[Stats, Metrics]]:
            return loss(jax.random.fold_in(key, i), params | own, stats)

        gradients, (new, _) = jax.grad(of_own, has_aux=True)(own)
        updates, opt = tx.update(gradients, opt, own, step=state.step)
        return (opponent.project(optax.apply_updates(own, updates)), opt, stats | new), None

    own = {name: params[name] for name in opponent.trains}
    (own, _, stats), _ = jax.lax.scan(update, (own, state.opt[opponent.name], state.stats), jnp.arange(steps))
    return params | own, stats


def _generated(networks: Networks, z: Array, state: State, label: Label) -> Array:
    """The generated examples of the averaged generator, if there is one, by its own statistics."""
    state = with_averages(state)
    return networks.generate(z, label, state.params, state.stats, train=False)[0]


def _class_nll(output: DiscriminatorOutput, label: Array) -> Float[Array, ""]:
    """Mean of -log p(class | example), in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(output.class_logits, label).mean()


def _each_label(networks: Networks, label: Labels | None, n: int) -> Label:
    """A label for each of n examples, if the networks have a condition."""
    if networks.classes:
        return each_label(label, n, networks.classes)
    if label is not None:
        raise InputError("this model is not conditioned on labels: train one with a condition, e.g. 'projection'")
    return None
