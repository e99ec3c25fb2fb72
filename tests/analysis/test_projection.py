"""Projection into styles: a generator that can be inverted, and the authors' formulas in float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxgen.analysis import new_noise, noise_correlation, project, projection
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


def test_steps_are_those_of_the_published_algorithm():
    """Its loop with PyTorch's Adam in float64, from the same noise images; without noise that is added to styles."""
    steps, rate = 16, 0.1
    target = synthesize(jnp.asarray(RNG.normal(size=(1, LAYERS, STYLE)), jnp.float32), {})
    average, blank = np.linspace(-0.5, 0.5, STYLE), {"a": jnp.zeros((16, 16)), "b": jnp.zeros((8, 8))}
    images = [x[0] for x in new_noise(jax.random.split(KEY)[0], blank, 1).values()]
    w = torch.tensor(average[None, None], requires_grad=True)
    buffers = [torch.tensor(np.asarray(x - x.mean()) / np.asarray(x).std(), dtype=torch.float64) for x in images]
    for buffer in buffers:
        buffer.requires_grad = True
    adam = torch.optim.Adam([w, *buffers], betas=(0.9, 0.999), lr=rate)
    matrix, wanted = torch.tensor(np.asarray(MATRIX, float)), torch.tensor(np.asarray(target, float))
    for step in range(steps):
        t = step / steps
        down = 0.5 - 0.5 * np.cos(np.pi * min(1.0, (1 - t) / 0.25))
        adam.param_groups[0]["lr"] = rate * down * min(1.0, t / 0.05)
        pixels = torch.einsum("nls,lsp->np", w.repeat(1, LAYERS, 1), matrix).reshape(1, 8, 8)
        pooled = torch.nn.functional.avg_pool2d(buffers[0][None], 2)[0]
        distance = (wanted[..., 0] - pixels - 0.1 * pooled - 0.1 * buffers[1]).square().sum()
        correlation = sum(
            (x * torch.roll(x, 1, dims=axis)).mean() ** 2 for x in (buffers[0], pooled, buffers[1]) for axis in (0, 1)
        )
        adam.zero_grad()
        (distance + 1e5 * correlation).backward()
        adam.step()
        with torch.no_grad():
            for buffer in buffers:
                buffer -= buffer.mean()
                buffer *= buffer.square().mean().rsqrt()

    def with_pooled_noise(w, noise):
        pooled = noise["a"].reshape(-1, 8, 2, 8, 2).mean(axis=(2, 4))
        return synthesize(w, {}) + 0.1 * (pooled + noise["b"])[..., None]

    options = {"average": jnp.asarray(average, jnp.float32), "deviation": 1.0, "noise": blank, "layers": LAYERS}
    result = project(KEY, target, with_pooled_noise, squared, steps=steps, style_noise=0.0, **options)
    np.testing.assert_allclose(result.w[0], w.detach().numpy()[0].repeat(LAYERS, axis=0), atol=1e-4)
    for found_noise, buffer in zip(result.noise.values(), buffers, strict=True):
        np.testing.assert_allclose(found_noise[0], buffer.detach(), atol=2e-3)


def test_the_noise_of_styles_has_the_published_deviation():
    """0.05 of that of styles, and falling to 0 with a square in the first 75 % of the steps; of 10,000 coordinates."""
    dim, deviation = 10_000, 3.0
    result = project(
        KEY,
        jnp.zeros((1, 1, 1, dim)),
        lambda w, noise: w[:, :1, None],
        squared,
        average=jnp.zeros(dim),
        deviation=deviation,
        noise={},
        layers=1,
        steps=8,
        learning_rate=1e-9,
    )
    t = np.arange(8) / 8
    expected = 0.05 * deviation * np.maximum(0, 1 - t / 0.75) ** 2
    np.testing.assert_allclose(np.sqrt(result.history[:, 0] / dim), expected, rtol=0.03, atol=1e-6)


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
