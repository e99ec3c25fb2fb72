"""Section "Projection into styles": the images of the generator that are nearest to given ones."""

from functools import partial

import jax.numpy as jnp
import numpy as np

from jaxgen import plot
from jaxgen.analysis import Projection, project
from jaxgen.report.run_functions import indices_over_classes, preprocessed, select_examples, styles_of
from jaxgen.report.section import ReportInput, Section, png
from jaxgen.runs.run_styles import RunStyles
from jaxgen.typing import Array, Float, KeyArray

COUNT = 8
"""Number of examples, and of samples."""

STEPS = 300
"""Updates of each projection; 1,000 in the paper."""


def projected_examples(inputs: ReportInput) -> Section:
    """Project test examples, and samples of the model itself, into its styles."""
    styles = styles_of(inputs)
    chosen = select_examples(inputs.test_examples, indices_over_classes(inputs.test_examples, COUNT))
    examples = preprocessed(chosen)
    samples = styles.images(styles.in_all_layers(styles.draw(inputs.key, COUNT)))
    deviation = jnp.sqrt(jnp.square(styles.deviations(inputs.key)).sum(axis=1).mean())
    projected = partial(_projected, inputs.key, styles, deviation)
    of_examples, of_samples, in_layers = projected(examples), projected(samples), projected(examples, every_layer=True)
    rows = {
        "test example": examples,
        "one style": styles.images(of_examples.w, of_examples.noise),
        "layers' styles": styles.images(in_layers.w, in_layers.noise),
        "sample": samples,
        "its projection": styles.images(of_samples.w, of_samples.noise),
    }
    caption = (
        f"Images of the generator after {STEPS} steps of gradient descent on the mean squared difference of pixels "
        "from the images above, over one style for all layers (W) or a style for each layer (W+), and over the noise "
        "images (Karras et al. 2020, arXiv:1912.04958, appendix D; there with a perceptual distance). Root of the mean "
        f"squared difference: test examples {_error(of_examples):.3f} in W and {_error(in_layers):.3f} in W+, samples "
        f"{_error(of_samples):.3f}. Samples can be reached, and examples only as far as the generator covers the data."
    )
    return Section([png("projection", plot.image_rows(rows), caption)])


def _projected(
    key: KeyArray,
    styles: RunStyles,
    deviation: Float[Array, ""],
    images: Float[np.ndarray, "n height width channels"],
    *,
    every_layer: bool = False,
) -> Projection:
    return project(
        key,
        jnp.asarray(images),
        partial(styles.functions.synthesize, styles.state),
        lambda a, b: jnp.square(a - b).mean(axis=(1, 2, 3)),
        average=styles.average,
        deviation=deviation,
        noise=styles.noise,
        layers=styles.layers,
        every_layer=every_layer,
        steps=STEPS,
    )


def _error(found: Projection) -> Float[Array, ""]:
    return jnp.sqrt(found.distances.mean())
