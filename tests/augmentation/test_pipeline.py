"""Adaptive discriminator augmentation against the authors' arrays and its published probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erfinv

from jaxgen.augmentation import PIPELINES, augment
from jaxgen.augmentation.pipeline import changed
from jaxgen.augmentation.random_numbers import OPERATORS, applied, draw
from jaxgen.errors import InputError
from tests.references import arrays, channels_last

AUTHORS = arrays("ada_operators")
IMAGE = channels_last(AUTHORS["images"])
KEY = jax.random.key(0)
PERCENTILES = (0.3, 0.65, 0.9)

SMALL = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32)
GREY = SMALL[..., :1]


@jax.jit
def change(images, numbers):
    return changed(KEY, images, numbers)


def percentile(name, q):
    """What `debug_percentile` of the authors puts in the place of the random numbers of an operator."""
    operator = OPERATORS[name]
    numbers = np.full((1, operator.size), q if operator.distribution == "uniform" else erfinv(2 * q - 1), np.float32)
    if name == "rotate":
        numbers[:, 1] = operator.neutral
    return numbers


def neutral(names, n=1):
    return {name: np.full((n, OPERATORS[name].size), OPERATORS[name].neutral, np.float32) for name in names}


@pytest.mark.parametrize("q", PERCENTILES)
@pytest.mark.parametrize(
    ("operator", "beside"),
    [
        *((name, "bg") for name in PIPELINES["bg"]),
        *((name, "color") for name in PIPELINES["color"]),
        ("imgfilter", "filter"),
        ("cutout", "cutout"),
    ],
)
def test_operators_are_those_of_the_authors(operator, beside, q):
    """Beside others of its kind at their neutral numbers, so that one program is compiled for a kind."""
    result = change(IMAGE, neutral(PIPELINES[beside]) | {operator: percentile(operator, q)})
    np.testing.assert_allclose(result, channels_last(AUTHORS[f"{operator}_{q}"]), atol=1e-5)


@pytest.mark.parametrize("q", PERCENTILES)
def test_the_pipeline_bgc_is_that_of_the_authors(q):
    result = change(IMAGE, {name: percentile(name, q) for name in PIPELINES["bgc"]})
    np.testing.assert_allclose(result, channels_last(AUTHORS[f"bgc_{q}"]), atol=2e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_unchanged_where_p_is_zero(channels):
    images = SMALL[..., :channels]
    result = jax.jit(lambda p: augment(KEY, images, p, operators="bgcfnc"))(0.0)
    np.testing.assert_allclose(result, images, atol=1e-5)


def test_each_operator_is_applied_with_its_probability():
    """Within 5 standard deviations of the binomial distribution of 20,000 images."""
    n, p = 20_000, 0.35
    multipliers = {name: 0.5 if name == "hue" else 1.0 for name in OPERATORS}
    numbers = jax.jit(lambda p: applied(draw(KEY, n), p, multipliers))(p)
    shares = {name: np.mean(np.asarray(numbers[name]) != OPERATORS[name].neutral, axis=0) for name in OPERATORS}
    bound = 5 * np.sqrt(p * (1 - p) / n)
    for name, share in shares.items():
        each = {"hue": p / 2, "rotate": 1 - np.sqrt(1 - p)}.get(name, p)
        np.testing.assert_allclose(share, each, atol=bound, err_msg=name)
    either = np.mean((np.asarray(numbers["rotate"]) != 0.5).any(axis=1))
    np.testing.assert_allclose(either, p, atol=bound)


def test_operators_are_applied_independently_of_each_other_and_of_their_numbers():
    n = 20_000
    draws = jax.jit(lambda key: draw(key, n))(KEY)
    columns = np.concatenate([np.concatenate(draws[name], axis=1) for name in OPERATORS], axis=1)
    correlations = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    assert np.abs(correlations).max() < 5 / np.sqrt(n)


def test_each_of_four_rotations_has_the_published_probability():
    """At p = 1 a quarter each; at p = 1/2 the image stays with the probability 1/2 + 1/8.

    The filter is not quite symmetric, so that the nearest rotation is counted.
    """
    n = 4_000
    image = np.arange(4.0, dtype=np.float32).reshape(2, 2)
    rotations = np.stack([np.rot90(image, k) for k in range(4)])
    images = np.broadcast_to(image[..., None], (n, 2, 2, 1))
    function = jax.jit(lambda p: augment(KEY, images, p, operators=["rotate90"]))
    for p, expected in ((1.0, [0.25] * 4), (0.5, [0.625] + [0.125] * 3)):
        results = np.asarray(function(p))[..., 0]
        which = np.abs(results[:, None] - rotations).max(axis=(2, 3)).argmin(axis=1)
        shares = np.bincount(which, minlength=4) / n
        np.testing.assert_allclose(shares, expected, atol=5 * np.sqrt(0.25 / n))


def test_noise_has_its_published_distribution():
    """The standard deviation of an image is half-normal, so that the mean square of all noise is noise_std^2 p."""
    n, p = 4_000, 0.5
    noise = np.asarray(jax.jit(lambda p: augment(KEY, jnp.zeros((n, 8, 8, 1)), p, operators="noise"))(p))
    assert np.mean(noise.any(axis=(1, 2, 3))) == pytest.approx(p, abs=5 * np.sqrt(0.25 / n))
    assert np.mean(noise) == pytest.approx(0, abs=1e-3)
    assert np.mean(noise**2) == pytest.approx(0.01 * p, rel=0.15)
    deviations = noise.std(axis=(1, 2, 3))
    assert deviations[deviations > 0].mean() == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.05)


def test_a_traced_p_and_seeds_in_one_program_give_what_single_seeds_give():
    function = jax.jit(lambda key, p: augment(key, SMALL, p, operators="bgcfnc"))
    keys, p = jax.random.split(KEY, 2), jnp.array([0.3, 0.9])
    together = jax.jit(jax.vmap(lambda key, p: augment(key, SMALL, p, operators="bgcfnc")))(keys, p)
    for i in range(2):
        np.testing.assert_allclose(together[i], function(keys[i], p[i]), atol=1e-5)


def test_gradients_pass_and_are_exact_to_second_order():
    """The penalty on a gradient that passes through the augmentation, against finite differences in float64."""
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        images, direction, weights = (rng.normal(size=(2, 6, 6, 3)) for _ in range(3))

        def penalty(images):
            logits = jax.grad(lambda x: jnp.sum(jnp.tanh(weights * augment(KEY, x, 0.9, operators="bgcf"))))
            return jnp.sum(logits(images) ** 2)

        def along(t):
            return jax.value_and_grad(lambda t: penalty(images + t * direction))(t)

        (before, middle, after) = (jax.jit(along)(t) for t in (-1e-5, 0.0, 1e-5))
        gradient = (after[0] - before[0]) / 2e-5
    assert np.isfinite(middle[1])
    np.testing.assert_allclose(middle[1], gradient, rtol=1e-6)


def test_grey_images_are_changed_as_the_grey_of_equal_colours():
    """Brightness, contrast and the flip of the luma: 2^(0.5 z) (x + 0.2 z), with the other sign where flipped."""
    names = PIPELINES["color"]
    numbers = neutral(names, 3) | {
        "brightness": np.array([[1.0], [-2.0], [0.5]], np.float32),
        "contrast": np.array([[0.5], [1.0], [-1.0]], np.float32),
        "lumaflip": np.array([[0.1], [0.7], [0.9]], np.float32),
        "hue": np.full((3, 1), 0.9, np.float32),
        "saturation": np.ones((3, 1), np.float32),
    }
    z, c = (numbers[name][:, :, None, None] for name in ("brightness", "contrast"))
    sign = np.array([1, -1, -1]).reshape(3, 1, 1, 1)
    expected = sign * 2 ** (0.5 * c) * (GREY + 0.2 * z)
    np.testing.assert_allclose(change(GREY, numbers), expected, rtol=1e-5, atol=1e-6)
    as_colours = change(np.repeat(GREY, 3, axis=3), numbers)
    np.testing.assert_allclose(as_colours, np.repeat(expected, 3, axis=3), rtol=1e-5, atol=1e-6)


def test_the_longest_pipeline_has_all_operators_in_their_order():
    assert PIPELINES["bgcfnc"] == tuple(OPERATORS)


def test_random_numbers_of_an_operator_do_not_depend_on_the_choice_of_others():
    alone = augment(KEY, GREY, 1.0, operators=["cutout"])
    beside = augment(KEY, GREY, 1.0, operators=["cutout", "lumaflip"])
    np.testing.assert_allclose(np.abs(alone), np.abs(beside), rtol=1e-6)


def test_hue_and_saturation_leave_grey_images_bit_for_bit():
    result = augment(KEY, GREY, 1.0, operators=["hue", "saturation"])
    np.testing.assert_array_equal(result, GREY)


def test_operators_with_a_multiplier_of_zero_are_left_out():
    flipped = augment(KEY, GREY, 1.0, operators={"lumaflip": 1.0, "imgfilter": 0.0})
    np.testing.assert_array_equal(np.abs(flipped), np.abs(GREY))


def test_the_dtype_of_images_is_kept_and_p_above_one_counts_as_one():
    images = jnp.asarray(GREY, jnp.bfloat16)
    wide = augment(KEY, images.astype(jnp.float32), 1.0, operators=["brightness"])
    narrow = augment(KEY, images, 3.0, operators=["brightness"])
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_array_equal(narrow, wide.astype(jnp.bfloat16))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": -0.1}, "p must be finite and at least 0, got -0.1"),
        ({"p": np.nan}, "p must be finite and at least 0, got nan"),
        ({"p": np.ones(3)}, "p must be one number, got shape"),
        ({"key": 0}, "key must be a typed PRNG key"),
        ({"images": SMALL[0]}, r"images must have the shape \[n, height, width, channels\], got \(8, 8, 3\)"),
        ({"images": SMALL[:, :0]}, "images must have the shape"),
        ({"images": np.zeros((1, 4, 4, 3), np.uint8)}, "images must be floats in .*, got uint8; convert bytes"),
        ({"images": SMALL[..., :2]}, "one or three channels for the operators of colours, got 2"),
        ({"operators": "bgcc"}, "there is no pipeline 'bgcc': did you mean 'bgc'?"),
        ({"operators": ["flip"]}, "there is no operator 'flip': did you mean"),
        ({"operators": 3}, "operators must be a pipeline, or names of operators, got 3"),
        ({"operators": {"xflip": -1.0}}, "the multiplier of xflip must be finite and at least 0, got -1.0"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(arguments, message):
    given = {"key": KEY, "images": SMALL, "p": 0.5, "operators": "color"} | arguments
    with pytest.raises(InputError, match=message):
        augment(given.pop("key"), given.pop("images"), given.pop("p"), **given)
