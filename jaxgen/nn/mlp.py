"""Fully connected networks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import flax.linen as linen
import jax.numpy as jnp

from jaxgen._numerics import largest
from jaxgen.nn.normalization import Normalization, apply_layer, normalize
from jaxgen.typing import AnyArray, Array, Float


@dataclass(frozen=True)
class Maxout:
    """Maxout: the maximum of several affine maps, which are learned (Goodfellow et al. 2013, arXiv:1302.4389).

        y_i = max_j x_ij,    where the layer before it has `pieces` outputs j for each unit i

    Attributes:
        pieces: number of affine maps per unit.

    Example:
        >>> Maxout(2)(jnp.array([[1.0, 3.0, -5.0, -7.0]]))
        Array([[ 3., -5.]], dtype=float32)
    """

    pieces: int

    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch units"]:
        """Return the maximum of the pieces of each unit."""
        return largest(x.reshape(len(x), -1, self.pieces), -1)


class MLP(linen.Module):
    """Multilayer perceptron: affine maps with an activation between them.

        f(x) = W_L a(... a(W_1 x + b_1) ...) + b_L

    The axes of the input after the first are flattened. A condition is appended to the flattened input.

    Attributes:
        hidden: widths of the hidden layers; an empty sequence makes the network affine.
        shape: shape of one output.
        activation: activation after every hidden layer.
        kernel_init: initializer of the weight matrices.
        normalization: normalization between each hidden layer and its activation, or of all weights.

    Example:
        >>> import jax
        >>> network = MLP(hidden=(32,), shape=(2,))
        >>> variables = network.init(jax.random.key(0), jax.numpy.zeros((5, 8, 8, 1)), train=False)
        >>> network.apply(variables, jax.numpy.zeros((5, 8, 8, 1)), train=False).shape
        (5, 2)
    """

    hidden: Sequence[int]
    shape: Sequence[int]
    activation: Callable[[Array], Array] = linen.relu
    kernel_init: linen.initializers.Initializer = linen.initializers.lecun_normal()
    normalization: Normalization = "none"

    @linen.compact
    def __call__(
        self,
        inputs: Float[AnyArray, " batch *event"],
        condition: Float[AnyArray, "batch condition"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, " batch *output"]:
        """Map a batch of inputs to a batch of outputs."""
        y = jnp.asarray(inputs).reshape(len(inputs), -1)
        if condition is not None:
            y = jnp.concatenate([y, condition], axis=-1)
        pieces = self.activation.pieces if isinstance(self.activation, Maxout) else 1
        # Batch normalization subtracts the mean, and with it any bias.
        bias = self.normalization != "batch"
        for width in self.hidden:
            layer = linen.Dense(width * pieces, use_bias=bias, kernel_init=self.kernel_init)
            y = apply_layer(self.normalization, layer, y, train=train)
            y = self.activation(normalize(self.normalization, y, train=train))
        last = linen.Dense(math.prod(self.shape), kernel_init=self.kernel_init)
        y = apply_layer(self.normalization, last, y, train=train)
        return y.reshape(len(inputs), *self.shape)
