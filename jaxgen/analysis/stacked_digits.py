"""Prediction of the digits in stacked digits, which assigns samples to one of 1,000 modes.

The modes of `stacked_digits` and `stacked_mnist` (`jaxgen.data.stacked`) are counted by classifying the three digits of
an image, each channel with the same classifier of single digits: the extractor `digits_v1` or `mnist_v1` of
`jaxgen.metrics.extractors`. The accuracy of the classifier limits the count: compare every metric of a generator with
the same metric of as many real images of the test split.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._signatures import checked
from jaxgen.analysis.image_features import features_of_parts
from jaxgen.data.stacked import CHANNELS, PLACE_VALUES
from jaxgen.metrics.extractors import Extractor
from jaxgen.typing import AnyArray, Array, Float, Int, Shaped


class DigitPrediction(NamedTuple):
    """Classification of stacked digits.

    Attributes:
        labels: `100 a + 10 b + c` with a, b and c the digits in the red, the green and the blue channel; 0..999.
        confidence: probability of that label, in [0, 1], under the assumption that the image shows digits; images
            without digits, such as noise or black, may have a high confidence as well.
    """

    labels: Int[Array, " n"]
    confidence: Float[Array, " n"]


@checked
def predict_stacked_digits(logits: Float[AnyArray, "n 3 10"]) -> DigitPrediction:
    """Predict the label of stacked digits from the logits of their single digits.

        label = 100 argmax_k l[0, k] + 10 argmax_k l[1, k] + argmax_k l[2, k]
        confidence = prod_c max_k softmax(l[c])_k

    The product of the probabilities of the three digits is the probability of the label since the channels are
    independent in the data. The minimum of the three would not distinguish an image of three uncertain digits from an
    image of a single one.

    Args:
        logits: logits of the ten digits for the red, the green and the blue channel of each image, [n, 3, 10], as
            `stacked_logits` returns them.

    Returns:
        The most probable label of each image, and its probability.

    Reference:
        Srivastava et al. 2017, arXiv:1705.07761, section 4.2; Che et al. 2017, arXiv:1612.02136, section 4.1.

    Example:
        >>> predict_stacked_digits(20.0 * jax.nn.one_hot(jnp.array([[4, 0, 7]]), 10)).labels.tolist()
        [407]
    """
    logits = jnp.asarray(logits, jnp.float32)
    probabilities = jax.nn.softmax(logits).max(axis=-1)
    return DigitPrediction(labels=logits.argmax(axis=-1) @ PLACE_VALUES, confidence=probabilities.prod(axis=-1))


@checked
def stacked_logits(
    extractor: Extractor, images: Shaped[AnyArray, "n height width 3"]
) -> Float[np.ndarray, "n 3 classes"]:
    """Compute the logits of each channel of stacked digits.

    Args:
        extractor: classifier of single grey digits of the size of the images, e.g. `load_extractor("mnist_v1")`.
        images: stacked digits, [n, height, width, 3]: uint8 in 0..255, or floats in [0, 1], which are rounded to bytes;
            values outside of [0, 1] are clipped.

    Returns:
        Logits of the red, the green and the blue channel, [n, 3, classes].

    Raises:
        InputError: if the images do not have three channels, do not fit the extractor or are not finite, or there are
            none.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.metrics.extractors import load_extractor
        >>> stacked = load("stacked_digits", split="test", examples=5)
        >>> prediction = predict_stacked_digits(stacked_logits(load_extractor("digits_v1"), stacked["image"]))
        >>> (prediction.labels == stacked["label"]).tolist()
        [True, True, True, True, True]
    """
    stacked = np.asarray(images)
    digits = np.moveaxis(stacked, -1, 1).reshape(-1, *stacked.shape[1:3], 1)
    logits = features_of_parts(extractor, [digits], count=len(digits)).logits
    return np.asarray(logits).reshape(len(stacked), CHANNELS, -1)
