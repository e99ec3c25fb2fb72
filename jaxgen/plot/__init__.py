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
from jaxgen.plot.files import FORMATS, render, save
from jaxgen.plot.grid import picture_grid
from jaxgen.plot.line import Moment, discriminators, game_on_the_line, saturation
from jaxgen.plot.points import scatter, scatter_by_label, scatters
from jaxgen.plot.rows import picture_rows, twins

__all__ = [
    "FORMATS",
    "Comparison",
    "Moment",
    "animate",
    "collisions",
    "discriminators",
    "game_on_the_line",
    "generator_gradients",
    "loss_against_metric",
    "over_training",
    "picture_grid",
    "picture_rows",
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
