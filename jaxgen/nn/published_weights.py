"""Weights of published programs as variables of jaxgen's networks, and back: their names and layouts differ."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgen.errors import InputError, shortened
from jaxgen.typing import AnyArray, PyTree, Shaped

Path: TypeAlias = tuple[str, ...]
"""Collection, modules and name of an array among the variables, e.g. `("params", "b4", "conv1", "kernel")`."""


class Layout(NamedTuple):
    """How an array lies in the published weights.

    Attributes:
        to_ours: function from their array to ours.
        to_theirs: the inverse.
    """

    to_ours: Callable[[np.ndarray], np.ndarray]
    to_theirs: Callable[[np.ndarray], np.ndarray]


class Naming(NamedTuple):
    """Names and layouts of the weights of a published program.

    Attributes:
        name: function from the path of an array to its name there.
        layout: function from the path and the shape of an array here to its layout there.
        ignored: function from a name to whether it is that of a constant that has no counterpart here.
    """

    name: Callable[[Path], str]
    layout: Callable[[Path, tuple[int, ...]], Layout]
    ignored: Callable[[str], bool] = lambda name: False


def permuted(*axes: int) -> Layout:
    """Return the layout of an array whose axes are in another order here.

    Args:
        *axes: their axes in our order.

    Returns:
        The layout.

    Example:
        >>> permuted(2, 0, 1).to_ours(np.zeros((3, 4, 5))).shape
        (5, 3, 4)
    """
    return Layout(lambda x: x.transpose(axes), lambda x: x.transpose(np.argsort(axes)))


OTHER_NETWORK = "give the weights of this network, or the config of theirs"
"""What to do where weights do not fit."""

NUMBERS = {jnp.floating: "floating-point numbers", jnp.integer: "integers"}
"""Kind of a dtype -> what it holds."""

SPECTRAL = ("u", "kernel", "embedding")
"""Names of the arrays of a layer of which none may be zeros where it has a spectral normalization."""

SAME = Layout(lambda x: x, lambda x: x)
"""The layout of an array that lies equally."""


def check_weights(weights: Mapping[str, Any], like: PyTree, naming: Naming) -> None:
    """Check the names, shapes and dtypes of published weights; no value is read.

    Args:
        weights: name -> array, or anything with a `shape` and a `dtype`.
        like: variables of the network, or their shapes as of `jax.eval_shape`.
        naming: names and layouts.

    Raises:
        InputError: if an array is missing or left over, has another shape than the network, or is not of floating-point
            numbers (of integers where `like` is); the message names the first.

    Example:
        >>> naming = Naming(lambda path: f"{path[1]}.weight", lambda path, shape: permuted(1, 0))
        >>> like = {"params": {"dense": {"kernel": np.zeros((3, 2))}}}
        >>> check_weights({"dense.weight": np.ones((3, 2))}, like, naming)
        Traceback (most recent call last):
        jaxgen.errors.InputError: dense.weight must have the shape (2, 3) for this network, got (3, 2): give the ...
    """
    leaves = flatten_dict(dict(like))
    names = {naming.name(path): path for path in leaves}
    for name in names:
        if name not in weights:
            raise InputError(f"the weights must have {name}, which is missing: {OTHER_NETWORK}")
    for name in weights:
        if name not in names and not naming.ignored(name):
            raise InputError(
                f"the weights must be those of this network, which has no {shortened(name)}: {OTHER_NETWORK}"
            )
    for name, path in names.items():
        leaf, found = leaves[path], weights[name]
        expected = naming.layout(path, tuple(leaf.shape)).to_theirs(np.broadcast_to(0.0, leaf.shape)).shape
        if found.shape != expected:
            raise InputError(
                f"{name} must have the shape {expected} for this network, got {found.shape}: {OTHER_NETWORK}"
            )
        kind = jnp.floating if jnp.issubdtype(leaf.dtype, jnp.floating) else jnp.integer
        if not jnp.issubdtype(found.dtype, kind):
            advice = ": give the weights before they were quantized" if found.dtype.kind in "iu" else ""
            raise InputError(f"{name} must be of {NUMBERS[kind]}, got the type {found.dtype}{advice}")


def variables_from(weights: Mapping[str, Shaped[AnyArray, "..."]], like: PyTree, naming: Naming) -> PyTree:
    """Return the variables of a network with published weights.

    Args:
        weights: name -> array, as the program stores them.
        like: variables of the same network, or their shapes as of `jax.eval_shape`.
        naming: names and layouts.

    Returns:
        The variables as NumPy arrays, of the dtypes of `like`.

    Raises:
        InputError: if `check_weights` refuses them, or values are not finite or impossible; the message names the first
            array.

    Example:
        >>> like = {"params": {"dense": {"kernel": np.zeros((3, 2))}}}
        >>> naming = Naming(lambda path: f"{path[1]}.weight", lambda path, shape: permuted(1, 0))
        >>> variables_from({"dense.weight": np.ones((2, 3))}, like, naming)["params"]["dense"]["kernel"].shape
        (3, 2)
    """
    check_weights(weights, like, naming)
    leaves, found = flatten_dict(dict(like)), {}
    for path, leaf in leaves.items():
        name = naming.name(path)
        array = np.asarray(weights[name])
        with np.errstate(over="ignore"):
            found[path] = naming.layout(path, tuple(leaf.shape)).to_ours(array).astype(leaf.dtype)
        if not np.isfinite(found[path]).all():
            largest = float(np.abs(array).max())  # NaN where any is.
            raise InputError(f"{name} must be finite in {leaf.dtype}, got the largest magnitude {largest:.3g}")
        if path[-1] == "var" and (found[path] < 0).any():
            raise InputError(f"{name} must be at least 0, as variances are, got {found[path].min():.3g}")
        # What the spectral normalization divides by is 0 where the vector or the weights are.
        if ("spectral", *path[1:-1], "u") in leaves and path[-1] in SPECTRAL and not found[path].any():
            raise InputError(f"{name} must not be all zeros: the spectral normalization would divide by 0")
    return unflatten_dict(found)


def weights_of(variables: PyTree, naming: Naming) -> dict[str, np.ndarray]:
    """Return the variables of a network under the names and in the layouts of a published program.

    Args:
        variables: variables of the network, or gradients of the same structure.
        naming: names and layouts.

    Returns:
        Name -> array.

    Example:
        >>> naming = Naming(lambda path: f"{path[1]}.weight", lambda path, shape: permuted(1, 0))
        >>> {n: x.shape for n, x in weights_of({"params": {"dense": {"kernel": np.zeros((3, 2))}}}, naming).items()}
        {'dense.weight': (2, 3)}
    """
    return {
        naming.name(path): naming.layout(path, array.shape).to_theirs(np.asarray(array))
        for path, array in flatten_dict(dict(variables)).items()
    }


def flattened_map(channels: int, *, size: int = 4) -> tuple[Callable[[np.ndarray], np.ndarray], ...]:
    """Return functions that change the order of the first axis, a flattened feature map, from channels first to last.

    Args:
        channels: channels of the feature map.
        size: its height and width.

    Returns:
        Functions of arrays whose first axis is the map: from channels first to channels last, and back.

    Example:
        >>> to_last, to_first = flattened_map(2, size=2)
        >>> to_last(np.arange(8))
        array([0, 4, 1, 5, 2, 6, 3, 7])
        >>> to_first(to_last(np.arange(8))).tolist() == list(range(8))
        True
    """
    order = np.arange(channels * size * size).reshape(channels, -1).T.ravel()
    return (lambda x: x[order]), (lambda x: x[np.argsort(order)])
