"""Images of shapes: coverage against polygons of another kind, uniform and independent factors, distinct images."""

from itertools import combinations
from math import prod

import jax
import numpy as np
import pytest

from jaxgen.data import DataSource, load, shape_factors
from jaxgen.data.shapes import FACTORS, SHAPES, SIDE, render, sample_factors
from jaxgen.errors import InputError

COUNTS = [factor.values for factor in FACTORS]
TEST, TRAIN = shape_factors("test"), shape_factors("train")


def inside(factors, x, y):
    """Whether points are inside of a shape, by distances from its axes and sides after rotating the points back."""
    kind, radius, degrees, centre_x, centre_y = (f.first + f.step * i for f, i in zip(FACTORS, factors, strict=True))
    z = (x - centre_x - 1j * (y - centre_y)) / radius * np.exp(-1j * np.deg2rad(degrees))
    if SHAPES[int(kind)] == "ellipse":
        return z.real**2 + 4 * z.imag**2 <= 1
    if SHAPES[int(kind)] == "rectangle":
        return (np.abs(z.real) <= 0.8**0.5) & (np.abs(z.imag) <= 0.2**0.5)
    return (z.real >= -0.8) & (3 * np.abs(z.imag) <= 1 - z.real)


@pytest.mark.parametrize("shape", range(3), ids=SHAPES)
def test_grey_values_are_the_covered_shares_of_pixels(shape):
    """The shares of 64 x 64 points in each pixel; render has 16 lines, so that a horizontal side may be 1/32 off."""
    fine = (np.arange(SIDE * 64) + 0.5) / 64
    for factors in ([shape, 3, 0, 2, 15], [shape, 1, 3, 9, 4], [shape, 0, 7, 0, 0], [shape, 1.7, 4.4, 6.3, 9.8]):
        expected = inside(factors, fine, fine[:, np.newaxis]).reshape(SIDE, 64, SIDE, 64).mean(axis=(1, 3))
        image = render([factors])[0, ..., 0] / 255
        assert np.abs(image - expected).max() <= 1 / 32 + 1 / 64 + 0.5 / 255
        assert image.sum() == pytest.approx(expected.sum(), rel=5e-3)


def test_a_step_of_a_position_shifts_the_image_by_one_pixel():
    steps = np.array([[[1, 2, 3, i, 5], [1, 2, 3, 5, i]] for i in range(16)])
    along_x, along_y = render(steps[:, 0]), render(steps[:, 1])
    for i in range(15):
        np.testing.assert_array_equal(along_x[i + 1], np.roll(along_x[i], 1, axis=1))
        np.testing.assert_array_equal(along_y[i + 1], np.roll(along_y[i], 1, axis=0))


def test_all_combinations_are_in_one_split_and_differ():
    opened = {split: DataSource("shapes").open(split) for split in ("train", "test")}
    assert opened["train"].class_names == opened["test"].class_names == SHAPES
    data = {split: opened[split].data for split in opened}
    images = np.concatenate([data[split]["image"] for split in data])
    factors = np.concatenate([TRAIN, TEST])
    assert len(images) == len(np.unique(factors, axis=0)) == prod(COUNTS)
    assert len({image.tobytes() for image in images}) == prod(COUNTS)
    np.testing.assert_array_equal(data["test"]["label"], TEST[:, 0])
    np.testing.assert_array_equal(data["test"]["image"][::500], render(TEST[::500]))


@pytest.mark.parametrize("factors", [TRAIN, TEST], ids=["train", "test"])
def test_any_three_factors_are_uniform_and_independent(factors):
    for chosen in combinations(range(5), 3):
        counts = np.unique(factors[:, chosen], axis=0, return_counts=True)[1]
        assert len(counts) == prod(COUNTS[i] for i in chosen)
        assert len(set(counts)) == 1


def test_drawn_factors_are_uniform_and_independent():
    drawn = sample_factors(jax.random.key(0), 20_000)
    np.testing.assert_array_equal(drawn, sample_factors(jax.random.key(0), 20_000))
    for a, b in [(0, 1), (2, 3), (3, 4), (0, 4)]:
        counts = np.zeros((COUNTS[a], COUNTS[b]))
        np.add.at(counts, (drawn[:, a], drawn[:, b]), 1)
        statistic = np.square(counts - 20_000 / counts.size).sum() / (20_000 / counts.size)
        assert abs(statistic - (counts.size - 1)) < 4 * (2 * counts.size) ** 0.5  # Mean and sd of a chi-square.


def test_no_images_are_rendered_of_no_factors():
    assert render(np.zeros((0, 5))).shape == (0, SIDE, SIDE, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: render([[0, 0, 0, 8]]), r"factors must be an array of numbers \[n, 5\], got list"),
        (lambda: render([[3, 0, 0, 0, 0]]), r"factor 0 \(shape\) must be from 0 to 2, got 3 to 3"),
        (lambda: render([[0, 0, -0.1, 0, 0]]), r"factor 2 \(orientation\) must be from 0 to 7, got -0.1 to -0.1"),
        (lambda: render([[0, 0, 0, 0, np.nan]]), r"factor 4 \(y\) must be from 0 to 15, got nan to nan"),
        (lambda: render([[0.5, 0, 0, 0, 0]]), r"factor 0 \(shape\) must be an integer"),
        (lambda: jax.jit(render)(np.zeros((1, 5))), "factors must be known, got a traced array"),
        (lambda: render([[0, 0, 0, 0, 0]] * 2 + [[0, 4, 0, 0, 0]]), r"factor 1 \(size\) must be .* got 0 to 4"),
        (lambda: sample_factors(jax.random.key(0), 10**12), "TiB for 1000000000000 combinations of factors"),
        (lambda: sample_factors(jax.random.key(0), 0), "n must be at least 1, got 0"),
        (lambda: sample_factors(0, 3), "key must be a typed PRNG key"),
        (lambda: sample_factors(jax.random.key(0), 1.5), "n must be an integer"),
        (lambda: shape_factors("validation"), "there is no split 'validation'"),
        (lambda: load("shapes", split="validation"), "there is no split 'validation' of shapes"),
        (lambda: load("shapes", examples=5), "key and examples apply to .* only, got .*'shapes'"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
