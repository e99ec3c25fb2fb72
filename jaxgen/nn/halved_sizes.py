"""The sizes of the feature maps of a convolutional network that halves images of any size."""

from jaxgen.errors import InputError

SMALLEST_IMAGE = 8
"""Length of the shortest side of an image that a convolutional network accepts, in pixels."""

SMALLEST_MAP = 4
"""Feature maps are halved until no side is longer than this, in pixels."""


def halved_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of the feature maps from the image on, each half of the one before, rounded up.

        size_0 = (height, width),  size_{i+1} = ceil(size_i / 2),  until both sides are at most 4

    Args:
        height: height of the image, in pixels.
        width: width of the image, in pixels.

    Returns:
        The sizes as (height, width), that of the image first. A stride-2 convolution maps each size to the next, and a
        stride-2 transposed convolution, cropped where a side is odd, maps it back.

    Raises:
        InputError: if a side is shorter than 8 pixels.

    Example:
        >>> halved_sizes(28, 28)
        [(28, 28), (14, 14), (7, 7), (4, 4)]
    """
    if min(height, width) < SMALLEST_IMAGE:
        raise InputError(
            f"images must have at least {SMALLEST_IMAGE}x{SMALLEST_IMAGE} pixels for a convolutional network, "
            f"got {height}x{width}: use the architecture 'mlp' or larger images"
        )
    sizes = [(height, width)]
    while max(sizes[-1]) > SMALLEST_MAP:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes
