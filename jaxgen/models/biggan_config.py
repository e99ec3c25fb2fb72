"""Options of BigGAN, and which of them can be combined."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from jaxgen.errors import InputError, check_known
from jaxgen.models.dependences import Dependence
from jaxgen.models.optimizer import AdversarialOptimizerConfig, check_decay
from jaxgen.models.validation import check_not_negative, check_positive
from jaxgen.nn.biggan_networks import GENERATOR_WIDTHS
from jaxgen.typing import Batch

Initialization: TypeAlias = Literal["orthogonal", "normal", "uniform"]
Statistics: TypeAlias = Literal["running", "recomputed", "standing"]

SIZES = tuple(GENERATOR_WIDTHS)
"""Sizes of images that the networks can have."""


@dataclass(frozen=True, kw_only=True)
class Config(AdversarialOptimizerConfig):
    """Options of BigGAN. The defaults are small networks, with learning rates of the authors' code for small images.

    Attributes:
        learning_rate: learning rate of the generator, and of the discriminator where that has none of its own.
        b1: decay of the mean of gradients.
        b2: decay of the mean of squared gradients.
        eps: number added to the root of the mean of squared gradients.
        size: height and width of the networks' images: 8, 16, 28, 32, 64, 128, 256 or 512; smaller images are
            surrounded by black. By default that of the data.
        width: number of channels of the widest feature map of the image's size in either network; multiples of it are
            those of all others. 96 in the paper, 128 for deep networks.
        deep: whether the networks are those of BigGAN-deep.
        depth: number of blocks of a stage of deep networks.
        latent_dim: dimension of the latent z; by default 20 for each part of a hierarchical latent, otherwise 128.
        hierarchical: whether each block has a part of the latent, not of deep networks, whose blocks have all of it.
        shared_dim: dimension of the embedding of classes that all blocks of the generator share; 0 for gains and biases
            of their own for each class.
        attention: heights of the feature maps after which both networks have self-attention; (64,) in the paper.
        conditional: whether the networks are conditioned on the class.
        initialization: initial weights: orthogonal, normal with a standard deviation of 0.02, or as PyTorch has them:
            uniform up to the inverse root of the number of inputs, and embeddings standard normal.
        spectral_eps: smallest norm by which a vector of the spectral normalization is divided.
        orthogonal: weight of the orthogonal penalty on the generator's weights; 0 for none. 1e-4 in the paper. The
            authors' code adds half of the gradient of the penalty: its 1e-4 is 5e-5 here.
        discriminator_orthogonal: weight of the penalty on the discriminator's weights; 0 for none.
        discriminator_updates: number of discriminator updates per step.
        accumulations: number of slices of a batch over which the gradient of an update is accumulated; the batch size
            is that of an update, 2,048 in the paper, and batch normalization is by slice.
        ema: decay of the moving average of the generator and its statistics per step; samples are drawn from it.
        ema_start: number of the first step, counted from 1, with this decay; before it the average is the generator
            itself.
        statistics: statistics of batch normalization in samples: running ones, averaged like the weights; recomputed
            ones, running statistics of the averaged generator, by one more batch of samples per step; or standing ones,
            means over further samples, which are drawn whenever samples are, the same ones at each time.
        standing_batches: number of batches of 64 samples for standing statistics.
    """

    learning_rate: float | None = 2e-4
    b1: float | None = 0.0
    b2: float = 0.999
    eps: float = 1e-6
    size: int | None = None
    width: int = 8
    deep: bool = False
    depth: int = 2
    latent_dim: int | None = None
    hierarchical: bool = True
    shared_dim: int = 128
    attention: tuple[int, ...] = ()
    conditional: bool = True
    initialization: Initialization = "orthogonal"
    spectral_eps: float = 1e-6
    orthogonal: float = 0.0
    discriminator_orthogonal: float = 0.0
    discriminator_updates: int = 2
    accumulations: int = 1
    ema: float = 0.999
    ema_start: int = 1
    statistics: Statistics = "running"
    standing_batches: int = 16

    def __post_init__(self) -> None:
        self.check_optimizer()
        _check_values(self)
        _check_combination(self)

    def dependences(self, example: Batch) -> tuple[Dependence, ...]:
        """Return which options have an effect for data."""
        flat = Dependence(("hierarchical",), not self.deep, "networks that are not deep", "deep=False (--no-deep)")
        return (*super().dependences(example), flat)


def _check_values(config: Config) -> None:
    """Refuse values that an option cannot have."""
    for name, value, choices in (
        ("initialization", config.initialization, Initialization),
        ("statistics", config.statistics, Statistics),
    ):
        check_known(name, value, get_args(choices))
    if config.size is not None and config.size not in SIZES:
        raise InputError(f"size must be one of {', '.join(map(str, SIZES))}, got {config.size}")
    names = ("width", "depth", "discriminator_updates", "accumulations", "ema_start", "standing_batches")
    check_positive(**{name: getattr(config, name) for name in names}, spectral_eps=config.spectral_eps)
    if config.latent_dim is not None:
        check_positive(latent_dim=config.latent_dim)
    weights = {"orthogonal": config.orthogonal, "discriminator_orthogonal": config.discriminator_orthogonal}
    check_not_negative(shared_dim=config.shared_dim, **weights)
    check_decay("ema", config.ema)


def _check_combination(config: Config) -> None:
    """Refuse options that contradict each other, with the reason."""
    if config.deep and not config.shared_dim:
        raise InputError("deep networks need a shared embedding of classes: give shared_dim, such as 128")
    if not config.deep and config.hierarchical and not config.shared_dim:
        raise InputError(
            "hierarchical latents need a shared embedding of classes: give shared_dim, such as 128, or "
            "hierarchical=False (--no-hierarchical)"
        )
    if not config.deep and config.depth != Config.depth:
        raise InputError("depth applies to deep networks: leave it out, or give deep=True (--deep)")
    if config.statistics != "standing" and config.standing_batches != Config.standing_batches:
        raise InputError("standing_batches applies to the statistics 'standing': leave it out, or choose these")
