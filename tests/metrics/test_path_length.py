"""Perceptual path length against closed forms of simple generators, and the authors' rejection of distances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.metrics import perceptual_path_length

KEY = jax.random.key(0)
WEIGHTS = np.float32([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]])


def normal(key, count):
    return jax.random.normal(key, (count, 2))


def squared(x, y):
    return jnp.sum((x - y) ** 2, axis=1)


def linear(key, latents):
    return latents @ WEIGHTS


def path_length(generate=linear, distance=squared, sample_latent=normal, **options):
    settings = {"n": 4000, "batch_size": 2000, "epsilon": 0.01, "lower": 0.0, "upper": 100.0} | options
    return perceptual_path_length(KEY, generate, distance, sample_latent, **settings)


def test_length_of_a_linear_generator_is_that_of_the_difference_of_two_latents():
    """Of straight lines, the distance over epsilon squared is |W (w1 - w0)|^2, on average 2 |W|^2."""
    length = path_length(mapping=lambda key, z: z)
    error = 4 * length.distances.std() / np.sqrt(4000)
    assert length.kept == 4000
    assert length.mean == pytest.approx(2 * np.sum(WEIGHTS**2), abs=error)


@pytest.mark.parametrize("sampling", ["full", "end"])
def test_length_in_z_is_the_mean_squared_angle(sampling):
    """Of two directions in the plane the angle is uniform in [0, pi]; on a great circle it does not depend on t."""
    length = path_length(lambda key, z: z / jnp.linalg.norm(z, axis=1, keepdims=True), sampling=sampling)
    assert length.mean == pytest.approx(np.pi**2 / 3, abs=4 * length.distances.std() / np.sqrt(4000))


def test_steps_begin_at_the_end_or_anywhere():
    """For g(w) = w^2 and the line from -1 to 1, the distance is (2 (2 t - 1) 2)^2, with a mean of 16 / 3 or of 16."""
    latents = iter([-1.0, 1.0] * 2)
    options = {
        "sample_latent": lambda key, count: jnp.full((count, 1), next(latents)),
        "mapping": lambda key, z: z,
        "epsilon": 1e-3,
        "batch_size": 4000,
    }
    full = path_length(lambda key, w: w**2, **options)
    assert full.mean == pytest.approx(16 / 3, abs=4 * full.distances.std() / np.sqrt(4000))
    assert path_length(lambda key, w: w**2, sampling="end", **options).mean == pytest.approx(16, rel=1e-2)


def test_both_ends_of_a_step_have_the_same_noise_and_labels():
    def noisy(key, latents):
        noise, label = jax.random.normal(key, (len(latents), 3)), jax.random.randint(key, (), 0, 10)
        return latents @ WEIGHTS + noise + label

    np.testing.assert_allclose(path_length(noisy, n=50).distances, path_length(n=50).distances, rtol=1e-2)


@pytest.mark.parametrize(
    ("lower", "upper", "kept"), [(10, 90, slice(0, 10)), (20, 80, slice(1, 9)), (15, 70, slice(1, 8))]
)
def test_distances_outside_of_percentiles_are_left_out(lower, upper, kept):
    """The bounds are distances themselves: between two, the lower one below and the higher one above.

    Of ten distances, the percentiles 10, 15, 20, 70, 80, 90 are at the places 0.9, 1.35, 1.8, 6.3, 7.2, 8.1.
    """
    values = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.02, 3.0, 3.1, 3.2, 100.0])
    shuffled = np.random.default_rng(0).permutation(values) * 1e-4
    length = path_length(distance=lambda x, y: shuffled, n=10, batch_size=10, lower=lower, upper=upper)
    assert (length.mean, length.kept) == (pytest.approx(values[kept].mean()), len(values[kept]))


def test_number_of_steps_need_not_be_a_multiple_of_the_batch_size():
    few, more = (path_length(n=n, batch_size=40).distances for n in (50, 80))
    np.testing.assert_array_equal(few, more[:50])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lower": 60, "upper": 50}, "lower must be below upper, and upper at most 100, got lower 60 and upper 50"),
        ({"lower": -1}, "lower must be at least 0, got -1"),
        ({"epsilon": 0}, "epsilon must be finite and above 0, got 0"),
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be an integer, got"),
        ({"sampling": "middle"}, "sampling must be one of full, end, got"),
        (
            {"distance": lambda x, y: x},
            r"distance must return one number for each example, \[10\], got shape \(10, 3\)",
        ),
        (
            {"distance": lambda x, y: x[:, 0] * np.nan},
            "distance must return finite numbers, got NaN or infinite values",
        ),
        ({"sample_latent": lambda key, n: jnp.zeros(n)}, r"sample_latent must return \[10, dim\], got shape \(10,\)"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        path_length(**{"n": 10, "batch_size": 10} | options)
