"""Fully connected networks."""

import math
from collections.abc import Callable, Sequence

import flax.linen as linen
import jax.numpy as jnp

from jaxgen.typing import AnyArray, Array, Float


class MLP(linen.Module):
    """Affine maps with an activation between them: `W_L a(... a(W_1 x + b_1) ...) + b_L`.

    Anything but the leading axis of the input is flattened first.

    Attributes:
        hidden: widths of the hidden layers; none make the network affine.
        shape: of one output.
        activation: applied after every hidden layer.
        kernel_init: how the weight matrices start.

    Example:
        >>> import jax
        >>> network = MLP(hidden=(32,), shape=(2,))
        >>> variables = network.init(jax.random.key(0), jax.numpy.zeros((5, 8, 8, 1)))
        >>> network.apply(variables, jax.numpy.zeros((5, 8, 8, 1))).shape
        (5, 2)
    """

    hidden: Sequence[int]
    shape: Sequence[int]
    activation: Callable[[Array], Array] = linen.relu
    kernel_init: linen.initializers.Initializer = linen.initializers.lecun_normal()

    @linen.compact
    def __call__(
        self, x: Float[AnyArray, " batch *event"], condition: Float[AnyArray, "batch condition"] | None = None
    ) -> Float[Array, " batch *output"]:
        """Map a batch of inputs to a batch of outputs; a condition is one more part of the input."""
        x = x.reshape(len(x), -1)
        if condition is not None:
            x = jnp.concatenate([x, condition], axis=-1)
        for width in self.hidden:
            x = self.activation(linen.Dense(width, kernel_init=self.kernel_init)(x))
        x = linen.Dense(math.prod(self.shape), kernel_init=self.kernel_init)(x)
        return x.reshape(len(x), *self.shape)
