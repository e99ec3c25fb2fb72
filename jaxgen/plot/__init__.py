"""Figures: functions that take arrays and return matplotlib figures, or pixels where images are all they show."""

from jaxgen.plot.animation import animate, find_ffmpeg, render_animation
from jaxgen.plot.class_names import label_texts
from jaxgen.plot.confusion import confusion_matrix
from jaxgen.plot.curves import (
    Comparison,
    collisions,
    generator_gradients,
    loss_against_metric,
    published_against_ours,
    training_curves,
)
from jaxgen.plot.examples import reconstructions, samples, style_grid, styles
from jaxgen.plot.figure_files import FORMATS, Drawing, render, save
from jaxgen.plot.grid import GAP, Grid, image_grid, to_bytes
from jaxgen.plot.one_dimensional import Snapshot, discriminators, gan_1d, saturation
from jaxgen.plot.points import check_points, scatter, scatter_by_label, scatter_panels
from jaxgen.plot.rows import image_rows, nearest_pairs
from jaxgen.plot.sweep_figures import heat_map, option_curve

__all__ = [
    "FORMATS",
    "GAP",
    "Comparison",
    "Drawing",
    "Grid",
    "Snapshot",
    "animate",
    "check_points",
    "collisions",
    "confusion_matrix",
    "discriminators",
    "find_ffmpeg",
    "gan_1d",
    "generator_gradients",
    "heat_map",
    "image_grid",
    "image_rows",
    "label_texts",
    "loss_against_metric",
    "nearest_pairs",
    "option_curve",
    "published_against_ours",
    "reconstructions",
    "render",
    "render_animation",
    "samples",
    "saturation",
    "save",
    "scatter",
    "scatter_by_label",
    "scatter_panels",
    "style_grid",
    "styles",
    "to_bytes",
    "training_curves",
]
