"""Images to train on, as each side expects them."""

import numpy as np
import torch

from workloads.twin import Batch
from workloads.workload import Data

Shape = tuple[int, int, int]
"""Height, width and channels."""


def noise_images(shape: Shape, *, examples: int = 2_000) -> dict[str, np.ndarray]:
    """Return images of uniform noise: the time of a step does not depend on the content."""
    return {"image": np.random.default_rng(0).integers(0, 256, (examples, *shape), dtype=np.uint8)}


def channels_first(data: Data, *, signed: bool = False) -> Batch:
    """Return images for convolutions, `[examples, channels, height, width]`.

    In memory the channels remain last, where PyTorch's convolutions are fastest, also in every batch that is indexed
    from the result.

    Args:
        data: images in uint8, or in [0, 1].
        signed: whether the values of the result are in [-1, 1] rather than in [0, 1].
    """
    images = torch.tensor(_unit(data["image"])).permute(0, 3, 1, 2)
    return (2 * images - 1 if signed else images,)


def rows(data: Data) -> Batch:
    """Return images as rows of values in [0, 1], for fully connected layers."""
    return (torch.tensor(_unit(data["image"])).flatten(1),)


def _unit(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 255 if images.dtype == np.uint8 else images
