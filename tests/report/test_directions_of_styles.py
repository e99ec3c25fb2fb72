"""Styles are moved along the directions of the closed form, by standard deviations of the styles."""

import numpy as np

from jaxgen.report.directions_of_styles import directions_of_styles
from tests.report.linear_styles import MATRIX, STYLE, image_of, inputs_with_styles, latents_of
from tests.report.small_reports import recorded, rows_of


def test_rows_are_paths_of_three_standard_deviations_to_either_side(monkeypatch):
    inputs = inputs_with_styles()
    directions = np.linalg.qr(np.random.default_rng(1).normal(size=(STYLE, STYLE)))[0].astype(np.float32)
    calls = recorded(monkeypatch, "directions_of_styles", "closed_form_directions", lambda *_: directions)
    rows = rows_of(monkeypatch, "directions_of_styles", directions_of_styles, inputs)
    [((matrices, count), _)] = calls
    assert len(matrices) == 2
    assert count == STYLE
    [start] = latents_of(inputs, 1)
    # Of styles that are linear in normal latents.
    scales = np.linalg.norm(np.asarray(MATRIX) @ directions.T, axis=0)
    for direction, scale, images in zip(directions, scales, rows.values(), strict=True):
        for step, image in zip(range(-3, 4), images, strict=True):
            moved = start + step * scale * direction
            np.testing.assert_allclose(image, image_of([moved] * 6), atol=0.03 * 3 * scale)
