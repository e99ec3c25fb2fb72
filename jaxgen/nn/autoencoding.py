"""Encoders and decoders by the name of their architecture, and the type of the networks of all models.

How a network is called, and what it must return, is described in `jaxgen.models.networks`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import flax.linen as linen
import jax.numpy as jnp

from jaxgen.errors import InputError, check_known
from jaxgen.nn.conv_autoencoder import ConvDecoder, ConvEncoder
from jaxgen.nn.halved_sizes import halved_sizes
from jaxgen.nn.mlp import MLP
from jaxgen.typing import Array, KeyArray

Architecture = Literal["linear", "mlp", "conv"]
"""One affine map; fully connected layers; stride-2 convolutions (images only)."""

ActivationName = Literal["relu", "tanh"]
"""Nonlinearity of the hidden layers of an mlp."""

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"relu": linen.relu, "tanh": jnp.tanh}
"""Name -> function."""


@runtime_checkable
class Network(Protocol):
    """A Flax module that is called as `jaxgen.models.networks` describes."""

    def init(self, key: KeyArray, /, *inputs: Any, train: bool) -> Any:
        """Return the variables, `{"params": ..., ...}`, for inputs, and perhaps a condition, of these shapes."""

    def apply(
        self,
        variables: Any,
        /,
        *inputs: Any,
        train: bool,
        mutable: bool | Sequence[str] = False,
        rngs: dict[str, KeyArray] | None = None,
    ) -> Any:
        """Return the outputs; where `mutable` is not False, (outputs, new variables of these collections)."""


def make_encoder(
    architecture: Architecture,
    *,
    hidden: Sequence[int],
    width: int,
    features: int,
    activation: ActivationName = "relu",
) -> Network:
    """Return a network that maps an example, and optionally a condition, to a vector.

    Args:
        architecture: name of the architecture.
        hidden: widths of the hidden layers of an mlp.
        width: number of channels of the first convolution.
        features: length of the vector.
        activation: nonlinearity of the hidden layers of an mlp.

    Returns:
        A module that maps `[batch, *event]`, and optionally `[batch, condition]`, to `[batch, features]`.

    Raises:
        InputError: if there is no such architecture or nonlinearity, or the architecture has a fixed one.

    Example:
        >>> make_encoder("mlp", hidden=(400,), width=32, features=20).hidden
        (400,)
    """
    _check_names(architecture, activation)
    if architecture == "conv":
        return ConvEncoder(width=width, features=features)
    widths = tuple(hidden) if architecture == "mlp" else ()
    return MLP(hidden=widths, shape=(features,), activation=ACTIVATIONS[activation])


def make_decoder(
    architecture: Architecture,
    *,
    hidden: Sequence[int],
    width: int,
    shape: Sequence[int],
    activation: ActivationName = "relu",
) -> Network:
    """Return a network that maps a latent, and optionally a condition, to an example: `make_encoder` reversed.

    Args:
        architecture: name of the architecture.
        hidden: widths of the hidden layers of the encoder, used in reverse order.
        width: number of channels of the encoder's first convolution.
        shape: shape of one example.
        activation: nonlinearity of the hidden layers of an mlp.

    Returns:
        A module that maps `[batch, latent]`, and optionally `[batch, condition]`, to `[batch, *shape]`, without a final
        nonlinearity.

    Raises:
        InputError: if there is no such architecture or nonlinearity, the architecture has a fixed one, or it is "conv"
            and the examples are not images or are too small.

    Example:
        >>> make_decoder("mlp", hidden=(400, 200), width=32, shape=(8, 8, 1)).hidden
        (200, 400)
    """
    _check_names(architecture, activation)
    if architecture == "conv":
        if len(shape) != 3:
            raise InputError(
                f"shape must be (height, width, channels) for the architecture 'conv', got {tuple(shape)}: "
                f"use 'mlp' for points"
            )
        halved_sizes(*shape[:2])  # Images that are too small are rejected here and not at the first batch.
        return ConvDecoder(shape=tuple(shape), width=width)
    widths = tuple(reversed(hidden)) if architecture == "mlp" else ()
    return MLP(hidden=widths, shape=tuple(shape), activation=ACTIVATIONS[activation])


def _check_names(architecture: Architecture, activation: ActivationName) -> None:
    check_known("architecture", architecture, get_args(Architecture))
    check_known("activation", activation, ACTIVATIONS)
    if architecture != "mlp" and activation != "relu":
        raise InputError(f"activation applies to the architecture 'mlp', got {activation!r} for {architecture!r}")
