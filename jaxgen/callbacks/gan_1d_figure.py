"""The figure of a 1-D GAN: densities of the data and the samples, and the discriminator, over the same axis."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import plot
from jaxgen.averaging import without_averages
from jaxgen.data import SYNTHETIC
from jaxgen.game import Model, State
from jaxgen.typing import AnyArray, Array, Batch, Float, KeyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = 400
"""Points of the axis at which densities and discriminators are compared."""

LINES = 40
"""Lines from latents to their outputs."""

GENERATED = 5000
"""Samples of which a histogram is drawn."""

CLASSIFIERS = ("minimax", "non_saturating")
"""Losses whose discriminator returns the logit of a probability of being real."""


class Axis(NamedTuple):
    """The axis of the data.

    Attributes:
        x: increasing points over the range of the data and a margin.
        log_density: log density of the data there, in nats.
    """

    x: Float[np.ndarray, " grid"]
    log_density: Float[np.ndarray, " grid"]


def why_not_gan_1d(model: Model, *, data: str, loss: str | None, example: Batch) -> str | None:
    """Return why a model is not a 1-D GAN with a known density and a discriminator that gives probabilities.

    Args:
        model: model of the run.
        data: name of its data set.
        loss: name of its adversarial loss, None where it has none.
        example: batch of any size that shows the shape of the data.

    Returns:
        The reason as a clause; None if it is a 1-D GAN.

    Example:
        >>> from jaxgen.models import gan
        >>> example = {"point": np.zeros((1, 2), np.float32)}
        >>> why_not_gan_1d(gan.build(gan.Config(), example), data="ring", loss="minimax", example=example)
        'the data are not one-dimensional points with a known density'
    """
    if data not in SYNTHETIC or example["point"].shape[1] != 1:
        return "the data are not one-dimensional points with a known density"
    if not any(player.name == "discriminator" for player in model.players):
        return "the model has no discriminator"
    if model.evaluate is None:
        return "the discriminator is applied to several examples together"
    if loss not in CLASSIFIERS:
        return f"with the loss '{loss}' the discriminator does not give probabilities"
    if "label" in model.conditions:
        return "the discriminator is conditional: the optimal one differs from class to class"
    if model.sample is None or model.decode is None:
        return "the model does not decode its samples from latents"
    state = jax.eval_shape(model.init, jax.random.key(0), example)
    if "real_output" not in jax.eval_shape(model.evaluate, jax.random.key(0), state, example):
        return "the output of the discriminator is not among the metrics of the model"
    return None


class Gan1D:
    """Snapshots of a 1-D GAN, always with the same latents.

    The generator is the one with which the discriminator is trained, not its moving average.

    Args:
        model: model for which `why_not_gan_1d` returns None.
        data: name of its data set.
        points: points of the data, which determine the range of the axis.
        key: PRNG key of the latents.
    """

    def __init__(self, model: Model, data: str, points: Float[AnyArray, "n 1"], key: KeyArray) -> None:
        low, high = float(points.min()), float(points.max())
        margin = 0.1 * (high - low)
        x = np.linspace(low - margin, high + margin, GRID, dtype=np.float32)
        self._mixture = SYNTHETIC[data]()
        self.axis = Axis(x, self.log_density(x))
        self.latents = _latents(model, key)

        def logits(state: State, points: Array) -> Array:
            assert model.evaluate is not None
            return model.evaluate(key, state, {"point": points})["real_output"]

        def generated(state: State) -> tuple[Array, Array]:
            assert model.sample is not None
            assert model.decode is not None
            state = without_averages(state)
            outputs = model.decode(state, self.latents) if len(self.latents) else jnp.asarray(self.latents)
            return model.sample(key, state, GENERATED), outputs

        self.logits, self._generated = jax.jit(logits), jax.jit(generated)

    def log_density(self, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Return the log density of the data at any points, in nats."""
        return np.asarray(self._mixture.log_density(jnp.asarray(x[:, None], jnp.float32)))

    def snapshot(self, state: State, title: str) -> plot.Snapshot:
        """Return what is drawn of the state of one seed."""
        generated, outputs = self._generated(state)
        return plot.Snapshot(
            title,
            generated=np.asarray(generated)[:, 0],
            discriminator=np.asarray(jax.nn.sigmoid(self.logits(state, self.axis.x[:, None]))),
            latents=self.latents[:, 0],
            outputs=np.asarray(outputs)[:, 0],
        )

    def draw(self, snapshots: Sequence[plot.Snapshot]) -> "Figure":
        """Draw snapshots side by side; the axes are the same for all figures of this object."""
        bound = float(np.abs(self.latents).max(initial=0.0)) or 1.0
        density = np.exp(self.axis.log_density)
        return plot.gan_1d(self.axis.x, density, snapshots, latent_range=(-bound, bound))


def _latents(model: Model, key: KeyArray) -> Float[np.ndarray, "n 1"]:
    """Latents in increasing order; none where the latent has more than one dimension."""
    latents = np.zeros((0, 1)) if model.sample_latent is None else np.asarray(model.sample_latent(key, LINES))
    return np.sort(latents, axis=0) if latents.shape[1] == 1 else np.zeros((0, 1))
