"""Choices about a GAN: what is refused, and what goes with the data where nothing is chosen."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import PRESETS
from jaxgen.models.gan import build
from jaxgen.models.gan_config import Config, completed, updated

POINTS = {"point": np.zeros((1, 2), np.float32)}
IMAGES = {"image": np.zeros((1, 8, 8, 1), np.uint8)}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"loss": "wasserstein"}, "'wasserstein' has no minimum unless the critic's slope is bounded: give a penalty"),
        ({"penalty": "r1", "discriminator_normalization": "batch"}, "'r1' is one example's, and .* 'batch' would mix"),
        ({"penalty_weight": 1.0}, "there is a penalty_weight and no penalty: give one, e.g. 'gradient'"),
        ({"clip": 0.1, "penalty": "gradient"}, "clip keeps the slope .* small, and the penalty 'gradient' draws it"),
        ({"clip": 0.1, "discriminator_normalization": "spectral"}, "clip has nothing to bound: leave one of them out"),
        ({"packing": 2, "condition": "projection"}, "2 packed examples have no one class that .* 'projection' could"),
        ({"architecture": "dcgan", "maxout": 5}, "maxout is a choice for fully connected networks, not for 'dcgan'"),
        (
            {"architecture": "resnet", "hidden": (64, 64)},
            "hidden is a choice for fully connected networks, .* 'resnet'",
        ),
        ({"architecture": "mlp", "width": 32}, "width is a choice for convolutional networks, and 'mlp', .* is none"),
        ({"optimizer": "rmsprop", "b1": 0.5}, "b1 is a choice for 'adam', and 'rmsprop' keeps no mean of gradients"),
        ({"architecture": "resnet", "weight_scale": 0.1}, "weight_scale is a choice for 'mlp' and 'dcgan'"),
        ({"loss": "waserstein"}, "there is no loss 'waserstein': did you mean 'wasserstein'?"),
        ({"penalty": "r2"}, "there is no penalty 'r2'"),
        ({"architecture": "mpl"}, "there is no architecture 'mpl': did you mean 'mlp'?"),
        ({"discriminator_updates": 0}, "discriminator_updates must be positive and finite, got 0"),
        ({"penalty": "gradient", "penalty_weight": -1.0}, "penalty_weight must be positive and finite, got -1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, got 0.0"),
        ({"unrolled_steps": -1}, "unrolled_steps must be finite and not negative, got -1"),
        ({"b1": -0.1}, "b1 is a decay from 0 to below 1, got -0.1"),
        ({"b1": 1.0}, "b1 is a decay from 0 to below 1, got 1.0"),
        ({"ema": 1.5}, "ema is a decay from 0 to below 1, got 1.5"),
        ({"clip": 0.0}, "clip must be positive and finite, got 0.0"),
        ({"packing": 0}, "packing must be positive and finite, got 0"),
        ({"latent": 0}, "latent must be positive and finite, got 0"),
        ({"width": 0}, "width must be positive and finite, got 0"),
        ({"hidden": (8, 0)}, "hidden must be positive and finite, got 0"),
    ],
)
def test_choices_that_cannot_work_are_refused_with_the_reason(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config(**choices)


@pytest.mark.parametrize(
    ("choices", "dataset", "message"),
    [
        ({"architecture": "dcgan"}, POINTS, "'dcgan' is for pictures, and these data are points: use 'mlp'"),
        ({"architecture": "resnet"}, POINTS, "'resnet' is for pictures, and these data are points: use 'mlp'"),
        ({"architecture": "resnet"}, {"image": np.zeros((1, 28, 28, 1))}, "28x28 does not divide by 8"),
        ({"width": 8}, POINTS, "width is a choice for convolutional networks, and 'mlp', which points need, is none"),
        ({"hidden": (8,)}, IMAGES, "hidden is a choice for fully connected networks, not for 'dcgan'"),
        ({"condition": "projection"}, POINTS, r"needs labels, and these data have only \['point'\]"),
    ],
)
def test_choices_that_do_not_fit_the_data_are_refused(
    choices: dict[str, Any], dataset: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build(Config(**choices), dataset)


@pytest.mark.parametrize(
    ("choices", "dataset", "expected"),
    [
        ({}, POINTS, {"architecture": "mlp", "hidden": (64, 64), "width": None, "b1": 0.5}),
        ({}, IMAGES, {"architecture": "dcgan", "hidden": None, "width": 32, "b1": 0.5}),
        ({"architecture": "mlp"}, IMAGES, {"hidden": (64, 64), "width": None}),
        ({"optimizer": "rmsprop"}, POINTS, {"b1": None, "b2": 0.999}),
        ({"hidden": (), "b1": 0.0}, POINTS, {"hidden": (), "b1": 0.0}),
    ],
)
def test_open_choices_are_filled_where_they_apply(
    choices: dict[str, Any], dataset: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = asdict(completed(Config(**choices), dataset))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("preset", ["wgan", "lsgan", "dcgan", "sngan"])
def test_what_was_saved_before_idle_choices_were_refused_still_says_the_same(preset: str) -> None:
    """Then all of these had values, whether they applied or not."""
    config = PRESETS[preset].config
    dataset = IMAGES if config.architecture else POINTS
    had = {"hidden": (64, 64), "width": 32, "b1": 0.5}
    saved = asdict(config) | {name: value for name, value in had.items() if getattr(config, name) is None}
    assert completed(Config(**updated(saved, dataset)), dataset) == completed(config, dataset)
    assert updated(asdict(replace(config, latent_dim=3)), dataset)["latent_dim"] == 3
