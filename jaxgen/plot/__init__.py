"""Pictures: arrays in, matplotlib figure out."""

from jaxgen.plot.files import FORMATS, render, save
from jaxgen.plot.grid import picture_grid
from jaxgen.plot.points import scatter, scatter_by_label

__all__ = ["FORMATS", "picture_grid", "render", "save", "scatter", "scatter_by_label"]
