"""Normalization between layers."""

import flax.linen as linen


def batch_norm(
    module: linen.Module, *, scale_init: linen.initializers.Initializer = linen.initializers.ones
) -> linen.BatchNorm:
    """Batch normalization (Ioffe & Szegedy 2015, arXiv:1502.03167), in training where its statistics may change.

        y = scale (x - mean) / sqrt(variance + 1e-5) + bias,    moving average = 0.9 moving average + 0.1 new

    Flax tells the two modes apart here: where the statistics may change (`apply(..., mutable=["batch_stats"])`) it
    normalizes by the batch and updates the moving averages, where they may not it uses these. So a network is called
    like those that have no statistics at all.

    Args:
        module: in whose `__call__` the layer stands.
        scale_init: initializer of the scales.

    Returns:
        The layer.

    Example:
        >>> import jax
        >>> class Network(linen.Module):
        ...     @linen.compact
        ...     def __call__(self, x):
        ...         return batch_norm(self)(x)
        >>> x = jax.numpy.array([[1.0], [3.0]])
        >>> variables = Network().init(jax.random.key(0), x)
        >>> in_training, _ = Network().apply(variables, x, mutable=["batch_stats"])
        >>> afterwards = Network().apply(variables, x)
        >>> [[round(float(y), 3) for y in output[:, 0]] for output in (in_training, afterwards)]
        [[-1.0, 1.0], [1.0, 3.0]]
    """
    moving = not module.is_mutable_collection("batch_stats")
    return linen.BatchNorm(use_running_average=moving, momentum=0.9, epsilon=1e-5, scale_init=scale_init)
