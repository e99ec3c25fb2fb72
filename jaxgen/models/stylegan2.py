"""StyleGAN2 (Karras et al. 2020, arXiv:1912.04958), in the form of the authors' code of 2020 (arXiv:2006.06676).

    generator:       mean of log(1 + exp(-D(G(z))))                        + path length penalty, every 4th step
    discriminator:   mean of log(1 + exp(D(G(z)))) + log(1 + exp(-D(x)))   + (gamma / 2) |grad D(x)|^2, every 16th step

G maps z to a style w, and w to an image; with a probability of 0.9 the layers from a random one on have the style of a
second latent (style mixing). Samples come from a moving average of the generator. The networks are those of
`jaxgen.nn.stylegan2_networks`.

Of few images a discriminator learns every one by heart. With an augmentation it is only given changed images, real and
generated ones alike, also where the generator learns from it: with a probability that follows how far it overfits
(Karras et al. 2020, arXiv:2006.06676), or always (Zhao et al. 2020, arXiv:2006.10738).
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen._arrays import is_known
from jaxgen.augmentation import adjusted_probability, augment, diff_augment
from jaxgen.averaging import Average, half_life_decay
from jaxgen.errors import InputError
from jaxgen.game import Model, Player, Regularizer, State, game
from jaxgen.losses import non_saturating, r1_penalty
from jaxgen.losses.path_regularization import path_length_penalty
from jaxgen.models.checked_model import checked
from jaxgen.models.labels import Label
from jaxgen.models.networks import apply_untyped
from jaxgen.models.new_styles import generator_variables, new_styles, style_decoder, style_functions
from jaxgen.models.optimizer import freeze_networks, make_optimizer, optimizer_of_discriminator
from jaxgen.models.spaces import Spaces, spaces_for
from jaxgen.models.stylegan2_config import Config as Config
from jaxgen.models.validation import check_build
from jaxgen.nn.layer_styles import Generator, Noise
from jaxgen.nn.stylegan2_networks import Discriminator, Mapping, Synthesis
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Scalar, Stats

ADJUSTMENT_INTERVAL = 4
"""Steps between two adjustments of the probability of augmentations."""


def build(config: Config, example: Batch) -> Model:
    """Build StyleGAN2 for images of the shape of an example.

    Args:
        config: options.
        example: batch of any size that shows the shape of the images and the number of classes.

    Returns:
        The model. `sample(key, state, n)` gives images in [0, 1]; a conditional model takes `label=...`, one for all or
        one for each, and cycles through the classes without it. With `truncation=psi`, from 0 to 1, styles are drawn
        towards their average. `decode` does the same with given latents, one for each image, or one for each layer of
        it (W+). Both use the stored noise images, so that equal latents give equal images. As the discriminator
        compares the examples of a batch, none has an output of its own, and there is no `evaluate`.

    Raises:
        InputError: if the data are no images of a size that the networks can have.

    Example:
        >>> import numpy as np
        >>> images = {"image": np.zeros((4, 8, 8, 1), np.uint8)}
        >>> model = build(Config(base=32, latent_dim=4, style_dim=4), images)
        >>> state = model.init(jax.random.key(0), images)
        >>> model.sample(jax.random.key(1), state, 3, truncation=0.5).shape
        (3, 8, 8, 1)
    """
    check_build(config, Config, example)
    networks = _networks(config, example)
    spaces, of_styles = networks.spaces, partial(draw, networks)
    decode = style_decoder(networks.generator, spaces, of_styles)
    players = _players(Objective(networks, config))
    init, step = game(partial(_init, networks, config), players, ema={"generator": _average(config)})
    model = Model(
        init=init,
        step=step,
        players=players,
        sample=spaces.sampler(decode),
        decode=decode,
        sample_latent=spaces.sample_latent,
        conditions=("label", "truncation") if spaces.classes else ("truncation",),
        styles=style_functions(networks.generator, spaces.classes, of_styles, modulations),
    )
    return checked(
        model,
        example,
        latent_dim=config.latent_dim,
        classes=spaces.classes or None,
        conditions=("label", "truncation"),
    )


class Networks(NamedTuple):
    """Generator and discriminator, and how they are applied.

    Attributes:
        generator: the generator.
        discriminator: the discriminator.
        spaces: latents, labels and images between which they map.
    """

    generator: Generator
    discriminator: Discriminator
    spaces: Spaces

    def init(self, key: KeyArray) -> dict[str, Params]:
        """Initialize both networks."""
        generator_key, discriminator_key = jax.random.split(key)
        z, label, image = self.spaces.examples()
        generator = self.generator.init(generator_key, z, label, train=False, noise="none")
        return {
            "generator": {**dict(generator), "path_length": {"mean": jnp.zeros(())}},
            "discriminator": dict(self.discriminator.init(discriminator_key, image, label, train=False)),
        }

    def styles(
        self, key: KeyArray, variables: Params, label: Label, n: int, *, mixing: float
    ) -> tuple[Float[Array, "n styles style"], Stats]:
        """Return styles of new latents for all layers, mixed at random, and the statistics of the mapping network.

        Only the first latents count for the average of styles.
        """
        options: dict[str, Any] = {"latent_dim": self.spaces.latent_dim, "mixing": mixing}
        return new_styles(self.generator, key, variables, label, n, **options)

    def synthesize(
        self, variables: Params, w: Float[Array, "n styles style"], *, noise: Noise, key: KeyArray | None = None
    ) -> Float[Array, "n size size channels"]:
        """Return the images of styles."""
        rngs = None if key is None else {"noise": key}
        images: Array = apply_untyped(self.generator, variables, w, noise=noise, method="synthesize", rngs=rngs)
        return images

    def discriminate(
        self, params: Params, images: Float[Array, "n size size channels"], label: Label
    ) -> Float[Array, " n"]:
        """Return the logits of images, which depend on the other images of the batch."""
        logits: Array = apply_untyped(
            self.discriminator, {"params": params["discriminator"]}, images, label, train=True
        )
        return logits


class Objective(NamedTuple):
    """Networks and options: what the losses depend on."""

    networks: Networks
    config: Config

    def discriminate(
        self, key: KeyArray, params: Params, state: State, images: Float[Array, "n size size channels"], label: Label
    ) -> Float[Array, " n"]:
        """Return the logits of augmented images."""
        if self.config.augmentation == "adaptive":
            p = state.stats["discriminator"]["augmentation"]["probability"]
            images = augment(key, images, p, operators=self.config.pipeline)
        elif self.config.augmentation == "diff":
            images = diff_augment(key, images, operators=self.config.policy)
        return self.networks.discriminate(params, images, label)


def generator_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the generator's loss on as many new images as there are real ones: the mean of `log(1 + exp(-D(G(z))))`.

    Args:
        objective: networks and options.
        key: PRNG key of the latents and of the noise.
        params: parameters of both networks.
        state: state of the training.
        batch: real images, for their number and labels.

    Returns:
        The loss, the new average of styles, and metrics.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, section 3 (the non-saturating loss).
    """
    image_key, augmentation_key = jax.random.split(key)
    fake, stats = _generated(objective, image_key, params, state, batch)
    logits = objective.discriminate(augmentation_key, params, state, fake, objective.networks.spaces.label(batch))
    return non_saturating.generator(logits).mean(), (stats, {"fake_output": logits.mean()})


def discriminator_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the discriminator's loss: the mean of `log(1 + exp(D(G(z)))) + log(1 + exp(-D(x)))`.

    Real and generated images are passed in batches of their own, as the discriminator compares those of a batch.

    Args:
        objective: networks and options.
        key: PRNG key of the latents and of the noise.
        params: parameters of both networks.
        state: state of the training.
        batch: real images.

    Returns:
        The loss, the new average of the generator's styles, and metrics.
    """
    image_key, fake_key, real_key = jax.random.split(key, 3)
    spaces, label = objective.networks.spaces, objective.networks.spaces.label(batch)
    fake, stats = _generated(objective, image_key, params, state, batch)
    of_fake = objective.discriminate(fake_key, params, state, fake, label)
    of_real = objective.discriminate(real_key, params, state, spaces.real(batch), label)
    sign = jnp.sign(of_real).mean()
    metrics = {"real_output": of_real.mean(), "fake_output": of_fake.mean(), "sign_of_real_output": sign}
    if objective.config.augmentation == "adaptive":
        adjusted = _adjusted(objective.config, state, jax.lax.stop_gradient(sign), len(of_real))
        stats = {**stats, "discriminator": {**state.stats["discriminator"], "augmentation": adjusted}}
        metrics["augmentation_probability"] = adjusted["probability"]
    return non_saturating.discriminator(of_real, of_fake).mean(), (stats, metrics)


def gradient_penalty_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the weighted penalty on the gradient of D at real images: the mean of `(gamma / 2) |grad D(x)|^2`.

    The gradient is that with respect to the images before their augmentation.

    Reference:
        Mescheder et al. 2018, arXiv:1801.04406, equation 9.
    """
    spaces, config = objective.networks.spaces, objective.config
    real, label = spaces.real(batch), spaces.label(batch)
    penalty = r1_penalty(lambda images: objective.discriminate(key, params, state, images, label), real).mean()
    gamma = 0.0002 * real.shape[1] ** 2 / len(real) if config.gamma is None else config.gamma
    return gamma / 2 * penalty, ({}, {"penalty": penalty})


def path_length_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the weighted path length penalty of new images, of a share of the batch.

    Reference:
        Karras et al. 2020, arXiv:1912.04958, section 3.2 and appendix B.
    """
    style_key, noise_key, projection_key = jax.random.split(key, 3)
    networks, config, label = objective.networks, objective.config, objective.networks.spaces.label(batch)
    count = max(1, len(batch["image"]) // config.path_length_reduction)
    variables = generator_variables(params, state.stats)
    few = None if label is None else label[:count]
    w, changed = networks.styles(style_key, variables, few, count, mixing=config.mixing)
    found = path_length_penalty(
        projection_key,
        partial(networks.synthesize, variables, noise="random", key=noise_key),
        w,
        state.stats["generator"]["path_length"]["mean"],
    )
    stats = {**state.stats["generator"], **changed, "path_length": {"mean": jax.lax.stop_gradient(found.mean)}}
    metrics = {"penalty": found.penalty.mean(), "length": found.lengths.mean()}
    return config.path_length * found.penalty.mean(), ({"generator": stats}, metrics)


def draw(
    networks: Networks, state: State, variables: Params, w: Float[Array, "n styles style"]
) -> Float[Array, "n height width channels"]:
    """Return the images, in [0, 1] approximately, of the styles of layers with the stored noise images."""
    del state
    return networks.spaces.data_images(networks.synthesize(variables, w, noise="constant"))


def modulations(synthesis: Params) -> list[Float[Array, "style channels"]]:
    """Return the matrix of every layer that changes its style to the factors of the channels.

    Maps to colours of inner blocks, which share the style of the next convolution, are left out.
    """
    blocks = [synthesis[name] for name in sorted(synthesis, key=lambda name: int(name[1:]))]
    convolutions = [block[name] for block in blocks for name in ("conv0", "conv1") if name in block]
    return [layer["affine"]["kernel"] for layer in (*convolutions, blocks[-1]["torgb"])]


def _generated(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Float[Array, "n size size channels"], Stats]:
    """New images, one for each real one, and the new average of styles."""
    style_key, noise_key = jax.random.split(key)
    networks = objective.networks
    variables, label = generator_variables(params, state.stats), networks.spaces.label(batch)
    w, changed = networks.styles(style_key, variables, label, len(batch["image"]), mixing=objective.config.mixing)
    fake = networks.synthesize(variables, w, noise="random", key=noise_key)
    return fake, {"generator": {**state.stats["generator"], **changed}}


def _init(networks: Networks, config: Config, key: KeyArray, batch: Batch) -> dict[str, Params]:
    """Both networks, with the state of the adaptive augmentation among the discriminator's statistics."""
    del batch
    found = networks.init(key)
    if config.augmentation == "adaptive":
        found["discriminator"]["augmentation"] = {"probability": jnp.zeros(()), "sign": jnp.zeros(())}
    return found


def _adjusted(config: Config, state: State, sign: Float[Array, ""], batch_size: int) -> dict[str, Array]:
    """The state of the adaptive augmentation after a step: the probability, and the sum of signs in the interval.

    The authors' program also counts the outputs in updates with the gradient penalty, which are one in sixteen.
    """
    before = state.stats["discriminator"]["augmentation"]
    total = before["sign"] + sign
    adjusted = adjusted_probability(
        before["probability"],
        total / ADJUSTMENT_INTERVAL,
        batch_size=batch_size,
        target=config.target,
        interval=ADJUSTMENT_INTERVAL,
        adjustment_images=config.adjustment,
    )
    due = (state.step + 1) % ADJUSTMENT_INTERVAL == 0
    return {
        "probability": jnp.where(due, adjusted, before["probability"]),
        "sign": jnp.where(due, 0.0, total),
    }


def _players(objective: Objective) -> tuple[Player, ...]:
    """The generator and then the discriminator, as in the authors' program."""
    config = objective.config
    path_length = Regularizer("path_length", partial(path_length_loss, objective), config.path_length_every)
    penalty = Regularizer("penalty", partial(gradient_penalty_loss, objective), config.penalty_every)
    of_generator = () if is_known(config.path_length) and config.path_length == 0 else (path_length,)
    of_discriminator = () if config.gamma is not None and is_known(config.gamma) and config.gamma == 0 else (penalty,)
    generator = Player(
        name="generator",
        trains=("generator",),
        loss=partial(generator_loss, objective),
        tx=make_optimizer(config, regularizers=of_generator),
        regularizers=of_generator,
    )
    discriminator = Player(
        name="discriminator",
        trains=("discriminator",),
        loss=partial(discriminator_loss, objective),
        tx=make_optimizer(optimizer_of_discriminator(config), regularizers=of_discriminator),
        regularizers=of_discriminator,
    )
    return freeze_networks((generator, discriminator), config.freeze)


def _average(config: Config) -> Average:
    """The moving average of the generator, of whose statistics none are averaged."""

    def decay(step: Array, batch_size: int) -> Scalar:
        half_life = batch_size * 10_000 / 32 if config.ema_half_life is None else config.ema_half_life
        return half_life_decay(half_life, ramp_up=config.ema_ramp_up)(step, batch_size)

    return Average(decay, collections=())


def _networks(config: Config, example: Batch) -> Networks:
    """Both networks for the data."""
    spaces = spaces_for(
        "stylegan2", example, latent_dim=config.latent_dim, size=config.size, conditional=config.conditional
    )
    size, classes = spaces.size, spaces.classes
    if config.base < size:
        raise InputError(f"base must be at least the size of the images, {size}, got {config.base}")
    widths: dict[str, Any] = {"base": config.base, "largest": config.largest}
    mapping = Mapping(config.style_dim, layers=config.mapping_layers, hidden=config.mapping_width, classes=classes)
    synthesis = Synthesis(size, spaces.shape[2], architecture=config.architecture, **widths)
    discriminator = Discriminator(
        size, architecture=config.discriminator_architecture, classes=classes, group=config.group, **widths
    )
    return Networks(Generator(mapping, synthesis), discriminator, spaces)
