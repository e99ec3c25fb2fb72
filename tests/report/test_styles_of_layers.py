"""The first rows have the style of one latent in all layers of an image, the others that of a new one in each."""

import jax
import numpy as np

from jaxgen.report.styles_of_layers import styles_of_layers
from tests.report.linear_styles import LAYERS, STYLE, image_of, inputs_with_styles, latents_of
from tests.report.small_reports import rows_of


def test_rows_of_w_have_one_style_and_rows_of_w_plus_one_in_each_layer(monkeypatch):
    inputs = inputs_with_styles()
    rows = rows_of(monkeypatch, "styles_of_layers", styles_of_layers, inputs)
    one_key, own_key = jax.random.split(inputs.key)
    one = latents_of(inputs, 16, one_key)[:, None].repeat(LAYERS, axis=1)
    own = latents_of(inputs, 16 * LAYERS, own_key).reshape(16, LAYERS, STYLE)
    assert list(rows) == ["one style (W), 1", "one style (W), 2", "layers' styles (W+), 1", "layers' styles (W+), 2"]
    for (first, second), w in zip(([0, 1], [2, 3]), (one, own), strict=True):
        found = np.concatenate([list(rows.values())[first], list(rows.values())[second]])
        np.testing.assert_allclose(found, [image_of(layers) for layers in w], atol=1e-6)
