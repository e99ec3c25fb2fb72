"""Data sets that need no files of the user: bundled ones, and those that are rendered when they are loaded."""

from collections.abc import Callable

import numpy as np

from jaxgen.data.digits import BUNDLED
from jaxgen.data.shapes import SHAPES, load_shapes

INCLUDED: dict[str, Callable[[str], dict[str, np.ndarray]]] = BUNDLED | {"shapes": load_shapes}
"""Name of a data set -> function that loads one of its splits."""

INCLUDED_CLASS_NAMES = {"shapes": SHAPES}
"""Names of the classes of those whose labels are not their names."""
