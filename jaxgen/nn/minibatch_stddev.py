"""Standard deviation over the examples of a group as a further channel, from which a discriminator sees variety."""

import jax.numpy as jnp

from jaxgen._numerics import ROOT_EPSILON
from jaxgen.errors import InputError
from jaxgen.typing import Array, Float


def append_minibatch_stddev(
    x: Float[Array, "batch height width channels"], *, group: int = 4
) -> Float[Array, "batch height width with_deviation"]:
    """Append the mean standard deviation over the examples of a group, the same at every pixel, as a channel.

        s = mean over pixels and channels of sqrt(mean over the group of (x - mean over the group)^2 + 1e-8)

    Example i is in a group with the examples i + m, i + 2 m, ..., where m is the number of groups: groups are strided,
    as in the authors' code.

    Args:
        x: features, before the last convolution of a discriminator.
        group: number of examples in a group; smaller batches are a single group.

    Returns:
        The features with the channel appended.

    Raises:
        InputError: if the batch does not divide into groups.

    Reference:
        Karras et al. 2018, arXiv:1710.10196, section 3.

    Example:
        >>> x = jnp.array([0.0, 0.0, 2.0, 6.0]).reshape(4, 1, 1, 1)
        >>> append_minibatch_stddev(x, group=2)[:, 0, 0, 1]
        Array([1., 3., 1., 3.], dtype=float32)
    """
    batch, height, width, channels = x.shape
    size = min(group, batch)
    if batch % size:
        raise InputError(
            f"the batch must be a multiple of the group of the minibatch standard deviation, {size}, got {batch} "
            "examples: choose another batch size or group"
        )
    groups = x.reshape(size, batch // size, height, width, channels)
    wide = groups.astype(jnp.promote_types(x.dtype, jnp.float32))
    variance = jnp.mean(jnp.square(wide - wide.mean(axis=0)), axis=0)
    deviation = jnp.sqrt(variance + ROOT_EPSILON).mean(axis=(1, 2, 3)).astype(x.dtype)
    each = jnp.tile(deviation, size)[:, None, None, None]
    return jnp.concatenate([x, jnp.broadcast_to(each, (batch, height, width, 1))], axis=-1)
