"""Resized images are averages of the pixels that they cover."""

import numpy as np

from jaxgen.data.image_size import resize_all


def test_resizing_averages_pixels() -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[np.newaxis, ..., np.newaxis]
    np.testing.assert_allclose(resize_all(board, 16, "board")[0, 4:-4, 4:-4], 127.5, atol=3)
