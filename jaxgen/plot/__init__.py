"""Pictures: arrays in, matplotlib figure out."""

from jaxgen.plot.animation import animate, render_animation
from jaxgen.plot.curves import (
    Comparison,
    collisions,
    generator_gradients,
    loss_against_metric,
    over_training,
    published_against_ours,
)
from jaxgen.plot.figure_files import FORMATS, render, save
from jaxgen.plot.grid import image_grid
from jaxgen.plot.line import Moment, discriminators, gan_1d, saturation
from jaxgen.plot.points import scatter, scatter_by_label, scatters
from jaxgen.plot.rows import image_rows, twins

__all__ = [
    "FORMATS",
    "Comparison",
    "Moment",
    "animate",
    "collisions",
    "discriminators",
    "gan_1d",
    "generator_gradients",
    "image_grid",
    "image_rows",
    "loss_against_metric",
    "over_training",
    "published_against_ours",
    "render",
    "render_animation",
    "saturation",
    "save",
    "scatter",
    "scatter_by_label",
    "scatters",
    "twins",
]
