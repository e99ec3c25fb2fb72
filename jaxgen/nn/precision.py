"""Mixed precision (Micikevicius et al. 2018, arXiv:1710.03740): products in bfloat16, everything else in float32.

A bfloat16 has the range of a float32, so no loss has to be scaled, and 8 of its 24 bits of precision (Kalamkar et al.
2019, arXiv:1905.12322). Accelerators multiply such numbers several times as fast, and move half the bytes.

Networks know nothing of it: where one is called within `mixed_precision`, its layers are told the dtype then. As an
argument, every network and every model's configuration would have to hand it on, and a layer that was forgotten would
be slow and say nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgen.nn.convolution import ConvTranspose

LAYERS = (linen.Dense, linen.Conv, linen.ConvTranspose, ConvTranspose)
"""The layers that are products with weights; `jaxgen.nn.convolution.Conv` is one of Flax's."""

# What is compiled inside and outside of the context are different programs of one function: with this, `jit` knows.
_program = jax.make_user_context(default_value=None)


@contextmanager
def mixed_precision() -> Iterator[None]:
    """Let networks multiply in bfloat16, as a context or as the decorator of a function that calls them.

    Dense, convolutional and transposed convolutional layers round their inputs and weights to bfloat16, and so their
    outputs, which are summed in float32 (on GPU, TPU and in jaxgen's own convolutions). These outputs go on as bfloat16
    until they meet a float32, such as the scale of a normalization; what leaves the network is float32. So parameters,
    their gradients, the optimizer, statistics and losses are float32. A layer that was made with a dtype keeps it.

    The context holds for what is traced in it, by this thread; a function that was compiled outside is compiled again.

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
    """Call a module's method, and tell it the dtype if it is that of a layer."""
    module = context.module
    is_layer = isinstance(module, LAYERS) and context.method_name == "__call__" and module.dtype is None
    is_whole_network = module.scope is not None and module.scope.path == ()
    with _told_bfloat16(module) if is_layer else nullcontext():
        outputs = call(*arguments, **options)
    return jax.tree.map(_widen, outputs) if is_whole_network else outputs


@contextmanager
def _told_bfloat16(layer: linen.Module) -> Iterator[None]:
    """Layers are frozen, but a changed copy would be one more: it would be listed and captured beside this one."""
    object.__setattr__(layer, "dtype", jnp.bfloat16)
    try:
        yield
    finally:
        object.__setattr__(layer, "dtype", None)


def _widen(output: Any) -> Any:
    return output.astype(jnp.float32) if getattr(output, "dtype", None) == jnp.bfloat16 else output
