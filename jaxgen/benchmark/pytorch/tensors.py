"""The data of a workload as tensors, as PyTorch expects them."""

import numpy as np
import torch

from jaxgen.benchmark.pytorch.twin import Batch
from jaxgen.benchmark.workloads.workload import Data


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


def points(data: Data) -> Batch:
    """Return points, `[examples, dimensions]`."""
    return (torch.tensor(data["point"]),)


def labelled_images(data: Data) -> Batch:
    """Return images with values in [-1, 1], as the classifiers hand them to their networks, and the labels."""
    return *channels_first(data, signed=True), torch.tensor(data["label"], dtype=torch.long)


def _unit(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 255 if images.dtype == np.uint8 else images
