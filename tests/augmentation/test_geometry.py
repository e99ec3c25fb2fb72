"""Maps and resampling of geometric operators against SciPy, in float64 and from the forward maps."""

import jax
import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.signal import upfirdn

from jaxgen.augmentation import PIPELINES
from jaxgen.augmentation.geometry import LOW_PASS, inverse_map, resampled
from jaxgen.augmentation.random_numbers import applied, draw
from tests.references import arrays

HEIGHT, WIDTH = 10, 13
TAPS = len(LOW_PASS)
NUMBERS = applied(draw(jax.random.key(3), 5), 0.9, dict.fromkeys(PIPELINES["bg"], 1.0))


def forward_map(numbers):
    """The map of an image from its random numbers, the last operator being the first factor that is inverted."""

    def rotation(angle):
        return np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])

    def translation(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])

    def scaling(x, y):
        return np.diag([x, y, 1.0])

    (flip,), (quarters,), whole = (numbers[name] for name in ("xflip", "rotate90", "xint"))
    (scale,), (first, second), (aniso,), share = (numbers[name] for name in ("scale", "rotate", "aniso", "xfrac"))
    changes = [
        scaling(-1 if flip >= 0.5 else 1, 1),
        rotation(np.floor(4 * quarters) * np.pi / 2),
        translation(*np.round((2 * whole - 1) * 0.125 * [WIDTH, HEIGHT])),
        scaling(2 ** (0.2 * scale), 2 ** (0.2 * scale)),
        rotation((2 * first - 1) * np.pi),
        scaling(2 ** (0.2 * aniso), 2 ** (-0.2 * aniso)),
        rotation((2 * second - 1) * np.pi),
        translation(*(0.125 * share * [WIDTH, HEIGHT])),
    ]
    return np.linalg.multi_dot(changes[::-1])


def along_both(image, function):
    return np.apply_along_axis(function, 1, np.apply_along_axis(function, 0, image))


def expected_image(image, forward):
    """Enlarge, interpolate at the points that the map takes to the pixels of the result, and reduce."""
    continued = np.pad(image, [(side - 1, side - 1) for side in image.shape], mode="reflect")
    enlarged = along_both(continued, lambda line: upfirdn(2 * LOW_PASS, line, up=2)[5 : 5 + 2 * len(line)])
    # Centres of pixels of the enlarged images lie a quarter of a pixel beside those of the small ones.
    y, x = np.mgrid[-HEIGHT - 6 : HEIGHT + 6, -WIDTH - 6 : WIDTH + 6] / 2 + 0.5
    at = np.linalg.inv(forward) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    places = [2 * at[axis] + (enlarged.shape[1 - axis] - 2) / 2 for axis in (1, 0)]
    values = map_coordinates(enlarged, places, order=1, mode="grid-constant").reshape(x.shape)
    return along_both(values, lambda line: np.correlate(line[1:-1], LOW_PASS, mode="valid")[::2])


def test_filter_is_that_of_the_authors():
    np.testing.assert_allclose(LOW_PASS, arrays("ada_operators")["Hz_geom_sym6"], atol=1e-7)


def test_filter_is_orthogonal_to_its_even_translations():
    """So that enlarging and reducing in a row change nothing."""
    products = np.correlate(LOW_PASS, LOW_PASS, mode="full")[TAPS - 1 :: 2]
    np.testing.assert_allclose(2 * products, np.eye(1, len(products))[0], atol=1e-10)


def test_maps_of_all_operators_are_inverses_of_the_composed_forward_maps():
    inverse = inverse_map(NUMBERS, height=HEIGHT, width=WIDTH)
    for i in range(5):
        forward = forward_map({name: np.asarray(values[i], np.float64) for name, values in NUMBERS.items()})
        np.testing.assert_allclose(inverse[i] @ forward, np.eye(3), atol=1e-5)


def test_images_that_are_changed_by_different_maps_are_those_of_scipy():
    images = np.random.default_rng(0).uniform(-1, 1, (5, HEIGHT, WIDTH, 2)).astype(np.float32)
    results = jax.jit(resampled)(images, inverse_map(NUMBERS, height=HEIGHT, width=WIDTH))
    for i in range(5):
        forward = forward_map({name: np.asarray(values[i], np.float64) for name, values in NUMBERS.items()})
        for channel in range(2):
            expected = expected_image(images[i, ..., channel].astype(np.float64), forward)
            np.testing.assert_allclose(results[i, ..., channel], expected, atol=2e-5)


@pytest.mark.parametrize("shape", [(1, 1), (2, 6), (1, 5)])
def test_images_smaller_than_the_filter_do_not_get_dark_borders(shape):
    reflection = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)[None]
    constant = np.ones((1, *shape, 1), np.float32)
    np.testing.assert_allclose(resampled(constant, reflection), constant, atol=1e-5)
