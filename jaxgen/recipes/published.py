"""The recipes, by name."""

import dataclasses
from typing import Any

from jaxgen.models import PRESETS
from jaxgen.models.gan import Config
from jaxgen.recipes.recipe import Claim, Comparative, Entry, Published, Recipe, Repeated
from jaxgen.recipes.theory import (
    generator_gradient_experiment,
    optimal_discriminator_experiment,
    saturation_experiment,
)
from jaxgen.run import Settings

PACGAN: Config = dataclasses.replace(PRESETS["pacgan"].config, latent=2)
"""The networks and the optimizer of PacGAN's synthetic experiments, which all models of them share."""

MIXTURE_STEPS = 20_000
"""Turns of every model on a mixture; the authors made 400,000."""


def on_mixture(data: str, *, published: dict[str, Published] | None = None, packing: int = 1, **choices: Any) -> Entry:
    """PacGAN's networks on a mixture of Gaussians, 100 packs a move, with other choices if there are any."""
    config = dataclasses.replace(PACGAN, packing=packing, **choices)
    settings = Settings(
        config,
        data=data,
        steps=MIXTURE_STEPS,
        batch_size=100 * packing,
        log_every=500,
        checkpoint_every=2000,
        picture_every=2000,
    )
    return Entry("gan", settings, published or {})


def modes(mean: float, error: float | None, high_quality: float | None = None) -> dict[str, Published]:
    """Published numbers of a mixture: modes covered with their standard error, and percent of high quality."""
    covered = {"modes": Published(mean, error)}
    return covered if high_quality is None else covered | {"high_quality": Published(high_quality / 100)}


WGAN_GP: dict[str, Any] = {
    "loss": "wasserstein",
    "penalty": "gradient",
    "discriminator_moves": 5,
    "b1": 0.5,
    "b2": 0.9,
}
"""The loss of Gulrajani et al. 2017, with the choices of the authors' code for points."""


def on_pictures(data: str, config: Config, *, steps: int, published: dict[str, Published] | None = None) -> Entry:
    """A GAN on pictures, 64 packs a move."""
    settings = Settings(
        config,
        data=data,
        steps=steps,
        batch_size=64 * config.packing,
        log_every=100,
        checkpoint_every=500,
        picture_every=500,
    )
    return Entry("gan", settings, published or {})


def thousand_modes(covered: float, kl: float) -> dict[str, Published]:
    """Published numbers of stacked digits: modes covered, and divergence from the shares of real data."""
    return {"modes": Published(covered), "mode_kl": Published(kl)}


def on_stacked(data: str, *, width: int, steps: int, published: bool) -> Comparative:
    """GANs on stacked digits, with the published numbers if the data are those of the papers."""
    dcgan = Config(architecture="dcgan", width=width, latent=100)
    wgan_gp = dataclasses.replace(PRESETS["wgan-gp"].config, architecture="dcgan", width=width, latent=100)
    entries = {
        "DCGAN": (dcgan, thousand_modes(99, 3.40)),
        "PacDCGAN2": (dataclasses.replace(dcgan, packing=2), thousand_modes(1000, 0.06)),
        "WGAN-GP": (wgan_gp, thousand_modes(959, 0.73)),
        "unrolled": (dataclasses.replace(dcgan, unrolled_steps=5), thousand_modes(48.7, 4.32)),
    }
    return Comparative(
        {
            name: on_pictures(data, config, steps=steps, published=numbers if published else None)
            for name, (config, numbers) in entries.items()
        },
        metrics={
            "modes": "modes covered, of 1000",
            "mode_kl": "divergence of the modes' shares from uniform, nats",
        },
        claims=[Claim("PacDCGAN2", "DCGAN", "modes"), Claim("WGAN-GP", "DCGAN", "modes")],
        seeds=3,
        quick_steps=50,
        quick_seeds=1,
    )


RECIPES: dict[str, Recipe] = {
    "optimal-discriminator": Recipe(
        what="discriminators trained between known densities, beside the best ones",
        reference="Goodfellow et al. 2014, arXiv:1406.2661, proposition 1 and theorem 1",
        duration="one minute",
        carry_out=Repeated(optimal_discriminator_experiment),
        protocol=(
            "two pairs of densities on the line; the mean of |D - D*| over (p + q) / 2, the error of the logarithm of "
            "p / q in nats, and the value of the game, which is 2 JS(p, q) - 2 log 2 at the optimum."
        ),
    ),
    "generator-gradient": Recipe(
        what="gradients that a generator gets from a discriminator that is sure, minimax and non-saturating",
        reference="Goodfellow et al. 2014, arXiv:1406.2661, section 3",
        duration="one minute",
        carry_out=Repeated(generator_gradient_experiment),
        protocol="real examples N(0, 1), generated ones N(4, 1); mean size of the gradient at generated examples.",
    ),
    "saturation": Recipe(
        what="a discriminator saturates between two Gaussians, a critic stays linear",
        reference="Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, figure 2",
        duration="one minute",
        carry_out=Repeated(saturation_experiment),
        protocol=(
            "real examples N(-4, 1), generated ones N(4, 1); size of the gradient that the generator gets at the mean "
            "of its examples, and the share of the variance between the means that a straight line explains."
        ),
    ),
    "pacgan-mixtures": Recipe(
        what="modes of the ring and the grid that a GAN covers, packed or not, with gradient penalty or unrolled",
        reference="Lin et al. 2018, arXiv:1712.04086, table 1; unrolled: Srivastava et al. 2017, arXiv:1705.07761",
        duration="hours; --quick: 3 minutes",
        carry_out=Comparative(
            entries={
                "ring, GAN": on_mixture("ring", published=modes(6.3, 0.5, 98.2)),
                "ring, PacGAN2": on_mixture("ring", packing=2, published=modes(7.9, 0.1, 95.6)),
                "ring, PacGAN3": on_mixture("ring", packing=3),
                "ring, PacGAN4": on_mixture("ring", packing=4, published=modes(7.8, None)),
                "ring, WGAN-GP": on_mixture("ring", **WGAN_GP),
                "ring, unrolled": on_mixture("ring", unrolled_steps=5, published=modes(7.6, None)),
                "grid, GAN": on_mixture("grid", published=modes(17.3, 0.8, 94.8)),
                "grid, PacGAN2": on_mixture("grid", packing=2, published=modes(23.8, 0.7, 91.3)),
                "grid, PacGAN3": on_mixture("grid", packing=3),
                "grid, PacGAN4": on_mixture("grid", packing=4, published=modes(24.8, None)),
                "grid, WGAN-GP": on_mixture("grid", **WGAN_GP),
                "grid, unrolled": on_mixture("grid", unrolled_steps=5, published=modes(23.6, None)),
            },
            metrics={
                "modes": "modes covered, of 8 and of 25",
                "high_quality": "share of samples within 3 standard deviations of a mode",
                "mode_kl": "divergence of the modes' shares from uniform, nats",
            },
            claims=[
                Claim("ring, PacGAN2", "ring, GAN", "modes"),
                Claim("grid, PacGAN2", "grid, GAN", "modes"),
                Claim("ring, unrolled", "ring, GAN", "modes"),
                Claim("grid, unrolled", "grid, GAN", "modes"),
            ],
            quick_steps=100,
        ),
        protocol=(
            "100,000 points; generator of 4 hidden layers of 400 with batch normalization, discriminator of 3 hidden "
            "layers of 200 maxout units of 5 pieces; Adam with learning rate 0.0001 and b1 = 0.8; 100 packs a move; a "
            "mode is covered if one of 2,500 samples is within 3 standard deviations of it. The authors play 400,000 "
            f"turns in which both networks move at once; here there are {MIXTURE_STEPS:,}, and they move one after the "
            "other."
        ),
    ),
    "stacked-digits": Recipe(
        what="classes of three stacked digits that a GAN covers, of 1,000; the bundled digits",
        reference="the experiment of Srivastava et al. 2017, arXiv:1705.07761, on pictures of 8x8 pixels",
        duration="an hour; --quick: 3 minutes",
        carry_out=on_stacked("stacked_digits", width=32, steps=3000, published=False),
        protocol=(
            "DCGANs of width 32; 26,000 samples, each read by a classifier of the single digits; 64 packs a move, "
            "3,000 turns. There are no published numbers for these digits."
        ),
    ),
    "stacked-mnist": Recipe(
        what="classes of three stacked digits that a GAN covers, of 1,000; MNIST",
        reference="Lin et al. 2018, arXiv:1712.04086, table 2; WGAN-GP and unrolled as cited there and by others",
        duration="half a day",
        carry_out=on_stacked("stacked_mnist", width=64, steps=10_000, published=True),
        protocol=(
            "DCGANs of width 64; 26,000 samples, each read by a classifier of the single digits; 64 packs a move, "
            "10,000 turns. The papers differ in their networks: hold orders against them, not numbers."
        ),
    ),
}
"""Name -> recipe."""
