"""Recipes of StyleGAN2, PGGAN and BigGAN: what the models of a comparison share, and the curve over truncations."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import example, load
from jaxgen.game import Model
from jaxgen.models import build_model, starting_point
from jaxgen.models.growing import plan
from jaxgen.recipes import later_gans
from jaxgen.recipes.later_gans import LATER_GAN_RECIPES, TruncationCurve, training_minutes
from jaxgen.recipes.recipe import Request
from jaxgen.runs import Run, RunConfig

MNIST = {"image": np.zeros((32, 28, 28, 1), np.uint8), "label": np.arange(32) % 10}


@pytest.mark.parametrize(
    ("recipe", "images"),
    [
        ("path-length", {"with the penalty": 150_000, "without it": 150_000}),
        (
            "growing",
            {
                "growing": 300_000,
                "not growing, as many images": 300_000,
                "not growing, as much time": 187_500,
            },
        ),
    ],
)
def test_every_model_sees_as_many_real_images_as_the_protocol_states(recipe, images):
    """Counted phase by phase; the last phase has the batch size of the run and the steps that are left."""
    for name, entry in LATER_GAN_RECIPES[recipe].run.entries.items():
        model = build_model(starting_point(entry.family)[0], entry.config.model_config, MNIST)
        phases = [(phase.steps, phase.batch_size) for phase in model.phases[:-1]]
        rest = entry.config.steps - sum(steps for steps, _ in phases)
        seen = sum(steps * size for steps, size in phases) + rest * entry.config.batch_size
        assert abs(seen - images[name]) <= 64, name  # A step has up to 64 images.


def test_models_of_a_comparison_differ_in_what_is_compared_alone():
    differing = {
        "path-length": {"path_length"},
        "augmentation": {"augmentation", "adjustment", "subset"},
        "growing": {"start", "steps", "log_every", "checkpoint_every", "image_every"},
    }
    for recipe, expected in differing.items():
        configs = [entry.config for entry in LATER_GAN_RECIPES[recipe].run.entries.values()]
        options = [vars(config) | vars(config.model_config) for config in configs]
        names = {name for name in options[0] if len({str(each[name]) for each in options}) > 1}
        assert names - {"model_config"} == expected, recipe


@pytest.mark.parametrize("quick", [False, True])
def test_the_animation_of_the_growing_generator_has_frames_of_different_weights_in_every_fade(quick):
    """`image_every` is a number of steps, and the last step has a frame as well."""
    compared = LATER_GAN_RECIPES["growing"].run
    (name,) = compared.animated
    config = compared._config(compared.entries[name], Request(Path(), quick=quick))
    phases = plan(config.model_config, 8 if quick else 32)
    drawn = range(config.image_every, config.steps + 1, config.image_every)
    assert len(drawn) <= 41
    fades = [phase for phase in phases if phase.fading]
    assert len(fades) == (1 if quick else 2)
    for phase in fades:
        steps = [step for step in drawn if phase.first <= step < phase.first + phase.steps]
        assert len({float(phase.weight(jnp.int32(step))) for step in steps}) >= 4


def test_minutes_are_those_of_the_log_for_each_seed(tmp_path):
    lines = [{"step": 10, "seconds": 90.0}, {"step": 20, "seconds": 30.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = Run(tmp_path, "any", RunConfig(None, seeds=2), {}, None, None, 20, {}, ())
    assert training_minutes(run, jax.random.key(0))["training_minutes"].tolist() == [1.0, 1.0]


@pytest.mark.filterwarnings("ignore:.*covariance is singular")  # Of 36 images of a class.
def test_a_curve_over_truncations_measures_the_samples_of_each(tmp_path, monkeypatch):
    """Samples of smaller truncations are nearer to the first image of their class: more accurate, and less covering."""
    digits = load("digits")
    numbers = jnp.stack([np.flatnonzero(digits["label"] == digit)[:100] for digit in range(10)])

    def sample(key, state, n, *, label, truncation=1.0):
        which = (jax.random.uniform(key, (n,)) * truncation * 100).astype(int)
        return jnp.asarray(digits["image"])[numbers[label, which]] / 255.0

    config = RunConfig(None, data="digits", seeds=1, steps=10)
    model = Model(None, None, (), sample=sample, conditions=("label",), latent_options=("truncation",))
    run = Run(Path("absent"), "biggan", config, example(digits), model, np.zeros(1), 10, {}, ())
    monkeypatch.setattr(later_gans, "complete_run", lambda folder, family, config, notify: {})
    monkeypatch.setattr(later_gans, "load_run", lambda folder: run)
    curve = TruncationCurve(config, thresholds=(None, 0.01), count=500)
    outcome = curve(Request(tmp_path, notify=lambda line: None))
    values = {
        name: {metric.partition("[")[0]: result.mean for metric, result in row.items()}
        for name, row in outcome.rows.items()
    }
    assert list(values) == ["all latents", "truncation 0.01"]
    assert outcome.rows["all latents"].keys() == outcome.rows["truncation 0.01"].keys()
    assert values["truncation 0.01"]["coverage"] < 0.2 < values["all latents"]["coverage"]
    assert values["truncation 0.01"]["classifier_accuracy"] == 1
    assert [axes.get_ylabel() for axes in outcome.figures["truncation"].axes] == ["share"]


def test_quick_runs_have_small_networks_for_the_bundled_digits():
    for name, recipe in LATER_GAN_RECIPES.items():
        if name == "truncation":
            continue
        for entry in recipe.run.entries.values():
            quick = recipe.run.quick_change(dataclasses.replace(entry.config, steps=8))
            assert quick.data == "digits"
            family = starting_point(entry.family)[0]
            state = jax.eval_shape(
                build_model(family, quick.model_config, example(load("digits"))).init,
                jax.random.key(0),
                example(load("digits")),
            )
            assert sum(x.size for x in jax.tree.leaves(state.params)) < 50_000
