"""Presets of BigGAN against the scripts of the authors' PyTorch code, whose options are repeated here."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxgen.models import PRESETS, build_model, starting_point

# Options of ajbrock/BigGAN-PyTorch (commit 9845943) in its scripts: those of launch_BigGAN_bs256x8.sh, where another
# one does not say otherwise.
OPTIONS = {
    "batch_size": 256,
    "accumulations": 8,  # num_G_accumulations, num_D_accumulations
    "num_D_steps": 1,
    "G_lr": 1e-4,
    "D_lr": 4e-4,
    "attn": 64,
    "ch": 96,
    "SN_eps": 1e-6,
    "adam_eps": 1e-6,
    "G_ortho": 0.0,
    "G_shared": True,
    "hier": True,
    "dim_z": 120,
    "shared_dim": 128,
    "init": "orthogonal",
    "ema_start": 20_000,
}
DEEP = OPTIONS | {"ch": 128, "dim_z": 128, "init": "uniform"}  # launch_BigGAN_deep.sh: --skip_init leaves PyTorch's.
CIFAR = {  # launch_cifar_ema.sh; both values of epsilon are the defaults of utils.py.
    "batch_size": 50,
    "accumulations": 1,
    "num_D_steps": 4,
    "G_lr": 2e-4,
    "D_lr": 2e-4,
    "attn": 0,
    "ch": 64,
    "SN_eps": 1e-8,
    "adam_eps": 1e-8,
    "G_ortho": 0.0,
    "G_shared": False,
    "hier": False,
    "dim_z": 128,
    "init": "normal",
    "ema_start": 1_000,
}
SCRIPTS = {
    "biggan-128": (128, OPTIONS),
    "biggan-256": (256, OPTIONS | {"dim_z": 140}),  # No script: 7 parts of 20 coordinates, as in the paper.
    "biggan-deep-128": (128, DEEP),
    "biggan-deep-256": (256, DEEP),
    "biggan-cifar10": (32, CIFAR),
}

COUNTS = {
    # Trainable parameters of G and D as that code counts them; those of networks for 256 pixels are in
    # tests/nn/test_biggan_networks.py.
    "biggan-128": (70_433_988, 87_982_370),
    "biggan-deep-128": (50_244_484, 34_590_210),
    "biggan-cifar10": (4_304_387, 4_207_361),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_presets_have_the_options_of_the_authors_scripts(name):
    size, script = SCRIPTS[name]
    config = PRESETS[name].config
    batch_size = script["batch_size"] * script["accumulations"]
    assert f"{size} x {size} images, batch size {batch_size:,}" in PRESETS[name].description
    assert PRESETS[name].batch_size == batch_size
    assert (config.size, config.accumulations, config.deep) == (size, script["accumulations"], "deep" in name)
    assert (config.width, config.latent_dim, config.initialization) == (script["ch"], script["dim_z"], script["init"])
    assert config.attention == ((script["attn"],) if script["attn"] else ())
    assert config.shared_dim == (script["shared_dim"] if script["G_shared"] else 0)
    assert config.deep or config.hierarchical == script["hier"]
    assert (config.optimizer, config.b1, config.b2, config.eps) == ("adam", 0.0, 0.999, script["adam_eps"])
    of_discriminator = config.discriminator_learning_rate or config.learning_rate
    assert (config.learning_rate, of_discriminator) == (script["G_lr"], script["D_lr"])
    assert (config.spectral_eps, config.orthogonal) == (script["SN_eps"], script["G_ortho"])
    assert config.discriminator_updates == script["num_D_steps"]
    assert (config.ema, config.ema_start, config.statistics) == (0.9999, script["ema_start"], "running")
    assert config.conditional
    assert config.depth == 2


@pytest.mark.usefixtures("convolutions_by_xla")
@pytest.mark.parametrize("name", COUNTS)
def test_networks_have_the_published_numbers_of_parameters(name):
    family, config = starting_point(name)
    classes = 10 if name == "biggan-cifar10" else 1000
    example = {"image": np.zeros((1, config.size, config.size, 3), np.uint8), "label": np.array([classes - 1])}
    config = replace(config, initialization="normal")  # Traced faster than orthogonal ones.
    params = jax.eval_shape(build_model(family, config, example).init, jax.random.key(0), example).params
    counts = [sum(x.size for x in jax.tree.leaves(params[name])) for name in ("generator", "discriminator")]
    assert tuple(counts) == COUNTS[name]


def test_the_small_preset_is_for_images_of_the_size_of_mnist():
    """Two blocks double 7 x 7 pixels: latents have three parts."""
    family, config = starting_point("biggan-28")
    example = {"image": np.zeros((10, 28, 28, 1), np.uint8), "label": np.arange(10)}
    model = build_model(family, config, example)
    state = jax.eval_shape(model.init, jax.random.key(0), example)
    assert state.params["generator"]["linear"]["kernel"].shape == (20, 7 * 7 * 32)
    assert jax.eval_shape(lambda s: model.sample(jax.random.key(0), s, 2), state).shape == (2, 28, 28, 1)
    assert sum(x.size for x in jax.tree.leaves(state.params)) < 250_000
