"""Mixed precision (Micikevicius et al. 2018, arXiv:1710.03740): products in bfloat16, everything else in float32.

A bfloat16 has the range of a float32, so that losses need no scaling, and 8 of its 24 bits of precision (Kalamkar et
al. 2019, arXiv:1905.12322). Accelerators multiply bfloat16 several times as fast and transfer half the bytes.

Networks have no argument for the precision: the dtype of their layers is set where they are called within
`mixed_precision`. An argument would have to be passed through every network and every config of a model, and a layer
without it would be slow without any error.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgen.nn.convolution import ConvTranspose
from jaxgen.nn.equalized import EqualizedConv, EqualizedDense
from jaxgen.nn.spectral_layers import SpectralConv, SpectralDense
from jaxgen.nn.stylegan2_networks import StyledConv, ToRGB

LAYERS = (
    linen.Dense,
    linen.Conv,
    linen.ConvTranspose,
    ConvTranspose,
    EqualizedDense,
    EqualizedConv,
    SpectralDense,
    SpectralConv,
    StyledConv,
    ToRGB,
)
"""The layers that multiply by weights; `jaxgen.nn.convolution.Conv` is a subclass of Flax's `Conv`."""

# A part of the cache key of `jit`, so that a function is compiled once inside the context and once outside.
_program = jax.make_user_context(default_value=None)


@contextmanager
def mixed_precision() -> Iterator[None]:
    """Make networks multiply in bfloat16, as a context or as the decorator of a function that calls them.

    Dense, convolutional and transposed convolutional layers round their inputs and weights to bfloat16, and also their
    outputs, which are summed in float32 (on GPU, TPU and in jaxgen's own convolutions). The outputs remain bfloat16
    until an operation combines them with a float32, such as the scale of a normalization. The outputs of the network
    are float32. So parameters, their gradients, the optimizer, statistics and losses are float32. A layer that was
    created with a dtype keeps it, as one does that was created with `mixed=False`, such as those of mapping networks.

    The context applies to functions that are traced in it by the same thread. A function that was compiled outside is
    compiled again inside.

    Yields:
        Nothing.

    Reference:
        Micikevicius et al. 2018, arXiv:1710.03740, section 3; Kalamkar et al. 2019, arXiv:1905.12322.

    Example:
        >>> network = linen.Dense(1)
        >>> variables = {"params": {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}
        >>> x = jnp.array([[1.0, 0.001]])
        >>> network.apply(variables, x)
        Array([[1.001]], dtype=float32)
        >>> with mixed_precision():
        ...     network.apply(variables, x)
        Array([[1.]], dtype=float32)
        >>> mixed_precision()(network.apply)(variables, x)
        Array([[1.]], dtype=float32)
    """
    with _program("mixed precision"), linen.intercept_methods(_multiply_in_bfloat16):
        yield


def _multiply_in_bfloat16(
    call: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: Mapping[str, Any],
    context: linen.module.InterceptorContext,
) -> Any:
    """Call a method of a module, with the dtype bfloat16 if the module is a layer."""
    module = context.module
    is_layer = isinstance(module, LAYERS) and context.method_name == "__call__" and module.dtype is None
    is_layer = is_layer and getattr(module, "mixed", True)
    is_outermost = module.scope is not None and module.scope.path == ()
    with _with_bfloat16(module) if is_layer else nullcontext():
        outputs = call(*arguments, **options)
    return jax.tree.map(_widen, outputs) if is_outermost else outputs


@contextmanager
def _with_bfloat16(layer: linen.Module) -> Iterator[None]:
    """Set the dtype of a layer within this context."""
    # Layers are frozen, but a copy with another dtype would be a second submodule, listed and captured beside this one.
    object.__setattr__(layer, "dtype", jnp.bfloat16)
    try:
        yield
    finally:
        object.__setattr__(layer, "dtype", None)


def _widen(output: Any) -> Any:
    """Convert a bfloat16 array to float32."""
    return output.astype(jnp.float32) if getattr(output, "dtype", None) == jnp.bfloat16 else output
