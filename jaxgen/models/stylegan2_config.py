"""Options of StyleGAN2."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from jaxgen._arrays import is_known
from jaxgen.augmentation import PIPELINES
from jaxgen.augmentation.diff_augment import OPERATORS
from jaxgen.errors import InputError, check_known
from jaxgen.models.dependences import Dependence, of_mapping_width
from jaxgen.models.optimizer import AdversarialOptimizerConfig
from jaxgen.models.validation import check_not_negative, check_positive
from jaxgen.nn.resolutions import resolutions
from jaxgen.nn.stylegan2_networks import Architecture
from jaxgen.typing import Batch

Augmentation: TypeAlias = Literal["none", "adaptive", "diff"]


@dataclass(frozen=True, kw_only=True)
class Config(AdversarialOptimizerConfig):
    """Options of StyleGAN2. The defaults are those that the authors choose automatically, at a small size.

    Attributes:
        learning_rate: learning rate, before the correction for lazy regularization.
        b1: decay of the mean of gradients.
        b2: decay of the mean of squared gradients.
        size: height and width of the networks' images, a power of 2; smaller images are surrounded by black. By default
            that of the data.
        base: number of channels of a feature map times its size, where that is not above the largest number; 32768 in
            the paper.
        largest: largest number of channels; 512 in the paper.
        latent_dim: dimension of the latent z.
        style_dim: dimension of the style w.
        mapping_layers: layers of the mapping network.
        mapping_width: number of features between these layers; by default that of the style.
        architecture: how the blocks of the generator are connected.
        discriminator_architecture: how those of the discriminator are connected.
        group: number of examples in a group of the minibatch standard deviation; the batch is a multiple of it.
        conditional: whether the networks are conditioned on the class.
        mixing: probability of a second style.
        gamma: weight of the gradient penalty, twice the factor of the squared norm; by default
            0.0002 size^2 / batch size.
        penalty_every: number of steps between two updates with it.
        path_length: weight of the path length penalty; 0 for none.
        path_length_every: number of steps between two updates with it.
        path_length_reduction: factor by which the batch that it is computed of is smaller.
        augmentation: augmentation of the discriminator's images: none, adaptive, or diff (DiffAugment).
        pipeline: names of the operators of the adaptive augmentation, e.g. bgc: pixels are moved, then geometry, then
            colours.
        policy: names of the operators of DiffAugment: color, translation, cutout.
        target: mean sign of the discriminator's outputs for real images that the adaptive augmentation keeps.
        adjustment: number of images in which its probability changes by 1 at most.
        ema_half_life: half-life of the moving average of the generator, in images; by default 312.5 batches.
        ema_ramp_up: largest half-life as a share of the images so far, if it is limited.
    """

    learning_rate: float | None = 0.0025
    b1: float | None = 0.0
    b2: float = 0.99
    size: int | None = None
    base: int = 1024
    largest: int = 64
    latent_dim: int = 64
    style_dim: int = 64
    mapping_layers: int = 2
    mapping_width: int | None = None
    architecture: Architecture = "skip"
    discriminator_architecture: Architecture = "resnet"
    group: int = 4
    conditional: bool = False
    mixing: float = 0.9
    gamma: float | None = None
    penalty_every: int = 16
    path_length: float = 2.0
    path_length_every: int = 4
    path_length_reduction: int = 2
    augmentation: Augmentation = "none"
    pipeline: str = "bgc"
    policy: tuple[str, ...] = ("color", "translation", "cutout")
    target: float = 0.6
    adjustment: int = 500_000
    ema_half_life: float | None = None
    ema_ramp_up: float | None = 0.05

    def __post_init__(self) -> None:
        self.check_optimizer()
        _check_options(self)

    def dependences(self, example: Batch) -> tuple[Dependence, ...]:
        """Return which options have an effect for data."""
        adaptive, diff = self.augmentation == "adaptive", self.augmentation == "diff"
        of_path_length = ("path_length_every", "path_length_reduction")
        return (
            *super().dependences(example),
            Dependence(
                ("pipeline", "target", "adjustment"),
                adaptive,
                "the adaptive augmentation",
                "augmentation='adaptive' (--augmentation adaptive)",
            ),
            Dependence(("policy",), diff, "DiffAugment", "augmentation='diff' (--augmentation diff)"),
            Dependence(of_path_length, self.path_length != 0, "the path length penalty", "a path_length above 0"),
            Dependence(("penalty_every",), self.gamma != 0, "the gradient penalty", "a gamma above 0"),
            of_mapping_width(self.mapping_layers),
        )


def _check_options(config: Config) -> None:
    names = (
        "base",
        "largest",
        "latent_dim",
        "style_dim",
        "mapping_layers",
        "group",
        "penalty_every",
        "path_length_every",
        "path_length_reduction",
        "adjustment",
    )
    check_positive(**{name: getattr(config, name) for name in names})
    if config.mapping_width is not None:
        check_positive(mapping_width=config.mapping_width)
    check_not_negative(path_length=config.path_length)
    if config.ema_ramp_up is not None:
        check_positive(ema_ramp_up=config.ema_ramp_up)
    if config.ema_half_life is not None:
        check_positive(ema_half_life=config.ema_half_life)
    check_not_negative(mixing=config.mixing)
    if config.gamma is not None:
        check_not_negative(gamma=config.gamma)
    if is_known(config.mixing) and config.mixing > 1:
        raise InputError(f"mixing must be from 0 to 1, got {config.mixing}")
    check_known("augmentation", config.augmentation, get_args(Augmentation))
    check_known("pipeline", config.pipeline, PIPELINES)
    for name in config.policy:
        check_known("policy", name, OPERATORS)
    if config.size is not None:
        resolutions(config.size)
