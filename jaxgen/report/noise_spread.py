"""Section "Noise images": what the noise that is added to the features of a generator changes."""

import jax
import numpy as np

from jaxgen import plot
from jaxgen.report.run_styles import RunStyles, new_noise, styles_of
from jaxgen.report.section import ReportInput, Section, png
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
    stored, drawn = styles.images(w), _with_new_noise(styles, noise_key, w)
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
    found = {"noise_spread": [_spread(styles_of(inputs, run), style_key, noise_key) for run in inputs.runs]}
    return Section([png("noise_images", plot.image_rows(rows, columns=columns), caption)], found)


def _with_new_noise(
    styles: RunStyles, key: KeyArray, w: jax.Array
) -> Float[np.ndarray, "draws n height width channels"]:
    keys = jax.random.split(key, DRAWS)
    return np.stack([styles.images(w, new_noise(keys[i], styles.noise)) for i in range(DRAWS)])


def _spread(styles: RunStyles, style_key: KeyArray, noise_key: KeyArray) -> float:
    """Standard deviation of pixels over draws of the noise: its mean over pixels and latents."""
    w = styles.in_all_layers(styles.draw(style_key, ROWS))
    return float(_with_new_noise(styles, noise_key, w).std(axis=0).mean())
