"""Interpolations connect the latents of examples of different classes."""

import numpy as np
import pytest

from jaxgen.report.interpolation import interpolation
from jaxgen.report.section import load_input
from tests.report.small_reports import inputs_of, recorded, rows_of, without_files
from tests.report.test_manifold import gan_with


def test_paths_start_and_end_at_reconstructions_of_different_classes(trained, monkeypatch):
    inputs = load_input(trained("vae"), seed=0)
    rows = rows_of(monkeypatch, "interpolation", interpolation, inputs)
    reconstructions = np.asarray(inputs.shown_run.reconstruct(inputs.test_examples))
    label = np.asarray(inputs.test_examples["label"])
    for i in range(4):
        ends = []
        for end in (0, -1):
            distances = np.abs(reconstructions - rows[f"line {i + 1}"][end]).max(axis=(1, 2, 3))
            ends.append(distances.argmin())
            # The example is identified unambiguously.
            assert distances.min() < 1e-5 < 1e-4 < np.sort(distances)[1]
            np.testing.assert_allclose(rows[f"arc {i + 1}"][end], reconstructions[ends[-1]], atol=1e-5)
        assert label[ends[0]] != label[ends[1]]


@pytest.mark.parametrize("condition", ["none", "projection"])
def test_caption_gives_the_label_of_the_paths_of_a_conditional_gan(monkeypatch, condition):
    calls = recorded(monkeypatch, "interpolation", "decode", lambda *_: None)
    monkeypatch.setattr("jaxgen.plot.image_rows", lambda *_, **__: None)
    drawn = without_files(monkeypatch, "interpolation")
    interpolation(inputs_of(gan_with(condition=condition)))
    [(_, caption)] = drawn
    if condition == "none":
        assert "label" not in caption
    else:
        assert {label for (_, _, label), _ in calls} == {0}
        assert caption.endswith(" All latents are decoded with label 0.")
