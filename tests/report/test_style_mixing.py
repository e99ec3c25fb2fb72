"""Mixed images have the styles of one source in a third of the layers and of the other in all else."""

import numpy as np

from jaxgen.report.style_mixing import style_mixing
from tests.report.linear_styles import LAYERS, image_of, inputs_with_styles, latents_of
from tests.report.small_reports import rows_of


def test_each_third_of_the_layers_has_the_styles_of_the_source_on_the_left(monkeypatch):
    inputs = inputs_with_styles()
    rows = rows_of(monkeypatch, "style_mixing", style_mixing, inputs)
    w = latents_of(inputs, 12)
    first, *others = rows.values()
    np.testing.assert_array_equal(first[0], 1)
    np.testing.assert_allclose(first[1:], [image_of([style] * LAYERS) for style in w[:6]], atol=1e-6)
    assert [name.partition(": ")[2] for name in list(rows)[1:]] == [
        f"{third} layers" for third in ("first", "middle", "last") for _ in range(2)
    ]
    for number, images in enumerate(others):
        source, third = w[6 + number], number // 2
        np.testing.assert_allclose(images[0], image_of([source] * LAYERS), atol=1e-6)
        for own, image in zip(w, images[1:], strict=False):
            layers = [source if layer // 2 == third else own for layer in range(LAYERS)]
            np.testing.assert_allclose(image, image_of(layers), atol=1e-6)
