"""Samples are reached by their projection, and styles of layers come nearer to examples than one style."""

import re

import numpy as np

from jaxgen.report.projected_examples import projected_examples
from tests.report import linear_styles
from tests.report.linear_styles import LAYERS, STYLE, inputs_with_styles
from tests.report.small_reports import rows_of, without_files


def test_samples_are_reached_and_examples_as_far_as_styles_allow(monkeypatch):
    # Noise images always keep a variance of 1: with this strength they do not hide the styles.
    monkeypatch.setattr(linear_styles, "NOISE_SCALE", 1e-3)
    examples = {"image": np.random.default_rng(0).integers(100, 156, (8, LAYERS, STYLE, 1), np.uint8)}
    rows = rows_of(monkeypatch, "projected_examples", projected_examples, inputs_with_styles(test_examples=examples))
    example, one, layers, sample, projection = rows.values()
    np.testing.assert_allclose(example, examples["image"] / 255, atol=1e-6)

    def error(a, b):
        return np.sqrt(np.square(a - b).mean())

    assert error(sample, projection) < 0.1 * error(example, one)
    assert error(example, layers) < 0.5 * error(example, one)
    drawn = without_files(monkeypatch, "projected_examples")
    projected_examples(inputs_with_styles(test_examples=examples))
    stated = [float(number) for number in re.findall(r"\d\.\d{3}", drawn[0][1].partition("difference of pixels: ")[2])]
    np.testing.assert_allclose(
        stated, [error(example, one), error(example, layers), error(sample, projection)], atol=6e-4
    )
