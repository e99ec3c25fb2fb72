"""Closed-form directions against eigenvectors in float64, and the property that defines them."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.analysis import closed_form_directions
from jaxgen.errors import InputError

RNG = np.random.default_rng(0)
MATRICES = [RNG.normal(size=(6, channels)) * scale for channels, scale in ((9, 1.0), (4, 5.0), (7, 0.2))]


@pytest.mark.parametrize("normalized", [True, False])
def test_directions_are_the_eigenvectors_of_the_largest_eigenvalues(normalized):
    matrix = np.concatenate(MATRICES, axis=1)
    if normalized:
        matrix = matrix / np.linalg.norm(matrix, axis=0)
    values, vectors = np.linalg.eigh(matrix @ matrix.T)
    assert np.diff(values).min() > 0.01 * values.max()  # No two directions could be exchanged.
    expected = vectors[:, ::-1].T[:4]
    found = np.asarray(
        closed_form_directions([jnp.asarray(x, jnp.float32) for x in MATRICES], 4, normalized=normalized)
    )
    signs = np.sign((found * expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found, signs * expected, atol=2e-5)
    assert (np.take_along_axis(found, np.abs(found).argmax(axis=1)[:, None], axis=1) > 0).all()


def test_no_other_step_changes_the_factors_more():
    matrices = [jnp.asarray(x, jnp.float32) for x in MATRICES]
    (first,) = np.asarray(closed_form_directions(matrices, 1, normalized=False))
    steps = RNG.normal(size=(1000, 6))
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    changes = np.linalg.norm(steps @ np.concatenate(MATRICES, axis=1), axis=1)
    assert np.linalg.norm(first @ np.concatenate(MATRICES, axis=1)) > changes.max()


def test_channels_without_a_style_are_left_out():
    matrix = jnp.array([[0.0, 3.0, 0.0], [0.0, 4.0, 0.0]])
    np.testing.assert_allclose(closed_form_directions([matrix], 2)[0], [0.6, 0.8], atol=1e-6)


@pytest.mark.parametrize(
    ("matrices", "count", "message"),
    [
        ([], 1, "modulations must be matrices"),
        ([jnp.ones((3, 2)), jnp.ones((4, 2))], 1, "modulations must be matrices"),
        ([jnp.ones(3)], 1, "modulations must be matrices"),
        ([jnp.ones((3, 2))], 4, "count must be from 1 to the dimension of the styles, 3, got 4"),
        ([jnp.ones((3, 2))], 0, "count must be from 1"),
        ([jnp.ones((3, 2))], 1.5, "count must be an integer"),
    ],
)
def test_wrong_arguments_are_refused(matrices, count, message):
    with pytest.raises(InputError, match=message):
        closed_form_directions(matrices, count)
