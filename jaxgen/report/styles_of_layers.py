"""Section "Styles of layers": images with one style in all layers (W), and with a style of its own in each (W+)."""

import jax

from jaxgen import plot
from jaxgen.report.run_functions import styles_of
from jaxgen.report.section import ReportInput, Section, png

COLUMNS, ROWS = 8, 2
"""Number of images in a row, and of rows of each kind."""


def styles_of_layers(inputs: ReportInput) -> Section:
    """Draw one style for all layers, and one for each."""
    styles = styles_of(inputs)
    one_key, own_key = jax.random.split(inputs.key)
    count = ROWS * COLUMNS
    kinds = {
        "one style (W)": styles.images(styles.in_all_layers(styles.draw(one_key, count))),
        "layers' styles (W+)": styles.images(styles.draw_every_layer(own_key, count)),
    }
    rows = {
        f"{name}, {row + 1}": images[row * COLUMNS : (row + 1) * COLUMNS]
        for name, images in kinds.items()
        for row in range(ROWS)
    }
    caption = (
        f"Images of new latents: with the style of one latent in all {styles.layers} layers (W), as samples have, and "
        "with that of a latent of its own in each (W+; Abdal et al. 2019, arXiv:1904.03189). `jaxgen sample "
        "--every-layer` draws them. A generator is trained with the styles of at most two latents: images in W+ show "
        "how far its layers go together beyond that."
    )
    return Section([png("styles_of_layers", plot.image_rows(rows), caption)])
