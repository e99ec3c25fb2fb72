"""StyleGAN (Karras et al. 2019, arXiv:1812.04948), as in the authors' code.

    generator:       mean of log(1 + exp(-D(G(z))))
    discriminator:   mean of log(1 + exp(D(G(z)))) + log(1 + exp(-D(x))) + (gamma / 2) |grad D(x)|^2

G maps z to a style w, by which every layer scales and shifts its normalized features (AdaIN), and adds noise; with a
probability of 0.9 the layers from a random one on have the style of a second latent (style mixing). The images grow
(`jaxgen.models.growing`) unless they begin with their full size. Samples come from a moving average of the generator,
in which a step counts after the discriminator's next one, as the authors update it between both players. The networks
are those of `jaxgen.nn.stylegan_networks`, the discriminator that of PGGAN with a blur.

The authors' networks are given images of the full size: smaller ones with repeated pixels. The gradient is that with
respect to those: its norm is `size / full size` of that with respect to images of the size of the phase.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen._arrays import is_known
from jaxgen.averaging import Average, half_life_decay
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.losses import non_saturating, r1_penalty
from jaxgen.models.checked_model import checked
from jaxgen.models.dependences import Dependence, of_mapping_width
from jaxgen.models.growing import GrowingConfig, Growth, at_step, enlarged, growing_model, plan, real_at
from jaxgen.models.labels import Label
from jaxgen.models.networks import apply_untyped
from jaxgen.models.new_styles import generator_variables, new_styles, style_decoder, style_functions
from jaxgen.models.spaces import Spaces, spaces_for
from jaxgen.models.validation import check_build, check_not_negative, check_positive
from jaxgen.nn.layer_styles import Generator, Noise
from jaxgen.nn.progressive_networks import Discriminator
from jaxgen.nn.resolutions import resolutions
from jaxgen.nn.stylegan_networks import BLUR, Mapping, Synthesis
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics, Params, Scalar, Stats


@dataclass(frozen=True, kw_only=True)
class Config(GrowingConfig):
    """Options of StyleGAN. The defaults are those of the authors, at a small size.

    Attributes:
        style_dim: dimension of the style w.
        mapping_layers: layers of the mapping network.
        mapping_width: number of features between these layers; by default that of the style.
        mixing: probability of a second style.
        gamma: weight of the gradient penalty, twice the factor of the squared norm.
        truncated_layers: number of first layers whose styles are drawn towards their average in truncated samples.
        ema_half_life: half-life of the moving average of the generator, in images.
    """

    start: int = 8
    style_dim: int = 64
    mapping_layers: int = 8
    mapping_width: int | None = None
    mixing: float = 0.9
    gamma: float = 10.0
    truncated_layers: int = 8
    ema_half_life: float = 10_000

    def __post_init__(self) -> None:
        self.check_growing()
        check_positive(
            style_dim=self.style_dim, mapping_layers=self.mapping_layers, truncated_layers=self.truncated_layers
        )
        if self.mapping_width is not None:
            check_positive(mapping_width=self.mapping_width)
        check_positive(ema_half_life=self.ema_half_life)
        check_not_negative(gamma=self.gamma, mixing=self.mixing)
        if is_known(self.mixing) and self.mixing > 1:
            raise InputError(f"mixing must be from 0 to 1, got {self.mixing}")

    def dependences(self, example: Batch) -> tuple[Dependence, ...]:
        """Return which options have an effect for data."""
        return (*super().dependences(example), of_mapping_width(self.mapping_layers))


def build(config: Config, example: Batch) -> Model:
    """Build StyleGAN for images of the shape of an example.

    Args:
        config: options.
        example: batch of any size that shows the shape of the images and the number of classes.

    Returns:
        The model, which is trained in phases. `sample(key, state, n)` gives images in [0, 1], of the full size: those
        of the image size at the step of the state, with repeated pixels. A conditional model takes `label=...`, one for
        all or one for each, and cycles through the classes without it. With `truncation=psi`, from 0 to 1 (0.7 in the
        authors' code), the styles of the first layers are drawn towards their average. `decode` does the same with
        given latents, one for each image, or one for each layer of it (W+). Both use the stored noise images, so that
        equal latents give equal images. `step` is that of the last phase. As the discriminator compares the examples of
        a batch, none has an output of its own, and there is no `evaluate`.

    Raises:
        InputError: if the data are no images of a size that the networks can have.

    Example:
        >>> import numpy as np
        >>> images = {"image": np.zeros((4, 8, 8, 1), np.uint8)}
        >>> model = build(Config(base=32, latent_dim=4, style_dim=4), images)
        >>> state = model.init(jax.random.key(0), images)
        >>> model.sample(jax.random.key(1), state, 3, truncation=0.7).shape
        (3, 8, 8, 1)
    """
    check_build(config, Config, example)
    networks = _networks(config, example)
    spaces = networks.spaces
    phases = plan(config, spaces.size)

    def losses(phase: Growth) -> tuple[Any, Any]:
        objective = Objective(networks, config, phase)
        return partial(discriminator_loss, objective), partial(generator_loss, objective)

    # Of the statistics none are averaged.
    average = Average(half_life_decay(config.ema_half_life), collections=(), delayed=True)
    of_styles = partial(draw, networks, phases)
    decode = style_decoder(networks.generator, spaces, of_styles, layers=config.truncated_layers)
    model = growing_model(networks.init, config, phases, losses, average)._replace(
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

    def init(self, key: KeyArray, batch: Batch) -> dict[str, Params]:
        """Initialize both networks, with the layers for all sizes."""
        del batch
        generator_key, discriminator_key = jax.random.split(key)
        z, label, image = self.spaces.examples()
        return {
            "generator": dict(self.generator.init(generator_key, z, label, train=False, noise="none")),
            "discriminator": dict(self.discriminator.init(discriminator_key, image, train=False)),
        }

    def synthesize(
        self,
        variables: Params,
        w: Float[Array, "n styles style"],
        size: int,
        alpha: Scalar | None,
        *,
        noise: Noise,
        key: KeyArray | None = None,
    ) -> Float[Array, "n size size channels"]:
        """Return the images of styles, of a size, for the weight of its layers."""
        options: dict[str, Any] = {"noise": noise, "rngs": None if key is None else {"noise": key}}
        images: Array = apply_untyped(
            self.generator, variables, w, size=size, alpha=alpha, method="synthesize", **options
        )
        return images

    def discriminate(
        self, params: Params, images: Float[Array, "n size size channels"], label: Label, alpha: Scalar | None
    ) -> Float[Array, " n"]:
        """Return the logits of images, for their labels, which depend on the other images of the batch."""
        outputs: Array = apply_untyped(
            self.discriminator, {"params": params["discriminator"]}, images, train=True, alpha=alpha
        )
        return outputs if label is None else jnp.take_along_axis(outputs, label[:, None], axis=1)[:, 0]


class Objective(NamedTuple):
    """Networks, options and phase: what the losses depend on."""

    networks: Networks
    config: Config
    phase: Growth

    def fake(
        self, key: KeyArray, params: Params, state: State, batch: Batch
    ) -> tuple[Float[Array, "n size size channels"], Stats]:
        """Return as many new images as there are real ones, and the new average of styles."""
        style_key, noise_key = jax.random.split(key)
        networks, spaces, size = self.networks, self.networks.spaces, self.phase.size
        variables, label, n = generator_variables(params, state.stats), spaces.label(batch), len(batch["image"])
        w, changed = new_styles(
            networks.generator,
            style_key,
            variables,
            label,
            n,
            latent_dim=spaces.latent_dim,
            mixing=self.config.mixing,
            layers=2 * len([each for each in resolutions(spaces.size) if each <= size]),  # Those in use.
        )
        alpha = self.phase.weight(state.step)
        images = networks.synthesize(variables, w, size, alpha, noise="random", key=noise_key)
        return images, {"generator": {**state.stats["generator"], **changed}}


def generator_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the generator's loss on as many new images as there are real ones: the mean of `log(1 + exp(-D(G(z))))`.

    Args:
        objective: networks, options and phase.
        key: PRNG key of the latents and of the noise.
        params: parameters of both networks.
        state: state of the training.
        batch: real images, for their number and labels.

    Returns:
        The loss, the new average of styles, and metrics.
    """
    networks = objective.networks
    fake, stats = objective.fake(key, params, state, batch)
    logits = networks.discriminate(params, fake, networks.spaces.label(batch), objective.phase.weight(state.step))
    return non_saturating.generator(logits).mean(), (stats, {"fake_output": logits.mean()})


def discriminator_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the discriminator's loss with the penalty on its gradient at real images, in every step.

    Args:
        objective: networks, options and phase.
        key: PRNG key of the latents and of the noise.
        params: parameters of both networks.
        state: state of the training.
        batch: real images.

    Returns:
        The loss, the new average of the generator's styles, and metrics; `image_size` and `new_layers` are the size and
        the weight of its layers.

    Reference:
        Karras et al. 2019, arXiv:1812.04948, appendix C; Mescheder et al. 2018, arXiv:1801.04406, equation 9.
    """
    networks, spaces, phase = objective.networks, objective.networks.spaces, objective.phase
    label, alpha = spaces.label(batch), phase.weight(state.step)
    fake, stats = objective.fake(key, params, state, batch)
    real = real_at(spaces.real(batch), phase.size, alpha)
    of_real = networks.discriminate(params, real, label, alpha)
    of_fake = networks.discriminate(params, fake, label, alpha)
    penalty = r1_penalty(lambda images: networks.discriminate(params, images, label, alpha), real).mean()
    penalty *= (phase.size / spaces.size) ** 2
    value = non_saturating.discriminator(of_real, of_fake).mean() + objective.config.gamma / 2 * penalty
    metrics = {
        "real_output": of_real.mean(),
        "fake_output": of_fake.mean(),
        "penalty": penalty,
        **phase.metrics(alpha),
    }
    return value, (stats, metrics)


def draw(
    networks: Networks, phases: tuple[Growth, ...], state: State, variables: Params, w: Float[Array, "n styles style"]
) -> Float[Array, "n height width channels"]:
    """Return the images, in [0, 1] approximately, of the styles of layers with the stored noise images."""
    spaces = networks.spaces

    def of_size(size: int, alpha: Scalar | None) -> Float[Array, "n full full channels"]:
        return enlarged(networks.synthesize(variables, w, size, alpha, noise="constant"), spaces.size)

    return spaces.data_images(at_step(phases, state.step, of_size))


def modulations(synthesis: Params) -> list[Float[Array, "style channels"]]:
    """Return the matrix of every layer that changes its style to the factors and the shifts of the channels."""
    blocks = [name for name in synthesis if name.startswith("b")]
    layers = [
        synthesis[block][name]
        for block in sorted(blocks, key=lambda name: int(name[1:]))
        for name in sorted(synthesis[block])
        if name.endswith("styling")
    ]
    return [layer["style"]["kernel"] for layer in layers]


def _networks(config: Config, example: Batch) -> Networks:
    """Both networks for the data."""
    spaces = spaces_for(
        "stylegan", example, latent_dim=config.latent_dim, size=config.size, conditional=config.conditional
    )
    config.check_sizes(spaces.size)
    size, classes = spaces.size, spaces.classes
    widths: dict[str, Any] = {"base": config.base, "largest": config.largest}
    mapping = Mapping(config.style_dim, layers=config.mapping_layers, hidden=config.mapping_width, classes=classes)
    generator = Generator(mapping, Synthesis(size, spaces.shape[2], **widths))
    discriminator = Discriminator(size, outputs=classes or None, group=config.group, blur=BLUR, **widths)
    return Networks(generator, discriminator, spaces)
