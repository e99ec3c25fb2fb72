"""Truncated styles lie on the line through their average."""

import numpy as np
import pytest

from jaxgen.report.section import NotApplicable
from jaxgen.report.truncation import truncation
from tests.report.linear_styles import AVERAGE, LAYERS, image_of, inputs_with_styles, latents_of
from tests.report.small_reports import inputs_of, rows_of
from tests.report.test_manifold import gan_with


def test_the_share_of_the_deviation_from_the_average_is_that_of_the_row(monkeypatch):
    inputs = inputs_with_styles()
    rows = rows_of(monkeypatch, "truncation", truncation, inputs)
    average = np.asarray(AVERAGE)
    for name, images in rows.items():
        psi = float(name.removeprefix("psi = "))
        for style, image in zip(latents_of(inputs, 8), images, strict=True):
            np.testing.assert_allclose(image, image_of([average + psi * (style - average)] * LAYERS), atol=1e-6)
    assert {"psi = 1", "psi = 0", "psi = -1"} <= set(rows)


def test_models_without_styles_have_no_truncation():
    with pytest.raises(NotApplicable, match="no generator with styles"):
        truncation(inputs_of(gan_with()))
