"""Pictures: arrays in, matplotlib figure out."""

from jaxgen.plot.grid import picture_grid, save
from jaxgen.plot.points import scatter

__all__ = ["picture_grid", "save", "scatter"]
