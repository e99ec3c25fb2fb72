"""Plots of the predictions of a classifier."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgen._signatures import checked
from jaxgen.plot.class_names import label_texts
from jaxgen.plot.text import literal
from jaxgen.typing import AnyArray, Int

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_COUNTS = 20
"""Largest number of classes for which the counts are written into the cells."""


@checked
def confusion_matrix(counts: Int[AnyArray, "classes classes"], *, class_names: Sequence[str] = ()) -> "Figure":
    """Plot a confusion matrix: the colour of a cell is its share of the row, its text the number of examples.

    Args:
        counts: number of examples of each true label (row) and predicted label (column), [classes, classes].
        class_names: name of each class in order of the labels; empty to show the labels.

    Returns:
        Figure with one pair of axes and a colour bar.

    Raises:
        InputError: if the matrix is not square.

    Example:
        >>> figure = confusion_matrix(np.array([[9, 1], [0, 5]]))
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['9', '1', '5']
    """
    from matplotlib.figure import Figure

    counts = np.asarray(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel="predicted label", ylabel="true label")
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the true label")
    if len(counts) <= MAX_COUNTS:
        texts = [literal(name) for name in label_texts(range(len(counts)), class_names)]
        axes.set_xticks(range(len(counts)), texts, rotation=90 if any(len(text) > 2 for text in texts) else 0)
        axes.set_yticks(range(len(counts)), texts)
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            centred: dict[str, Any] = {"horizontalalignment": "center", "verticalalignment": "center"}
            axes.text(column, row, str(counts[row, column]), color=colour, fontsize="small", **centred)
    return figure
