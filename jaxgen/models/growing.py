"""What the families that grow share: the plan of their phases, images of every size, and the optimizers.

A training begins with small images, of the size `start`. The networks are trained with them (stable), then get layers
for images of twice the size, which fade in while their weight grows from 0 to 1, are trained with those, and so on::

    stable at 4, fading in 8, stable at 8, fading in 16, stable at 16, ...      the last phase has no end

Real images are averaged over squares of pixels, and fade like the generated ones. The optimizers of both players are
initialized again at every change of the phase. As in the authors' programs the schedule is read every fourth step: the
weight and the phase change only then, at the number of images that have been used by then.

Reference:
    Karras et al. 2018, arXiv:1710.10196, section 2 and appendix A.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen._arrays import is_known
from jaxgen.averaging import Average
from jaxgen.errors import InputError
from jaxgen.game import Loss, Model, Phase, Player, game
from jaxgen.models.dependences import Dependence
from jaxgen.models.full_size import full_size
from jaxgen.models.optimizer import (
    AdversarialOptimizerConfig,
    OptimizerConfig,
    freeze_networks,
    make_optimizer,
    optimizer_of_discriminator,
)
from jaxgen.models.validation import check_not_negative, check_positive, check_widths
from jaxgen.nn.progressive_networks import faded
from jaxgen.nn.resolutions import SMALLEST_RESOLUTION, resolutions
from jaxgen.typing import Array, Batch, Float, Metrics, Scalar

Value = TypeVar("Value")

REPEATS = 4
"""Steps between two readings of the schedule (`minibatch_repeats` of the authors)."""

LAYER = re.compile(r"(?:b|torgb|fromrgb)(\d+)")
"""Names of layers for one resolution."""


@dataclass(frozen=True, kw_only=True)
class GrowingConfig(AdversarialOptimizerConfig):
    """Options that the families with growing networks share.

    Attributes:
        learning_rate: learning rate of the smallest images.
        b1: decay of the mean of gradients.
        b2: decay of the mean of squared gradients.
        size: height and width of the networks' largest images, a power of 2; smaller images are surrounded by black. By
            default that of the data.
        start: height and width of the first images, a power of 2; that of the networks for a training without growing.
        stabilize: number of images of a phase without layers that fade in.
        fade: number of images in which the layers of a new size fade in; 0 for layers that are used at once.
        batch_sizes: batch sizes at `start`, twice that size, and so on; the last one given holds for all larger images.
            The last phase of all has the batch size of the training (--batch-size) instead.
        learning_rate_factors: factors of the learning rate at `start`, twice that size, and so on; the last one given
            holds for all larger images.
        base: number of channels of a feature map times half its size, where that is not above the largest number; 8192
            in the paper.
        largest: largest number of channels; 512 in the paper.
        latent_dim: dimension of the latent z.
        group: number of examples in a group of the minibatch standard deviation; batches are multiples of it.
        conditional: whether the networks are conditioned on the class.
    """

    learning_rate: float | None = 1e-3
    b1: float | None = 0.0
    b2: float = 0.99
    size: int | None = None
    start: int = SMALLEST_RESOLUTION
    stabilize: int = 60_000
    fade: int = 60_000
    batch_sizes: tuple[int, ...] = (32,)
    learning_rate_factors: tuple[float, ...] = (1.0,)
    base: int = 1024
    largest: int = 64
    latent_dim: int = 64
    group: int = 4
    conditional: bool = False

    def check_growing(self) -> None:
        """Raise an InputError if an option has an impossible value."""
        self.check_optimizer()
        names = ("start", "stabilize", "base", "largest", "latent_dim", "group")
        check_positive(**{name: getattr(self, name) for name in names})
        check_not_negative(fade=self.fade)
        check_widths(batch_sizes=self.batch_sizes, learning_rate_factors=self.learning_rate_factors)
        for name in ("batch_sizes", "learning_rate_factors"):
            if not getattr(self, name):
                raise InputError(f"{name} must have at least one value, that of the smallest images, got none")
        if self.size is not None:
            resolutions(self.size)
        if self.start < SMALLEST_RESOLUTION or self.start & (self.start - 1):
            raise InputError(f"start must be a power of 2 from {SMALLEST_RESOLUTION} on, got {self.start}")

    def dependences(self, example: Batch) -> tuple[Dependence, ...]:
        """Return which options have an effect for data."""
        size = full_size("progressive", example, self.size)[0]
        sizes = self.sizes_from_start(size)
        if len(sizes) > 1:
            # Once the last size of all is stable, it has the batch size of the training.
            of_growth = self._of_sizes("batch_sizes", sizes if self.fade else sizes[:-1])
        else:
            of_growth = Dependence(
                ("stabilize", "fade", "batch_sizes"),
                applies=False,
                to="networks that grow",
                advice=f"a start below the size of the images, {size}",
            )
        return (*super().dependences(example), of_growth, self._of_sizes("learning_rate_factors", sizes))

    def _of_sizes(self, name: str, sizes: Sequence[int]) -> Dependence:
        """Whether each value of an option is that of a size."""
        to = f"the sizes {', '.join(map(str, sizes))}, a value for each"
        return Dependence((name,), len(getattr(self, name)) <= len(sizes), to, f"at most {len(sizes)}")

    def sizes_from_start(self, size: int) -> list[int]:
        """Return the heights and widths of the images, one after the other, of networks that grow to a size."""
        return [each for each in resolutions(size) if each >= self.start]

    def check_sizes(self, size: int) -> None:
        """Raise an InputError if the networks cannot have, or not begin with, images of a size."""
        if self.start > size:
            raise InputError(f"start must be at most the size of the images, {size}, got {self.start}")
        if 2 * self.base < size:
            raise InputError(f"base must be at least half the size of the images, {size // 2}, got {self.base}")


class Growth(NamedTuple):
    """One phase of a training in which networks grow.

    Attributes:
        size: height and width of its images.
        fading: whether the layers of this size fade in.
        batch_size: examples per step; None for that of the training.
        first: its first step.
        steps: number of its steps; None for no end.
        factor: factor of the learning rate.
        images: length of the fade in images.
        before: number of images that its first step is behind the exact beginning of the fade.
    """

    size: int
    fading: bool
    batch_size: int | None
    first: int
    steps: int | None
    factor: float = 1.0
    images: int = 0
    before: int = 0

    @property
    def name(self) -> str:
        """Name of the phase."""
        return f"fading in {self.size}" if self.fading else f"stable at {self.size}"

    def weight(self, step: Array) -> Float[Array, ""] | None:
        """Return the weight of the layers of this size at a step; None where they do not fade."""
        if not self.fading:
            return None
        assert self.batch_size is not None
        done = (step - self.first) // REPEATS * REPEATS
        return jnp.minimum((self.before + done * float(self.batch_size)) / self.images, 1.0)

    def metrics(self, alpha: Scalar | None) -> Metrics:
        """Return the image size and the weight of its layers as metrics: `image_size`, `new_layers`."""
        return {"image_size": jnp.float32(self.size), "new_layers": jnp.float32(1.0 if alpha is None else alpha)}


def plan(config: GrowingConfig, size: int) -> tuple[Growth, ...]:
    """Return the phases of a training, in their order.

    Args:
        config: options.
        size: height and width of the largest images.

    Returns:
        The phases. With `done` images so far, a stable phase ends when `done` is above its end, and a fade when it
        reaches it, both at a multiple of 4 steps; images above the end count for the next phase.

    Example:
        >>> phases = plan(GrowingConfig(stabilize=60, fade=60, batch_sizes=(8, 4)), 8)
        >>> [(phase.name, phase.first, phase.steps, phase.batch_size) for phase in phases]
        [('stable at 4', 0, 8, 8), ('fading in 8', 8, 16, 4), ('stable at 8', 24, None, None)]
    """
    sizes = config.sizes_from_start(size)
    found: list[Growth] = []
    first = done = end = 0

    def add(fading: bool, number: int) -> None:
        nonlocal first, done, end
        batch_size, factor = _at(config.batch_sizes, number), _at(config.learning_rate_factors, number)
        length = config.fade if fading else config.stabilize
        before, end = done - end, end + length
        strictly = not fading and config.fade > 0
        readings = max(1, -(-(end - done + strictly) // (REPEATS * batch_size)))
        found.append(Growth(sizes[number], fading, batch_size, first, REPEATS * readings, factor, length, before))
        first, done = first + REPEATS * readings, done + REPEATS * readings * batch_size

    for number in range(len(sizes) - 1):
        add(False, number)
        if config.fade:
            add(True, number + 1)
    last = len(sizes) - 1
    return (*found, Growth(sizes[last], False, None, first, None, _at(config.learning_rate_factors, last)))


def at_step(
    phases: Sequence[Growth],
    step: Array,
    draw: Callable[[int, Float[Array, ""] | None], Value],
) -> Value:
    """Return the result of a function for the image size and the weight of new layers at a step.

    Args:
        phases: phases of the training.
        step: number of completed steps; where it is traced, the function is compiled for every size.
        draw: `(size, weight) -> result`, of one shape for all sizes; the weight is None where no layers fade in.

    Returns:
        The result.

    Example:
        >>> phases = plan(GrowingConfig(stabilize=60, fade=60, batch_sizes=(8, 4)), 8)
        >>> at_step(phases, jnp.int32(16), lambda size, weight: (size, float(weight)))
        (8, 0.6000000238418579)
    """
    firsts = np.array([phase.first for phase in phases])
    if is_known(step):
        phase = phases[int(np.searchsorted(firsts, int(step), side="right")) - 1]
        return draw(phase.size, phase.weight(jnp.asarray(step)))
    number = jnp.searchsorted(jnp.asarray(firsts), step, side="right") - 1
    sizes = sorted({phase.size for phase in phases})
    weights = [phase.weight(step) for phase in phases]
    weight = jnp.stack([jnp.ones(()) if each is None else each for each in weights])[number]
    branches = [partial(_branch, draw, size, first=size == sizes[0]) for size in sizes]
    return jax.lax.switch(jnp.array([sizes.index(phase.size) for phase in phases])[number], branches, weight)


def real_at(
    images: Float[Array, "batch full full channels"], size: int, weight: Scalar | None
) -> Float[Array, "batch size size channels"]:
    """Return real images as the discriminator gets them: averaged over squares of pixels, and faded.

    Args:
        images: images of the full size.
        size: height and width of the result.
        weight: weight of the pixels of this size; the rest has those of the size before, repeated. None for 1.

    Returns:
        The images.

    Example:
        >>> real_at(jnp.arange(16.0).reshape(1, 4, 4, 1), 2, None)[0, :, :, 0]
        Array([[ 2.5,  4.5],
               [10.5, 12.5]], dtype=float32)
    """
    count, full, _, channels = images.shape
    factor = full // size
    reduced = images.reshape(count, size, factor, size, factor, channels).mean(axis=(2, 4))
    return reduced if weight is None else faded(reduced, weight)


def enlarged(images: Float[Array, "batch size size channels"], size: int) -> Float[Array, "batch full full channels"]:
    """Return images of a larger size, of repeated pixels.

    Args:
        images: images.
        size: height and width of the result.

    Returns:
        The larger images.

    Example:
        >>> enlarged(jnp.array([1.0, 2.0]).reshape(1, 1, 2, 1).repeat(2, axis=1), 4)[0, 0, :, 0]
        Array([1., 1., 2., 2.], dtype=float32)
    """
    factor = size // images.shape[1]
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def growing_model(
    init_networks: Callable[[Any, Any], Mapping[str, Mapping[str, Any]]],
    config: GrowingConfig,
    phases: Sequence[Growth],
    losses: Callable[[Growth], tuple[Loss, Loss]],
    average: Average,
) -> Model:
    """Return the model of a training in phases, without samples: the discriminator and then the generator.

    Args:
        init_networks: initialization of both networks, at their full size.
        config: options.
        phases: phases of the training.
        losses: losses of the discriminator and of the generator in a phase.
        average: moving average of the generator.

    Returns:
        The model; its own step and players are those of the last phase.
    """
    found = []
    for number, phase in enumerate(phases):
        players = _players(config, phase, losses(phase))
        init, step = game(init_networks, players, ema={"generator": average})
        reset = tuple(player.name for player in players) if number else ()
        found.append(Phase(phase.name, phase.steps, step, players, phase.batch_size, reset=reset))
    return Model(init, found[-1].step, found[-1].players, phases=tuple(found))


def _players(config: GrowingConfig, phase: Growth, losses: tuple[Loss, Loss]) -> tuple[Player, ...]:
    """Both players of a phase, whose optimizers have states of the same form in all phases."""
    options: tuple[tuple[str, OptimizerConfig], ...] = (
        ("discriminator", optimizer_of_discriminator(config)),
        ("generator", config),
    )
    players = []
    for (name, own), loss in zip(options, losses, strict=True):
        rate = None if own.learning_rate is None else own.learning_rate * phase.factor
        tx = _without_later_layers(make_optimizer(replace(own, learning_rate=rate)), phase.size)
        players.append(Player(name, (name,), loss, tx))
    return freeze_networks(players, config.freeze)


def _without_later_layers(tx: optax.GradientTransformation, size: int) -> optax.GradientTransformation:
    """An optimizer that leaves layers for larger images as they are: none decays before its first use."""
    own = optax.with_extra_args_support(tx)

    def keep(path: Sequence[Any], update: Array) -> Array:
        layers = [LAYER.fullmatch(str(getattr(key, "key", key))) for key in path]
        return jnp.zeros_like(update) if any(found and int(found[1]) > size for found in layers) else update

    def update(updates: Any, state: optax.OptState, params: Any = None, **extra: Any) -> tuple[Any, optax.OptState]:
        changes, state = own.update(updates, state, params, **extra)
        return jax.tree_util.tree_map_with_path(keep, changes), state

    return optax.GradientTransformationExtraArgs(own.init, update)


def _branch(draw: Callable[..., Value], size: int, weight: Float[Array, ""], *, first: bool) -> Value:
    """The result for one size, of which the first does not fade in."""
    return draw(size, None if first else weight)


def _at(values: Sequence[Any], number: int) -> Any:
    """The value of a size, or the last one."""
    return values[min(number, len(values) - 1)]
