"""Style transfer decodes the same latents with every label."""

import jax
import numpy as np
import pytest

from jaxgen.report.section import NotApplicable
from jaxgen.report.styles import style_transfer
from tests.report.small_reports import inputs_of, recorded, rows_of
from tests.report.test_manifold import gan_with


def test_drawn_latents_are_decoded_with_every_label(monkeypatch):
    run = gan_with(condition="projection")
    numbered = np.broadcast_to(np.arange(80)[:, None, None, None], (80, 8, 8, 1))
    calls = recorded(monkeypatch, "styles", "decode", lambda *_: numbered)
    rows = rows_of(monkeypatch, "styles", style_transfer, inputs_of(run))
    [((_, decoded, label), _)] = calls
    latents = np.asarray(run.model.sample_latent(jax.random.key(0), 8))
    assert len(np.unique(latents, axis=0)) == 8
    for i, images in enumerate(rows.values()):
        np.testing.assert_array_equal(images[:, 0, 0, 0], np.arange(10 * i, 10 * i + 10))
        np.testing.assert_array_equal(decoded[10 * i : 10 * i + 10], np.tile(latents[i], (10, 1)))
        np.testing.assert_array_equal(label[10 * i : 10 * i + 10], np.arange(10))
    assert len(rows) == 8


def test_unconditional_models_have_no_style_transfer():
    with pytest.raises(NotApplicable, match="the model is not conditional on labels"):
        style_transfer(inputs_of(gan_with()))
