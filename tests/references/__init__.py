"""Arrays of published implementations, see README.md."""

from functools import cache
from pathlib import Path

import numpy as np


@cache
def arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of a file, gradients at their scale."""
    with np.load(Path(__file__).with_name(f"{name}.npz")) as content:
        found = dict(content)
    return {
        key: array.astype(np.float32) * found[f"scale/{key}"] if f"scale/{key}" in found else array
        for key, array in found.items()
        if not key.startswith("scale/")
    }


@cache
def stored_in_float16(name: str) -> set[str]:
    """The names of the arrays of a file that are stored in float16."""
    with np.load(Path(__file__).with_name(f"{name}.npz")) as content:
        return {key.removeprefix("scale/") for key in content if key.startswith("scale/")}


def group(name: str, prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with a prefix, without it."""
    return {key.removeprefix(prefix): array for key, array in arrays(name).items() if key.startswith(prefix)}


def channels_last(images: np.ndarray) -> np.ndarray:
    """NCHW -> NHWC."""
    return images.transpose(0, 2, 3, 1)


def assert_gradients(found: dict[str, np.ndarray], name: str, prefix: str, *, atol: float) -> None:
    """Compare gradients by the authors' names with theirs; those of arrays that a result does not depend on are 0.

    Args:
        found: gradients by the authors' names, without the prefix.
        name: name of the file.
        prefix: what stands before the names there.
        atol: absolute tolerance, of a largest gradient of 1; the relative one is that of float16 where they are stored
            so.
    """
    expected = group(name, prefix)
    assert set(found) == set(expected)
    for parameter, gradient in found.items():
        if expected[parameter].shape == (1,) != gradient.shape:  # A placeholder: no part of their graph.
            assert not gradient.any(), parameter
            continue
        largest = np.abs(expected[parameter]).max()
        rtol = 1e-3 if prefix + parameter in stored_in_float16(name) else 1e-4
        np.testing.assert_allclose(gradient, expected[parameter], rtol=rtol, atol=atol * largest, err_msg=parameter)
