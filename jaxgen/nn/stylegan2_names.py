"""Names and layouts of the weights of StyleGAN2 in the authors' PyTorch code, and the variables of jaxgen's networks.

The names differ in their separator and in the last part; kernels have their output channels first there, images and
feature maps their channels before height and width.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgen.errors import InputError
from jaxgen.typing import PyTree

IGNORED = ("resample_filter",)
"""Last parts of names of constants that have no counterpart: the filter is a constant of the networks."""


def variables_from(weights: Mapping[str, np.ndarray], like: PyTree) -> PyTree:
    """Return the variables of a network with the weights of the authors' state dict.

    Args:
        weights: name in the state dict of a generator or a discriminator -> array.
        like: variables of the same network, or their shapes, as `init` or `jax.eval_shape` return them.

    Returns:
        The variables.

    Raises:
        InputError: if an array is missing or left over, or has another shape than the network; it names the first.

    Example:
        >>> from jaxgen.nn.equalized import EqualizedDense
        >>> import jax
        >>> like = jax.eval_shape(EqualizedDense(2).init, jax.random.key(0), np.zeros((1, 3)))
        >>> variables_from({"weight": np.zeros((2, 3)), "bias": np.ones(2)}, like)["params"]["bias"]
        array([1., 1.])
    """
    shapes = {path: tuple(leaf.shape) for path, leaf in flatten_dict(like).items()}
    given = {name: array for name, array in weights.items() if name.rpartition(".")[2] not in IGNORED}
    names = {_name(path): path for path in shapes}
    for name in names:
        if name not in given:
            raise InputError(f"the weights must have {name}, which the network has, and do not")
    for name in given:
        if name not in names:
            raise InputError(f"the weights must be those of the network, which has no {name}")
    found = {}
    for name, path in names.items():
        array = _layout(path, shapes[path]).to_ours(np.asarray(given[name]))
        if array.shape != shapes[path]:
            raise InputError(f"{name} must have the shape {shapes[path]} here, got {array.shape}: another config")
        found[path] = array
    return unflatten_dict(found)


def weights_of(variables: PyTree) -> dict[str, np.ndarray]:
    """Return the variables of a network under the names and with the layouts of the authors' state dict.

    Args:
        variables: variables of a generator or a discriminator.

    Returns:
        Name -> array.
    """
    return {
        _name(path): _layout(path, array.shape).to_theirs(np.asarray(array))
        for path, array in flatten_dict(variables).items()
    }


class _Layout(NamedTuple):
    """Functions from their arrays to ours, and back."""

    to_ours: Callable[[np.ndarray], np.ndarray]
    to_theirs: Callable[[np.ndarray], np.ndarray]


def _permuted(*axes: int) -> _Layout:
    return _Layout(lambda x: x.transpose(axes), lambda x: x.transpose(np.argsort(axes)))


def _name(path: tuple[str, ...]) -> str:
    """The name in the state dict of a variable of ours."""
    collection, *modules, last = path
    names = {"kernel": "weight"}
    if collection == "noise":
        names = {"image": "noise_const"}
    elif collection == "latent_average":
        names = {"w": "w_avg"}
    return ".".join([*modules, names.get(last, last)])


def _layout(path: tuple[str, ...], shape: tuple[int, ...]) -> _Layout:
    """How an array of ours lies in the state dict."""
    if path[-3:] == ("b4", "fc", "kernel"):  # Of a feature map that is flattened, there with the channels first.
        rows, features = shape
        channels = rows // 16
        return _Layout(
            lambda x: x.reshape(features, channels, 4, 4).transpose(2, 3, 1, 0).reshape(rows, features),
            lambda x: x.reshape(4, 4, channels, features).transpose(3, 2, 0, 1).reshape(features, rows),
        )
    if path[-1] == "kernel":
        return _permuted(1, 0) if len(shape) == 2 else _permuted(2, 3, 1, 0)
    return _permuted(1, 2, 0) if path[-1] == "const" else _permuted(*range(len(shape)))
