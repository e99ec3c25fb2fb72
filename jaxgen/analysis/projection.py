"""Projection of images into the styles of a generator (Karras et al. 2020, appendix D).

A style is found whose image is near a given one, by gradient descent from the average style. The noise images of the
generator are optimized too, and regularized so that they stay noise instead of carrying the image.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jaxgen._arrays import check_integers, check_key, check_number
from jaxgen.errors import InputError
from jaxgen.typing import Array, Float, KeyArray, PyTree, Scalar

Synthesize: TypeAlias = Callable[[Float[Array, "n layers style"], PyTree], Float[Array, "n height width channels"]]
"""Function of the styles of layers and of the noise images of every image, `[n, height, width]`, to images."""

Distance: TypeAlias = Callable[[Array, Array], Float[Array, " n"]]
"""Function of two sets of images to the distance of each pair."""

RAMP_UP, RAMP_DOWN, NOISE_RAMP = 0.05, 0.25, 0.75
"""Share of the steps in which the learning rate grows, in which it falls, and in which noise is added to styles."""

SMALLEST_NOISE = 8
"""Size of the noise images at which they are no longer halved."""


class Projection(NamedTuple):
    """Styles whose images are near given ones.

    Attributes:
        w: styles of all layers, [n, layers, style].
        noise: noise images of each image, a tree of arrays `[n, height, width]`.
        distances: distances of the images of `w` and `noise` from the given ones, [n].
        history: distances in every step, to images of styles with added noise, [steps, n].
    """

    w: Float[Array, "n layers style"]
    noise: PyTree
    distances: Float[Array, " n"]
    history: Float[Array, "steps n"]


def project(
    key: KeyArray,
    images: Float[Array, "n height width channels"],
    synthesize: Synthesize,
    distance: Distance,
    *,
    average: Float[Array, " style"],
    deviation: Scalar,
    noise: PyTree,
    layers: int,
    every_layer: bool = False,
    steps: int = 1000,
    learning_rate: Scalar = 0.1,
    style_noise: Scalar = 0.05,
    noise_weight: Scalar = 1e5,
) -> Projection:
    """Find styles and noise images of a generator whose images are near given ones.

        minimize over w, noise:   distance(image, synthesize(w + e, noise)) + noise_weight noise_correlation(noise)
        e ~ N(0, (style_noise deviation max(0, 1 - t / 0.75)^2)^2),    t = step / steps

    by Adam; the learning rate grows in the first 5 % of the steps and falls to 0 in the last 25 %, as a cosine. After
    every step each noise image is shifted and scaled to mean 0 and variance 1. Images do not depend on each other.

    Args:
        key: PRNG key of the first noise images and of e.
        images: images to find, as `synthesize` returns them.
        synthesize: second half of the generator.
        distance: distance of each pair of images, such as that of features (LPIPS in the paper).
        average: average of the styles of latents, where the search begins.
        deviation: root of the mean squared distance of styles from it.
        noise: the noise images of one image, for their sizes: a tree of arrays `[height, width]`.
        layers: number of layers that have a style.
        every_layer: whether each layer has a style of its own (W+); by default all have the same (W).
        steps: number of updates.
        learning_rate: largest learning rate.
        style_noise: standard deviation of e at the beginning, as a share of `deviation`.
        noise_weight: weight of the correlation of noise images.

    Returns:
        The styles, noise images and distances.

    Raises:
        InputError: if a number is out of its range, or `distance` does not return one value for each image.

    Reference:
        Karras et al. 2020, arXiv:1912.04958, appendix D.

    Example:
        >>> images = jnp.full((2, 1, 1, 3), 0.5)
        >>> synthesize = lambda w, noise: w[:, :1, None]
        >>> squared = lambda a, b: jnp.square(a - b).sum((1, 2, 3))
        >>> found = project(jax.random.key(0), images, synthesize, squared, average=jnp.zeros(3), deviation=1.0,
        ...     noise={}, layers=1)
        >>> found.w.round(2)[0]
        Array([[0.5, 0.5, 0.5]], dtype=float32)
    """
    check_key(key)
    check_integers(steps=steps, layers=layers)
    if steps < 1 or layers < 1:
        raise InputError(f"steps and layers must be at least 1, got {steps} and {layers}")
    check_number("learning_rate", learning_rate, above=0, finite=True)
    for name, value in {"deviation": deviation, "style_noise": style_noise, "noise_weight": noise_weight}.items():
        check_number(name, value, at_least=0, finite=True)
    count, own_styles = len(images), layers if every_layer else 1
    noise_key, style_key = jax.random.split(key)
    optimizer = optax.scale_by_adam()
    first = (
        jnp.broadcast_to(average, (count, own_styles, len(average))),
        _normalized(new_noise(noise_key, noise, count)),
    )

    def distances(images: Array, w: Array, noise: PyTree) -> Array:
        found = distance(images, synthesize(jnp.broadcast_to(w, (count, layers, w.shape[2])), noise))
        if jnp.shape(found) != (count,):
            raise InputError(f"distance must return one value for each image, ({count},), got {jnp.shape(found)}")
        return found

    def update(
        images: Array, carry: tuple[Projected, optax.OptState], step: Array
    ) -> tuple[tuple[Projected, optax.OptState], Array]:
        (w, noise), state = carry
        t = step / steps
        scale = style_noise * deviation * jnp.maximum(0, 1 - t / NOISE_RAMP) ** 2
        e = scale * jax.random.normal(jax.random.fold_in(style_key, step), w.shape, w.dtype)

        def loss(found: Projected) -> tuple[Array, Array]:
            of_each = distances(images, found[0] + e, found[1])
            return of_each.sum() + noise_weight * noise_correlation(found[1]).sum(), of_each

        gradients, of_each = jax.grad(loss, has_aux=True)((w, noise))
        changes, state = optimizer.update(gradients, state)
        rate = learning_rate * _ramp(t)
        w, noise = jax.tree.map(lambda x, change: x - rate * change, (w, noise), changes)
        return ((w, _normalized(noise)), state), of_each

    # With the images as an argument: the compiler would compute what depends on constants alone, as their features.
    def run(images: Array, first: Projected) -> Projection:
        start = (first, optimizer.init(first))
        ((w, noise), _), history = jax.lax.scan(partial(update, images), start, jnp.arange(steps))
        styles = jnp.broadcast_to(w, (count, layers, w.shape[2]))
        return Projection(styles, noise, distances(images, w, noise), history)

    return jax.jit(run)(jnp.asarray(images), first)


Projected: TypeAlias = tuple[Float[Array, "n styles style"], PyTree]


def noise_correlation(noise: PyTree) -> Float[Array, " n"]:
    """Compute how far neighbouring values of noise images are correlated, over all noise images and scales.

        sum of (mean of x[i, j] x[i, j+1])^2 + (mean of x[i, j] x[i+1, j])^2

    over the noise images x and their halves, made by averages of 2 x 2 values down to a size of 8. The neighbour of a
    last value is the first one.

    Args:
        noise: noise images, a tree of arrays `[n, height, width]`.

    Returns:
        The sum for each image, [n]; 0 without noise images.

    Reference:
        Karras et al. 2020, arXiv:1912.04958, appendix D.

    Example:
        >>> noise_correlation([jnp.ones((1, 8, 8)), jnp.ones((1, 16, 16))])
        Array([6.], dtype=float32)
    """
    total = jnp.zeros(())
    for x in jax.tree.leaves(noise):
        while True:
            for axis in (1, 2):
                total += jnp.square((x * jnp.roll(x, 1, axis=axis)).mean(axis=(1, 2)))
            if x.shape[1] <= SMALLEST_NOISE:
                break
            x = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).mean(axis=(2, 4))
    return total


def new_noise(key: KeyArray, noise: PyTree, n: int | None = None) -> PyTree:
    """Draw noise images from the normal distribution.

    Args:
        key: PRNG key.
        noise: noise images, for their sizes.
        n: number of images that each have their own; None for one set for all.

    Returns:
        New noise images in the same form.

    Example:
        >>> new_noise(jax.random.key(0), {"a": jnp.zeros((4, 4))}, 3)["a"].shape
        (3, 4, 4)
    """
    leaves, structure = jax.tree.flatten(noise)
    keys = jax.random.split(key, max(1, len(leaves)))
    count = () if n is None else (n,)
    return jax.tree.unflatten(
        structure, [jax.random.normal(k, count + x.shape, x.dtype) for k, x in zip(keys, leaves, strict=False)]
    )


def _ramp(t: Float[Array, ""]) -> Float[Array, ""]:
    """The share of the learning rate after a share t of the steps."""
    down = 0.5 - 0.5 * jnp.cos(math.pi * jnp.minimum(1, (1 - t) / RAMP_DOWN))
    return down * jnp.minimum(1, t / RAMP_UP)


def _normalized(noise: PyTree) -> PyTree:
    """Noise images with mean 0 and variance 1."""

    def of(x: Float[Array, "n height width"]) -> Float[Array, "n height width"]:
        centred = x - x.mean(axis=(1, 2), keepdims=True)
        return centred * jax.lax.rsqrt(jnp.square(centred).mean(axis=(1, 2), keepdims=True))

    return jax.tree.map(of, noise)
