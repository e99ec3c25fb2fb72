"""Conversion of published weights: from arrays as PyTorch has them to those of a network of `jaxgen.nn`."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from jaxgen.errors import InputError
from jaxgen.nn.folding import fold_batch_norm


def published_array(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of a file of weights, whose shape is checked.

    Args:
        arrays: names and arrays of the file.
        name: name of the array.
        shape: its shape.

    Returns:
        The array, float32.

    Raises:
        InputError: if there is no such array, or it has another shape, is not of floats, or not finite.

    Example:
        >>> published_array({"fc.bias": np.zeros(1000)}, "fc.bias", (1008,))
        Traceback (most recent call last):
        jaxgen.errors.InputError: the weights must have an array fc.bias of the shape (1008,), got (1000,): is this the
        file of another network?
    """
    array = arrays.get(name)
    if array is None or array.shape != shape or not np.issubdtype(array.dtype, np.floating):
        found = "none" if array is None else f"{array.shape}" if array.shape != shape else f"{array.dtype}"
        raise InputError(
            f"the weights must have an array {name} of the shape {shape}, got {found}: is this the file of another "
            "network?"
        )
    if not np.isfinite(array).all():
        raise InputError(f"the weights must be finite, got NaN or infinity in the array {name}")
    return array.astype(np.float32)


def convolution(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the kernel of a convolution as Flax has it, from PyTorch's.

    Args:
        arrays: names and arrays of the file, PyTorch's axes [features, channels, *window].
        name: name of the array.
        shape: shape of the result, [*window, channels, features].

    Returns:
        The kernel, float32.

    Raises:
        InputError: as by `published_array`.

    Example:
        >>> convolution({"weight": np.zeros((8, 3, 5, 7))}, "weight", (5, 7, 3, 8)).shape
        (5, 7, 3, 8)
    """
    *window, channels, features = shape
    return np.moveaxis(published_array(arrays, name, (features, channels, *window)), (0, 1), (-1, -2))


def folded_convolutions(
    arrays: Mapping[str, np.ndarray],
    shapes: Mapping[str, tuple[int, ...]],
    names: Callable[[str], tuple[str, str]],
    *,
    epsilon: float,
) -> dict[str, np.ndarray]:
    """Return all convolutions of a network as Flax has them, each with the batch normalization after it.

    Args:
        arrays: names and arrays of the file.
        shapes: names and shapes of the parameters of the network, as by `parameter_shapes`.
        names: function from the name of a convolution in the network to its name in the file, and to that of the batch
            normalization after it.
        epsilon: number that is added to the variance.

    Returns:
        "module/kernel" and "module/bias" -> array, float32.

    Raises:
        InputError: as by `published_array`.

    Example:
        >>> arrays = {"conv.weight": np.ones((1, 1, 3, 3))}
        >>> arrays |= {f"bn.{part}": np.ones(1) for part in ("weight", "bias", "running_mean", "running_var")}
        >>> found = folded_convolutions(arrays, {"a/kernel": (3, 3, 1, 1)}, lambda _: ("conv", "bn"), epsilon=0.0)
        >>> found["a/bias"]
        array([0.], dtype=float32)
    """
    found: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        module = name.removesuffix("/kernel")
        if module == name or len(shape) != 4:  # A bias, or a fully connected layer.
            continue
        weight, norm = names(module)
        kernel = convolution(arrays, f"{weight}.weight", shape)
        scale, bias, mean, variance = (
            published_array(arrays, f"{norm}.{part}", shape[-1:])
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        parts = fold_batch_norm(kernel, scale=scale, bias=bias, mean=mean, variance=variance, epsilon=epsilon)
        found |= {f"{module}/{part}": array for part, array in parts.items()}
    return found


def parameter_shapes(network: Any, size: int) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the parameters of a network of images.

    Args:
        network: a module of Flax.
        size: height and width of RGB images.

    Returns:
        "module/module/kernel" -> shape.

    Example:
        >>> from jaxgen.nn.inception_2015 import Inception2015
        >>> parameter_shapes(Inception2015(), 75)["fc/kernel"]
        (2048, 1008)
    """
    variables = jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), np.float32))
    return {name: array.shape for name, array in flatten_dict(variables["params"], sep="/").items()}
