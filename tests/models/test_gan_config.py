"""Options of a GAN: which are rejected, and which values they have where they are None."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models.gan import build
from jaxgen.models.gan_config import Config, completed
from jaxgen.models.optimizer import optimizer_of_discriminator

POINTS = {"point": np.zeros((1, 2), np.float32)}
IMAGES = {"image": np.zeros((1, 8, 8, 1), np.uint8)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "wasserstein"}, "'wasserstein' has no minimum without a Lipschitz constraint .*: give a penalty"),
        ({"penalty": "r1", "discriminator_normalization": "batch"}, "'r1' needs a discriminator .* 'batch' mixes"),
        ({"penalty_weight": 1.0}, "penalty_weight and penalty_every apply to a penalty, .*: give one, e.g. 'gradient'"),
        ({"penalty_every": 4}, "penalty_weight and penalty_every apply to a penalty, .*: give one, e.g. 'gradient'"),
        ({"clip": 0.1, "penalty": "gradient"}, "clip and the penalty 'gradient' both constrain the gradient norm"),
        ({"clip": 0.1, "discriminator_normalization": "spectral"}, "clip would not constrain anything: leave out one"),
        ({"packing": 2, "condition": "projection"}, "2 packed examples have no common class .* 'projection'"),
        ({"architecture": "dcgan", "maxout": 5}, "maxout does not apply .* 'dcgan': it is for fully connected"),
        (
            {"architecture": "resnet", "hidden": (64, 64)},
            "hidden does not apply .* 'resnet': it is for fully connected",
        ),
        ({"architecture": "mlp", "width": 32}, "width does not apply .* 'mlp': it is the width of convolutional"),
        ({"optimizer": "rmsprop", "b1": 0.5}, "b1 applies to adam and adamw, not to 'rmsprop': leave it out"),
        (
            {"discriminator_optimizer": "sgd", "discriminator_b1": 0.5},
            "discriminator_b1 applies to adam and adamw, not to 'sgd': leave it out",
        ),
        ({"architecture": "resnet", "weight_scale": 0.1}, "weight_scale does not apply .* 'resnet'"),
        ({"ema": 0.9, "ema_half_life": 100.0}, "ema is a constant decay, .*: leave out one of them"),
        ({"ema": 0.9, "ema_ramp_up": 0.05}, "ema_ramp_up and ema_start apply to an average with ema_half_life"),
        ({"ema_start": 10}, "ema_ramp_up and ema_start apply to an average with ema_half_life"),
        ({"loss": "waserstein"}, "there is no loss 'waserstein': did you mean 'wasserstein'?"),
        ({"penalty": "r2"}, "there is no penalty 'r2'"),
        ({"architecture": "mpl"}, "there is no architecture 'mpl': did you mean 'mlp'?"),
        ({"discriminator_optimizer": "adan"}, "there is no discriminator_optimizer 'adan': did you mean 'adam'?"),
        ({"discriminator_updates": 0}, "discriminator_updates must be positive and finite, got 0"),
        ({"penalty": "gradient", "penalty_weight": -1.0}, "penalty_weight must be positive and finite, got -1.0"),
        ({"penalty": "gradient", "penalty_every": 0}, "penalty_every must be positive and finite, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, got 0.0"),
        ({"discriminator_learning_rate": 0.0}, "discriminator_learning_rate must be positive and finite, got 0.0"),
        ({"unrolled_steps": -1}, "unrolled_steps must be finite and not negative, got -1"),
        ({"discriminator_weight_decay": -1.0}, "discriminator_weight_decay must be finite and not negative, got -1.0"),
        ({"discriminator_eps": 0.0}, "discriminator_eps must be positive and finite, got 0.0"),
        ({"discriminator_momentum": 1.0}, "discriminator_momentum must be a decay from 0 to below 1, got 1.0"),
        ({"discriminator_schedule": "cosine"}, "discriminator_decay_steps must be given for the schedule 'cosine'"),
        ({"discriminator_final_factor": 0.1}, "discriminator_final_factor have no effect on the schedule 'constant'"),
        ({"b1": -0.1}, "b1 must be a decay from 0 to below 1, got -0.1"),
        ({"b1": 1.0}, "b1 must be a decay from 0 to below 1, got 1.0"),
        ({"discriminator_b2": 1.0}, "discriminator_b2 must be a decay from 0 to below 1, got 1.0"),
        ({"ema": 1.5}, "ema must be a decay from 0 to below 1, got 1.5"),
        ({"ema_half_life": 0.0}, "ema_half_life must be positive and finite, got 0.0"),
        ({"clip": 0.0}, "clip must be positive and finite, got 0.0"),
        ({"packing": 0}, "packing must be positive and finite, got 0"),
        ({"latent_dim": 0}, "latent_dim must be positive and finite, got 0"),
        ({"width": 0}, "width must be positive and finite, got 0"),
        ({"hidden": (8, 0)}, "hidden must be positive and finite, got 0"),
    ],
)
def test_invalid_options_raise_input_error_with_the_reason(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Config(**options)


@pytest.mark.parametrize(
    ("options", "dataset", "message"),
    [
        ({"architecture": "dcgan"}, POINTS, "'dcgan' is for images, and these data are points: use 'mlp'"),
        ({"architecture": "resnet"}, POINTS, "'resnet' is for images, and these data are points: use 'mlp'"),
        ({"architecture": "resnet"}, {"image": np.zeros((1, 28, 28, 1))}, "multiples of 8 .* got 28x28"),
        ({"width": 8}, POINTS, "width does not apply to the architecture 'mlp': .* give hidden .* which points need"),
        ({"hidden": (8,)}, IMAGES, "hidden does not apply to the architecture 'dcgan': it is for fully connected"),
        ({"condition": "projection"}, POINTS, r"must have labels for this model, got only \['point'\]"),
    ],
)
def test_options_that_do_not_fit_the_data_raise_input_error(
    options: dict[str, Any], dataset: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build(Config(**options), dataset)


@pytest.mark.parametrize(
    ("options", "dataset", "expected"),
    [
        ({}, POINTS, {"architecture": "mlp", "hidden": (64, 64), "width": None, "b1": 0.5}),
        ({}, IMAGES, {"architecture": "dcgan", "hidden": None, "width": 32, "b1": 0.5}),
        ({"architecture": "mlp"}, IMAGES, {"hidden": (64, 64), "width": None}),
        ({"optimizer": "rmsprop"}, POINTS, {"b1": None, "b2": 0.999}),
        ({"hidden": (), "b1": 0.0}, POINTS, {"hidden": (), "b1": 0.0}),
        ({}, IMAGES, {"generator_normalization": "batch", "discriminator_normalization": "batch"}),
        ({"penalty": "r1"}, IMAGES, {"discriminator_normalization": "none", "penalty_weight": 5.0}),
        ({"architecture": "resnet"}, IMAGES, {"discriminator_normalization": "spectral"}),
    ],
)
def test_options_that_are_none_get_values_where_they_apply(
    options: dict[str, Any], dataset: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = asdict(completed(Config(**options), dataset))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"learning_rate": 1e-4}, {"optimizer": "adam", "learning_rate": 1e-4, "b1": 0.5}),
        ({"discriminator_learning_rate": 4e-4, "discriminator_b2": 0.9}, {"learning_rate": 4e-4, "b2": 0.9}),
        ({"discriminator_optimizer": "sgd", "momentum": 0.7}, {"optimizer": "sgd", "momentum": 0.7}),
        ({"optimizer": "sgd", "discriminator_optimizer": "adamw"}, {"optimizer": "adamw", "b1": 0.5}),
        ({"weight_decay": 0.1, "discriminator_weight_decay": 0.0}, {"weight_decay": 0.0}),
        ({"discriminator_eps": 1e-6, "discriminator_clip_norm": 2.0}, {"eps": 1e-6, "clip_norm": 2.0}),
        ({"clip_norm": 1.0, "discriminator_momentum": 0.5}, {"clip_norm": 1.0, "momentum": 0.5}),
        (
            {"schedule": "linear", "decay_steps": 5, "discriminator_schedule": "constant"},
            {"schedule": "constant", "decay_steps": None},
        ),
        (
            {"warmup_steps": 3, "discriminator_schedule": "step", "discriminator_decay_steps": 7},
            {"schedule": "step", "decay_steps": 7, "warmup_steps": 3},
        ),
        ({"schedule": "linear", "decay_steps": 5}, {"schedule": "linear", "decay_steps": 5}),
    ],
)
def test_discriminator_has_its_own_options_or_those_of_both_players(
    options: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = asdict(optimizer_of_discriminator(completed(Config(**options), POINTS)))
    assert {name: found[name] for name in expected} == expected
