"""The styles of a run whose generator has them: new ones, their images, and how they are distributed."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.analysis.projection import Distance, Projection, project
from jaxgen.errors import InputError
from jaxgen.game import State, Styles
from jaxgen.models.labels import each_label
from jaxgen.nn.layer_styles import repeated
from jaxgen.runs.loading import Run
from jaxgen.training.seeds import extract_seed
from jaxgen.typing import AnyArray, Array, Float, KeyArray, PyTree

DRAWS = 10_000
"""Number of latents from whose styles their mean and their deviation are computed, as in Karras et al. 2020."""


class RunStyles(NamedTuple):
    """Functions of the styles of a run of a single seed.

    Attributes:
        run: the run.
        functions: the two halves of its generator.
        state: its state.
    """

    run: Run
    functions: Styles
    state: State

    @property
    def layers(self) -> int:
        """Number of layers that have a style."""
        return self.functions.layers

    @property
    def average(self) -> Float[Array, " style"]:
        """The average style."""
        return self.functions.average(self.state)

    @property
    def noise(self) -> PyTree:
        """The noise images that the generator stores."""
        return self.functions.noise(self.state)

    def draw(self, key: KeyArray, n: int) -> Float[Array, "n style"]:
        """Return styles of new latents; those of a conditional model cycle through the classes."""
        return self._drawn(key, n, 1)

    def draw_every_layer(self, key: KeyArray, n: int) -> Float[Array, "n layers style"]:
        """Return styles of layers, each of a latent of its own; all layers of an image have the same class."""
        return self._drawn(key, n, self.layers).reshape(n, self.layers, -1)

    def _drawn(self, key: KeyArray, n: int, repeats: int) -> Float[Array, "count style"]:
        """The styles of new latents, so many for each of n images."""
        assert self.run.model.sample_latent is not None
        conditions = {}
        if "label" in self.run.model.conditions:
            conditions["label"] = jnp.repeat(jnp.asarray(each_label(None, n, self.run.classes)), repeats)
        latents = self.run.model.sample_latent(key, n * repeats)
        return _mapped(self.functions.map, self.state, latents, conditions)

    def in_all_layers(self, w: Float[AnyArray, "n style"]) -> Float[Array, "n layers style"]:
        """Return each style for all layers."""
        return repeated(jnp.asarray(w), self.layers)

    def images(
        self, w: Float[AnyArray, "n layers style"], noise: PyTree | None = None
    ) -> Float[np.ndarray, "n height width channels"]:
        """Return the images of the styles of layers, with the stored noise images or with given ones."""
        given = self.noise if noise is None else noise
        return np.asarray(_synthesized(self.functions.synthesize, self.state, jnp.asarray(w), given))

    def project(
        self,
        key: KeyArray,
        images: Float[AnyArray, "n height width channels"],
        distance: Distance,
        *,
        every_layer: bool = False,
        steps: int = 1000,
    ) -> Projection:
        """Find styles and noise images whose images are near given ones, beginning with the mean of many styles.

        Args:
            key: PRNG key.
            images: images in [0, 1], of the size of the data.
            distance: distance of each pair of images, such as that of `image_distance`.
            every_layer: whether each layer has a style of its own (W+); by default all have the same (W).
            steps: number of updates.

        Returns:
            What `jaxgen.analysis.project` does.

        Reference:
            Karras et al. 2020, arXiv:1912.04958, appendix D.
        """
        style_key, projection_key = jax.random.split(key)
        w = self.draw(style_key, DRAWS)
        mean = w.mean(axis=0)
        return project(
            projection_key,
            jnp.asarray(images),
            partial(self.functions.synthesize, self.state),
            distance,
            average=mean,
            deviation=jnp.sqrt(jnp.square(w - mean).sum(axis=1).mean()),
            noise=self.noise,
            layers=self.layers,
            every_layer=every_layer,
            steps=steps,
        )

    def deviations(self, key: KeyArray) -> Float[Array, "draws style"]:
        """Return the differences of the styles of many latents from the average style."""
        return self.draw(key, DRAWS) - self.average


def run_styles(run: Run) -> RunStyles:
    """Return the styles of a run of a single seed.

    Args:
        run: the run.

    Returns:
        The functions.

    Raises:
        InputError: if the generator has no styles.
    """
    if run.model.styles is None:
        raise InputError(f"the model '{run.family}' has no generator with styles, which stylegan and stylegan2 have")
    return RunStyles(run, run.model.styles, extract_seed(run.state, 0))


# Compiled once for all sections and numbers of styles.


@partial(jax.jit, static_argnums=0)
def _mapped(function: Callable[..., Array], state: State, latents: Array, conditions: dict[str, Array]) -> Array:
    return function(state, latents, **conditions)


@partial(jax.jit, static_argnums=0)
def _synthesized(function: Callable[..., Array], state: State, w: Array, noise: PyTree) -> Array:
    return function(state, w, noise)
