"""Presets of GANs composed from parts against the numbers of the papers, which are repeated here."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.models.gan import build
from jaxgen.models.gan_config import completed
from jaxgen.models.gan_presets import GAN_PRESETS as PRESETS

IMAGES = {"image": np.zeros((1, 32, 32, 3), np.uint8), "label": np.array([9])}
POINTS = {"point": np.zeros((1, 2), np.float32)}

PLAIN: dict[str, Any] = {
    "loss": "non_saturating",
    "penalty": "none",
    "penalty_weight": None,
    "clip": None,
    "condition": "none",
    "packing": 1,
    "unrolled_steps": 0,
    "discriminator_updates": 1,
    "generator_updates": 1,
    "optimizer": "adam",
    "discriminator_learning_rate": None,
    "ema": None,
}
"""Options that a paper does not change."""

DCGAN: dict[str, Any] = PLAIN | {
    # Radford, Metz & Chintala 2016, section 4: Adam with 0.0002 and beta1 of 0.5; weights from N(0, 0.02^2); z is
    # uniform, of 100 dimensions; batch normalization in both networks. Beta2 is Adam's default.
    "architecture": "dcgan",
    "latent_dim": 100,
    "latent_distribution": "uniform",
    "generator_normalization": "batch",
    "discriminator_normalization": "batch",
    "learning_rate": 2e-4,
    "b1": 0.5,
    "b2": 0.999,
}

PAPERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "dcgan": (IMAGES, DCGAN | {"width": 64}),  # The width of the authors' code.
    # Arjovsky, Chintala & Bottou 2017, algorithm 1: alpha = 0.00005, c = 0.01, n_critic = 5, RMSProp, whose decay in
    # the authors' code is PyTorch's default.
    "wgan": (
        IMAGES,
        PLAIN
        | {
            "loss": "wasserstein",
            "clip": 0.01,
            "discriminator_updates": 5,
            "optimizer": "rmsprop",
            "learning_rate": 5e-5,
            "b1": None,
            "b2": 0.99,
        },
    ),
    # Gulrajani et al. 2017, algorithm 1: lambda = 10, n_critic = 5, alpha = 0.0001, beta1 = 0, beta2 = 0.9; section 4:
    # no batch normalization in the critic.
    "wgan-gp": (
        IMAGES,
        PLAIN
        | {
            "loss": "wasserstein",
            "penalty": "gradient",
            "penalty_weight": 10.0,
            "discriminator_normalization": "none",
            "discriminator_updates": 5,
            "learning_rate": 1e-4,
            "b1": 0.0,
            "b2": 0.9,
        },
    ),
    # Miyato et al. 2018, tables 4 and appendix B: 128 channels in the discriminator (256 in the generator), z of 128
    # dimensions from the standard normal distribution, hinge loss, Adam with 0.0002, beta1 = 0, beta2 = 0.9, n_dis = 5.
    "sngan": (
        IMAGES,
        PLAIN
        | {
            "architecture": "resnet",
            "width": 128,
            "latent_dim": 128,
            "latent_distribution": "normal",
            "loss": "hinge",
            "generator_normalization": "batch",
            "discriminator_normalization": "spectral",
            "discriminator_updates": 5,
            "learning_rate": 2e-4,
            "b1": 0.0,
            "b2": 0.9,
        },
    ),
    # Mao et al. 2017, section 4: Adam with beta1 of 0.5 and 0.0002 (for characters; 0.001 for scenes).
    "lsgan": (IMAGES, PLAIN | {"loss": "least_squares", "learning_rate": 2e-4, "b1": 0.5, "b2": 0.999}),
    # Lin et al. 2018, section 4.1: generator of 4 layers of 400 with batch normalization, discriminator of 3 layers of
    # 200 maxout units of 5 pieces without it, z of two dimensions. In the authors' code: weights from N(0, 0.02^2),
    # Adam with 0.0001 and beta1 of 0.8.
    "pacgan": (
        POINTS,
        PLAIN
        | {
            "architecture": "mlp",
            "hidden": (400, 400, 400, 400),
            "discriminator_hidden": (200, 200, 200),
            "maxout": 5,
            "weight_scale": 0.02,
            "latent_dim": 2,
            "latent_distribution": "normal",
            "generator_normalization": "batch",
            "discriminator_normalization": "none",
            "packing": 2,
            "learning_rate": 1e-4,
            "b1": 0.8,
            "b2": 0.999,
        },
    ),
    # Metz et al. 2017, the mixture of Gaussians: z of 256 dimensions from the normal distribution, generator of two
    # layers of 128, discriminator of one of 128, Adam with 0.0001 and beta1 of 0.5; figure 2 with ten steps.
    "unrolled-gan": (
        POINTS,
        PLAIN
        | {
            "architecture": "mlp",
            "hidden": (128, 128),
            "discriminator_hidden": (128,),
            "latent_dim": 256,
            "latent_distribution": "normal",
            "unrolled_steps": 10,
            "learning_rate": 1e-4,
            "b1": 0.5,
            "b2": 0.999,
        },
    ),
    # Mirza & Osindero 2014, section 4.1: uniform z of 100 dimensions, the class as a further input of both
    # networks. All else is as in DCGAN.
    "cgan": (IMAGES, DCGAN | {"condition": "concatenation"}),
    # Odena, Olah & Shlens 2017, appendix: an input of 110 dimensions, Adam with beta1 of 0.5, beta2 of 0.999 and
    # learning rates around 0.0002. The networks are those of DCGAN.
    "acgan": (
        IMAGES,
        DCGAN | {"condition": "auxiliary_classifier", "latent_dim": 110, "latent_distribution": "normal"},
    ),
}
"""Preset -> data of the shape in the paper, and the options in the paper."""


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_options_of_the_papers(name: str) -> None:
    example, published = PAPERS[name]
    options = dataclasses.asdict(completed(PRESETS[name].config, example))
    assert {option: options[option] for option in published} == published


def test_presets_have_the_batch_sizes_of_the_papers() -> None:
    """Examples of one discriminator update, in the papers of the options above; of the unrolled GAN in its program."""
    assert {name: preset.batch_size for name, preset in PRESETS.items()} == {
        "dcgan": 128,
        "wgan": 64,
        "wgan-gp": 64,
        "sngan": 64,
        "lsgan": None,
        "pacgan": 100,
        "unrolled-gan": 512,
        "cgan": 100,
        "acgan": 100,
    }


@pytest.mark.parametrize("name", ["dcgan", "pacgan"])
def test_initial_weights_have_the_published_standard_deviation(name: str) -> None:
    example, _ = PAPERS[name]
    state = jax.jit(build(PRESETS[name].config, example).init)(jax.random.key(0), example)
    kernels = [leaf for leaf in jax.tree.leaves(state.params) if leaf.ndim > 1]
    assert len(kernels) >= 8
    for kernel in kernels:
        # Five times the standard error of a standard deviation.
        assert float(jnp.sqrt((kernel**2).mean())) == pytest.approx(0.02, rel=5 / np.sqrt(2 * kernel.size))
