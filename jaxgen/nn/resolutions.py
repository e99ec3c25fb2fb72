"""The resolutions of PGGAN, StyleGAN and StyleGAN2: powers of 2, and the number of channels at each.

Their feature maps are square, from 4x4 to the size of the image. For images of any size see `jaxgen.nn.halved_sizes`.
"""

from jaxgen.errors import InputError

SMALLEST_RESOLUTION = 4
"""Height and width of the first feature map of a generator, and of the last one of a discriminator."""


def resolutions(size: int) -> list[int]:
    """Return the sizes of the feature maps, from 4 to that of the image.

    Args:
        size: height and width of the image.

    Returns:
        Powers of 2.

    Raises:
        InputError: if the size is no power of 2, or below 8.

    Example:
        >>> resolutions(32)
        [4, 8, 16, 32]
    """
    if size < 2 * SMALLEST_RESOLUTION or size & (size - 1):
        raise InputError(f"size must be a power of 2 from {2 * SMALLEST_RESOLUTION} on, got {size}")
    return [2**power for power in range(2, size.bit_length())]


def channels_at(size: int, *, product: int, largest: int) -> int:
    """Return the number of channels of the feature maps of a size.

    Args:
        size: height and width of the feature map.
        product: number of channels times the size, where that is not above the largest number; in the papers 32768 for
            StyleGAN2, and 16384 for PGGAN and StyleGAN.
        largest: largest number of channels; 512 in the papers.

    Returns:
        `min(product // size, largest)`.

    Example:
        >>> [channels_at(size, product=32768, largest=512) for size in (32, 64, 128, 1024)]
        [512, 512, 256, 32]
    """
    return min(product // size, largest)
