"""Options of a GAN, which of them can be combined, and their values where None leaves them to the data."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple, TypeAlias, get_args

from jaxgen import losses
from jaxgen.errors import InputError, check_known
from jaxgen.losses import AdversarialLoss, dragan_penalty, gradient_penalty, r1_penalty
from jaxgen.losses.penalties import Critic
from jaxgen.models.dependences import Dependence
from jaxgen.models.gan_networks import ConditionName, LatentDistribution
from jaxgen.models.labels import labels_of
from jaxgen.models.optimizer import AdversarialOptimizerConfig, check_decay
from jaxgen.models.preprocessing import is_image, preprocess
from jaxgen.models.validation import check_not_negative, check_positive, check_widths
from jaxgen.nn.normalization import Normalization
from jaxgen.typing import Array, Batch, Float, KeyArray

Architecture: TypeAlias = Literal["mlp", "dcgan", "resnet"]
LossName: TypeAlias = Literal[
    "minimax", "non_saturating", "least_squares", "hinge", "wasserstein", "relativistic_average"
]
PenaltyName: TypeAlias = Literal["none", "gradient", "one_sided_gradient", "dragan", "r1"]
PenaltyFunction: TypeAlias = Callable[[KeyArray, Critic, Array, Array], Float[Array, " batch"]]
"""`(key, critic, real, fake) -> penalty` per example."""

LOSSES: dict[str, AdversarialLoss] = {
    "minimax": losses.minimax,
    "non_saturating": losses.non_saturating,
    "least_squares": losses.least_squares,
    "hinge": losses.hinge,
    "wasserstein": losses.wasserstein,
    "relativistic_average": losses.relativistic_average,
}


class Penalty(NamedTuple):
    """A penalty on the gradient of the discriminator.

    Attributes:
        function: `(key, critic, real, fake) -> penalty` per example.
        for_images: published weight.
        for_points: weight for points in the plane.
    """

    function: PenaltyFunction
    for_images: float
    for_points: float


PENALTIES: dict[str, Penalty] = {
    # Gulrajani et al. 2017, algorithm 1; for points as in the authors' code.
    "gradient": Penalty(gradient_penalty, for_images=10.0, for_points=0.1),
    "one_sided_gradient": Penalty(partial(gradient_penalty, one_sided=True), for_images=10.0, for_points=0.1),
    # Kodali et al. 2017, algorithm 1.
    "dragan": Penalty(lambda key, critic, real, fake: dragan_penalty(key, critic, real), 10.0, 10.0),
    # Mescheder et al. 2018: gamma / 2 with gamma = 10, for points too.
    "r1": Penalty(lambda key, critic, real, fake: r1_penalty(critic, real), 5.0, 5.0),
}

ARCHITECTURES_OF: dict[str, tuple[Architecture, ...]] = {
    "hidden": ("mlp",),
    "discriminator_hidden": ("mlp",),
    "maxout": ("mlp",),
    "width": ("dcgan", "resnet"),
    "weight_scale": ("mlp", "dcgan"),
}
"""Option -> the architectures to which it applies, if not all."""


@dataclass(frozen=True, kw_only=True)
class Config(AdversarialOptimizerConfig):
    """Options of a generative adversarial network. None is replaced by what suits the data and the other options.

    The options of the optimizer are those of both players, unless the discriminator has its own.

    Attributes:
        learning_rate: learning rate, after the warm-up and before the decay of a schedule; by default 0.0002 for
            images and 0.001 for points, where networks are small.
        b1: decay of the mean of gradients (adam, adamw); by default 0.5.
        architecture: architecture of both networks: mlp, or for images dcgan (the default) and resnet.
        hidden: widths of the hidden layers of the generator and, without discriminator_hidden, of the discriminator
            (mlp); by default 64 64.
        discriminator_hidden: widths of the hidden layers of the discriminator (mlp); by default those of the generator.
        maxout: number of affine maps of which each hidden unit of the discriminator is the maximum (mlp); 1 for leaky
            ReLU units.
        width: channels of the discriminator's first convolution, and before the generator's last one (dcgan); of all
            blocks of the discriminator, the generator's having twice as many (resnet); by default 32.
        weight_scale: standard deviation of the initial weights (mlp, dcgan); by default 0.02 for dcgan and LeCun's
            initialization for mlp.
        latent_dim: dimension of the latent z; by default 100 for images, and for points the number of their
            coordinates.
        latent_distribution: distribution of z: standard normal, or uniform on [-1, 1].
        loss: adversarial loss of the discriminator and the generator.
        penalty: penalty on the gradient of the discriminator with respect to its input.
        penalty_weight: weight of the penalty; by default the published one.
        penalty_every: number of steps between two updates with the penalty. 1 adds it to the loss of every update;
            more make it an update of its own, weighted by this number (lazy regularization).
        clip: largest absolute value of the discriminator's weights, to which they are clipped after each of its
            updates; by default they are not clipped.
        generator_normalization: normalization of the generator's layers; by default batch for dcgan and resnet, none
            for mlp.
        discriminator_normalization: normalization of the discriminator's layers; by default batch for dcgan without a
            penalty, spectral for resnet without clip, otherwise none.
        condition: how the networks are conditioned on the class of an example.
        packing: number of examples that the discriminator is applied to together.
        unrolled_steps: number of the discriminator's next updates through which the generator's gradient flows; 0 for
            none.
        discriminator_updates: number of discriminator updates per step.
        generator_updates: number of generator updates per step.
        ema: constant decay per step of the moving average of the generator, from which samples are then drawn; by
            default there is no average.
        ema_half_life: half-life in examples of that average, in place of a constant decay.
        ema_ramp_up: largest half-life as a share of the examples so far; 0.05 in the code of StyleGAN2-ADA; by default
            the half-life is not limited.
        ema_start: step at which an average with a half-life begins.
    """

    learning_rate: float | None = None
    b1: float | None = None
    architecture: Architecture | None = None
    hidden: tuple[int, ...] | None = None
    discriminator_hidden: tuple[int, ...] | None = None
    maxout: int = 1
    width: int | None = None
    weight_scale: float | None = None
    latent_dim: int | None = None
    latent_distribution: LatentDistribution = "normal"
    loss: LossName = "non_saturating"
    penalty: PenaltyName = "none"
    penalty_weight: float | None = None
    penalty_every: int = 1
    clip: float | None = None
    generator_normalization: Normalization | None = None
    discriminator_normalization: Normalization | None = None
    condition: ConditionName = "none"
    packing: int = 1
    unrolled_steps: int = 0
    discriminator_updates: int = 1
    generator_updates: int = 1
    ema: float | None = None
    ema_half_life: float | None = None
    ema_ramp_up: float | None = None
    ema_start: int = 0

    def __post_init__(self) -> None:
        self.check_optimizer()
        _check_values(self)
        _check_combination(self)

    def dependences(self, example: Batch) -> tuple[Dependence, ...]:
        """Return which options have an effect for data."""
        hidden = self.hidden if self.discriminator_hidden is None else self.discriminator_hidden
        of_hidden = Dependence(("maxout",), hidden != (), "hidden layers of the discriminator", "it some")
        return (*super().dependences(example), of_hidden)


def completed(config: Config, example: Batch, *, own_penalty: bool = False) -> Config:
    """Replace the options that are None by what suits the data and the other options.

    Args:
        config: options.
        example: batch of any size that shows the shape of the data.
        own_penalty: whether the discriminator has a penalty that is not one of the named ones.

    Returns:
        Options in which None remains where an option does not apply, or means that something is not done.

    Raises:
        InputError: if the options do not fit the data.

    Example:
        >>> import numpy as np
        >>> for_points = completed(Config(), {"point": np.zeros((1, 2))})
        >>> for_points.architecture, for_points.hidden, for_points.width, for_points.latent_dim
        ('mlp', (64, 64), None, 2)
    """
    images, architecture = is_image(example), config.architecture or ("dcgan" if is_image(example) else "mlp")
    if architecture != "mlp" and not images:
        raise InputError(f"the architecture '{architecture}' is for images, and these data are points: use 'mlp'")
    if config.condition != "none":
        labels_of(example)
    if own_penalty and config.discriminator_normalization == "batch":
        raise InputError(_batch_with_penalty("of one's own"))
    discriminator_normalization: Normalization = "none"
    if config.discriminator_normalization is not None:
        discriminator_normalization = config.discriminator_normalization
    elif architecture == "dcgan" and config.penalty == "none" and not own_penalty:
        discriminator_normalization = "batch"
    elif architecture == "resnet" and config.clip is None:
        discriminator_normalization = "spectral"
    averages = ("adam", "adamw")
    only_discriminator_has_b1 = config.optimizer not in averages and config.discriminator_optimizer in averages
    weight = config.penalty_weight
    if weight is None and config.penalty != "none":
        penalty = PENALTIES[config.penalty]
        weight = penalty.for_images if images else penalty.for_points
    return replace(
        config,
        architecture=architecture,
        hidden=(64, 64) if config.hidden is None and architecture == "mlp" else config.hidden,
        width=32 if config.width is None and architecture != "mlp" else config.width,
        latent_dim=config.latent_dim or (100 if images else math.prod(preprocess(example).shape[1:])),
        penalty_weight=weight,
        generator_normalization=config.generator_normalization or ("none" if architecture == "mlp" else "batch"),
        discriminator_normalization=discriminator_normalization,
        learning_rate=(2e-4 if images else 1e-3) if config.learning_rate is None else config.learning_rate,
        b1=0.5 if config.b1 is None and config.optimizer in averages else config.b1,
        discriminator_b1=0.5
        if only_discriminator_has_b1 and config.discriminator_b1 is None
        else config.discriminator_b1,
    )


def _check_values(config: Config) -> None:
    """Refuse values that an option cannot have."""
    for kind, name, choices in (
        ("loss", config.loss, LOSSES),
        ("penalty", config.penalty, get_args(PenaltyName)),
        ("latent_distribution", config.latent_distribution, get_args(LatentDistribution)),
        ("condition", config.condition, get_args(ConditionName)),
        ("architecture", config.architecture, get_args(Architecture)),
        ("normalization", config.generator_normalization, get_args(Normalization)),
        ("normalization", config.discriminator_normalization, get_args(Normalization)),
    ):
        if name is not None:
            check_known(kind, name, choices)
    positive = {
        "maxout": config.maxout,
        "packing": config.packing,
        "penalty_every": config.penalty_every,
        "discriminator_updates": config.discriminator_updates,
        "generator_updates": config.generator_updates,
    }
    optional = (
        "width",
        "weight_scale",
        "latent_dim",
        "penalty_weight",
        "clip",
        "ema_half_life",
        "ema_ramp_up",
    )
    given = {name: value for name in optional if (value := getattr(config, name)) is not None}
    check_widths(hidden=config.hidden or (), discriminator_hidden=config.discriminator_hidden or ())
    check_positive(**positive, **given)
    check_not_negative(unrolled_steps=config.unrolled_steps, ema_start=config.ema_start)
    check_decay("ema", config.ema)


def _check_combination(config: Config) -> None:
    """Refuse options that contradict each other, with the reason."""
    penalized, normalization = config.penalty != "none", config.discriminator_normalization
    spectral = normalization == "spectral" or (normalization is None and config.architecture == "resnet")
    if config.loss == "wasserstein" and not penalized and config.clip is None and not spectral:
        raise InputError(
            "the loss 'wasserstein' has no minimum without a Lipschitz constraint on the critic: give a penalty "
            "('gradient'), clip (0.01), or 'spectral' as discriminator_normalization"
        )
    if penalized and normalization == "batch":
        raise InputError(_batch_with_penalty(f"'{config.penalty}'"))
    if not penalized and (config.penalty_weight is not None or config.penalty_every != 1):
        raise InputError(
            "penalty_weight and penalty_every apply to a penalty, and there is none: give one, e.g. 'gradient'"
        )
    if config.clip is not None and penalized:
        raise InputError(
            f"clip and the penalty '{config.penalty}' both constrain the gradient norm of the discriminator, to "
            f"different values: leave out one of them"
        )
    if config.clip is not None and normalization == "spectral":
        raise InputError(
            "with 'spectral' as discriminator_normalization the scale of the weights has no effect, and clip would not "
            "constrain anything: leave out one of them"
        )
    if config.unrolled_steps and "discriminator" in config.freeze:
        raise InputError(
            "unrolled_steps lets the generator's gradient flow through updates of the discriminator, and freeze "
            "excludes these: leave out one of them"
        )
    if config.packing > 1 and config.condition != "none":
        raise InputError(
            f"{config.packing} packed examples have no common class for the condition '{config.condition}': leave out "
            f"packing or the condition"
        )
    if config.ema is not None and config.ema_half_life is not None:
        raise InputError("ema is a constant decay, and ema_half_life takes its place: leave out one of them")
    if config.ema_half_life is None and (config.ema_ramp_up is not None or config.ema_start):
        raise InputError("ema_ramp_up and ema_start apply to an average with ema_half_life: give one, e.g. 10000")
    for name, architectures in ARCHITECTURES_OF.items():
        if config.architecture not in (None, *architectures) and getattr(config, name) != getattr(Config, name):
            raise InputError(f"{name} does not apply to the architecture '{config.architecture}': {_instead(name)}")
    own_optimizer = config.discriminator_optimizer or config.optimizer
    for name, optimizer in (("b1", config.optimizer), ("discriminator_b1", own_optimizer)):
        if getattr(config, name) is not None and optimizer not in ("adam", "adamw"):
            raise InputError(f"{name} applies to adam and adamw, not to '{optimizer}': leave it out")


def _batch_with_penalty(penalty: str) -> str:
    """Why a penalty excludes batch normalization."""
    return (
        f"the penalty {penalty} needs a discriminator whose output for an example depends on that example alone, and "
        f"the discriminator_normalization 'batch' mixes examples: choose 'layer' or 'none'"
    )


def _instead(option: str) -> str:
    """Advice where an option does not apply to the architecture."""
    if option == "width":
        return "it is the width of convolutional networks; give hidden for 'mlp', which points need"
    if option == "weight_scale":
        return "the weights of 'resnet' are initialized by Glorot's rule; leave it out"
    return "it is for fully connected networks; leave it out, or choose 'mlp' as architecture"
