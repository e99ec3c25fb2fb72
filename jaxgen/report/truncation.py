"""Section "Truncation": images of styles that are drawn towards their average."""

from jaxgen import plot
from jaxgen.nn.layer_styles import truncated
from jaxgen.report.run_functions import styles_of
from jaxgen.report.section import ReportInput, Section, png

COLUMNS = 8
"""Number of latents."""

SHARES = (1.0, 0.7, 0.5, 0.0, -0.5, -1.0)
"""Shares of the deviation from the average style, as in the paper."""


def truncation(inputs: ReportInput) -> Section:
    """Decode the same styles with several shares of their deviation from the average."""
    styles = styles_of(inputs)
    w, average = styles.in_all_layers(styles.draw(inputs.key, COLUMNS)), styles.average
    rows = {f"psi = {psi:g}": styles.images(truncated(w, average, psi)) for psi in SHARES}
    caption = (
        "Styles of new latents (first row), with a share psi of their deviation from the average style. With psi = 0 "
        "all are the image of the average style; between 0 and 1 there is less variety and often a higher quality; a "
        "negative share gives what is opposite in the model's styles (Karras et al. 2019, arXiv:1812.04948, figure 8)."
    )
    return Section([png("truncation", plot.image_rows(rows), caption)])
