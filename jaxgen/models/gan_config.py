"""What can be chosen about a GAN, what goes together, and what goes with the data where nothing is chosen."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from jaxgen import losses
from jaxgen.errors import InputError, check_known
from jaxgen.losses import AdversarialLoss, dragan_penalty, gradient_penalty, r1_penalty
from jaxgen.losses.penalties import Critic
from jaxgen.models.gan_networks import Condition, Prior
from jaxgen.models.labels import labels_of
from jaxgen.models.preprocessing import is_image, preprocess
from jaxgen.models.validation import check_not_negative, check_positive
from jaxgen.nn.normalization import Normalization
from jaxgen.typing import Array, Batch, Float, KeyArray

Architecture: TypeAlias = Literal["mlp", "dcgan", "resnet"]
LossName: TypeAlias = Literal[
    "minimax", "non_saturating", "least_squares", "hinge", "wasserstein", "relativistic_average"
]
PenaltyName: TypeAlias = Literal["none", "gradient", "one_sided_gradient", "dragan", "r1"]
Optimizer: TypeAlias = Literal["adam", "rmsprop"]

LOSSES: dict[str, AdversarialLoss] = {
    "minimax": losses.minimax,
    "non_saturating": losses.non_saturating,
    "least_squares": losses.least_squares,
    "hinge": losses.hinge,
    "wasserstein": losses.wasserstein,
    "relativistic_average": losses.relativistic_average,
}


class Penalty(NamedTuple):
    """A penalty on the slope of the discriminator.

    Attributes:
        of: `(critic, key, real, fake) -> penalty` per example.
        for_images: the weight it was published with.
        for_points: the weight for points in the plane.
    """

    of: Callable[[Critic, KeyArray, Array, Array], Float[Array, " batch"]]
    for_images: float
    for_points: float


PENALTIES: dict[str, Penalty] = {
    # Gulrajani et al. 2017, algorithm 1; for points as in the authors' code.
    "gradient": Penalty(gradient_penalty, for_images=10.0, for_points=0.1),
    "one_sided_gradient": Penalty(partial(gradient_penalty, one_sided=True), for_images=10.0, for_points=0.1),
    # Kodali et al. 2017, algorithm 1.
    "dragan": Penalty(lambda critic, key, real, fake: dragan_penalty(critic, key, real), 10.0, 10.0),
    # Mescheder et al. 2018: gamma / 2 with gamma = 10, for points too.
    "r1": Penalty(lambda critic, key, real, fake: r1_penalty(critic, real), 5.0, 5.0),
}

ARCHITECTURES_OF: dict[str, tuple[Architecture, ...]] = {
    "hidden": ("mlp",),
    "discriminator_hidden": ("mlp",),
    "maxout": ("mlp",),
    "width": ("dcgan", "resnet"),
    "weight_scale": ("mlp", "dcgan"),
}
"""Choice -> the architectures that it is about, if not all."""


@dataclass(frozen=True)
class Config:
    """What can be chosen about a generative adversarial network. None is what goes with the data and the other choices.

    Attributes:
        architecture: of both networks: mlp, or for pictures dcgan (where nothing is chosen) and resnet.
        hidden: widths of the hidden layers of the generator, and of the discriminator if nothing else is said (mlp);
            two of 64.
        discriminator_hidden: widths of the hidden layers of the discriminator (mlp).
        maxout: affine maps of which each hidden unit of the discriminator takes the largest (mlp); 1 has a leaky ReLU.
        width: channels of the discriminator's first convolution, and before the generator's last one (dcgan); of all
            blocks of the discriminator, the generator's having twice as many (resnet); 32.
        weight_scale: standard deviation of the initial weights (mlp, dcgan); 0.02 for dcgan, LeCun's for mlp.
        latent: length of the noise vector; 100 for pictures, for points as many as they have coordinates.
        prior: of the noise: standard normal, or uniform on [-1, 1].
        loss: what the players minimize.
        penalty: on the slope of the discriminator.
        penalty_weight: of the penalty; the published one.
        clip: bound to which the discriminator's weights are clipped after every move.
        generator_normalization: batch for dcgan and resnet, none for mlp.
        discriminator_normalization: batch for dcgan if there is no penalty, spectral for resnet, otherwise none.
        condition: how the networks are told the class of an example.
        packing: examples that the discriminator judges together.
        unrolled_steps: moves of the discriminator that the generator looks ahead.
        discriminator_updates: a turn.
        generator_updates: a turn.
        optimizer: of both players.
        learning_rate: of both players; 0.0002 for pictures, 0.001 for points, where networks are small.
        discriminator_learning_rate: of the discriminator, if it has another.
        b1: decay of the mean of gradients (adam); 0.5.
        b2: decay of the mean of squared gradients.
        ema: decay of the moving average of the generator's weights, from which samples are then drawn.
    """

    architecture: Architecture | None = None
    hidden: tuple[int, ...] | None = None
    discriminator_hidden: tuple[int, ...] | None = None
    maxout: int = 1
    width: int | None = None
    weight_scale: float | None = None
    latent_dim: int | None = None
    prior: Prior = "normal"
    loss: LossName = "non_saturating"
    penalty: PenaltyName = "none"
    penalty_weight: float | None = None
    clip: float | None = None
    generator_normalization: Normalization | None = None
    discriminator_normalization: Normalization | None = None
    condition: Condition = "none"
    packing: int = 1
    unrolled_steps: int = 0
    discriminator_updates: int = 1
    generator_updates: int = 1
    optimizer: Optimizer = "adam"
    learning_rate: float | None = None
    discriminator_learning_rate: float | None = None
    b1: float | None = None
    b2: float = 0.999
    ema: float | None = None

    def __post_init__(self) -> None:
        _check_values(self)
        _check_combination(self)


def completed(config: Config, example: Batch) -> Config:
    """Fill what the config leaves open with what goes with the data and the other choices.

    Args:
        config: the choices.
        example: a batch of any size, for the shape of the data.

    Returns:
        A config in which None is left where a choice does not apply, or says that something is not done.

    Raises:
        InputError: if choices do not go together with the data.

    Example:
        >>> import numpy as np
        >>> of_points = completed(Config(), {"point": np.zeros((1, 2))})
        >>> of_points.architecture, of_points.hidden, of_points.width, of_points.latent
        ('mlp', (64, 64), None, 2)
    """
    images, architecture = is_image(example), _architecture(config.architecture, example)
    if architecture != "mlp" and not images:
        raise InputError(f"the architecture '{architecture}' is for pictures, and these data are points: use 'mlp'")
    if config.condition != "none":
        labels_of(example)
    discriminator_normalization: Normalization = "none"
    if config.discriminator_normalization is not None:
        discriminator_normalization = config.discriminator_normalization
    elif architecture == "dcgan" and config.penalty == "none":
        discriminator_normalization = "batch"
    elif architecture == "resnet" and config.clip is None:
        discriminator_normalization = "spectral"
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
        learning_rate=config.learning_rate or (2e-4 if images else 1e-3),
        b1=0.5 if config.b1 is None and config.optimizer == "adam" else config.b1,
    )


def updated(choices: dict[str, Any], example: Batch) -> dict[str, Any]:
    """Leave out of saved choices those that do not apply, which have not always been refused.

    Args:
        choices: what a `config.json` holds.
        example: a batch of any size, for the shape of the data.

    Returns:
        The choices that go together.

    Example:
        >>> import numpy as np
        >>> updated({"hidden": (64, 64), "width": 32, "latent": 2}, {"point": np.zeros((1, 2))})
        {'hidden': (64, 64), 'latent': 2}
    """
    architecture = _architecture(choices.get("architecture"), example)
    idle = {name for name, architectures in ARCHITECTURES_OF.items() if architecture not in architectures}
    if choices.get("optimizer") == "rmsprop":
        idle.add("b1")
    return {name: value for name, value in choices.items() if name not in idle}


def _architecture(chosen: Architecture | None, example: Batch) -> Architecture:
    return chosen or ("dcgan" if is_image(example) else "mlp")


def _check_values(config: Config) -> None:
    """Refuse values that no choice can have."""
    for kind, name, known in (
        ("loss", config.loss, LOSSES),
        ("penalty", config.penalty, get_args(PenaltyName)),
        ("prior", config.prior, get_args(Prior)),
        ("condition", config.condition, get_args(Condition)),
        ("optimizer", config.optimizer, get_args(Optimizer)),
        ("architecture", config.architecture, get_args(Architecture)),
        ("normalization", config.generator_normalization, get_args(Normalization)),
        ("normalization", config.discriminator_normalization, get_args(Normalization)),
    ):
        if name is not None:
            check_known(kind, name, known)
    positive = {
        "hidden": min(config.hidden or (), default=1),
        "discriminator_hidden": min(config.discriminator_hidden or (), default=1),
        "maxout": config.maxout,
        "packing": config.packing,
        "discriminator_updates": config.discriminator_updates,
        "generator_updates": config.generator_updates,
    }
    open_choices = (
        "width",
        "weight_scale",
        "latent",
        "penalty_weight",
        "clip",
        "learning_rate",
        "discriminator_learning_rate",
    )
    given = {name: value for name in open_choices if (value := getattr(config, name)) is not None}
    check_positive(**positive, **given)
    check_not_negative(unrolled_steps=config.unrolled_steps)
    for decay in ("b1", "b2", "ema"):
        value = getattr(config, decay)
        if value is not None and not 0 <= value < 1:
            raise InputError(f"{decay} is a decay from 0 to below 1, got {value}")


def _check_combination(config: Config) -> None:
    """Refuse choices that make no sense together, with the reason."""
    penalized, normalization = config.penalty != "none", config.discriminator_normalization
    spectral = normalization == "spectral" or (normalization is None and config.architecture == "resnet")
    if config.loss == "wasserstein" and not penalized and config.clip is None and not spectral:
        raise InputError(
            "the loss 'wasserstein' has no minimum unless the critic's slope is bounded: give a penalty ('gradient'), "
            "clip (0.01), or 'spectral' as discriminator_normalization"
        )
    if penalized and normalization == "batch":
        raise InputError(
            f"the penalty '{config.penalty}' is one example's, and the discriminator_normalization 'batch' would mix "
            f"the examples: use 'layer' or 'none'"
        )
    if config.penalty_weight is not None and not penalized:
        raise InputError("there is a penalty_weight and no penalty: give one, e.g. 'gradient'")
    if config.clip is not None and penalized:
        raise InputError(
            f"clip keeps the slope of the discriminator small, and the penalty '{config.penalty}' draws it elsewhere: "
            f"leave one of them out"
        )
    if config.clip is not None and normalization == "spectral":
        raise InputError(
            "with 'spectral' as discriminator_normalization the size of the weights does not matter, and clip has "
            "nothing to bound: leave one of them out"
        )
    if config.packing > 1 and config.condition != "none":
        raise InputError(
            f"{config.packing} packed examples have no one class that the condition '{config.condition}' could tell: "
            f"leave out packing or the condition"
        )
    for name, architectures in ARCHITECTURES_OF.items():
        if config.architecture not in (None, *architectures) and getattr(config, name) != getattr(Config, name):
            raise InputError(f"{name} is a choice for {_why_not(name, config.architecture)}")
    if config.b1 is not None and config.optimizer == "rmsprop":
        raise InputError("b1 is a choice for 'adam', and 'rmsprop' keeps no mean of gradients: leave it out (None)")


def _why_not(choice: str, architecture: Architecture | None) -> str:
    """What a choice is for, since it is not for this architecture."""
    if choice == "width":
        return "convolutional networks, and 'mlp', which points need, is none: leave it out (None) and give hidden"
    if choice == "weight_scale":
        return "'mlp' and 'dcgan': the weights of 'resnet' start as Glorot has it"
    return f"fully connected networks, not for '{architecture}': leave it out, or give 'mlp' as architecture"
