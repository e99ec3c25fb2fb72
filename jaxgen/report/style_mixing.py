"""Section "Style mixing": images with the styles of one latent in some layers and of another in the others."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import plot
from jaxgen.report.run_functions import styles_of
from jaxgen.report.section import ReportInput, Section, png
from jaxgen.runs.run_styles import RunStyles

COLUMNS, ROWS = 6, 2
"""Number of latents whose styles all other layers have, and of those whose styles each group of layers has."""

GROUPS = ("first", "middle", "last")
"""Thirds of the layers, from the smallest feature maps on."""


def style_mixing(inputs: ReportInput) -> Section:
    """Mix the styles of two sources: each third of the layers has those of the second."""
    styles = styles_of(inputs)
    w = styles.draw(inputs.key, COLUMNS + len(GROUPS) * ROWS)
    columns, others = w[:COLUMNS], w[COLUMNS:]
    shown = styles.images(styles.in_all_layers(w))
    blank = np.ones_like(shown[:1])
    rows = {"A": np.concatenate([blank, shown[:COLUMNS]])}
    for number, other in enumerate(others):
        group = number // ROWS
        mixed = _mixed(styles, columns, other, group)
        name = f"B {number + 1}: {GROUPS[group]} layers"
        rows[name] = np.concatenate([shown[COLUMNS + number : COLUMNS + number + 1], styles.images(mixed)])
    caption = (
        "Style mixing: the images of A (first row) with the styles of B (first column) in a third of the "
        f"{styles.layers} layers. The first layers, those of the smallest feature maps, should determine the coarse "
        "form, and the last ones colours and fine details (Karras et al. 2019, arXiv:1812.04948, figure 3)."
    )
    return Section([png("style_mixing", plot.image_rows(rows, columns=["B", *[""] * COLUMNS]), caption)])


def _mixed(styles: RunStyles, first: jax.Array, other: jax.Array, group: int) -> jax.Array:
    """The first styles with another one in a third of the layers."""
    third = jnp.arange(styles.layers) * len(GROUPS) // styles.layers
    return jnp.where((third == group)[:, None], other, styles.in_all_layers(first))
