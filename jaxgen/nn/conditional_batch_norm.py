"""Batch normalization as BigGAN has it, with a gain and a bias per example that depend on its class and latent.

    y = gain (x - mean) / sqrt(variance + 1e-5) + bias

In training the mean and the variance of the batch, over all axes but the last, are used and recorded:
running = 0.9 running + 0.1 statistics of the batch. Otherwise the running statistics are used. They differ from those
of `jaxgen.nn.normalization.batch_norm` in that the recorded variance is the unbiased one, n / (n - 1) times the
variance that normalizes n values, as in PyTorch.

`jaxgen.models.networks.standing_statistics` computes statistics for sampling from many batches of latents and labels.
"""

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgen.batch_checks import check_labels
from jaxgen.nn.normalization import check_values_per_feature
from jaxgen.nn.spectral_layers import SpectralDense, Weights
from jaxgen.typing import AnyArray, Array, Float, Int

MOMENTUM = 0.9
"""Weight of the running statistics before a batch."""

EPSILON = 1e-5
"""Number that is added to the variance."""


class ConditionalBatchNorm(linen.Module):
    """Batch normalization whose gain and bias depend on a condition.

        gain = 1 + A c,    bias = B c

    c is a vector, and A and B are dense layers without bias with spectral normalization; or c is a class, and A and B
    are tables of one vector per class without spectral normalization.

    Attributes:
        classes: number of classes, if the condition is a class; None if it is a vector.
        weights: initializer of A and B and epsilon of their power iteration.

    Reference:
        de Vries et al. 2017, arXiv:1707.00683; Brock et al. 2019, arXiv:1809.11096, appendix B.

    Example:
        >>> layer, x = ConditionalBatchNorm(classes=3), jnp.ones((2, 4, 4, 5))
        >>> y, variables = layer.init_with_output(jax.random.key(0), x, jnp.array([2, 0]), train=False)
        >>> y.shape, variables["params"]["gain"]["embedding"].shape
        ((2, 4, 4, 5), (3, 5))
    """

    classes: int | None = None
    weights: Weights = Weights()

    @linen.compact
    def __call__(
        self,
        x: Float[AnyArray, "batch *space channels"],
        condition: Float[AnyArray, "batch inputs"] | Int[AnyArray, " batch"],
        *,
        train: bool,
    ) -> Float[Array, "batch *space channels"]:
        """Normalize a batch, each example with the gain and the bias of its condition."""
        gain, bias = (self._affine(name, condition, x, train=train) for name in ("gain", "bias"))
        return _standardize(self, x, train=train) * (1 + gain) + bias

    def _affine(
        self, name: str, condition: AnyArray, x: AnyArray, *, train: bool
    ) -> Float[Array, "batch *ones channels"]:
        channels = x.shape[-1]
        if self.classes is None:
            layer = SpectralDense(channels, use_bias=False, weights=self.weights, name=name)
            rows = layer(condition, train=train)
        else:
            rows = linen.Embed(self.classes, channels, embedding_init=self.weights.of_embedding, name=name)(
                check_labels(condition)
            )
        return rows.astype(jnp.promote_types(rows.dtype, jnp.float32)).reshape(-1, *(1,) * (x.ndim - 2), channels)


class BatchNorm(linen.Module):
    """Batch normalization with one gain and one bias per channel.

    Example:
        >>> y, variables = BatchNorm().init_with_output(jax.random.key(0), jnp.ones((2, 4, 4, 5)), train=False)
        >>> sorted(variables["params"]), sorted(variables["batch_stats"])
        (['bias', 'gain'], ['mean', 'var'])
    """

    @linen.compact
    def __call__(
        self, x: Float[AnyArray, "batch *space channels"], *, train: bool
    ) -> Float[Array, "batch *space channels"]:
        """Normalize a batch."""
        gain = self.param("gain", linen.initializers.ones, x.shape[-1:])
        bias = self.param("bias", linen.initializers.zeros, x.shape[-1:])
        return _standardize(self, x, train=train) * gain + bias


def _standardize(
    module: linen.Module, x: Float[AnyArray, "batch *space channels"], *, train: bool
) -> Float[Array, "batch *space channels"]:
    """Return outputs of mean 0 and variance 1 by the statistics of the batch, or by the running ones."""
    x = jnp.asarray(x, jnp.promote_types(x.dtype, jnp.float32))
    mean = module.variable("batch_stats", "mean", jnp.zeros, x.shape[-1:])
    variance = module.variable("batch_stats", "var", jnp.ones, x.shape[-1:])
    if not train:
        return (x - mean.value) * jax.lax.rsqrt(variance.value + EPSILON)
    check_values_per_feature(x)
    n, axes = x[..., 0].size, range(x.ndim - 1)
    centred = x - (of_batch := x.mean(axes))
    squared = jnp.square(centred).mean(axes)
    if not module.is_initializing():
        mean.value = MOMENTUM * mean.value + (1 - MOMENTUM) * of_batch
        variance.value = MOMENTUM * variance.value + (1 - MOMENTUM) * squared * (n / (n - 1))
    return centred * jax.lax.rsqrt(squared + EPSILON)
