"""Section "Arbitrary style transfer": test examples in the styles of others."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import plot
from jaxgen.analysis.stylized_images import stylized_pairs
from jaxgen.game import State, StyleTransfer
from jaxgen.report.run_functions import preprocessed, state_of
from jaxgen.report.section import ReportInput, Section, offered, png
from jaxgen.typing import Array, Float

CONTENTS, STYLES = 6, 6
"""Number of images of each."""

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the style."""


def arbitrary_style_transfer(inputs: ReportInput) -> Section:
    """Draw contents in several styles, and with several shares of a style."""
    run = inputs.shown_run
    transfer = offered(run.model.style_transfer, "the model does not transfer styles of images")
    examples = preprocessed(inputs.test_examples)
    contents, styles = examples[:CONTENTS], examples[CONTENTS : CONTENTS + STYLES]
    styles = styles if len(styles) else contents
    state = state_of(run)
    pairs = np.asarray(jax.jit(partial(stylized_pairs, transfer))(state, contents, styles))
    own = np.asarray(jax.jit(partial(_with_shares, transfer))(state, contents, np.resize(styles, contents.shape)))
    shares = {f"alpha {alpha:g}": images for alpha, images in zip(ALPHAS, own, strict=True)}
    caption = (
        "Test examples (first column) in the styles of others (first row): each should keep its shapes, and take the "
        "colours and the texture of the style (Huang & Belongie 2017, arXiv:1703.06868, figure 4)."
    )
    trade_off = (
        "The share of the style: with alpha 0 the example is reconstructed, with 1 it has the style of the last row "
        "(Huang & Belongie 2017, arXiv:1703.06868, equation 14 and figure 7)."
    )
    rows = {"content": contents, **shares, "style": np.resize(styles, contents.shape)}
    return Section(
        [
            png("arbitrary_style_transfer", plot.style_grid(contents, styles, pairs), caption),
            png("style_shares", plot.image_rows(rows), trade_off),
        ]
    )


def _with_shares(
    transfer: StyleTransfer,
    state: State,
    contents: Float[Array, "n height width channels"],
    styles: Float[Array, "n height width channels"],
) -> Float[Array, "alphas n height width channels"]:
    """Each content in the style of one image, with each share."""
    statistics = transfer.style(state, styles)
    return jnp.stack([transfer.stylize(state, contents, statistics, alpha) for alpha in ALPHAS])
