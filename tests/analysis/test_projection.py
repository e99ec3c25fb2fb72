"""Projection into styles: a generator that can be inverted, and the authors' formulas in float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.analysis import noise_correlation, project, projection
from jaxgen.errors import InputError

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
LAYERS, STYLE = 3, 4
MATRIX = jnp.asarray(RNG.normal(size=(LAYERS, STYLE, 8 * 8)) / 2, jnp.float32)


def synthesize(w, noise):
    """A linear generator: the sum over layers of matrices times their styles, and a little noise."""
    pixels = jnp.einsum("nls,lsp->np", w, MATRIX).reshape(len(w), 8, 8, 1)
    return pixels + sum(0.1 * x[..., None] for x in jax.tree.leaves(noise))


def squared(a, b):
    return jnp.square(a - b).sum(axis=(1, 2, 3))


def found(images, **options):
    average = jnp.asarray(RNG.normal(size=STYLE), jnp.float32)
    given = {"average": average, "deviation": 1.0, "noise": {}, "layers": LAYERS, "steps": 400, **options}
    return project(KEY, images, synthesize, squared, **given)


def test_the_styles_of_generated_images_are_found():
    w = jnp.repeat(jnp.asarray(RNG.normal(size=(5, 1, STYLE)), jnp.float32), LAYERS, axis=1)
    result = found(synthesize(w, {}))
    np.testing.assert_allclose(result.w, w, atol=1e-3)
    assert result.distances.max() < 1e-4
    assert result.history.shape == (400, 5)
    assert (result.history[-1] < 1e-3 * result.history[0]).all()


def test_styles_of_every_layer_reach_images_that_one_style_does_not():
    w = jnp.asarray(RNG.normal(size=(3, LAYERS, STYLE)), jnp.float32)
    one, every = found(synthesize(w, {})), found(synthesize(w, {}), every_layer=True)
    np.testing.assert_allclose(every.w, w, atol=1e-2)
    np.testing.assert_array_equal(np.asarray(one.w), np.asarray(one.w)[:, :1].repeat(LAYERS, axis=1))
    # The best single style is the solution of least squares.
    summed = np.asarray(MATRIX, np.float64).sum(axis=0).T
    pixels = np.asarray(synthesize(w, {}), np.float64).reshape(3, -1)
    residuals = [np.linalg.lstsq(summed, image, rcond=None)[1][0] for image in pixels]
    np.testing.assert_allclose(one.distances, residuals, rtol=1e-3)


def test_images_do_not_depend_on_each_other():
    """But for the draws, whose shape is that of all images: none are added here."""
    images = synthesize(jnp.asarray(RNG.normal(size=(3, LAYERS, STYLE)), jnp.float32), {})
    options = {"average": jnp.zeros(STYLE), "style_noise": 0.0, "steps": 30}
    np.testing.assert_allclose(found(images, **options).w[1:], found(images[1:], **options).w, atol=1e-6)


def test_noise_images_stay_noise_where_their_correlation_is_weighed():
    """An image that only the noise could make: without the weight the noise images take its form."""
    smooth = np.sin(np.arange(8) / 8 * 2 * np.pi)
    images = jnp.asarray((smooth[:, None] + smooth)[None, ..., None] * 0.1, jnp.float32)
    noise = {"a": jnp.zeros((8, 8))}
    free, held = (found(images, noise=noise, noise_weight=weight) for weight in (0.0, 1e5))
    for result in (free, held):
        np.testing.assert_allclose(result.noise["a"].mean(axis=(1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(jnp.square(result.noise["a"]).mean(axis=(1, 2)), 1, atol=1e-5)
    assert noise_correlation(held.noise) < 1e-3
    assert noise_correlation(free.noise) > 0.1
    assert free.distances < held.distances


def test_the_correlation_of_noise_is_that_of_neighbours_at_all_scales():
    large, small = RNG.normal(size=(2, 32, 32)), RNG.normal(size=(2, 4, 4))

    def of_scale(x):
        return sum((x * np.roll(x, 1, axis=axis)).mean() ** 2 for axis in (0, 1))

    expected = []
    for a, b in zip(large, small, strict=True):
        half = (a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]) / 4
        quarter = (half[::2, ::2] + half[1::2, ::2] + half[::2, 1::2] + half[1::2, 1::2]) / 4
        expected.append(of_scale(a) + of_scale(half) + of_scale(quarter) + of_scale(b))
    noise = {"large": jnp.asarray(large, jnp.float32), "small": jnp.asarray(small, jnp.float32)}
    np.testing.assert_allclose(noise_correlation(noise), expected, rtol=1e-5)


def test_the_learning_rate_has_the_published_ramps():
    """Of 1,000 steps: over 50 upwards, over the last 250 downwards along a cosine."""
    steps = np.array([0, 25, 50, 500, 750, 875, 1000])
    ramps = [projection._ramp(jnp.float32(step / 1000)) for step in steps]
    np.testing.assert_allclose(ramps, [0, 0.5, 1, 1, 1, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "at least 1"),
        ({"layers": 0}, "at least 1"),
        ({"steps": 1.5}, "steps must be an integer"),
        ({"learning_rate": 0.0}, "learning_rate must be"),
        ({"deviation": -1.0}, "deviation must be"),
        ({"noise_weight": float("nan")}, "noise_weight must be"),
        ({"style_noise": float("inf")}, "style_noise must be"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        found(jnp.zeros((1, 8, 8, 1)), **options)


def test_a_distance_of_all_images_together_is_refused():
    with pytest.raises(InputError, match="distance must return one value for each image"):
        project(
            KEY,
            jnp.zeros((2, 8, 8, 1)),
            synthesize,
            lambda a, b: jnp.square(a - b).mean(),
            average=jnp.zeros(STYLE),
            deviation=1.0,
            noise={},
            layers=LAYERS,
        )
