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


def test_images_are_unchanged_where_p_is_zero_and_all_are_changed_where_it_is_one():
    function = jax.jit(lambda p: diff_augment(KEY, IMAGES, p))
    np.testing.assert_array_equal(function(0.0), IMAGES)
    assert (np.abs(function(1.0) - IMAGES).max(axis=(1, 2, 3)) > 0.1).all()


def test_translations_are_uniform_and_applied_with_the_probability_p():
    n, p = 8_000, 0.6
    image = np.zeros((n, 8, 8, 1), np.float32)
    image[:, 4, 4] = 1
    results = jax.jit(lambda p: diff_augment(KEY, image, p, operators=["translation"]))(p)
    shares = np.asarray(results).mean(axis=0)[3:6, 3:6, 0]
    expected = np.full((3, 3), p / 9)
    expected[1, 1] += 1 - p
    np.testing.assert_allclose(shares, expected, atol=5 * np.sqrt(0.25 / n))


def test_gradients_pass_where_the_image_is_not_cut():
    """The function is affine: its derivative along a direction is the difference, and second derivatives vanish."""
    function = jax.jit(lambda x: diff_augment(KEY, x))
    direction = np.random.default_rng(0).normal(size=IMAGES.shape).astype(np.float32)
    value, derivative = jax.jvp(function, (IMAGES,), (direction,))
    np.testing.assert_allclose(derivative, function(IMAGES + direction) - value, atol=1e-5)
    pulled = jax.vjp(function, IMAGES)[1](derivative)[0]
    np.testing.assert_allclose(jnp.vdot(pulled, direction), jnp.vdot(derivative, derivative), rtol=1e-4)


def test_seeds_in_one_program_give_what_single_seeds_give():
    keys, p = jax.random.split(KEY, 2), np.array([0.4, 1.0], np.float32)
    function = jax.jit(lambda key, p: diff_augment(key, IMAGES, p))
    together = jax.jit(jax.vmap(lambda key, p: diff_augment(key, IMAGES, p)))(keys, p)
    for i in range(2):
        np.testing.assert_allclose(together[i], function(keys[i], p[i]), atol=1e-6)


def test_grey_images_keep_the_dtype():
    result = diff_augment(KEY, jnp.asarray(IMAGES[..., :1], jnp.bfloat16), operators=["color", "cutout"])
    assert result.dtype == jnp.bfloat16
    assert result.shape == (5, 13, 12, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": -1.0}, "p must be finite and at least 0, got -1.0"),
        ({"key": jax.random.PRNGKey}, "key must be a typed PRNG key"),
        ({"images": IMAGES[0]}, "images must have the shape"),
        ({"images": np.zeros((1, 4, 4, 1), int)}, "images must be floats in .*, got int"),
        ({"operators": "color"}, "operators must be a list of color, translation, cutout, got 'color'"),
        ({"operators": ["colour"]}, "there is no operator 'colour': did you mean 'color'?"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(arguments, message):
    given = {"key": KEY, "images": IMAGES, "p": 1.0} | arguments
    with pytest.raises(InputError, match=message):
        diff_augment(given.pop("key"), given.pop("images"), given.pop("p"), **given)
