"""Which sizes a convolutional network passes through, so that nobody has to compute them."""

from jaxgen.errors import InputError

SMALLEST_IMAGE = 8
"""A convolutional network has nothing to halve in pictures with a shorter side than this."""

SMALLEST_MAP = 4
"""Feature maps are halved until no side is longer than this."""


def resolutions(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of the feature maps from the picture down, each half of the one before, rounded up.

        size_0 = (height, width),  size_{i+1} = ceil(size_i / 2),  until both sides are at most 4

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Returns:
        The sizes, the picture's own first. A stride-2 convolution leads from each to the next, and a stride-2
        transposed convolution, cut to size where a side is odd, leads back.

    Raises:
        InputError: if a side is shorter than 8 pixels.

    Example:
        >>> resolutions(28, 28)
        [(28, 28), (14, 14), (7, 7), (4, 4)]
    """
    if min(height, width) < SMALLEST_IMAGE:
        raise InputError(
            f"pictures of {height}x{width} pixels are too small for a convolutional network, "
            f"which needs at least {SMALLEST_IMAGE}x{SMALLEST_IMAGE}: use an mlp or larger pictures"
        )
    sizes = [(height, width)]
    while max(sizes[-1]) > SMALLEST_MAP:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes
