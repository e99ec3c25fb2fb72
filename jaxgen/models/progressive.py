"""Progressive growing of GANs (Karras et al. 2018, arXiv:1710.10196), as in the authors' code.

    discriminator:   mean of D(G(z)) - D(x) + (weight / target^2) (|grad D| - target)^2 + drift D(x)^2
    generator:       mean of -D(G(z))

WGAN-GP, whose gradient is taken between real and generated images, and whose drift keeps the critic values near 0. The
images grow (`jaxgen.models.growing`): both networks get layers for images of twice the size, which fade in. Samples
come from a moving average of the generator, in which a step counts after the discriminator's next one, as the authors
update it between both players. The networks are those of `jaxgen.nn.progressive_networks`.

The authors' networks are given images of the full size: smaller ones with repeated pixels. The gradient norm is that
with respect to those: `size / full size` of the norm with respect to images of the size of the phase.

With classes both networks are conditioned, and the discriminator classifies as well (AC-GAN).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgen.averaging import Average, constant_decay, with_averages
from jaxgen.game import Model, State
from jaxgen.losses import gradient_penalty, wasserstein
from jaxgen.models.checked_model import checked
from jaxgen.models.growing import GrowingConfig, Growth, at_step, enlarged, growing_model, plan, real_at
from jaxgen.models.labels import Label, Labels
from jaxgen.models.networks import apply_untyped
from jaxgen.models.optimizer import check_decay
from jaxgen.models.spaces import Spaces, spaces_for
from jaxgen.models.validation import check_build, check_not_negative, check_positive
from jaxgen.nn.progressive_networks import Discriminator, Generator
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Scalar, Stats


@dataclass(frozen=True, kw_only=True)
class Config(GrowingConfig):
    """Options of PGGAN. The defaults are those of the authors, at a small size.

    Attributes:
        fused: whether the discriminator reduces a map within its convolution, before bias and activation, as the
            authors' program does by default; otherwise after them, which is another function.
        penalty_weight: weight of the gradient penalty.
        gradient_norm: gradient norm whose penalty is 0; 750 in the paper for CIFAR-10.
        drift: weight of the squared critic values of real images.
        ema: decay of the moving average of the generator.
    """

    fused: bool = True
    penalty_weight: float = 10.0
    gradient_norm: float = 1.0
    drift: float = 0.001
    ema: float = 0.999

    def __post_init__(self) -> None:
        self.check_growing()
        check_not_negative(penalty_weight=self.penalty_weight, drift=self.drift)
        check_positive(gradient_norm=self.gradient_norm)
        check_decay("ema", self.ema)


def build(config: Config, example: Batch) -> Model:
    """Build PGGAN for images of the shape of an example.

    Args:
        config: options.
        example: batch of any size that shows the shape of the images and the number of classes.

    Returns:
        The model, which is trained in phases. `sample(key, state, n)` gives images in [0, 1], of the full size: those
        of the image size at the step of the state, with repeated pixels. A conditional model takes `label=...`, one for
        all or one for each, and cycles through the classes without it. `decode` does the same with given latents.
        `step` is that of the last phase. As the discriminator compares the examples of a batch, none has an output of
        its own, and there is no `evaluate`.

    Raises:
        InputError: if the data are no images of a size that the networks can have.

    Example:
        >>> import numpy as np
        >>> images = {"image": np.zeros((4, 8, 8, 1), np.uint8)}
        >>> model = build(Config(base=32, latent_dim=4), images)
        >>> [phase.name for phase in model.phases]
        ['stable at 4', 'fading in 8', 'stable at 8']
        >>> state = model.init(jax.random.key(0), images)
        >>> model.sample(jax.random.key(1), state, 3).shape
        (3, 8, 8, 1)
    """
    check_build(config, Config, example)
    networks = _networks(config, example)
    spaces = networks.spaces
    phases = plan(config, spaces.size)

    def losses(phase: Growth) -> tuple[Any, Any]:
        objective = Objective(networks, config, phase)
        return partial(discriminator_loss, objective), partial(generator_loss, objective)

    average = Average(constant_decay(config.ema), delayed=True)
    of_latents = partial(decode, networks, phases)
    model = growing_model(networks.init, config, phases, losses, average)._replace(
        sample=spaces.sampler(of_latents),
        decode=of_latents,
        sample_latent=spaces.sample_latent,
        conditions=("label",) if spaces.classes else (),
    )
    classes = spaces.classes or None
    return checked(model, example, latent_dim=config.latent_dim, classes=classes, conditions=("label",))


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

    def init(self, key: KeyArray, batch: Batch) -> dict[str, Params]:
        """Initialize both networks, with the layers for all sizes."""
        del batch
        generator_key, discriminator_key = jax.random.split(key)
        z, label, image = self.spaces.examples()
        return {
            "generator": dict(self.generator.init(generator_key, z, label, train=False)),
            "discriminator": dict(self.discriminator.init(discriminator_key, image, train=False)),
        }

    def generate(
        self, params: Params, z: Float[Array, "n latent"], label: Label, size: int, alpha: Scalar | None
    ) -> Float[Array, "n size size channels"]:
        """Return images of a size, for the weight of its layers."""
        variables = {"params": params["generator"]}
        images: Array = apply_untyped(self.generator, variables, z, label, train=True, size=size, alpha=alpha)
        return images

    def discriminate(
        self, params: Params, images: Float[Array, "n size size channels"], alpha: Scalar | None
    ) -> tuple[Float[Array, " n"], Float[Array, "n classes"] | None]:
        """Return critic values, and logits of classes, which depend on the other images of the batch."""
        outputs = apply_untyped(
            self.discriminator, {"params": params["discriminator"]}, images, train=True, alpha=alpha
        )
        return (outputs[:, 0], outputs[:, 1:]) if self.spaces.classes else (outputs, None)


class Objective(NamedTuple):
    """Networks, options and phase: what the losses depend on."""

    networks: Networks
    config: Config
    phase: Growth

    def fake(
        self, key: KeyArray, params: Params, state: State, batch: Batch
    ) -> tuple[Float[Array, "n size size channels"], Label]:
        """Return as many new images as there are real ones, with their labels."""
        spaces, size = self.networks.spaces, self.phase.size
        z, label = spaces.sample_latent(key, len(batch["image"])), spaces.label(batch)
        return self.networks.generate(params, z, label, size, self.phase.weight(state.step)), label


def generator_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the generator's loss on as many new images as there are real ones: the mean of `-D(G(z))`.

    Args:
        objective: networks, options and phase.
        key: PRNG key of the latents.
        params: parameters of both networks.
        state: state of the training.
        batch: real images, for their number and labels.

    Returns:
        The loss, no statistics, and metrics.
    """
    fake, label = objective.fake(key, params, state, batch)
    of_fake, classes = objective.networks.discriminate(params, fake, objective.phase.weight(state.step))
    value = wasserstein.generator(of_fake).mean() + _class_nll(classes, label)
    return value, ({}, {"fake_output": of_fake.mean()})


def discriminator_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the discriminator's loss with the gradient penalty and the drift.

    Args:
        objective: networks, options and phase.
        key: PRNG key of the latents and of the penalty.
        params: parameters of both networks.
        state: state of the training.
        batch: real images.

    Returns:
        The loss, no statistics, and metrics; `image_size` and `new_layers` are the size and the weight of its layers.

    Reference:
        Karras et al. 2018, arXiv:1710.10196, appendix A.1; Gulrajani et al. 2017, arXiv:1704.00028, equation 3.
    """
    fake_key, penalty_key = jax.random.split(key)
    networks, config, phase = objective.networks, objective.config, objective.phase
    spaces = networks.spaces
    alpha = phase.weight(state.step)
    fake, label = objective.fake(fake_key, params, state, batch)
    real = real_at(spaces.real(batch), phase.size, alpha)
    of_real, classes_of_real = networks.discriminate(params, real, alpha)
    of_fake, classes_of_fake = networks.discriminate(params, fake, alpha)

    def critic(images: Array) -> Float[Array, " batch"]:
        return phase.size / spaces.size * networks.discriminate(params, images, alpha)[0]

    penalty = gradient_penalty(penalty_key, critic, real, fake, target=config.gradient_norm).mean()
    value = wasserstein.discriminator(of_real, of_fake).mean()
    value += config.penalty_weight / config.gradient_norm**2 * penalty + config.drift * jnp.square(of_real).mean()
    value += _class_nll(classes_of_real, label) + _class_nll(classes_of_fake, label)
    metrics = {
        "real_output": of_real.mean(),
        "fake_output": of_fake.mean(),
        "penalty": penalty,
        **phase.metrics(alpha),
    }
    return value, ({}, metrics)


def decode(
    networks: Networks,
    phases: tuple[Growth, ...],
    state: State,
    latent: Float[Array, "n latent"],
    *,
    label: Labels | None = None,
) -> Float[Array, "n height width channels"]:
    """Return the images of given latents by the averaged generator, at the image size of the state's step."""
    spaces = networks.spaces
    labels = spaces.each_label(label, len(latent))
    params = with_averages(state).params

    def draw(size: int, alpha: Scalar | None) -> Float[Array, "n full full channels"]:
        return enlarged(networks.generate(params, latent, labels, size, alpha), spaces.size)

    return spaces.data_images(at_step(phases, state.step, draw))


def _class_nll(logits: Float[Array, "n classes"] | None, label: Label) -> Float[Array, ""]:
    """Mean of -log p(class | image), in nats; 0 without classes."""
    if logits is None:
        return jnp.zeros(())
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()


def _networks(config: Config, example: Batch) -> Networks:
    """Both networks for the data."""
    spaces = spaces_for(
        "progressive", example, latent_dim=config.latent_dim, size=config.size, conditional=config.conditional
    )
    config.check_sizes(spaces.size)
    size, classes = spaces.size, spaces.classes
    widths: dict[str, Any] = {"base": config.base, "largest": config.largest}
    generator = Generator(size, spaces.shape[2], classes=classes, **widths)
    outputs = 1 + classes if classes else None
    discriminator = Discriminator(size, outputs=outputs, group=config.group, fused=config.fused, **widths)
    return Networks(generator, discriminator, spaces)
