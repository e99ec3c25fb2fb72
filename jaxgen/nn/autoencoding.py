"""Encoders and the decoders that mirror them, by name of the architecture."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from jaxgen.errors import InputError, check_known
from jaxgen.nn.conv_autoencoder import ConvDecoder, ConvEncoder
from jaxgen.nn.mlp import MLP
from jaxgen.nn.resolution import resolutions
from jaxgen.typing import KeyArray

Architecture = Literal["linear", "mlp", "conv"]
"""One affine map; fully connected layers; stride-2 convolutions (pictures only)."""


@runtime_checkable
class Network(Protocol):
    """What is needed of a Flax module."""

    def init(self, key: KeyArray, /, *inputs: Any) -> Any:
        """Make the variables, `{"params": ...}`, for inputs of these shapes."""

    def apply(self, variables: Any, /, *inputs: Any) -> Any:
        """Compute the output."""


def encoder(architecture: Architecture, *, hidden: Sequence[int], width: int, features: int) -> Network:
    """A network from an example, and perhaps a condition, to a vector.

    Args:
        architecture: which kind of network.
        hidden: widths of the hidden layers of an mlp.
        width: channels of the first convolution.
        features: length of the vector.

    Returns:
        A module that maps `[batch, *event]`, and perhaps `[batch, condition]`, to `[batch, features]`.

    Raises:
        InputError: if there is no such architecture.

    Example:
        >>> encoder("mlp", hidden=(400,), width=32, features=20).hidden
        (400,)
    """
    check_known("architecture", architecture, get_args(Architecture))
    if architecture == "conv":
        return ConvEncoder(width=width, features=features)
    return MLP(hidden=tuple(hidden) if architecture == "mlp" else (), shape=(features,))


def decoder(architecture: Architecture, *, hidden: Sequence[int], width: int, shape: Sequence[int]) -> Network:
    """A network from a code, and perhaps a condition, to an example: the mirror image of `encoder`.

    Args:
        architecture: which kind of network.
        hidden: widths of the hidden layers of the encoder, used in reverse order.
        width: channels of the encoder's first convolution.
        shape: of one example.

    Returns:
        A module that maps `[batch, code]`, and perhaps `[batch, condition]`, to `[batch, *shape]`, without a final
        nonlinearity.

    Raises:
        InputError: if there is no such architecture, or convolutions are asked for where the examples are not pictures
            or too small.

    Example:
        >>> decoder("mlp", hidden=(400, 200), width=32, shape=(8, 8, 1)).hidden
        (200, 400)
    """
    check_known("architecture", architecture, get_args(Architecture))
    if architecture == "conv":
        if len(shape) != 3:
            raise InputError(f"a convolutional network needs pictures, and these examples have shape {tuple(shape)}")
        resolutions(*shape[:2])  # says now, not at the first batch, that a picture is too small
        return ConvDecoder(shape=tuple(shape), width=width)
    return MLP(hidden=tuple(reversed(hidden)) if architecture == "mlp" else (), shape=tuple(shape))
