"""Tests of the two ways to compute a convolution against `jax.lax` in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgen.nn.cpu_convolution.products import gather_interleaved, scatter
from jaxgen.nn.cpu_convolution.windows import Geometry


@pytest.mark.parametrize("form", [gather_interleaved, scatter])
@pytest.mark.parametrize(
    ("size", "window", "dilation", "padding"),
    [
        ((5, 4), (3, 3), (1, 1), ((1, 1), (1, 1))),
        ((3, 4), (4, 4), (2, 2), ((2, 2), (2, 2))),
        ((3, 2), (5, 3), (2, 3), ((4, 2), (1, 1))),
        ((2, 3), (2, 4), (3, 1), ((3, 0), (5, 4))),
        ((4, 4), (3, 2), (2, 2), ((0, 1), (2, -1))),
    ],
)
def test_gathering_and_scattering_dilated_inputs_match_lax(form, size, window, dilation, padding):
    generator = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, w = (jnp.asarray(generator.normal(size=shape)) for shape in ((2, *size, 3), (*window, 3, 2)))
        numbers = ("NHWC", "HWIO", "NHWC")
        want = lax.conv_general_dilated(x, w, (1, 1), padding, dilation, dimension_numbers=numbers)
        got = form(x, w, Geometry((1, 1), padding, dilation, None))
        assert got.dtype == want.dtype
        scale = max(1.0, float(jnp.abs(want).max()))
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * scale)
