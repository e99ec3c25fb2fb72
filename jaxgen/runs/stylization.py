"""An image in the style of others, by a trained run of style transfer."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxgen._signatures import checked
from jaxgen.analysis.stylized_images import match_colours, mixed_style
from jaxgen.batch_checks import check_data
from jaxgen.errors import InputError
from jaxgen.models.preprocessing import preprocess
from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.runs.loading import Run, single
from jaxgen.training.seeds import extract_seed
from jaxgen.typing import AnyArray, Float, Shaped

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601), as those of Pillow."""


@checked
def stylize(
    run: Run,
    content: Shaped[AnyArray, "height width channels"],
    styles: Sequence[Shaped[AnyArray, "..."]],
    *,
    weights: Sequence[float] | None = None,
    alpha: float = 1.0,
    preserve_colours: bool = False,
) -> Float[np.ndarray, "height width channels"]:
    """Return an image in the style of another one, or of several.

    Args:
        run: run of style transfer; of several seeds, the first one that has not diverged.
        content: image, uint8 or floats in [0, 1], grey or RGB. A run of grey images makes it grey.
        styles: images with the style, [height, width, channels] of any sizes.
        weights: weight of each style; None for equal ones.
        alpha: share of the style: with 0 the content is reconstructed.
        preserve_colours: whether the styles first get the mean and the covariance of the colours of the content.

    Returns:
        The image, floats clipped to [0, 1], of the size of the content.

    Raises:
        InputError: if the run is not one of style transfer, an image is too small or no image, or a number is outside
            of its range.

    Reference:
        Huang & Belongie 2017, arXiv:1703.06868, section 7.
    """
    transfer = run.model.style_transfer
    if transfer is None:
        raise InputError(f"the model '{run.family}' does not transfer styles: give a run of style_transfer")
    if not styles:
        raise InputError("styles must have at least one image, got none")
    channels = run.example["image"].shape[-1]
    image, *others = (unit_values(x, channels) for x in (content, *styles))
    if preserve_colours:
        others = [match_colours(other, image).astype(np.float32) for other in others]
    state = extract_seed(single(run, run.first_finite).state, 0)
    # One pass without gradients: XLA's own convolution is as fast there, and needs less memory for large images.
    with convolutions_by_xla():
        statistics = [_call(transfer.style, state, other[None])[0] for other in others]
        styled = _call(
            partial(transfer.stylize, alpha=alpha), state, image[None], mixed_style(statistics, weights)[None]
        )
    return np.clip(np.asarray(styled[0]), 0, 1)


def _call(function: Any, *arguments: Any) -> Any:
    """Call a function as one program: each of its operations alone would be compiled for each size of images."""
    return jax.jit(function)(*arguments)


def unit_values(
    image: Shaped[AnyArray, "height width image_channels"], channels: int
) -> Float[np.ndarray, "height width channels"]:
    """Return an image in [0, 1] with the channels of a run: grey ones are repeated, and RGB is made grey.

    Args:
        image: image, uint8 or floats in [0, 1].
        channels: number of channels, 1 or 3.

    Returns:
        The image.

    Raises:
        InputError: if it is no image.

    Example:
        >>> unit_values(np.full((2, 2, 1), 255, np.uint8), 3).shape
        (2, 2, 3)
    """
    check_data({"image": np.asarray(image)[None]})
    values = np.asarray(preprocess({"image": np.asarray(image)[None]})[0], np.float32)
    if channels == 1 and values.shape[-1] == len(LUMINANCE):
        return (values @ np.array(LUMINANCE, np.float32))[..., None]
    return np.repeat(values, channels, axis=-1) if values.shape[-1] == 1 else values
