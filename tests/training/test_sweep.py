"""Sweeps: a grid of options times seeds in one program gives what single trainings give."""

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.models import REGISTRY, vae
from jaxgen.models.family import option_types, takes_number
from jaxgen.training import fit, seed_keys
from jaxgen.training.sweep import OPTIONS, fit_sweep, grid, swept
from tests.small_runs import DivergingConfig, build_diverging

DIGITS = load("digits")
CONFIG = vae.Config(hidden=(8,), latent_dim=2)


def build(options):
    return vae.build(dataclasses.replace(CONFIG, **options), DIGITS)


def test_each_seed_of_each_point_is_the_run_of_its_key_and_options_alone():
    compilations = []
    points = fit_sweep(
        build,
        DIGITS,
        axes={"learning_rate": [1e-3, 1e-2], "beta": [0.5, 4.0]},
        key=seed_keys(0, 2),
        steps=15,
        batch_size=16,
        on_compiled=compilations.append,
    )
    assert len(compilations) == 1
    assert [tuple(point.options.values()) for point in points] == [(1e-3, 0.5), (1e-3, 4.0), (1e-2, 0.5), (1e-2, 4.0)]
    for point in (points[1], points[2]):
        alone = fit(build(point.options), DIGITS, key=seed_keys(0, 2), steps=15, batch_size=16)
        assert jax.tree.structure(point.state) == jax.tree.structure(alone.state)
        for x, y in zip(jax.tree.leaves(point.state), jax.tree.leaves(alone.state), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(point.history["vae/loss"], alone.history["vae/loss"], rtol=1e-5)
    assert np.abs(points[0].history["vae/loss"] - points[3].history["vae/loss"]).max() > 1


def test_functions_of_the_state_are_those_of_the_model_with_its_options():
    model = swept(build, {"beta": [1.0, 4.0]})
    plain = build({"beta": 4.0})
    key = jax.random.key(1)
    state = plain.init(key, DIGITS)
    stored = state.replace(stats={**state.stats, OPTIONS: {"beta": np.float32(4.0)}})
    batch = {name: array[:3] for name, array in DIGITS.items()}
    np.testing.assert_array_equal(model.sample(key, stored, 2), plain.sample(key, state, 2))
    np.testing.assert_array_equal(model.encode(stored, batch), plain.encode(state, batch))
    jax.tree.map(np.testing.assert_array_equal, model.evaluate(key, stored, batch), plain.evaluate(key, state, batch))


SMALL = {
    "autoencoder": {"hidden": (4,), "latent_dim": 2, "corruption": "masking"},
    "biggan": {"width": 1, "latent_dim": 2, "shared_dim": 2},
    "classifier": {"hidden": (4,), "architecture": "mlp"},
    "cvae": {"hidden": (4,), "latent_dim": 2, "likelihood": "gaussian"},
    "gan": {"hidden": (4,), "architecture": "mlp", "penalty": "r1", "ema_half_life": 100.0, "ema_ramp_up": 0.1},
    "progressive": {"base": 16, "largest": 4, "latent_dim": 2},
    "style_transfer": {"encoder_weights": "random", "width": 2, "stages": 2},
    "stylegan": {"base": 16, "largest": 4, "latent_dim": 2, "style_dim": 2},
    "stylegan2": {"base": 16, "largest": 4, "latent_dim": 2, "style_dim": 2},
    "vae": {"hidden": (4,), "latent_dim": 2, "likelihood": "laplace"},
    "vaegan": {"width": 4, "latent_dim": 2},
}


@pytest.mark.parametrize("family", REGISTRY)
def test_every_float_option_can_be_swept(family):
    decay = {"schedule": "cosine", "decay_steps": 10}
    config = REGISTRY[family].config(**SMALL[family], **decay)
    names = [name for name, hint in option_types(type(config)).items() if takes_number(hint)]
    alternatives = {"ema", "clip"}  # Of options that are given here, and exclude them.
    axes = {name: [getattr(config, name) or 0.5] for name in names if name not in alternatives}
    assert len(axes) >= 8
    model = swept(lambda options: REGISTRY[family].build(dataclasses.replace(config, **options), DIGITS), axes)
    # Everything that reads an option is traced with it.
    key, batch = jax.random.key(0), {name: array[: 4 * model.slices] for name, array in DIGITS.items()}
    state = jax.eval_shape(model.init, key, batch)
    jax.eval_shape(model.step, key, state, batch)
    jax.eval_shape(model.evaluate, key, state, batch) if model.evaluate else None
    jax.eval_shape(partial(model.sample, n=2), key, state) if model.sample else None


@pytest.mark.parametrize("alternative", [{"ema": 0.9}, {"clip": 0.1}])
def test_alternatives_can_be_swept_as_well(alternative):
    config = REGISTRY["gan"].config(hidden=(4,), architecture="mlp", **alternative)
    axes = {name: [value] for name, value in alternative.items()}
    swept(lambda options: REGISTRY["gan"].build(dataclasses.replace(config, **options), DIGITS), axes)


def test_option_that_decides_what_is_compiled_is_refused_by_its_name():
    def build_of_width(options):
        return vae.build(dataclasses.replace(CONFIG, beta=options["beta"], hidden=(int(options["width"]),)), DIGITS)

    with pytest.raises(InputError, match="the option 'width' cannot be swept in one program"):
        swept(build_of_width, {"beta": [1.0], "width": [4, 8]})


def test_impossible_values_are_refused_before_anything_is_compiled():
    with pytest.raises(InputError, match="learning_rate must be positive and finite, got -1"):
        fit_sweep(
            build,
            DIGITS,
            axes={"learning_rate": [1e-3, -1.0]},
            key=seed_keys(0, 1),
            steps=1,
            batch_size=8,
            on_compiled=lambda seconds: pytest.fail("a program was compiled"),
        )


def test_seeds_that_diverge_are_named_at_their_point():
    def build_with(options):
        model = build_diverging(DivergingConfig(), DIGITS)

        def init(key, batch):
            state = model.init(key, batch)
            return state.replace(params={"x": options["start"]})

        return model._replace(init=init)

    points = fit_sweep(build_with, DIGITS, axes={"start": [3.5, 25.5]}, key=seed_keys(0, 2), steps=10, batch_size=8)
    assert [sorted(point.diverged) for point in points] == [[0, 1], []]
    assert points[0].diverged[1].step == 5


def test_grid_has_all_combinations():
    assert grid({"a": [1, 2], "b": [3, 4]}) == [{"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4}]


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ({}, "a sweep must have at least one option"),
        ({"beta": []}, "the values of beta must be finite numbers that differ in float32, got none"),
        ({"beta": ["1"]}, "the values of beta must be finite numbers"),
        ({"beta": [1.0, np.inf]}, "the values of beta must be finite numbers"),
    ],
)
def test_values_that_cannot_be_swept_are_refused(axes, sentence):
    with pytest.raises(InputError, match=sentence):
        fit_sweep(build, DIGITS, axes=axes, key=seed_keys(0, 1), steps=1, batch_size=16)


def test_states_that_do_not_fit_into_memory_are_refused():
    large = dataclasses.replace(CONFIG, hidden=(20_000, 20_000))
    with pytest.raises(InputError, match=r"for the states of the sweep, got .*: give fewer values or seeds"):
        fit_sweep(
            lambda options: vae.build(dataclasses.replace(large, **options), DIGITS),
            DIGITS,
            axes={"beta": [float(i) for i in range(1, 41)]},
            key=seed_keys(0, 1),
            steps=1,
            batch_size=16,
        )
