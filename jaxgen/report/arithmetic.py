"""Section "Class arithmetic": images of one class changed into another by arithmetic with means of latents."""

from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import plot
from jaxgen.analysis import class_means
from jaxgen.analysis.image_features import features_of_parts
from jaxgen.metrics import CONFIDENT
from jaxgen.metrics.extractors import DEFAULT_EXTRACTORS, classifier_of, load_extractor
from jaxgen.report.run_functions import decode, preprocessed, prior_latents
from jaxgen.report.section import NO_DECODER, NotApplicable, ReportInput, Section, offered, png, require_images
from jaxgen.typing import AnyArray, Float, Int

MAX_COLUMNS = 8
"""Largest number of pairs of classes."""

SAMPLES = 5000
"""Number of samples that are classified, for a model without an encoder."""

MIN_AVERAGED = 3
"""Smallest number of samples of a class that are averaged, as in Radford et al. 2016."""


def class_arithmetic(inputs: ReportInput) -> Section:
    """Add the difference of the mean latents of two classes to a latent, and the same with pixels."""
    require_images(inputs)
    run = inputs.shown_run
    offered(run.model.decode, NO_DECODER)
    if "label" in run.model.conditions:
        raise NotApplicable("the model is conditional on the class, so its latents do not represent it")
    if "label" not in inputs.training_examples:
        raise NotApplicable("the data have no labels")
    images = _encoded_images(inputs) if run.model.encode else _classified_samples(inputs)
    classes, first, class_index = np.unique(images.label, return_index=True, return_inverse=True)
    if len(classes) < 2:
        raise NotApplicable("the data have a single class")
    targets = first[:-1][:MAX_COLUMNS]  # The first image of each class but the last.

    def changed(x: AnyArray) -> np.ndarray:
        """Add the mean of the next class and subtract the mean of its own class for each target."""
        means = np.asarray(class_means(jnp.asarray(x), class_index))
        return np.asarray(x)[targets] + np.diff(means, axis=0)[:MAX_COLUMNS]

    rows = {f"{images.name} of b": images.pixels[targets]}
    if run.model.encode:  # A sample is a decoded latent already.
        rows["its reconstruction"] = decode(run, np.asarray(images.latents)[targets])
    rows["+ a - b, in latents"] = decode(run, changed(images.latents))
    rows["+ a - b, in pixels"] = changed(images.pixels)
    caption = (
        f"Mean of class a minus the mean of class b plus a single {images.name} of b (column 'b to a'). The sum of "
        "latents, decoded, should be an image of a with some of the style of the original; the sum of pixels is a "
        f"superposition of three images (Radford, Metz and Chintala 2016, arXiv:1511.06434, figure 7). {images.origin}"
    )
    texts = plot.label_texts(classes[: MAX_COLUMNS + 1], run.class_names)
    figure = plot.image_rows(rows, columns=[f"{b} to {a}" for b, a in pairwise(texts)])
    return Section([png("arithmetic", figure, caption)])


class _LabelledImages(NamedTuple):
    """Images with their latents and labels.

    Attributes:
        latents: latents of the images.
        pixels: the images, in [0, 1].
        label: label of each image.
        name: what one image is called in the figure.
        origin: sentence of the caption about the images.
    """

    latents: Float[AnyArray, "n latent"]
    pixels: Float[np.ndarray, "n height width channels"]
    label: Int[np.ndarray, " n"]
    name: str
    origin: str


def _encoded_images(inputs: ReportInput) -> _LabelledImages:
    """The training examples and their latents."""
    examples = inputs.training_examples
    label = np.asarray(examples["label"])
    origin = f"The means are those of {len(label)} training examples."
    return _LabelledImages(inputs.shown_run.encode(examples), preprocessed(examples), label, "example", origin)


def _classified_samples(inputs: ReportInput) -> _LabelledImages:
    """Samples and their latents, with labels that the classifier in the package for the data predicts with confidence.

    Raises:
        NotApplicable: if there is no classifier for such data, or too few of its predictions are confident.
    """
    run = inputs.shown_run
    name = classifier_of(run.config.data, run.example["image"].shape[1:3])
    if name is None:
        raise NotApplicable(
            "the model has no encoder, and a classifier in the package, which predicts the labels of samples instead, "
            f"is only one of {', '.join(DEFAULT_EXTRACTORS)} in their own size"
        )
    latents = prior_latents(run, inputs.key, SAMPLES)
    pixels = decode(run, latents)
    logits = features_of_parts(load_extractor(name), [pixels], count=len(pixels)).logits
    probabilities = np.asarray(jax.nn.softmax(logits))
    label = probabilities.argmax(axis=1)
    confident = probabilities.max(axis=1) >= CONFIDENT
    counts = np.bincount(label[confident], minlength=probabilities.shape[1])
    kept = confident & (counts >= MIN_AVERAGED)[label]
    if len(np.unique(label[kept])) < 2:
        raise NotApplicable(
            f"fewer than two classes have {MIN_AVERAGED} samples whose label is predicted with high confidence"
        )
    origin = (
        f"Latents are drawn without a label: of {SAMPLES} samples those are used whose label {name} predicts with a "
        f"probability of at least {CONFIDENT}, at least {counts[counts >= MIN_AVERAGED].min()} of each class."
    )
    return _LabelledImages(np.asarray(latents)[kept], pixels[kept], label[kept], "sample", origin)
