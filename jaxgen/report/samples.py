"""Section "Samples": new examples of every seed."""

import jax.numpy as jnp

from jaxgen import plot
from jaxgen.callbacks.image_grid import layout
from jaxgen.report.run_functions import preprocessed
from jaxgen.report.section import NO_SAMPLES, ReportInput, Section, offered, png

MAX_PANELS = 16
"""Largest number of seeds of which samples are shown."""


def samples(inputs: ReportInput) -> Section:
    """Plot new samples in a panel for each seed: images in a grid, points over those of the test split."""
    run = inputs.run
    offered(run.model.sample, NO_SAMPLES)
    shown = [inputs.shown] if inputs.run_index is not None else range(len(inputs.finite))[:MAX_PANELS]
    count, columns = layout(run.model, run.example, several_seeds=len(shown) > 1)
    drawn = jnp.stack([inputs.runs[i].sample(inputs.key, count) for i in shown])
    titles = [title for i in shown if (title := run.seed_title(inputs.finite[i]))]
    data = None if inputs.has_images else preprocessed(inputs.test_examples)[:count]
    figure = plot.samples(drawn if titles else drawn[0], titles=titles, data=data, columns=columns)
    caption = IMAGES if inputs.has_images else POINTS
    if len(shown) < len(inputs.finite):
        caption += f" {len(shown)} of {len(inputs.finite)} seeds are shown."
    return Section([png("samples", figure, caption)])


IMAGES = (
    "New samples of the model; for a conditional model each column is a class. They should resemble the images of the "
    "data and differ from each other."
)
POINTS = "New samples of the model over as many points of the test split. Both should have the same density everywhere."
