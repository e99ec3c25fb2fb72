"""Section "Directions of styles": images along the directions that change the factors of the channels most."""

import jax.numpy as jnp
import numpy as np

from jaxgen import plot
from jaxgen.analysis import closed_form_directions
from jaxgen.report.run_functions import styles_of
from jaxgen.report.section import ReportInput, Section, png

DIRECTIONS = 8
"""Largest number of directions."""

STEPS = np.linspace(-3, 3, 7)
"""Steps along a direction, in standard deviations of the styles along it."""


def directions_of_styles(inputs: ReportInput) -> Section:
    """Change one style along the directions of the closed form."""
    styles = styles_of(inputs)
    matrices = styles.functions.modulations(styles.state)
    directions = closed_form_directions(matrices, min(DIRECTIONS, matrices[0].shape[0]))
    [start] = styles.draw(inputs.key, 1)
    scales = (styles.deviations(inputs.key) @ directions.T).std(axis=0)
    paths = start + jnp.asarray(STEPS, start.dtype)[:, None] * scales[:, None, None] * directions[:, None]
    rows = {f"direction {i + 1}": styles.images(styles.in_all_layers(path)) for i, path in enumerate(paths)}
    caption = (
        "A style moved along the directions in which the layers' factors of channels change most (eigenvectors of the "
        "layers' matrices, without any training), by standard deviations of the styles along each. Each should change "
        "something that can be named, such as slant or thickness (Shen and Zhou 2021, arXiv:2007.06600)."
    )
    return Section(
        [png("style_directions", plot.image_rows(rows, columns=[f"{s:+g}" if s else "0" for s in STEPS]), caption)]
    )
