"""The state dicts of ajbrock/BigGAN-PyTorch as variables of jaxgen's networks, also of BigGAN-deep, and back.

A state dict maps names such as "blocks.0.0.conv1.weight" to arrays, with channels first. `NAMES` and `LEAVES` are the
names that differ; all others, of blocks, convolutions and normalizations, are the same in both.

    authors' name                      path in the variables of Flax
    shared.weight                      params       shared/embedding
    blocks.1.0.conv_sc.weight          params       blocks_1_0/shortcut/kernel
    blocks.1.0.conv_sc.u0              spectral     blocks_1_0/shortcut/u
    blocks.1.0.bn2.stored_var          batch_stats  blocks_1_0/bn2/var
    blocks.1.1.theta.weight            params       blocks_1_1/query/kernel
    output_layer.2.bias                params       output/bias
"""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError, shortened
from jaxgen.typing import AnyArray, Shaped

NAMES = {
    "shortcut": "conv_sc",
    "query": "theta",
    "key": "phi",
    "value": "g",
    "out": "o",
    "output_norm": "output_layer.0",
    "output": "output_layer.2",
    "stem": "input_conv",
}
"""Name of a layer here -> name in the state dict. A block `blocks_1_0` is blocks.1.0 there."""

LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "embedding"): "weight",
    ("params", "bias"): "bias",
    ("params", "gain"): "gain",
    ("params", "gamma"): "gamma",
    ("spectral", "u"): "u0",
    ("spectral", "sigma"): "sv0",
    ("batch_stats", "mean"): "stored_mean",
    ("batch_stats", "var"): "stored_var",
}
"""Collection and name of an array here -> last part of its name in the state dict."""


def to_variables(state: Mapping[str, Shaped[AnyArray, "..."]], template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of a network with the arrays of a state dict.

    Args:
        state: arrays by their names in the authors' code.
        template: variables of the network, or their shapes as from `jax.eval_shape` of its `init`.

    Returns:
        Variables with the structure of the template, as float32 NumPy arrays: `params`, `spectral` and, of a generator,
        `batch_stats`.

    Raises:
        InputError: if a name of the template is missing in the state dict, a name of the state dict is not in the
            template, an array has another shape, or has values that are not finite; the message names the first.

    Example:
        >>> template = {"params": {"linear": {"bias": np.zeros(2)}}}
        >>> to_variables({"linear.bias": np.array([1.0, 2.0])}, template)
        {'params': {'linear': {'bias': array([1., 2.], dtype=float32)}}}
        >>> to_variables({"linear.bias": np.zeros(3)}, template)
        Traceback (most recent call last):
        jaxgen.errors.InputError: linear.bias must have the shape (2,) for this network, got (3,): ...
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(dict(template))
    names = [_name(path) for path, _ in leaves]
    for name in names:
        if name not in state:
            raise InputError(f"the weights must contain {name}, which is missing: give the config of their network")
    if further := [name for name in state if name not in set(names)]:
        raise InputError(
            f"the weights must be those of this network, got {shortened(further[0])}, which it does not have: "
            "give the config of their network"
        )
    arrays = [
        _to_last(path, _checked(name, state[name], _to_first(path, np.broadcast_to(0, leaf.shape)).shape))
        for name, (path, leaf) in zip(names, leaves, strict=True)
    ]
    return jax.tree_util.tree_unflatten(structure, arrays)


def to_state(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the state dict of the variables of a network, the inverse of `to_variables`.

    Args:
        variables: variables of a network, arrays.

    Returns:
        Arrays by their names in the authors' code.

    Example:
        >>> {name: x.shape for name, x in to_state({"params": {"linear": {"kernel": np.zeros((2, 5))}}}).items()}
        {'linear.weight': (5, 2)}
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(dict(variables))
    return {_name(path): _to_first(path, np.asarray(leaf)) for path, leaf in leaves}


def _name(path: tuple[Any, ...]) -> str:
    """Return the name in the state dict of the array at a path of the variables."""
    collection, *layers, leaf = _keys(path)
    blocks = [re.sub(r"^blocks_(\d+)_(\d+)$", r"blocks.\1.\2", NAMES.get(name, name)) for name in layers]
    return ".".join([*blocks, LEAVES[collection, leaf]])


def _to_first(path: tuple[Any, ...], array: np.ndarray) -> np.ndarray:
    """Return an array as it is in the state dict: outputs first, then inputs, then the window."""
    leaf = _keys(path)[-1]
    if leaf == "kernel":
        return array.transpose(-1, -2, *range(array.ndim - 2))
    return array[None] if leaf in ("u", "sigma") else array


def _to_last(path: tuple[Any, ...], array: np.ndarray) -> np.ndarray:
    """Return an array as it is in the variables, the inverse of `_to_first`."""
    leaf = _keys(path)[-1]
    if leaf == "kernel":
        return array.transpose(*range(2, array.ndim), 1, 0)
    return array.reshape(array.shape[1:]) if leaf in ("u", "sigma") else array


def _checked(name: str, array: Shaped[AnyArray, "..."], shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of a state dict as float32, if it has the right shape and finite values."""
    array = np.asarray(array)
    if array.shape != shape:
        raise InputError(
            f"{name} must have the shape {shape} for this network, got {array.shape}: give the config of their network"
        )
    if not (jnp.issubdtype(array.dtype, jnp.floating) and np.isfinite(array.astype(np.float32)).all()):
        raise InputError(f"{name} must have finite floating-point values, got {array.dtype}: the weights are damaged")
    return array.astype(np.float32)


def _keys(path: tuple[Any, ...]) -> list[str]:
    return [str(part.key) for part in path]
