"""What codes of real examples are distributed like, against what codes to decode are drawn from.

A VAE is trained so that the codes of all examples together follow N(0, I), which one number checks. A plain
autoencoder is not: draws from N(0, I) fall between the codes of its examples. A mixture of Gaussians that is fitted to
those codes can be drawn from instead.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.divergences import mmd
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Float, KeyArray, Scalar

SMALLEST_VARIANCE = 1e-6
"""Added to every variance of a mixture's components, as a part of the mean variance of the codes."""


def aggregate_posterior_mmd(
    key: KeyArray, codes: Float[Array, "n dim"], *, kernel: str = "imq", bandwidth: Scalar | None = None
) -> Float[Array, ""]:
    """Squared maximum mean discrepancy between codes and as many draws from the prior N(0, I).

    Args:
        key: of the draws.
        codes: of examples; where the encoder gives a distribution, a draw from it for each.
        kernel: "imq" or "rbf", see `jaxgen.divergences.mmd`.
        bandwidth: of the kernel. Where nothing is given, `sqrt(2 dim)`, the distance that two draws from the prior
            typically have: models whose codes are of one length then compare.

    Returns:
        One number, unbiased: around 0, and sometimes below it, where the codes follow the prior.

    Raises:
        ValueError: if the codes are no matrix, or there are less than two.
        InputError: if there is no such kernel.

    Reference:
        Tolstikhin et al. 2018, arXiv:1711.01558, section 4 (the kernel and its bandwidth, there `C = 2 dim`).

    Example:
        >>> prior, far = jax.random.normal(jax.random.key(1), (500, 2)), jnp.full((500, 2), 9.0)
        >>> near_zero = aggregate_posterior_mmd(jax.random.key(0), prior)
        >>> bool(abs(near_zero) < 0.01), bool(aggregate_posterior_mmd(jax.random.key(0), far) > 1)
        (True, True)
    """
    _check_matrix(codes)
    draws = jax.random.normal(key, codes.shape, codes.dtype)
    return mmd(codes, draws, kernel=kernel, bandwidth=math.sqrt(2 * codes.shape[1]) if bandwidth is None else bandwidth)


class LatentDensity(NamedTuple):
    """A mixture of Gaussians, to draw codes from.

    Attributes:
        weights: probabilities of the components.
        means: of the components.
        factors: lower triangular L of each component's covariance `L L'`.
    """

    weights: Float[Array, " components"]
    means: Float[Array, "components dim"]
    factors: Float[Array, "components dim dim"]

    def sample(self, key: KeyArray, n: int) -> Float[Array, "n dim"]:
        """Draw codes.

        Args:
            key: of the draws.
            n: how many.

        Returns:
            The codes.

        Example:
            >>> density = LatentDensity(jnp.ones(1), jnp.array([[3.0, 4.0]]), jnp.zeros((1, 2, 2)))
            >>> print(density.sample(jax.random.key(0), 2))
            [[3. 4.]
             [3. 4.]]
        """
        return _draw(key, self, n)


def fit_latent_density(codes: Float[AnyArray, "n dim"], *, components: int = 10, seed: int = 0) -> LatentDensity:
    """Fit a mixture of Gaussians with full covariances to codes, after the training of the autoencoder.

    Draws from it, decoded, are samples of an autoencoder that has no prior of its own.

    Args:
        codes: of training examples.
        components: Gaussians to mix.
        seed: of the fit's first guess.

    Returns:
        A `LatentDensity`, float32.

    Raises:
        ValueError: if the codes are no matrix.
        InputError: if there are fewer codes than components, or they are not finite or all the same.

    Reference:
        Ghosh et al. 2020, "From variational to deterministic autoencoders", arXiv:1903.12436, section 4 (there with 10
        components).

    Example:
        >>> codes = np.concatenate([np.random.default_rng(0).normal(size=(99, 1)), np.full((1, 1), 50.0)])
        >>> np.sort(fit_latent_density(codes, components=2).weights)
        array([0.01, 0.99], dtype=float32)
    """
    from sklearn.mixture import GaussianMixture

    _check_matrix(codes)
    array = np.asarray(codes, np.float64)
    if not 1 <= components <= len(array):
        raise InputError(f"a mixture of {components} components needs at least as many codes, got {len(array)}")
    variance = float(array.var(axis=0).mean())
    if not 0 < variance < math.inf:
        raise InputError("the codes must be finite and not all the same")
    mixture = GaussianMixture(
        components, reg_covar=SMALLEST_VARIANCE * variance, max_iter=1000, random_state=seed, covariance_type="full"
    ).fit(array)
    factors = np.linalg.cholesky(mixture.covariances_)
    return LatentDensity(*(jnp.asarray(part, jnp.float32) for part in (mixture.weights_, mixture.means_, factors)))


@partial(jax.jit, static_argnums=2)
def _draw(key: KeyArray, density: LatentDensity, n: int) -> Float[Array, "n dim"]:
    component_key, noise_key = jax.random.split(key)
    component = jax.random.categorical(component_key, jnp.log(density.weights), shape=(n,))
    noise = jax.random.normal(noise_key, (n, density.means.shape[1]), density.means.dtype)
    return density.means[component] + jnp.einsum("nij,nj->ni", density.factors[component], noise)


def _check_matrix(codes: Float[AnyArray, "n dim"]) -> None:
    if np.ndim(codes) != 2:
        raise ValueError(f"codes must be [n, dim], got {np.shape(codes)}")
