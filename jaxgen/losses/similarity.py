"""Reconstruction error in a learned feature space."""

from jaxgen._arrays import check_batch, check_same_shape, float_dtype, sum_events, widen
from jaxgen.losses.regression import squared_error
from jaxgen.typing import Array, Float


def feature_similarity(
    real_features: Float[Array, " batch *event"], reconstructed_features: Float[Array, " batch *event"]
) -> Float[Array, " batch"]:
    """Compute the negative log-likelihood of real features under a unit Gaussian centred at the reconstructed features.

    `1/2 sum((features(x) - features(reconstruction))^2)`, without the normalizing constant `size / 2 * log(2 pi)`. The
    constant depends on the chosen layer alone, and likelihoods of different layers are not comparable with or without
    it.

    Args:
        real_features: activations of a layer of the discriminator for real examples, [batch, ...].
        reconstructed_features: activations of the same layer for their reconstructions, of the same shape.

    Returns:
        One value per example, [batch], in nats up to that constant; 0 for equal features.

    Raises:
        ValueError: if the shapes differ or there is no axis of examples.

    Reference:
        Larsen et al. 2016, arXiv:1512.09300.

    Example:
        >>> import jax.numpy as jnp
        >>> feature_similarity(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
        Array([2.], dtype=float32)
    """
    check_same_shape(real_features=real_features, reconstructed_features=reconstructed_features)
    check_batch(real_features=real_features)
    distance = sum_events(squared_error(widen(real_features), widen(reconstructed_features)))
    return (0.5 * distance).astype(float_dtype(real_features, reconstructed_features))
