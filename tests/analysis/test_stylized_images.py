"""Images in the styles of others: pairs, mixtures of styles, and colours."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.analysis.stylized_images import match_colours, mixed_style, stylized_pairs
from jaxgen.errors import InputError
from jaxgen.game import StyleTransfer

RANDOM = np.random.default_rng(0)


def test_each_content_has_each_style():
    """A model whose style is the mean of an image, and whose images are contents plus alpha times the style."""
    transfer = StyleTransfer(
        style=lambda state, images: jnp.stack([images.mean((1, 2)), 0 * images.mean((1, 2))], axis=1),
        stylize=lambda state, images, statistics, alpha: images + alpha * statistics[:, 0, None, None],
        smallest=1,
    )
    contents, styles = RANDOM.uniform(size=(4, 2, 3, 1)), RANDOM.uniform(size=(2, 5, 1, 1))
    found = stylized_pairs(transfer, None, contents, styles, alpha=0.5)
    for i, content in enumerate(contents):
        for j, style in enumerate(styles):
            np.testing.assert_allclose(found[i, j], content + 0.5 * style.mean(), rtol=1e-5)


def test_weights_are_divided_by_their_sum_and_are_equal_by_default():
    styles = RANDOM.normal(size=(3, 2, 5)).astype(np.float32)
    np.testing.assert_allclose(mixed_style(styles), styles.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(mixed_style(styles, (0, 2, 6)), 0.25 * styles[1] + 0.75 * styles[2], rtol=1e-5)


@pytest.mark.parametrize("weights", [(1,), (1, -1), (0, 0), (1, float("nan")), (1, float("inf"))], ids=str)
def test_weights_of_no_mixture_are_refused(weights):
    with pytest.raises(InputError, match="weights must be one for each of 2 styles, not negative and not all 0, got"):
        mixed_style(np.ones((2, 2, 1)), weights)


def test_matched_colours_have_the_mean_and_covariance_of_the_other_image():
    """By `numpy.cov`, of images whose colours are correlated and far from 0 and 1, so that nothing is clipped."""
    mixing = RANDOM.normal(size=(2, 3, 3)) * 0.03
    x, y = (0.5 + RANDOM.normal(size=(20, 30, 3)) @ matrix for matrix in mixing)
    found = match_colours(x, y).reshape(-1, 3)
    np.testing.assert_allclose(found.mean(axis=0), y.reshape(-1, 3).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.cov(y.reshape(-1, 3).T, bias=True), atol=1e-5)
    np.testing.assert_allclose(match_colours(x, x), x, atol=1e-4)


def test_matched_colours_of_one_colour_are_that_colour():
    black, grey = np.zeros((2, 2, 3)), np.full((3, 3, 3), 0.25)
    np.testing.assert_allclose(match_colours(black, grey), np.full((2, 2, 3), 0.25))
    assert np.isfinite(match_colours(black, RANDOM.uniform(size=(4, 4, 3)))).all()
