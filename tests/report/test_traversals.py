"""Each row of a traversal changes one coordinate over the range of the prior."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.game import Model
from jaxgen.report.section import load_input, single
from jaxgen.report.traversals import latent_traversals
from jaxgen.runs import Run, RunConfig
from tests.report.small_reports import STATE, inputs_of, recorded, rows_of, without_files

EFFECTS = np.array([0.01, 0.04, 0.02, 0.03], np.float32)
"""Derivative of the grey value of an image by each coordinate of the latent."""


def linear_generator(uniform=False, conditions=()):
    """A run whose samples are uniformly grey: 1/2 plus the inner product of the latent and `EFFECTS`."""

    def sample_latent(key, n):
        return jax.random.uniform(key, (n, 4), minval=-1.0) if uniform else jax.random.normal(key, (n, 4))

    def decode(state, latent, label=None):
        return jnp.broadcast_to((0.5 + latent @ EFFECTS)[:, None, None, None], (len(latent), 8, 8, 1))

    shown = {"image": np.zeros((1, 8, 8, 1), np.uint8), "label": np.array([9])}
    model = Model(None, None, (), decode=decode, sample_latent=sample_latent, conditions=conditions)
    return Run(None, "gan", RunConfig(model_config=None, data="digits"), shown, model, STATE, 0, {}, ())


def changed_coordinates(latents, start, limit):
    """The coordinate that changes in each row of latents, after checking that all others are those of the start."""
    changed = []
    for row in np.asarray(latents).reshape(-1, 9, len(start)):
        [coordinate] = np.flatnonzero(np.ptp(row, axis=0) > 0)
        np.testing.assert_allclose(row[:, coordinate], np.linspace(-limit, limit, 9), atol=1e-6)
        others = np.delete(row, coordinate, axis=1)
        np.testing.assert_array_equal(others, np.broadcast_to(np.delete(start, coordinate), others.shape))
        changed.append(int(coordinate))
    return changed


def test_one_coordinate_of_the_latent_of_an_example_changes_in_each_row(trained, monkeypatch):
    # Three latent dimensions, and the condition of the example in every row.
    run = single(trained("cvae"), 0)
    inputs, calls = load_input(run, seed=0), recorded(monkeypatch, "traversals", "decode")
    rows = rows_of(monkeypatch, "traversals", latent_traversals, inputs)
    latents = np.asarray(run.encode(inputs.test_examples))
    changed = changed_coordinates(np.concatenate([arguments[1] for arguments, _ in calls]), latents[0], 3.0)
    assert changed == np.argsort(-latents.std(axis=0)).tolist()
    assert list(rows) == [f"z{coordinate}" for coordinate in changed]
    label = inputs.test_examples["label"][0]
    state = jax.tree.map(lambda x: x[0], run.state.replace(step=jnp.zeros(1)))
    for ((_, path, *_), _), images in zip(calls, rows.values(), strict=True):
        np.testing.assert_allclose(images, run.model.decode(state, path, label=label), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("uniform", "limit"), [(False, 3.0), (True, 1.0)])
@pytest.mark.parametrize("conditions", [(), ("label",)])
def test_one_coordinate_of_a_drawn_latent_changes_in_each_row_over_the_range_of_the_prior(
    uniform, limit, conditions, monkeypatch
):
    inputs = inputs_of(linear_generator(uniform, conditions))
    calls = recorded(monkeypatch, "traversals", "decode")
    rows = rows_of(monkeypatch, "traversals", latent_traversals, inputs)
    [((_, latents, label), _)] = calls
    start = np.asarray(inputs.run.model.sample_latent(inputs.key, 1))[0]
    assert changed_coordinates(latents, start, limit) == [0, 1, 2, 3]
    assert label == 0
    # The largest effect on the image comes first.
    assert list(rows) == ["z1", "z3", "z2", "z0"]
    for name, images in rows.items():
        i = int(name[1:])
        of_others = 0.5 + np.delete(start, i) @ np.delete(EFFECTS, i)
        expected = of_others + EFFECTS[i] * np.linspace(-limit, limit, 9)
        np.testing.assert_allclose(images[:, 0, 0, 0], expected, rtol=1e-5)
    drawn = without_files(monkeypatch, "traversals")
    latent_traversals(inputs)
    [(_, caption)] = drawn
    assert f"from {-limit:g} to {limit:g}" in caption
    assert ("All latents are decoded with label 0." in caption) == bool(conditions)
