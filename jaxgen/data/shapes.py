"""Images of shapes with known factors: shape, size, orientation and position, on which disentanglement is measured.

Every image is a function of five independent factors. The data set `shapes` is the grid of all combinations of their
values, each once, so that each factor is uniform and log p = -log 24,576 for each combination. No two combinations have
the same image: orientations cover less than 90 degrees, over which no shape repeats. Hence a latent code with one
coordinate per factor exists that is continuous in all factors but the shape.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from jaxgen._arrays import check_integers, check_key, is_known, known_bounds
from jaxgen._signatures import checked
from jaxgen.errors import InputError, check_known
from jaxgen.memory import check_memory
from jaxgen.typing import AnyArray, Float, Int, KeyArray, UInt8

SIDE = 32
"""Height and width of the images in pixels."""


class Factor(NamedTuple):
    """A factor with equally spaced values; value number i is `first + step * i`.

    Attributes:
        name: name of the factor.
        values: number of its values, which are equally probable.
        first: the first value.
        step: difference of two neighbouring values.
    """

    name: str
    values: int
    first: float
    step: float


FACTORS = (
    Factor("shape", 3, 0, 1),
    Factor("size", 4, 5, 1),
    Factor("orientation", 8, 0, 12),
    Factor("x", 16, 8.5, 1),
    Factor("y", 16, 8.5, 1),
)
"""The factors: the number of the shape in `SHAPES`; the radius of the circle around it in pixels; its rotation in
degrees, counterclockwise; the distances of its centre from the left and the upper border in pixels."""

SHAPES = ("ellipse", "rectangle", "triangle")
"""Names of the shapes. At orientation 0, with the radius 1, the ellipse has the semi-axes 1 and 1/2, the rectangle is
twice as wide as high, and the triangle is isosceles with a vertex at the right."""

TEST_EVERY = 4
"""A combination is in the test split if the sum of its factors is a multiple of this number. Since it divides all
numbers of values but that of shapes, each factor is uniform, and any three are independent, in either split as well."""

LINES = 16
"""Horizontal lines per pixel on which the covered part of a pixel is measured."""

WINDOW = 17
"""Height and width in pixels of the square, of complete pixels, that contains the largest shape."""

BLOCK = 128
"""Images that are rendered at once; their arrays fit into the cache of a processor."""


@checked
def render(factors: Float[AnyArray, "n 5"]) -> UInt8[np.ndarray, "n height width 1"]:
    """Render images of white shapes on black.

    A grey value is 255 times the covered share of the pixel, which is exact along x and averaged over 16 lines in y.

    Args:
        factors: number of the value of each factor, in the order of `FACTORS`, [n, 5]: from 0 to `values - 1`; real
            numbers stand for sizes, orientations and positions between those values.

    Returns:
        The images, [n, 32, 32, 1].

    Raises:
        InputError: if factors are outside of their range, a shape is no integer, or there is too little memory.

    Example:
        >>> image = render([[1, 0, 0, 0, 0]])[0, ..., 0]  # A rectangle of 8.94 x 4.47 pixels around (8.5, 8.5).
        >>> image[8, 3:14].tolist()
        [0, 248, 255, 255, 255, 255, 255, 255, 255, 248, 0]
    """
    if not is_known(factors):
        raise InputError("factors must be known, got a traced array; call this function outside of jit and vmap")
    indices = np.asarray(factors, np.float64)
    for number, factor in enumerate(FACTORS):
        lowest, highest = known_bounds(indices[:, number]) or (0, 0)
        if not (lowest >= 0 and highest <= factor.values - 1):
            raise InputError(
                f"factor {number} ({factor.name}) must be from 0 to {factor.values - 1}, got {lowest:g} to {highest:g}"
            )
    if not np.array_equal(indices[:, 0], np.rint(indices[:, 0])):
        raise InputError(f"factor 0 (shape) must be an integer, one of {len(SHAPES)} shapes, got a number between two")
    check_memory(f"{len(indices)} images", len(indices) * SIDE**2, "render fewer images at once")
    images = np.zeros((len(indices), SIDE, SIDE, 1), np.uint8)
    for first in range(0, len(indices), BLOCK):
        _draw(images[first : first + BLOCK, ..., 0], indices[first : first + BLOCK])
    return images


def sample_factors(key: KeyArray, n: int) -> Int[np.ndarray, "n 5"]:
    """Draw combinations of factors, uniformly and independently, from the complete grid.

    Args:
        key: PRNG key of the draws.
        n: number of combinations.

    Returns:
        Number of the value of each factor, int32 [n, 5], for `render`.

    Raises:
        InputError: if n is below 1, or there is too little memory.

    Example:
        >>> render(sample_factors(jax.random.key(0), 2)).shape
        (2, 32, 32, 1)
    """
    check_key(key)
    check_integers(n=n)
    if n < 1:
        raise InputError(f"n must be at least 1, got {n}")
    check_memory(f"{n} combinations of factors", 4 * 4 * len(FACTORS) * n, "give a smaller n")
    return np.asarray(jax.random.randint(key, (n, len(FACTORS)), 0, np.array([factor.values for factor in FACTORS])))


def shape_factors(split: str) -> Int[np.ndarray, "n 5"]:
    """Return the factors of each example of a split of the data set `shapes`, in its order.

    Args:
        split: "train" (18,432 combinations) or "test" (6,144).

    Returns:
        Number of the value of each factor, in the order of `FACTORS`, int32 [n, 5].

    Raises:
        InputError: if there is no such split.

    Example:
        >>> shape_factors("test")[:2].tolist()
        [[0, 0, 0, 0, 0], [0, 0, 0, 0, 4]]
    """
    check_known("split", split, ("train", "test"))
    grid = np.indices([factor.values for factor in FACTORS], np.int32).reshape(len(FACTORS), -1).T
    return np.ascontiguousarray(grid[(grid.sum(axis=1) % TEST_EVERY == 0) == (split == "test")])


def load_shapes(split: str) -> dict[str, np.ndarray]:
    """Render one split of the data set `shapes`.

    Args:
        split: "train" (18,432 images) or "test" (6,144 images).

    Returns:
        `image`, uint8 [n, 32, 32, 1], and `label`, the number of the shape in `SHAPES`, int32 [n].

    Reference:
        The factors are those of Matthey et al. 2017, "dSprites: Disentanglement testing Sprites dataset"; its images
        have other shapes and repeat themselves over 360 degrees.

    Example:
        >>> load_shapes("test")["image"].shape
        (6144, 32, 32, 1)
    """
    factors = shape_factors(split)
    return {"image": render(factors), "label": factors[:, 0].copy()}


def _draw(images: UInt8[np.ndarray, "n height width"], indices: Float[np.ndarray, "n 5"]) -> None:
    """Draw one shape on each image, within a window around its centre."""
    first, step = (np.array([getattr(factor, name) for factor in FACTORS]) for name in ("first", "step"))
    kind, radius, degrees, x, y = (first + step * indices).T[:, :, np.newaxis]
    corner_x, corner_y = (np.floor(centre).astype(int) - WINDOW // 2 for centre in (x, y))
    lines = (np.arange(WINDOW * LINES) + 0.5) / LINES
    # In units of the radius, upwards from the centre.
    heights, angles = (y - corner_y - lines) / radius, np.deg2rad(degrees)
    left, right = np.zeros_like(heights), np.zeros_like(heights)
    for number, shape in enumerate(SHAPES):
        members = np.flatnonzero(kind[:, 0] == number)
        left[members], right[members] = CHORDS[shape](heights[members], angles[members])
    left, right = ((x - corner_x + radius * end).reshape(-1, WINDOW, LINES, 1) for end in (left, right))
    # The length of the line within the shape up to each border of two pixels.
    length = np.clip(np.arange(WINDOW + 1.0), left, right).mean(axis=2)
    rows, columns = (corner + np.arange(WINDOW) for corner in (corner_y, corner_x))
    place = np.arange(len(images))[:, np.newaxis, np.newaxis], rows[:, :, np.newaxis], columns[:, np.newaxis, :]
    images[place] = np.rint(255 * np.diff(length, axis=-1))


Chords = tuple[Float[np.ndarray, "n lines"], Float[np.ndarray, "n lines"]]
"""Where horizontal lines enter and leave a convex shape; both are equal where they do not meet it."""


def _ellipse(heights: Float[np.ndarray, "n lines"], angles: Float[np.ndarray, "n 1"]) -> Chords:
    """Chords of an ellipse with the semi-axes 1 and 1/2."""
    inverse = 4.0  # Of the square of the shorter semi-axis.
    cos, sin = np.cos(angles), np.sin(angles)
    # The solutions x of a x^2 + 2 b h x + c h^2 = 1, with a c - b^2 = `inverse`.
    a, b = cos**2 + inverse * sin**2, (1 - inverse) * cos * sin
    root = np.sqrt(np.maximum(a - inverse * heights**2, 0))
    return (-b * heights - root) / a, (-b * heights + root) / a


def _polygon(vertices: Float[np.ndarray, "corners 2"]) -> Callable[..., Chords]:
    """A function that computes the chords of a convex polygon."""

    def chords(heights: Float[np.ndarray, "n lines"], angles: Float[np.ndarray, "n 1"]) -> Chords:
        left, right = np.full_like(heights, np.inf), np.full_like(heights, -np.inf)
        cos, sin = np.cos(angles), np.sin(angles)
        rotated = [(cos * x - sin * y, sin * x + cos * y) for x, y in vertices]
        for (x, y), (next_x, next_y) in zip(rotated, rotated[1:] + rotated[:1], strict=True):
            crosses = (y <= heights) != (next_y <= heights)
            rise = np.where(next_y == y, 1.0, next_y - y)
            at = x + (heights - y) * (next_x - x) / rise
            left, right = np.where(crosses, np.minimum(left, at), left), np.where(crosses, np.maximum(right, at), right)
        outside = left > right
        return np.where(outside, 0.0, left), np.where(outside, 0.0, right)

    return chords


CHORDS: dict[str, Callable[..., Chords]] = {
    "ellipse": _ellipse,
    "rectangle": _polygon(np.array([[2, 1], [-2, 1], [-2, -1], [2, -1]]) / np.sqrt(5)),
    "triangle": _polygon(np.array([[1, 0], [-0.8, 0.6], [-0.8, -0.6]])),
}
"""Name of a shape -> `(heights, angles)` of horizontal lines and of its rotation -> chords; the circle around it has
the radius 1 and the centre 0."""
