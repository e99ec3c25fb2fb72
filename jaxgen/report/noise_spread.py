"""Section "Noise images": what the noise that is added to the features of a generator changes."""

import jax
import numpy as np

from jaxgen import plot
from jaxgen.analysis import new_noise
from jaxgen.report.run_functions import styles_of
from jaxgen.report.section import ReportInput, Section, png
from jaxgen.runs.run_styles import RunStyles
from jaxgen.typing import Float, KeyArray

ROWS = 4
"""Number of latents."""

DRAWS = 100
"""Number of noise images of which the standard deviation is computed, as in the paper."""

SHOWN = 4
"""Number of these that are shown."""


def noise_images(inputs: ReportInput) -> Section:
    """Draw the noise anew for the same styles."""
    styles = styles_of(inputs)
    style_key, noise_key = jax.random.split(inputs.key)
    w = styles.in_all_layers(styles.draw(style_key, ROWS))
    without = styles.images(w, jax.tree.map(np.zeros_like, styles.noise))
    stored = styles.images(w)
    drawn_of_seeds = [_with_new_noise(styles_of(inputs, run), style_key, noise_key) for run in inputs.runs]
    drawn = drawn_of_seeds[inputs.shown]
    spread = drawn.std(axis=0)
    largest = spread.max() or 1.0
    rows = {
        f"latent {i + 1}": np.concatenate(
            [without[i : i + 1], stored[i : i + 1], drawn[:SHOWN, i], spread[i : i + 1] / largest]
        )
        for i in range(ROWS)
    }
    columns = ["none", "stored", *[f"noise {i + 1}" for i in range(SHOWN)], "spread"]
    caption = (
        f"The same styles without noise, with the stored noise images, and with {SHOWN} new ones. Spread: standard "
        f"deviation of every pixel over {DRAWS} draws, as a share of the largest, {largest:.3g} of the range of grey "
        "values. The noise should change details alone, such as the edges, and leave the form (Karras et al. "
        "2019, arXiv:1812.04948, figures 4 and 5)."
    )
    # The mean over pixels and latents.
    spreads = [float(images.std(axis=0).mean()) for images in drawn_of_seeds]
    return Section([png("noise_images", plot.image_rows(rows, columns=columns), caption)], {"noise_spread": spreads})


def _with_new_noise(
    styles: RunStyles, style_key: KeyArray, noise_key: KeyArray
) -> Float[np.ndarray, "draws n height width channels"]:
    """The images of the same styles with every draw of the noise."""
    w, keys = styles.in_all_layers(styles.draw(style_key, ROWS)), jax.random.split(noise_key, DRAWS)
    return np.stack([styles.images(w, new_noise(keys[i], styles.noise)) for i in range(DRAWS)])
