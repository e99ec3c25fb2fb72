"""Tests of minimal filtering against the definition of a correlation and `jax.lax` in float64."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgen.nn.cpu_convolution.products import gather_patches
from jaxgen.nn.cpu_convolution.windows import Geometry
from jaxgen.nn.cpu_convolution.winograd import FILTERINGS, convolve_filtered, filterings


@pytest.mark.parametrize(
    ("weights", "filtering"), [(n, filtering) for n, each in FILTERINGS.items() for filtering in each]
)
def test_filtering_matches_correlation_exactly(weights, filtering):
    inputs, kernel, outputs = (np.array(matrix, float) for matrix in filtering)
    assert outputs.shape[0] + weights - 1 == inputs.shape[1]
    # With small integers and halves every step is exact.
    generator = np.random.default_rng(weights)
    pixels = generator.integers(-50, 50, inputs.shape[1]).astype(float)
    window = 2.0 * generator.integers(-50, 50, weights)
    np.testing.assert_array_equal(outputs @ ((inputs @ pixels) * (kernel @ window)), np.correlate(pixels, window))


# (space, window, strides, padding): all numbers of weights, incomplete tiles, windows that are not a multiple of the
# stride, one and three axes, pixels outside all windows.
GEOMETRIES = {
    "two weights": ((8, 8), (4, 4), (2, 2), ((1, 1), (1, 1))),
    "two weights, tiles of three": ((10, 12), (4, 4), (2, 2), ((2, 2), (1, 1))),
    "three weights": ((6, 6), (3, 3), (1, 1), ((1, 1), (1, 1))),
    "three weights, incomplete tiles": ((7, 5), (3, 3), (1, 1), ((0, 0), (1, 1))),
    "stride 2, window 5": ((9, 8), (5, 5), (2, 2), ((1, 2), (2, 2))),
    "different along each axis": ((9, 7), (1, 4), (1, 2), ((0, 0), (2, 1))),
    "pixels beyond the last window": ((8, 11), (2, 4), (1, 2), ((0, 0), (0, 0))),
    "more padding than window": ((3, 4), (3, 2), (1, 1), ((4, 3), (2, 2))),
    "a negative padding": ((8, 8), (3, 3), (1, 1), ((-1, 1), (1, -2))),
    "one weight and three": ((6, 5), (1, 3), (1, 1), ((0, 0), (1, 1))),
    "a signal": ((9,), (6,), (2,), ((3, 2),)),
    "a volume": ((4, 5, 3), (3, 2, 3), (1, 1, 1), ((1, 1), (0, 1), (1, 1))),
}


@pytest.mark.parametrize(("space", "window", "strides", "padding"), GEOMETRIES.values(), ids=GEOMETRIES)
def test_filtered_convolutions_match_lax(space, window, strides, padding):
    axes = "DHW"[-len(space) :]
    numbers = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    geometry = Geometry(strides, padding, (1,) * len(space), None)
    taps = [-(-size // step) for size, step in zip(window, strides, strict=True)]
    generator = np.random.default_rng(0)

    by_xla = partial(lax.conv_general_dilated, window_strides=strides, padding=padding, dimension_numbers=numbers)
    every_choice = itertools.product(*(FILTERINGS[number] for number in taps))
    filtered = [partial(convolve_filtered, geometry=geometry, chosen=chosen) for chosen in every_choice]

    @jax.jit
    def values_and_gradients(x, w):
        def value_and_gradients(conv):
            value, pullback = jax.vjp(conv, x, w)
            return value, *pullback(jnp.sin(value))

        return [value_and_gradients(conv) for conv in (by_xla, *filtered)]

    with jax.enable_x64(True):
        inputs = (generator.normal(size=size) for size in ((2, *space, 3), (*window, 3, 2)))
        want, *results = values_and_gradients(*inputs)
    for got in results:
        for ours, reference in zip(got, want, strict=True):
            np.testing.assert_allclose(ours, reference, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "window", "stride"), [(32, 4, 2), (16, 3, 1), (15, 4, 2)])
def test_error_of_filtering_is_within_small_factor_of_plain_product(size, window, stride):
    """A factor of 1.5 in the value, and about one bit in the gradients, one of which is a transposed convolution."""
    generator = np.random.default_rng(1)
    shapes = (4, size, size, 64), (window, window, 64, 32)
    x, w = (np.float32(generator.normal(size=shape)) for shape in shapes)
    geometry = Geometry((stride, stride), ((1, 1), (1, 1)), (1, 1), None)
    chosen = filterings(x, w, geometry)
    assert chosen is not None

    def value_and_gradients(conv, x, w, mix):
        value, pullback = jax.vjp(conv, x, w)
        return value, *pullback(mix)

    by_xla = partial(
        lax.conv_general_dilated,
        window_strides=geometry.strides,
        padding=geometry.padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    mix = np.float32(np.random.default_rng(2).normal(size=jax.eval_shape(by_xla, x, w).shape))
    with jax.enable_x64(True):
        wide = [np.float64(array) for array in (x, w, mix)]
        exact = jax.device_get(jax.jit(partial(value_and_gradients, by_xla))(*wide))

    @jax.jit
    def plain_and_filtered(*arrays):
        plain = partial(gather_patches, geometry=geometry)
        filtered = partial(convolve_filtered, geometry=geometry, chosen=chosen)
        return [value_and_gradients(conv, *arrays) for conv in (plain, filtered)]

    plain, filtered = jax.tree.map(np.float64, jax.device_get(plain_and_filtered(x, w, mix)))
    for ours, reference, truth, times in zip(filtered, plain, exact, (1.5, 2.2, 2.2), strict=True):
        assert root_mean_square(ours - truth) <= times * root_mean_square(reference - truth)


def root_mean_square(array):
    return np.sqrt(np.mean(array**2))


def test_filtering_is_used_only_where_it_saves_time():
    def chosen(channels, features, window, dtype=jnp.float32, size=16):
        x = jax.ShapeDtypeStruct((2, size, size, channels), dtype)
        w = jax.ShapeDtypeStruct((window, window, channels, features), dtype)
        return filterings(x, w, Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), None))

    assert chosen(32, 32, 3) is not None
    assert chosen(32, 32, 3, jnp.bfloat16) is None, "the sums of pixels would be rounded"
    assert chosen(3, 32, 3) is None
    assert chosen(32, 3, 3) is None
    assert chosen(32, 32, 1) is None
    assert chosen(32, 32, 7) is None
    assert chosen(32, 32, 3, size=1) is None, "most of the tile would lie outside the image"
