"""Resampling against the authors' arrays, SciPy, and properties of the filters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import convolve2d

from jaxgen.errors import InputError
from jaxgen.nn.resampling import downsample, normalized, resample, upsample
from tests.references import channels_last, group

OPS = group("stylegan2_ada_pytorch", "ops/")
X = channels_last(OPS["x"])
SQUARE = X[:, :, :8]
"""The images that some of the authors' operations were given."""
TAPS = normalized((1, 3, 3, 1))
UNEVEN = OPS["f124"]


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("upsample2d_1331", lambda: upsample(X, TAPS)),
        ("downsample2d_1331", lambda: downsample(SQUARE, TAPS)),
        ("filter2d_1331", lambda: resample(X, TAPS, padding=(2, 1, 2, 1))),
        ("upfirdn_f124_up2_down1_pad1", lambda: resample(X, UNEVEN, up=2, padding=1)),
        (
            "upfirdn_f124_up2_down3_pad_2_1_0_3_gain1p5",
            lambda: resample(X, UNEVEN, up=2, down=3, padding=(0, 3, 2, 1), gain=1.5),
        ),
        ("upfirdn_f124_noflip", lambda: resample(X, UNEVEN, padding=1)),
        ("upfirdn_negative_padding", lambda: resample(X, UNEVEN, up=2, padding=(3, -2, -1, 2))),
    ],
)
def test_images_are_those_of_the_authors(name, result):
    np.testing.assert_allclose(result(), channels_last(OPS[name]), atol=1e-6)


def test_a_filter_of_two_axes_equals_the_product_of_separable_ones():
    np.testing.assert_allclose(upsample(X, np.outer(TAPS, TAPS)), upsample(X, TAPS), atol=1e-6)


def test_filtering_is_a_convolution_as_scipy_computes_it():
    image = np.random.default_rng(0).normal(size=(7, 6))
    taps = np.random.default_rng(1).normal(size=(3, 2))
    filtered = resample(jnp.asarray(image, jnp.float32)[None, :, :, None], taps)[0, :, :, 0]
    np.testing.assert_allclose(filtered, convolve2d(image, taps, mode="valid"), rtol=1e-4, atol=1e-5)


def test_enlarging_is_not_bilinear_interpolation_at_the_border():
    """Zeros outside take part: a constant image becomes darker at its border, and keeps its value inside."""
    enlarged = np.asarray(upsample(jnp.ones((1, 4, 4, 1)), TAPS))[0, :, :, 0]
    np.testing.assert_allclose(enlarged[1:-1, 1:-1], 1, atol=1e-6)
    np.testing.assert_allclose(enlarged[0, 1:-1], 0.75, atol=1e-6)


def test_reducing_is_the_transpose_of_enlarging():
    """<up(x), y> = 4 <x, down(y)>, as the taps are symmetric: so gradients of one are values of the other."""
    keys = jax.random.split(jax.random.key(0))
    small, large = jax.random.normal(keys[0], (1, 4, 4, 2)), jax.random.normal(keys[1], (1, 8, 8, 2))
    forward, backward = jnp.vdot(upsample(small, TAPS), large), jnp.vdot(small, downsample(large, TAPS))
    np.testing.assert_allclose(forward, 4 * backward, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"up": 0}, "up and down must be at least 1, got 0 and 1"),
        ({"up": 1.5}, "up"),
        ({"padding": (1, 2, 3)}, "padding must be one number, two or four, got 3"),
        ({"padding": -4}, "padding must leave pixels"),
        (
            {"padding": (-3, -3, 0, 0)},
            "the filter must be no larger than the padded images, got 3x3 taps and 2x9 pixels",
        ),
    ],
)
def test_arguments_that_leave_no_image_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        resample(X, UNEVEN, **options)


def test_taps_of_three_axes_are_refused():
    with pytest.raises(InputError, match="taps must be"):
        resample(X, np.ones((2, 2, 2)))
