"""Section "Projection into styles": the images of the generator that are nearest to given ones."""

from functools import partial

import jax
import numpy as np

from jaxgen import plot
from jaxgen.analysis import Projection
from jaxgen.analysis.image_distances import PIXELS, ImageDistance, image_distance
from jaxgen.report.run_functions import indices_over_classes, preprocessed, select_examples, styles_of
from jaxgen.report.section import ReportInput, Section, png

COUNT = 8
"""Number of examples, and of samples."""

STEPS = 300
"""Updates of each projection; 1,000 in the paper, and by `jaxgen project`."""


def projected_examples(inputs: ReportInput) -> Section:
    """Project test examples, and samples of the model itself, into its styles."""
    styles = styles_of(inputs)
    chosen = select_examples(inputs.test_examples, indices_over_classes(inputs.test_examples, COUNT))
    examples = preprocessed(chosen)
    samples = styles.images(styles.in_all_layers(styles.draw(inputs.key, COUNT)))
    # On a CPU the features of LPIPS would take an hour.
    distance = image_distance(PIXELS if jax.default_backend() == "cpu" else None, examples.shape[1:])
    projected = partial(styles.project, inputs.key, distance=distance.function, steps=STEPS)
    of_examples, of_samples, in_layers = projected(examples), projected(samples), projected(examples, every_layer=True)
    rows = {
        "test example": examples,
        "one style": styles.images(of_examples.w, of_examples.noise),
        "layers' styles": styles.images(in_layers.w, in_layers.noise),
        "sample": samples,
        "its projection": styles.images(of_samples.w, of_samples.noise),
    }
    errors = [
        np.sqrt(np.square(images - given).mean())
        for images, given in (
            (rows["one style"], examples),
            (rows["layers' styles"], examples),
            (rows["its projection"], samples),
        )
    ]
    caption = (
        f"Images of the generator after {STEPS} steps of gradient descent on the {distance.description} from those "
        "above, over one style for all layers (W) or a style for each layer (W+), and over the noise images (Karras et "
        f"al. 2020, arXiv:1912.04958, appendix D{_other_distance(distance)}). `jaxgen project` makes more steps, "
        "for other images too. Root of the mean squared difference of pixels: test examples "
        f"{errors[0]:.3f} in W and {errors[1]:.3f} in W+, samples {errors[2]:.3f}."
        f"{_means(distance, of_examples, in_layers, of_samples)} Samples can be reached, and examples only as far as "
        "the generator covers the data."
    )
    return Section([png("projection", plot.image_rows(rows), caption)])


def _other_distance(distance: ImageDistance) -> str:
    """What the paper's distance is, where another one is used."""
    if PIXELS not in distance.choices:
        return ""
    return "; there LPIPS, as by `jaxgen project --extractor vgg16`"


def _means(distance: ImageDistance, *found: Projection) -> str:
    """The means of another distance than that of pixels."""
    if PIXELS in distance.choices:
        return ""
    one, every, samples = (float(each.distances.mean()) for each in found)
    return f" Mean of {distance.description}: {one:.3f}, {every:.3f} and {samples:.3f}."
