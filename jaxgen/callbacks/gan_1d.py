"""A GAN on the line, where data, generator and discriminator can all be seen at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import plot
from jaxgen.data import SYNTHETIC
from jaxgen.game import Model, State
from jaxgen.runs.config import RunConfig
from jaxgen.typing import AnyArray, Array, Batch, Float, KeyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLACES = 400
"""On the line, where densities and discriminators are compared."""

LINES = 40
"""From noise to what the generator makes of it."""

GENERATED = 5000
"""Points of which a histogram is drawn."""

CLASSIFIERS = ("minimax", "non_saturating")
"""Losses whose discriminator gives logits of being real."""


class Line(NamedTuple):
    """Data on the line.

    Attributes:
        places: in increasing order, over the range of the data and a little more.
        log_density: of the data there, in nats.
    """

    places: Float[np.ndarray, " places"]
    log_density: Float[np.ndarray, " places"]


def why_not_gan_1d(model: Model, config: RunConfig[Any], example: Batch) -> str | None:
    """Why a run is no game on the line between a known density and a discriminator that gives probabilities.

    Args:
        model: of the run.
        config: of the run.
        example: a batch of any size, for the shape of the data.

    Returns:
        The reason as a clause, None if it is such a game.

    Example:
        >>> from jaxgen.models import gan
        >>> example, config = {"point": np.zeros((1, 2), np.float32)}, gan.Config()
        >>> why_not_gan_1d(gan.build(config, example), RunConfig(config, data="ring"), example)
        'the data are not points on the line with a known density'
    """
    loss = getattr(config.model_config, "loss", None)
    if config.data not in SYNTHETIC or example["point"].shape[1] != 1:
        return "the data are not points on the line with a known density"
    if not any(player.name == "discriminator" for player in model.players):
        return "the model has no discriminator"
    if model.evaluate is None:
        return "the discriminator judges several examples at once"
    if loss not in CLASSIFIERS:
        return f"with the loss '{loss}' the discriminator gives no probabilities"
    if model.conditions:
        return "the discriminator is told the class: there is a best one for each"
    return None


def without_averages(state: State) -> State:
    """The state without averaged weights: its samples are those that the discriminator is shown.

    Where a moving average of the generator's weights is kept, models sample from that. The discriminator plays against
    the weights that move, and only for these it can be the best one.

    Args:
        state: of one run or of several.

    Returns:
        The same state, with nothing in `ema`.

    Example:
        >>> from jaxgen.models import gan
        >>> example = {"point": np.zeros((1, 1), np.float32)}
        >>> state = gan.build(gan.Config(ema=0.9), example).init(jax.random.key(0), example)
        >>> sorted(state.ema), sorted(without_averages(state).ema)
        (['generator'], [])
    """
    return state.replace(ema={})


class Gan1D:
    """Moments of a game on the line; the noise is the same in all of them.

    The generator is the one that the discriminator plays against, not the average of its weights.

    Args:
        model: of a run of which `why_not_gan_1d` says nothing.
        config: of the run.
        points: of the data, which say how much of the line is looked at.
        key: of all draws.
    """

    def __init__(self, model: Model, config: RunConfig[Any], points: Float[AnyArray, "n 1"], key: KeyArray) -> None:
        low, high = float(points.min()), float(points.max())
        places = np.linspace(low - 0.1 * (high - low), high + 0.1 * (high - low), PLACES, dtype=np.float32)
        self._mixture = SYNTHETIC[config.data]()
        self.line = Line(places, self.log_density(places))
        noise = np.zeros((0, 1)) if model.prior is None or model.decode is None else np.asarray(model.prior(key, LINES))
        # Lines are drawn from noise of one dimension alone.
        self.noise = np.sort(noise, axis=0) if noise.shape[1] == 1 else np.zeros((0, 1))

        def logits(state: State, points: Array) -> Array:
            assert model.evaluate is not None
            return model.evaluate(key, state, {"point": points})["real_output"]

        def generated(state: State) -> tuple[Array, Array]:
            state = without_averages(state)
            mapped = model.decode(state, self.noise) if model.decode is not None and len(self.noise) else self.noise
            return model.sample(key, state, GENERATED), jnp.asarray(mapped)

        self.logits, self._generated = jax.jit(logits), jax.jit(generated)

    def log_density(self, places: Float[np.ndarray, " places"]) -> Float[np.ndarray, " places"]:
        """Of the data at any places, in nats."""
        return np.asarray(self._mixture.log_density(jnp.asarray(places[:, None], jnp.float32)))

    def moment(self, state: State, title: str) -> plot.Snapshot:
        """What is drawn of the game with one run's state."""
        generated, mapped = self._generated(state)
        return plot.Snapshot(
            title,
            generated=np.asarray(generated)[:, 0],
            discriminator=np.asarray(jax.nn.sigmoid(self.logits(state, self.line.places[:, None]))),
            latents=self.noise[:, 0],
            outputs=np.asarray(mapped)[:, 0],
        )

    def draw(self, moments: Sequence[plot.Snapshot]) -> "Figure":
        """Moments side by side; the axes are the same for all of them, now and later."""
        bound = float(np.abs(self.noise).max(initial=0.0)) or 1.0
        density = np.exp(self.line.log_density)
        return plot.gan_1d(self.line.places, density, moments, latent_range=(-bound, bound))
