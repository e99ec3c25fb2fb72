"""Distributions of points with exactly known densities, against which a trained model can be measured.

Each function returns a `Synthetic`: a function that draws points with a key, and the logarithm of their density.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from jaxgen.typing import Array, Float, KeyArray


class Synthetic(NamedTuple):
    """Distribution of points with its exact density.

    Attributes:
        sample: `(key, n) -> {"point": float32 [n, dim]}`, for mixtures also `"label"`: int32 [n], the mode.
        log_density: points [n, dim] -> log p(x) in nats [n], -inf outside the support.
        centers: means of the modes of a mixture, [modes, dim]; None for other distributions.
        scales: standard deviations of the modes of a mixture, [modes]; None for other distributions.
        weights: probabilities of the modes of a mixture, [modes]; None for other distributions.
    """

    sample: Callable[[KeyArray, int], dict[str, Array]]
    log_density: Callable[[Float[Array, "n dim"]], Float[Array, " n"]]
    centers: Float[Array, "modes dim"] | None = None
    scales: Float[Array, " modes"] | None = None
    weights: Float[Array, " modes"] | None = None


def gaussian_mixture(
    centers: Float[Array, "modes dim"],
    scales: Float[Array, " modes"],
    weights: Float[Array, " modes"],
) -> Synthetic:
    """Return a mixture of isotropic Gaussians.

        p(x) = sum_k w_k N(x; c_k, s_k^2 I)

    Args:
        centers: means c of the modes, [modes, dim].
        scales: standard deviations s of the modes, [modes].
        weights: probabilities w of the modes, [modes]; they are normalized to a sum of 1.

    Returns:
        The mixture; a label is the index of the mode.

    Raises:
        ValueError: if the numbers of centers, scales and weights differ.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> one = gaussian_mixture(jnp.zeros((1, 2)), jnp.ones(1), jnp.ones(1))
        >>> round(float(jnp.exp(-one.log_density(jnp.zeros((1, 2)))[0]) / jnp.pi), 4)
        2.0
    """
    if not len(centers) == len(scales) == len(weights):
        raise ValueError(
            f"centers, scales and weights must have the same length, got centers {centers.shape}, "
            f"scales {scales.shape}, weights {weights.shape}"
        )
    log_weights = jnp.log(weights) - jnp.log(jnp.sum(weights))

    def sample(key: KeyArray, n: int) -> dict[str, Array]:
        mode_key, noise_key = jax.random.split(key)
        modes = jax.random.categorical(mode_key, log_weights, shape=(n,))
        noise = jax.random.normal(noise_key, (n, centers.shape[1]))
        points = centers[modes] + scales[modes, jnp.newaxis] * noise
        return {"point": points, "label": modes.astype(jnp.int32)}

    def log_density(points: Float[Array, "n dim"]) -> Float[Array, " n"]:
        return _mixture_log_density(points, centers, scales, log_weights)

    return Synthetic(sample, log_density, centers, scales, jnp.exp(log_weights))


def ring(*, modes: int = 8, radius: float = 1.0, scale: float = 0.01) -> Synthetic:
    """Return a mixture of equal Gaussians, evenly spaced on a circle.

    Args:
        modes: number of Gaussians.
        radius: radius of the circle.
        scale: standard deviation of each Gaussian.

    Returns:
        The mixture; mode k is at the angle 2 pi k / modes.

    Reference:
        Metz et al. 2017, "Unrolled generative adversarial networks", arXiv:1611.02163; with the radius and scale of
        Lin et al. 2018, "PacGAN", arXiv:1712.04086.

    Example:
        >>> ring().centers.shape
        (8, 2)
    """
    angles = 2 * np.pi * np.arange(modes) / modes
    return _equal_gaussians(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1), scale)


def grid(*, side: int = 5, spacing: float = 2.0, scale: float = 0.05) -> Synthetic:
    """Return a mixture of equal Gaussians on a square grid centred at the origin.

    Args:
        side: number of Gaussians per row.
        spacing: distance between neighbouring Gaussians.
        scale: standard deviation of each Gaussian.

    Returns:
        The mixture; modes are numbered row by row, beginning at the lower left.

    Reference:
        Lin et al. 2018, "PacGAN", arXiv:1712.04086.

    Example:
        >>> float(grid().centers.min()), float(grid().centers.max())
        (-4.0, 4.0)
    """
    ticks = spacing * (np.arange(side) - (side - 1) / 2)
    ys, xs = np.meshgrid(ticks, ticks, indexing="ij")
    return _equal_gaussians(np.stack([xs.ravel(), ys.ravel()], axis=1), scale)


def gaussian_1d(
    *,
    weights: Sequence[float] = (0.3, 0.5, 0.2),
    means: Sequence[float] = (-4.0, 0.0, 3.0),
    scales: Sequence[float] = (0.5, 1.0, 0.7),
) -> Synthetic:
    """Return a mixture of Gaussians in one dimension.

    Args:
        weights: probabilities of the modes, up to a common factor.
        means: means of the modes.
        scales: standard deviations of the modes.

    Returns:
        The mixture, with points [n, 1].

    Raises:
        ValueError: if the numbers of weights, means and scales differ.

    Example:
        >>> gaussian_1d(weights=(0.5, 0.5), means=(-1.0, 1.0), scales=(0.1, 0.1)).centers.tolist()
        [[-1.0], [1.0]]
    """
    centers = jnp.asarray(means, jnp.float32)[:, jnp.newaxis]
    return gaussian_mixture(centers, jnp.asarray(scales, jnp.float32), jnp.asarray(weights, jnp.float32))


def normal_ring(*, thickness: float = 0.1) -> Synthetic:
    """Return a ring in the plane, the image of a standard normal distribution under a simple generator g.

        x = g(z) = z / |z| + thickness z,    z ~ N(0, I) in the plane

    g keeps the direction of z and maps its length to the radius r = 1 + thickness |z|. With rho = (r - 1) / thickness,

        p(x) = N(rho; 0, I) rho / (thickness r)  for r > 1, and 0 inside the circle.

    Args:
        thickness: factor of z in g(z).

    Returns:
        The distribution of g(z).

    Reference:
        Doersch 2016, "Tutorial on variational autoencoders", arXiv:1606.05908, figure 2.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> points = normal_ring().sample(jax.random.key(0), 100)["point"]
        >>> bool(jnp.all(jnp.linalg.norm(points, axis=1) > 1))
        True
    """

    def sample(key: KeyArray, n: int) -> dict[str, Array]:
        z = jax.random.normal(key, (n, 2))
        return {"point": z / jnp.linalg.norm(z, axis=1, keepdims=True) + thickness * z}

    def log_density(points: Float[Array, "n 2"]) -> Float[Array, " n"]:
        squared = jnp.sum(jnp.square(points), axis=1)
        outside = squared > 1
        # Inside the circle the formula is evaluated at a valid radius, so that the gradient contains no NaN.
        r = jnp.sqrt(jnp.where(outside, squared, 4.0))
        rho = (r - 1) / thickness
        log_p = -jnp.log(2 * jnp.pi) - 0.5 * jnp.square(rho) + jnp.log(rho / (thickness * r))
        return jnp.where(outside, log_p, -jnp.inf)

    return Synthetic(sample, log_density)


def curve(*, scale: float = 0.1) -> Synthetic:
    """Return points on one period of a sine with Gaussian noise: a noisy one-dimensional manifold in the plane.

        x = (t, sin t) + scale * noise,    t uniform on [-pi, pi], noise ~ N(0, I)

    Args:
        scale: standard deviation of the noise.

    Returns:
        The distribution of x; its density is an integral over t, computed by quadrature.

    Example:
        >>> import jax
        >>> curve().sample(jax.random.key(0), 3)["point"].shape
        (3, 2)
    """
    return _noisy_curve(lambda t: jnp.stack([t, jnp.sin(t)], axis=-1), -np.pi, np.pi, length=7.7, scale=scale)


def swiss_roll(*, scale: float = 0.05) -> Synthetic:
    """Return points on a spiral of one and a half windings (Swiss roll) with Gaussian noise.

        x = t / 10 (cos t, sin t) + scale * noise,    t uniform on [3/2 pi, 9/2 pi], noise ~ N(0, I)

    Args:
        scale: standard deviation of the noise; neighbouring windings are 0.63 apart.

    Returns:
        The distribution of x; its density is an integral over t, computed by quadrature.

    Example:
        >>> import jax
        >>> swiss_roll().sample(jax.random.key(0), 3)["point"].shape
        (3, 2)
    """

    def spiral(t: Float[Array, " n"]) -> Float[Array, "n 2"]:
        return t[:, jnp.newaxis] / 10 * jnp.stack([jnp.cos(t), jnp.sin(t)], axis=-1)

    return _noisy_curve(spiral, 1.5 * np.pi, 4.5 * np.pi, length=9.0, scale=scale)


SYNTHETIC: dict[str, Callable[[], Synthetic]] = {
    "ring": ring,
    "grid": grid,
    "gaussian_1d": gaussian_1d,
    "curve": curve,
    "normal_ring": normal_ring,
    "swiss_roll": swiss_roll,
}
"""Name -> function that returns the distribution with its published parameters."""


def _equal_gaussians(centers: np.ndarray, scale: float) -> Synthetic:
    modes = len(centers)
    return gaussian_mixture(jnp.asarray(centers, jnp.float32), jnp.full(modes, scale), jnp.ones(modes))


def _noisy_curve(
    at: Callable[[Float[Array, " n"]], Float[Array, "n 2"]], start: float, end: float, *, length: float, scale: float
) -> Synthetic:
    """Points of a curve with a parameter that is uniform on [start, end], with Gaussian noise.

    p(x) = integral N(x; at(t), scale^2 I) dt / (end - start), by Gauss-Legendre quadrature on panels. The integrand is
    smooth, and the mean curve length of a panel is at most `scale`, so that eight nodes reach float32 precision.
    """
    nodes, node_weights = np.polynomial.legendre.leggauss(8)
    edges = np.linspace(start, end, int(np.ceil(length / scale)) + 1)
    half = (edges[1] - edges[0]) / 2
    parameters = ((edges[:-1] + edges[1:]) / 2)[:, np.newaxis] + half * nodes
    centers = at(jnp.asarray(parameters.ravel(), jnp.float32))
    log_weights = jnp.asarray(np.log(np.tile(node_weights * half / (end - start), len(edges) - 1)), jnp.float32)

    def sample(key: KeyArray, n: int) -> dict[str, Array]:
        parameter_key, noise_key = jax.random.split(key)
        parameters = jax.random.uniform(parameter_key, (n,), minval=start, maxval=end)
        return {"point": at(parameters) + scale * jax.random.normal(noise_key, (n, 2))}

    def log_density(points: Float[Array, "n 2"]) -> Float[Array, " n"]:
        # Computed in blocks of points, as the array [points, nodes] takes too much memory.
        def at_point(point: Float[Array, " 2"]) -> Float[Array, ""]:
            return _mixture_log_density(point[jnp.newaxis], centers, jnp.full(len(centers), scale), log_weights)[0]

        return jax.lax.map(at_point, points, batch_size=1024)

    return Synthetic(sample, log_density)


def _mixture_log_density(
    points: Float[Array, "n dim"],
    centers: Float[Array, "modes dim"],
    scales: Float[Array, " modes"],
    log_weights: Float[Array, " modes"],
) -> Float[Array, " n"]:
    standardized = (points[:, jnp.newaxis, :] - centers) / scales[:, jnp.newaxis]
    dim = points.shape[1]
    log_normals = -0.5 * jnp.sum(jnp.square(standardized), axis=-1) - dim * jnp.log(scales * np.sqrt(2 * np.pi))
    return logsumexp(log_normals + log_weights, axis=1)
