"""Perceptual path length: how much images change along paths between latents."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_integers, check_key, check_number
from jaxgen._interpolation import lerp, slerp
from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Float, KeyArray

Latents = Float[Array, "batch dim"]
Generate = Callable[[KeyArray, Latents], AnyArray]
"""Function `(key, latents) -> examples`. Noise and labels are determined by the key, and so equal for equal keys."""


class PathLength(NamedTuple):
    """Perceptual path length.

    Attributes:
        mean: mean of the distances that are kept, divided by epsilon squared.
        kept: number of distances that are kept.
        distances: all distances, divided by epsilon squared, [n].
    """

    mean: float
    kept: int
    distances: Float[np.ndarray, " n"]


@checked
def perceptual_path_length(
    key: KeyArray,
    generate: Generate,
    distance: Callable[..., Float[AnyArray, " batch"]],
    sample_latent: Callable[..., Latents],
    *,
    mapping: Callable[..., Latents] | None = None,
    sampling: Literal["full", "end"] = "full",
    epsilon: float = 1e-4,
    n: int = 50_000,
    batch_size: int = 50,
    lower: float = 1.0,
    upper: float = 99.0,
) -> PathLength:
    """Compute the perceptual path length of a generator.

    The mean of `d(g(z(t)), g(z(t + epsilon))) / epsilon^2` over paths z between two random latents and over t. In space
    z, paths are great circles (`jaxgen.analysis.slerp`); for a generator that normalizes its latents, as StyleGAN does,
    this is the published interpolation of normalized latents, and others get latents of the norm they were trained
    with. With a mapping, the paths are straight lines in space w, between `mapping(z)` of two latents.

    Distances below the lower and above the upper percentile are left out of the mean, as in the authors' program: the
    lower bound is the largest distance not above the percentile, the upper one the smallest not below it.

    Args:
        key: key of the latents, of t, and of what `generate` and `mapping` use it for.
        generate: function `(key, latents) -> examples`, of latents z, or w if there is a mapping. Both ends of a step
            are given the same key, and so have the same noise and labels. To compare with published numbers, images
            must be cropped and resized as published.
        distance: function `(examples, examples) -> distances`, [batch], of the quality of a squared distance, such as
            LPIPS, whose published weights are for VGG-16.
        sample_latent: function `(key, count) -> latents` z, [count, dim].
        mapping: function `(key, latents) -> latents` from z to w; None for space z. It is given the key of `generate`.
        sampling: "full" for t uniform in [0, 1), "end" for t = 0. Numbers of different spaces or different sampling are
            not comparable.
        epsilon: length of a step, in units of the path.
        n: number of steps.
        batch_size: number of steps that are computed at once. It is part of the randomness.
        lower: percentile below which distances are left out, in [0, 100].
        upper: percentile above which distances are left out, in [0, 100].

    Returns:
        The mean, the number of distances that it is of, and all distances. In float32 two latents that are epsilon
        apart differ by few bits: with an epsilon of 1e-4, single distances have an error of about 0.1 %.

    Raises:
        InputError: if the functions return arrays of other shapes, distances are not finite, or an option is invalid.

    Reference:
        Karras et al. 2019, arXiv:1812.04948, section 4.1, equations 2 (z) and 3 (w).

    Example:
        >>> squared = lambda x, y: jnp.sum((x - y) ** 2, axis=1)
        >>> normal = lambda key, count: jax.random.normal(key, (count, 4))
        >>> circle = lambda key, z: z / jnp.linalg.norm(z, axis=1, keepdims=True)
        >>> length = perceptual_path_length(
        ...     jax.random.key(0), circle, squared, normal, epsilon=0.01, n=5000, batch_size=500
        ... )
        >>> round(length.mean, 1)  # Near the mean square of the angle, pi^2 / 3 - 1/2.
        2.8
    """
    check_key(key)
    check_integers(n=n, batch_size=batch_size)
    for name, number in (("n", n), ("batch_size", batch_size)):
        check_number(name, number, at_least=1)
    check_number("epsilon", epsilon, above=0, finite=True)
    for name, bound in (("lower", lower), ("upper", upper)):
        check_number(name, bound, at_least=0)
    if not lower < upper <= 100:
        raise InputError(f"lower must be below upper, and upper at most 100, got lower {lower:g} and upper {upper:g}")
    batches = []
    for number in range(-(-n // batch_size)):
        first_key, second_key, time_key, generate_key = jax.random.split(jax.random.fold_in(key, number), 4)
        ends = [_checked_latents(sample_latent(part, batch_size), batch_size) for part in (first_key, second_key)]
        if mapping is not None:
            ends = [mapping(generate_key, z) for z in ends]
        times = jax.random.uniform(time_key, (batch_size,)) if sampling == "full" else jnp.zeros(batch_size)
        path = _along_circles if mapping is None else _along_lines
        steps = [generate(generate_key, path(*ends, at)) for at in (times, times + epsilon)]
        batches.append(_checked_distances(distance(*steps), batch_size))
    distances = np.concatenate(batches)[:n] / epsilon**2
    kept = _between_percentiles(distances, lower, upper)
    return PathLength(float(kept.mean()), len(kept), distances)


# Without jit, each of their operations would be compiled separately.
_along_circles = jax.jit(jax.vmap(slerp))
_along_lines = jax.jit(jax.vmap(lerp))


def _between_percentiles(distances: Float[np.ndarray, " n"], lower: float, upper: float) -> Float[np.ndarray, " kept"]:
    low = np.percentile(distances, lower, method="lower")
    high = np.percentile(distances, upper, method="higher")
    return distances[(low <= distances) & (distances <= high)]


def _checked_latents(latents: Latents, count: int) -> Latents:
    if np.ndim(latents) != 2 or len(latents) != count:
        raise InputError(f"sample_latent must return [{count}, dim], got shape {np.shape(latents)}")
    return latents


def _checked_distances(distances: Float[AnyArray, " batch"], count: int) -> Float[np.ndarray, " batch"]:
    values = np.asarray(distances, np.float64)
    if values.shape != (count,):
        raise InputError(f"distance must return one number for each example, [{count}], got shape {values.shape}")
    if not np.isfinite(values).all():
        raise InputError("distance must return finite numbers, got NaN or infinite values; check the generator")
    return values
