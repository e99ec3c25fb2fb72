"""Kernels that enlarge a map, as the TensorFlow programs of PGGAN and StyleGAN store and apply them, in NumPy.

In the fused form a transposed convolution with the stride 2 has the sum of the kernel's four shifts, of 4x4 weights. In
the separate form the map is repeated, and correlated with the kernel.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.nn.equalized import resampled_convolution
from jaxgen.nn.progressive_names import naming
from jaxgen.nn.progressive_networks import BOX
from jaxgen.nn.stylegan_names import generator_naming

INPUTS, OUTPUTS = 3, 2
X = np.random.default_rng(0).normal(size=(2, 3, 4, INPUTS))


def separate(kernel):
    """Repeat the map and correlate it with a kernel, [3, 3, inputs, outputs]."""
    repeated = X.repeat(2, axis=1).repeat(2, axis=2)
    height, width = repeated.shape[1:3]
    padded = np.pad(repeated, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = np.ndindex(3, 3)
    return sum(padded[:, row : row + height, column : column + width] @ kernel[row, column] for row, column in shifts)


def fused(kernel):
    """Apply the transposed convolution of the four shifts of a kernel, [3, 3, inputs, outputs]."""
    padded = np.pad(kernel, ((1, 1), (1, 1), (0, 0), (0, 0)))
    summed = padded[1:, 1:] + padded[:-1, 1:] + padded[1:, :-1] + padded[:-1, :-1]
    height, width = 2 * X.shape[1], 2 * X.shape[2]
    y = np.zeros((len(X), height + 2, width + 2, OUTPUTS))
    for row, column in np.ndindex(4, 4):
        y[:, row : row + height : 2, column : column + width : 2] += X @ summed[row, column]
    return y[:, 1:-1, 1:-1]


def of_pggan_fused(theirs):
    return fused(theirs.swapaxes(2, 3))  # Outputs come before inputs.


@pytest.mark.parametrize(
    ("names", "path", "channels", "definition"),
    [
        (naming(16, fused=False), ("params", "b8"), (INPUTS, OUTPUTS), separate),
        (naming(16), ("params", "b8"), (OUTPUTS, INPUTS), of_pggan_fused),
        (generator_naming(256), ("params", "synthesis", "b64"), (INPUTS, OUTPUTS), separate),
        (generator_naming(256), ("params", "synthesis", "b128"), (INPUTS, OUTPUTS), fused),
        (generator_naming(256), ("params", "synthesis", "b256"), (INPUTS, OUTPUTS), fused),
    ],
    ids=["pggan separate", "pggan fused", "stylegan 64", "stylegan 128", "stylegan 256"],
)
def test_kernels_that_enlarge_a_map_give_the_map_of_the_authors_programs(names, path, channels, definition):
    """In their layout; from 128 pixels on, StyleGAN's are fused, with inputs before outputs as in its other layers."""
    theirs = np.random.default_rng(1).normal(size=(3, 3, *channels))
    layout = names.layout((*path, "conv0_up", "kernel"), (3, 3, INPUTS, OUTPUTS))
    kernel = layout.to_ours(theirs)
    found = resampled_convolution(jnp.asarray(X, jnp.float32), jnp.asarray(kernel, jnp.float32), BOX, up=2)
    np.testing.assert_allclose(found, definition(theirs), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layout.to_theirs(kernel), theirs)
