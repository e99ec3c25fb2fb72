"""Labels against NumPy; the labels of conditional models are tested with their families."""

import jax.numpy as jnp
import numpy as np

from jaxgen.models.labels import one_hot


def test_one_hot_matches_rows_of_the_identity() -> None:
    labels = np.random.default_rng(0).integers(0, 5, (3, 4))
    np.testing.assert_array_equal(one_hot(jnp.asarray(labels), 5), np.eye(5)[labels])
    np.testing.assert_array_equal(one_hot(2, 5), np.eye(5)[2])
