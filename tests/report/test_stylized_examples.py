"""The section of arbitrary style transfer: examples in the styles of others, and with shares of a style."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.game import StyleTransfer
from jaxgen.report.section import NotApplicable
from jaxgen.report.stylized_examples import ALPHAS, arbitrary_style_transfer
from tests.report.small_reports import inputs_of, rows_of, without_files
from tests.small_runs import untrained

TRANSFER = StyleTransfer(
    style=lambda state, images: jnp.stack([images.mean((1, 2)), images.max((1, 2))], axis=1),
    stylize=lambda state, images, statistics, alpha: (1 - alpha) * images + alpha * statistics[:, 0, None, None],
    smallest=1,
)
"""The style of an image is its mean."""

IMAGES = np.random.default_rng(0).uniform(size=(20, 8, 8, 1)).astype(np.float32)


@pytest.fixture
def inputs():
    run = untrained("vae")
    run = run._replace(model=run.model._replace(style_transfer=TRANSFER))
    return inputs_of(run, test_examples={"image": IMAGES})


def test_first_examples_have_the_styles_of_the_next_ones(inputs, monkeypatch):
    drawn = []
    monkeypatch.setattr("jaxgen.plot.style_grid", lambda *arrays: drawn.extend(arrays))
    monkeypatch.setattr("jaxgen.plot.image_rows", lambda rows: None)
    without_files(monkeypatch, "stylized_examples")
    arbitrary_style_transfer(inputs)
    contents, styles, pairs = drawn
    np.testing.assert_array_equal(contents, IMAGES[:6])
    np.testing.assert_array_equal(styles, IMAGES[6:12])
    for image, row in zip(contents, pairs, strict=True):
        assert row.shape[1:] == image.shape
        np.testing.assert_allclose(row[:, 0, 0, 0], styles.mean((1, 2, 3)), rtol=1e-5)


def test_shares_of_a_style_lie_between_content_and_style(inputs, monkeypatch):
    rows = rows_of(monkeypatch, "stylized_examples", arbitrary_style_transfer, inputs)
    assert list(rows) == ["content", *(f"alpha {alpha:g}" for alpha in ALPHAS), "style"]
    np.testing.assert_allclose(rows["alpha 0"], rows["content"], rtol=1e-6)
    np.testing.assert_allclose(rows["alpha 0.5"], (rows["alpha 0"] + rows["alpha 1"]) / 2, rtol=1e-5)
    np.testing.assert_allclose(rows["alpha 1"].mean((1, 2, 3)), rows["style"].mean((1, 2, 3)), rtol=1e-5)


def test_other_models_have_no_such_section():
    with pytest.raises(NotApplicable, match="the model does not transfer styles of images"):
        arbitrary_style_transfer(inputs_of(untrained("vae")))
