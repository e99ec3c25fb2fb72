"""Presets of StyleGAN2 against the numbers of the authors' code, which are repeated here."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxgen.models import PRESETS, build_model, starting_point

NVLABS = {
    # cfg_specs of the authors' train.py (commit d72cc7d): batch, group, base, learning rate, gamma, half-life in
    # thousands, limit of the half-life, mapping layers; and the options that differ for cifar.
    "stylegan2-f-1024": (1024, 32, 4, 32768, 0.002, 10.0, 10, None, 8),
    "stylegan2-1024": (1024, 32, 4, 32768, 0.002, 2.0, 10, None, 8),
    "stylegan2-512": (512, 64, 8, 32768, 0.0025, 0.5, 20, None, 8),
    "stylegan2-256": (256, 64, 8, 16384, 0.0025, 1.0, 20, None, 8),
    "stylegan2-cifar10": (32, 64, 32, 32768, 0.0025, 0.01, 500, 0.05, 2),
}

COUNTS = {
    # Trainable parameters of the generator and of the discriminator, as that code counts them.
    "stylegan2-f-1024": (30_370_060, 29_012_513),
    "stylegan2-1024": (30_370_060, 29_012_513),
    "stylegan2-512": (30_276_583, 28_982_849),
    "stylegan2-256": (24_767_458, 24_001_089),
    "stylegan2-cifar10": (19_947_539, 20_720_641),
}


@pytest.mark.parametrize("name", NVLABS)
def test_presets_have_the_options_of_the_authors_code(name):
    size, batch_size, group, base, learning_rate, gamma, thousands, limit, layers = NVLABS[name]
    config = PRESETS[name].config
    assert f"{size} x {size} images, batch size {batch_size}" in PRESETS[name].description
    assert PRESETS[name].batch_size == batch_size
    found = (config.size, config.group, config.base, config.learning_rate, config.gamma, config.ema_half_life)
    assert found == (size, group, base, learning_rate, gamma, 1000 * thousands)
    assert config.mapping_layers == layers
    assert (config.largest, config.latent_dim, config.style_dim) == (512, 512, 512)
    assert (config.b1, config.b2, config.eps, config.penalty_every, config.path_length_every) == (0, 0.99, 1e-8, 16, 4)
    assert config.ema_ramp_up == limit
    # `aug` of that file is 'ada' unless it is given, `augpipe` 'bgc'; the first paper has no augmentation.
    expected = ("none", "bgc") if name == "stylegan2-f-1024" else ("adaptive", "bgc")
    assert (config.augmentation, config.pipeline) == expected
    assert (config.target, config.adjustment) == (0.6, 500_000)
    for_cifar = ("orig", 0, 0) if name == "stylegan2-cifar10" else ("resnet", 0.9, 2)
    assert (config.discriminator_architecture, config.mixing, config.path_length) == for_cifar


@pytest.mark.parametrize("name", ["stylegan2-f-1024", "stylegan2-256", "stylegan2-cifar10"])
def test_networks_have_the_published_numbers_of_parameters(name):
    family, config = starting_point(name)
    example = {"image": np.zeros((config.group, config.size, config.size, 3), np.uint8)}
    params = jax.eval_shape(build_model(family, config, example).init, jax.random.key(0), example).params
    counts = [sum(x.size for x in jax.tree.leaves(params[name])) for name in ("generator", "discriminator")]
    assert tuple(counts) == COUNTS[name]


def test_a_conditional_network_for_cifar_has_the_published_numbers_of_parameters():
    """The label has a mapping network of eight layers in the discriminator, of two in the generator."""
    family, config = starting_point("stylegan2-cifar10")
    example = {"image": np.zeros((32, 32, 32, 3), np.uint8), "label": np.arange(32) % 10}
    model = build_model(family, dataclasses.replace(config, conditional=True), example)
    params = jax.eval_shape(model.init, jax.random.key(0), example).params
    counts = [sum(x.size for x in jax.tree.leaves(params[name])) for name in ("generator", "discriminator")]
    assert counts == [20_215_315, 23_089_664]
