"""Noise changes the pixels by what the generator makes of it."""

import jax
import numpy as np
import pytest

from jaxgen.report import noise_spread as section
from jaxgen.report.noise_spread import noise_images
from tests.report.linear_styles import LAYERS, NOISE_SCALE, image_of, inputs_with_styles, latents_of
from tests.report.small_reports import rows_of


def test_images_without_with_stored_and_with_new_noise(monkeypatch):
    inputs = inputs_with_styles()
    rows = rows_of(monkeypatch, "noise_spread", noise_images, inputs)
    w = latents_of(inputs, 4, jax.random.split(inputs.key)[0])
    for style, images in zip(w, rows.values(), strict=True):
        np.testing.assert_allclose(images[0, ..., 0], [style] * LAYERS, atol=1e-6)
        np.testing.assert_allclose(images[1], image_of([style] * LAYERS), atol=1e-6)
        changes = (images[2:6, ..., 0] - style) / NOISE_SCALE
        assert abs(changes.mean()) < 0.4
        assert changes.std() == pytest.approx(1, abs=0.3)
        assert len(np.unique(changes)) == changes.size
        # The standard deviation of every pixel as a share of the largest, of 100 draws.
        assert 0.6 < images[6].min() < images[6].max() <= 1


def test_the_mean_spread_is_that_of_the_noise_times_its_strength(monkeypatch):
    monkeypatch.setattr(section, "DRAWS", 400)
    [spread] = noise_images(inputs_with_styles()).metrics["noise_spread"]
    assert spread == pytest.approx(NOISE_SCALE, rel=0.02)
