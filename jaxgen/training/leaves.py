"""Names, shapes and dtypes of arrays: comparison of two states, a summary of one in a line, shapes of a batch."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.typing import PyTree


def named_leaves(state: PyTree) -> dict[str, Any]:
    """Return name -> leaf as a flat dict, which does not depend on how optax nests its states.

    Args:
        state: any pytree.

    Returns:
        The leaves in their order, by their paths.

    Example:
        >>> named_leaves({"params": {"w": 1.0, "b": 2.0}})
        {'params/b': 2.0, 'params/w': 1.0}
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def batch_shapes(examples: PyTree, size: int) -> PyTree:
    """Return the shapes of a batch of examples, whose leading axis has another length.

    Args:
        examples: arrays [n, ...], or their shapes.
        size: number of examples in the batch.

    Returns:
        Shape and dtype of each array.

    Example:
        >>> batch_shapes({"image": jnp.zeros((2, 8, 8, 1))}, 100)
        {'image': ShapeDtypeStruct(shape=(100, 8, 8, 1), dtype=float32)}
    """
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype), examples)


def describe_sizes(params: Any, *, seeds: int | None) -> str:
    """Return the number of parameters of every network in words, for `repr` of an object that holds a state.

    Args:
        params: name of the network -> its parameters.
        seeds: number of seeds along a leading axis; None without this axis.

    Returns:
        Names and numbers, of one seed.

    Example:
        >>> describe_sizes({"encoder": {"w": jnp.zeros((2, 3, 4))}, "decoder": {"w": jnp.zeros((2, 5))}}, seeds=2)
        'decoder 5, encoder 12 parameters'
    """
    networks = sorted(params.items()) if isinstance(params, Mapping) else []
    counts = [(name, sum(math.prod(jnp.shape(x)) for x in jax.tree.leaves(of))) for name, of in networks]
    return f"{', '.join(f'{name} {count // (seeds or 1):,}' for name, count in counts)} parameters"


def first_difference(leaves: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    """Return the first difference between the names, shapes and dtypes of leaves and those that a model has.

    Args:
        leaves: name -> leaf.
        expected: name -> leaf, or its shape and dtype.

    Returns:
        A clause about the state, None if there is no difference.

    Example:
        >>> first_difference({"w": jnp.zeros(3)}, {"w": jnp.zeros(2)})
        'its w is float32 (3,), not float32 (2,)'
    """
    if missing := sorted(expected.keys() - leaves.keys()):
        return f"it has no {missing[0]}"
    if surplus := sorted(leaves.keys() - expected.keys()):
        return f"it has {surplus[0]}, which this model does not have"
    for name, leaf in expected.items():
        found, wanted = (f"{jnp.result_type(x)} {jnp.shape(x)}" for x in (leaves[name], leaf))
        if found != wanted:
            return f"its {name} is {found}, not {wanted}"
    return None
