"""What the generators of StyleGAN and StyleGAN2 share: two networks as one, styles of layers, noise and averages."""

from typing import Any, Literal, TypeAlias

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgen.typing import Array, Float, Int

Noise: TypeAlias = Literal["random", "constant", "none"]
"""Noise images that are added to features: drawn anew by the key "noise", the stored ones, or none."""


class Generator(linen.Module):
    """Mapping and synthesis network as one.

    Attributes:
        mapping: the mapping network, from latents to styles.
        synthesis: the synthesis network, from styles to images.
    """

    mapping: Any
    synthesis: Any

    def __call__(
        self,
        z: Float[Array, "batch latent"],
        label: Int[Array, " batch"] | None = None,
        *,
        train: bool,
        noise: Noise = "random",
    ) -> Float[Array, "batch height width channels"]:
        """Return the largest images of latents, with one style in all layers."""
        return self.synthesize(repeated(self.map(z, label, train=train), self.synthesis.styles), noise=noise)

    def map(
        self, z: Float[Array, "batch latent"], label: Int[Array, " batch"] | None = None, *, train: bool
    ) -> Float[Array, "batch style"]:
        """Return the styles of latents."""
        w: Array = self.mapping(z, label, train=train)
        return w

    def synthesize(
        self, w: Float[Array, "batch styles style"], *, noise: Noise = "random", **resolution: Any
    ) -> Float[Array, "batch height width channels"]:
        """Return the images of styles, one for each layer; a network that grows takes `size` and `alpha`."""
        images: Array = self.synthesis(w, noise=noise, **resolution)
        return images


def repeated(w: Float[Array, "batch style"], styles: int) -> Float[Array, "batch styles style"]:
    """Return the same style for every layer.

    Args:
        w: one style for each image.
        styles: number of layers that have one.

    Returns:
        The styles.

    Example:
        >>> repeated(jnp.ones((2, 3)), 8).shape
        (2, 8, 3)
    """
    return jnp.broadcast_to(w[:, None], (w.shape[0], styles, w.shape[1]))


def mixed(
    first: Float[Array, "batch style"],
    second: Float[Array, "batch style"],
    crossover: Int[Array, ""] | int,
    styles: int,
) -> Float[Array, "batch styles style"]:
    """Return the first style for the layers before the crossover, and the second from it on (style mixing).

    Args:
        first: style of the coarse layers.
        second: style of the fine layers.
        crossover: number of layers with the first style.
        styles: number of layers that have a style.

    Returns:
        The styles.

    Reference:
        Karras et al. 2019, arXiv:1812.04948, section 3.1.

    Example:
        >>> mixed(jnp.zeros((1, 1)), jnp.ones((1, 1)), 3, 5)[0, :, 0]
        Array([0., 0., 0., 1., 1.], dtype=float32)
    """
    return jnp.where(jnp.arange(styles)[:, None] < crossover, first[:, None], second[:, None])


def truncated(
    w: Float[Array, "batch styles style"],
    average: Float[Array, " style"],
    psi: Float[Array, ""] | float,
    *,
    layers: int | None = None,
) -> Float[Array, "batch styles style"]:
    """Draw styles towards their average: `average + psi (w - average)`.

    Args:
        w: styles of the layers.
        average: average of the styles of many latents.
        psi: share of the deviation that is kept: 0 gives the average, 1 the styles themselves.
        layers: number of layers whose styles are changed, the first ones; None for all.

    Returns:
        The styles.

    Reference:
        Karras et al. 2019, arXiv:1812.04948, appendix B.

    Example:
        >>> truncated(jnp.full((1, 3, 1), 2.0), jnp.zeros(1), 0.5, layers=2)[0, :, 0]
        Array([1., 1., 2.], dtype=float32)
    """
    changed = jnp.arange(w.shape[1])[:, None] < (w.shape[1] if layers is None else layers)
    # Each form is exact at its end: at 0 the average, at 1 the styles themselves.
    drawn = jnp.where(jnp.asarray(psi) < 0.5, average + psi * (w - average), w - (1 - psi) * (w - average))
    return jnp.where(changed, drawn, w)


def add_noise(
    module: linen.Module,
    x: Float[Array, "batch height width channels"],
    strength: Float[Array, "..."],
    noise: Noise,
) -> Float[Array, "batch height width channels"]:
    """Add a noise image to all channels of features, within the `__call__` of a module.

    Args:
        module: the module, which stores the constant noise image in the collection "noise".
        x: features.
        strength: factor of the noise, one for all channels or one for each.
        noise: which noise image.

    Returns:
        The features with noise.
    """
    stored = module.variable("noise", "image", lambda: jax.random.normal(module.make_rng("params"), x.shape[1:3]))
    if noise == "none":
        return x
    if noise == "constant":
        added = stored.value[..., None]
    else:  # In at least float32: the draws of a bfloat16 are others.
        wide = jnp.promote_types(x.dtype, jnp.float32)
        added = jax.random.normal(module.make_rng("noise"), (*x.shape[:3], 1), wide)
    return x + strength * added.astype(x.dtype)


def follow_average(module: linen.Module, w: Float[Array, "batch style"], *, decay: float, train: bool) -> None:
    """Store the moving average of styles in the collection "latent_average", within the `__call__` of a module.

    Args:
        module: the module.
        w: styles of a batch.
        decay: decay of the average.
        train: whether the batch is added to it.
    """
    average = module.variable("latent_average", "w", jnp.zeros, w.shape[1:])
    if train and not module.is_initializing():
        mean = jax.lax.stop_gradient(w).mean(axis=0)
        average.value = mean + decay * (average.value - mean)
