"""A model whose likelihood and posterior are known."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy import stats

from jaxgen.typing import Array


class LinearModel(NamedTuple):
    """p(x|z) = N(W z + b, s^2 I) of points x [n, dim] with latents z [n, latent], in float64."""

    w: np.ndarray
    b: np.ndarray
    s: float
    x: np.ndarray

    @property
    def log_p(self) -> np.ndarray:
        return stats.multivariate_normal(self.b, self.w.T @ self.w + self.s**2 * np.eye(len(self.b))).logpdf(self.x)

    @property
    def posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean of each example, and the covariance of all."""
        covariance = np.linalg.inv(np.eye(len(self.w)) + self.w @ self.w.T / self.s**2)
        return (self.x - self.b) @ self.w.T @ covariance / self.s**2, covariance

    def log_likelihood(self, z: Array) -> Array:
        deviation = (np.float32(self.x) - z @ np.float32(self.w) - np.float32(self.b)) / self.s
        return -0.5 * jnp.sum(jnp.square(deviation), axis=1) - len(self.b) * math.log(self.s * math.sqrt(2 * math.pi))

    def log_likelihood_64(self, z: np.ndarray) -> np.ndarray:
        return stats.norm(z @ self.w + self.b, self.s).logpdf(self.x).sum(axis=-1)
