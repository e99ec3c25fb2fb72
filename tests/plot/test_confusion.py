"""Confusion matrices show the counts at their labels."""

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.plot import confusion_matrix


def test_counts_are_at_their_true_and_predicted_labels():
    counts = np.array([[30, 10, 0], [0, 8, 0], [1, 2, 1]])
    axes, _ = confusion_matrix(counts).axes
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true label", "predicted label")
    texts = {tuple(map(int, text.get_position()[::-1])): int(text.get_text()) for text in axes.texts}
    assert texts == {(i, j): n for (i, j), n in np.ndenumerate(counts) if n}


def test_colours_are_shares_of_the_rows_and_rows_without_examples_are_zero():
    axes, _ = confusion_matrix(np.array([[3, 1], [0, 0]])).axes
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 0]])
    assert axes.images[0].get_clim() == (0, 1)


def test_many_classes_have_colours_only():
    axes, _ = confusion_matrix(np.eye(21, dtype=int)).axes
    assert len(axes.texts) == 0
    np.testing.assert_array_equal(axes.images[0].get_array(), np.eye(21))


@pytest.mark.parametrize("shape", [(2, 3), (4,)])
def test_matrix_that_is_not_square_raises(shape):
    with pytest.raises(InputError, match=r"counts must be an array of integers \[classes, classes\].*, got int64"):
        confusion_matrix(np.zeros(shape, int))


def test_ticks_are_the_names_of_the_classes():
    figure = confusion_matrix(np.eye(3, dtype=int), class_names=["cat", "a$x^$", "_dog" + 30 * "g"])
    figure.draw_without_rendering()  # A formula that cannot be parsed would raise here.
    for axis in (figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()):
        assert [text.get_text() for text in axis] == ["cat", r"a\$x^\$", " _dog" + 15 * "g" + "…"]
