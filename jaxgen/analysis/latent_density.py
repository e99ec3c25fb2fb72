"""Distribution of the latents of real examples, compared with the prior or fitted by a mixture of Gaussians.

A VAE is trained so that the latents of all examples together follow N(0, I); `aggregate_posterior_mmd` measures the
difference. A plain autoencoder is not, and samples of N(0, I) fall between the latents of its examples; a mixture of
Gaussians that is fitted to those latents can be sampled instead.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_integers, check_key
from jaxgen._signatures import checked
from jaxgen.divergences import mmd
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Float, KeyArray, Scalar

SMALLEST_VARIANCE = 1e-6
"""Variance that is added to each component of a mixture, relative to the mean variance of the latents."""


@checked
def aggregate_posterior_mmd(
    key: KeyArray, latents: Float[Array, "n dim"], *, kernel: str = "imq", bandwidth: Scalar | None = None
) -> Float[Array, ""]:
    """Estimate the squared maximum mean discrepancy between latents and the prior N(0, I), of which n are sampled.

    Args:
        key: PRNG key of the samples of the prior.
        latents: latents of examples, [n, dim]; for an encoder that returns a distribution, one sample per example.
        kernel: "imq" or "rbf", see `jaxgen.divergences.mmd`.
        bandwidth: bandwidth of the kernel; by default `sqrt(2 dim)`, the typical distance between two samples of the
            prior, so that models with the same latent dimension are comparable.

    Returns:
        An unbiased estimate, a scalar; near 0, and sometimes below it, if the latents follow the prior.

    Raises:
        ValueError: if there are fewer than two latents.
        InputError: if the latents are not a matrix, or the kernel is unknown.

    Reference:
        Tolstikhin et al. 2018, arXiv:1711.01558, section 4 (the kernel and its bandwidth, there `C = 2 dim`).

    Example:
        >>> prior, far = jax.random.normal(jax.random.key(1), (500, 2)), jnp.full((500, 2), 9.0)
        >>> near_zero = aggregate_posterior_mmd(jax.random.key(0), prior)
        >>> bool(abs(near_zero) < 0.01), bool(aggregate_posterior_mmd(jax.random.key(0), far) > 1)
        (True, True)
    """
    check_key(key)
    samples = jax.random.normal(key, latents.shape, latents.dtype)
    default = math.sqrt(2 * latents.shape[1])
    return mmd(latents, samples, kernel=kernel, bandwidth=default if bandwidth is None else bandwidth)


class LatentDensity(NamedTuple):
    """Mixture of Gaussians over latents, fitted by `fit_latent_density`.

    Attributes:
        weights: probabilities of the components, [components].
        means: means of the components, [components, dim].
        factors: lower triangular factors L of the covariances `L L'`, [components, dim, dim].
    """

    weights: Float[Array, " components"]
    means: Float[Array, "components dim"]
    factors: Float[Array, "components dim dim"]

    def sample(self, key: KeyArray, n: int) -> Float[Array, "n dim"]:
        """Sample latents.

        Args:
            key: PRNG key of the samples.
            n: number of samples.

        Returns:
            Latents, [n, dim].

        Example:
            >>> density = LatentDensity(jnp.ones(1), jnp.array([[3.0, 4.0]]), jnp.zeros((1, 2, 2)))
            >>> print(density.sample(jax.random.key(0), 2))
            [[3. 4.]
             [3. 4.]]
        """
        check_key(key)
        check_integers(n=n)
        return _sample(key, self, n)


@checked
def fit_latent_density(latents: Float[AnyArray, "n dim"], *, components: int = 10, seed: int = 0) -> LatentDensity:
    """Fit a mixture of Gaussians with full covariances to the latents of a trained autoencoder.

    Decoding samples of the mixture gives samples of an autoencoder that has no prior.

    Args:
        latents: latents of training examples, [n, dim].
        components: number of Gaussians.
        seed: seed of the initialization of the fit.

    Returns:
        A `LatentDensity` in float32.

    Raises:
        InputError: if the latents are not a matrix, there are fewer of them than components, or they are not finite or
            all equal.

    Reference:
        Ghosh et al. 2020, "From variational to deterministic autoencoders", arXiv:1903.12436, section 4 (there with 10
        components).

    Example:
        >>> latents = np.concatenate([np.random.default_rng(0).normal(size=(99, 1)), np.full((1, 1), 50.0)])
        >>> np.sort(fit_latent_density(latents, components=2).weights)
        array([0.01, 0.99], dtype=float32)
    """
    from sklearn.mixture import GaussianMixture

    array = np.asarray(latents, np.float64)
    if not 1 <= components <= len(array):
        raise InputError(f"components must be from 1 to the number of latents, {len(array)}, got {components}")
    variance = float(array.var(axis=0).mean())
    if not 0 < variance < math.inf:
        raise InputError(f"latents must be finite and not all equal, got a mean variance of {variance}")
    mixture = GaussianMixture(
        components, reg_covar=SMALLEST_VARIANCE * variance, max_iter=1000, random_state=seed, covariance_type="full"
    ).fit(array)
    factors = np.linalg.cholesky(mixture.covariances_)
    return LatentDensity(*(jnp.asarray(part, jnp.float32) for part in (mixture.weights_, mixture.means_, factors)))


@partial(jax.jit, static_argnums=2)
def _sample(key: KeyArray, density: LatentDensity, n: int) -> Float[Array, "n dim"]:
    component_key, noise_key = jax.random.split(key)
    component = jax.random.categorical(component_key, jnp.log(density.weights), shape=(n,))
    noise = jax.random.normal(noise_key, (n, density.means.shape[1]), density.means.dtype)
    return density.means[component] + jnp.einsum("nij,nj->ni", density.factors[component], noise)
