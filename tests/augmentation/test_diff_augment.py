"""DiffAugment against the authors' arrays and its distributions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.augmentation import diff_augment
from jaxgen.augmentation.diff_augment import OPERATORS
from jaxgen.errors import InputError
from tests.references import channels_last, group

AUTHORS = group("ada_operators", "diff/")
IMAGES = channels_last(AUTHORS["images"])
KEY = jax.random.key(0)

NUMBERS = {
    "color": AUTHORS["color_numbers"],
    # Images of 13x12 pixels: the authors translate by -2 ... 2, and their rectangles of 7x6 have 13 and 13 places.
    "translation": ((AUTHORS["translation_numbers"] + 2.5) / 5).astype(np.float32),
    "cutout": ((AUTHORS["cutout_numbers"] + 0.5) / 13).astype(np.float32),
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_are_those_of_the_authors(operator):
    result = OPERATORS[operator](IMAGES, NUMBERS[operator])
    np.testing.assert_allclose(result, channels_last(AUTHORS[operator]), atol=1e-6)


def test_operators_in_a_row_are_those_of_the_authors():
    result = IMAGES
    for name, operator in OPERATORS.items():
        result = operator(result, NUMBERS[name])
    np.testing.assert_allclose(result, channels_last(AUTHORS["all"]), atol=1e-6)


def test_translations_of_all_images_are_uniform():
    n = 8_000
    image = np.zeros((n, 8, 8, 1), np.float32)
    image[:, 4, 4] = 1
    results = jax.jit(lambda: diff_augment(KEY, image, operators=["translation"]))()
    shares = np.asarray(results).mean(axis=0)[3:6, 3:6, 0]
    np.testing.assert_allclose(shares, 1 / 9, atol=5 * np.sqrt(8 / 81 / n))


def test_gradients_pass_where_the_image_is_not_cut():
    """The function is affine: its derivative along a direction is the difference, and second derivatives vanish."""
    function = jax.jit(lambda x: diff_augment(KEY, x))
    direction = np.random.default_rng(0).normal(size=IMAGES.shape).astype(np.float32)
    value, derivative = jax.jvp(function, (IMAGES,), (direction,))
    np.testing.assert_allclose(derivative, function(IMAGES + direction) - value, atol=1e-5)
    pulled = jax.vjp(function, IMAGES)[1](derivative)[0]
    np.testing.assert_allclose(jnp.vdot(pulled, direction), jnp.vdot(derivative, derivative), rtol=1e-4)


def test_seeds_in_one_program_give_what_single_seeds_give():
    keys = jax.random.split(KEY, 2)
    function = jax.jit(lambda key: diff_augment(key, IMAGES))
    together = jax.jit(jax.vmap(function))(keys)
    for i in range(2):
        np.testing.assert_allclose(together[i], function(keys[i]), atol=1e-6)


def test_grey_images_keep_the_dtype():
    result = diff_augment(KEY, jnp.asarray(IMAGES[..., :1], jnp.bfloat16), operators=["color", "cutout"])
    assert result.dtype == jnp.bfloat16
    assert result.shape == (5, 13, 12, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": jax.random.PRNGKey}, "key must be a typed PRNG key"),
        ({"images": IMAGES[0]}, "images must have the shape"),
        ({"images": np.zeros((1, 4, 4, 1), int)}, "images must be floats in .*, got int"),
        ({"operators": "color"}, "operators must be a list of color, translation, cutout, got 'color'"),
        ({"operators": ["colour"]}, "there is no operator 'colour': did you mean 'color'?"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(arguments, message):
    given = {"key": KEY, "images": IMAGES} | arguments
    with pytest.raises(InputError, match=message):
        diff_augment(given.pop("key"), given.pop("images"), **given)
