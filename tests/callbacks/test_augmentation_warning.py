"""The warning of augmentations that are applied too often."""

import numpy as np

from jaxgen.callbacks.augmentation_warning import METRIC, AugmentationWarning
from jaxgen.training.chunk import Chunk


def warnings(*probabilities, name=METRIC):
    """What is said during chunks whose metrics are these."""
    said = []
    callback = AugmentationWarning(said.append)
    for number, values in enumerate(probabilities, 1):
        callback(Chunk(number, None, {name: np.array(values)}, seconds=1.0, diverged={}))
    return said


def test_a_probability_above_the_limit_is_said_once():
    (said,) = warnings([0.7, 0.8], [0.8, 0.8001], [0.9])
    assert "0.80 at step 2" in said


def test_the_largest_of_several_seeds_counts():
    assert len(warnings([[0.9, 0.1], [0.1, 0.2]], [[0.1, 0.1], [0.1, 0.85]])) == 1
    assert "at step 2" in warnings([[0.9, 0.1], [0.1, 0.2]], [[0.1, 0.1], [0.1, 0.85]])[0]


def test_seeds_that_diverged_and_other_metrics_are_left_out():
    assert not warnings([[np.nan], [0.1]])
    assert not warnings([0.9], name="discriminator/loss")
    assert warnings([[np.nan], [0.9]])
