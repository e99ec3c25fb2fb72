"""The filter bank against the authors' array, and the power that it keeps."""

import jax
import numpy as np

from jaxgen.augmentation.filtering import filter_bank, filtered
from tests.references import arrays


def test_filters_are_those_of_the_authors():
    np.testing.assert_allclose(filter_bank(), arrays("ada_operators")["Hz_fbank_sym2"], atol=1e-7)


def test_bands_add_up_to_no_change():
    np.testing.assert_allclose(filter_bank().sum(axis=0), np.eye(1, 43, 21)[0], atol=1e-10)


def test_lowest_band_has_the_gain_one_at_frequency_zero_and_the_highest_at_the_highest():
    bank = filter_bank()
    alternating = (-1.0) ** np.arange(-21, 22)
    np.testing.assert_allclose(bank.sum(axis=1), [1, 0, 0, 0], atol=1e-10)
    np.testing.assert_allclose(bank @ alternating, [0, 0, 0, 1], atol=1e-10)


def test_amplification_of_a_band_keeps_the_expected_power():
    """Constant and alternating images show the gains of the lowest and the highest band."""
    constant = np.ones((1, 6, 8, 1), np.float32)
    alternating = constant * (-1.0) ** np.arange(8).reshape(1, 1, 8, 1).astype(np.float32)
    low = filtered(constant, np.array([[1.0, 0, 0, 0]], np.float32))
    norm = np.sqrt((10 * 4 + 3) / 13)
    np.testing.assert_allclose(low, constant * (2 / norm) ** 2, rtol=1e-5)
    # Along the height the image is constant, with the gain 1 / norm of the lowest band.
    result = filtered(alternating, np.array([[0, 0, 0, 1.0]], np.float32))
    norm = np.sqrt((12 + 4) / 13)
    np.testing.assert_allclose(result, alternating * 2 / norm**2, rtol=1e-5)


def test_filters_continue_small_images_by_repeated_reflection():
    """As SciPy continues them, one image at a time."""
    images = np.random.default_rng(0).normal(size=(2, 5, 7, 1)).astype(np.float32)
    numbers = np.array([[1.0, -0.5, 0.3, 0.8], [0.0, 0.7, 0.0, -1.0]], np.float32)
    results = jax.jit(lambda x: filtered(x, numbers))(images)
    for image, z, result in zip(images, numbers, results, strict=True):
        t = 2.0**z
        alone = np.where(np.eye(4) > 0, t, 1)  # Row i: band i is amplified.
        gains = t / np.prod(np.sqrt(alone**2 @ np.array([10, 1, 1, 1]) / 13))
        taps = gains @ filter_bank()
        wide = np.pad(image[..., 0].astype(np.float64), 21, mode="reflect")
        for axis in (0, 1):
            wide = np.apply_along_axis(lambda line, taps=taps: np.convolve(line, taps, mode="valid"), axis, wide)
        np.testing.assert_allclose(result[..., 0], wide, rtol=1e-4, atol=1e-5)
