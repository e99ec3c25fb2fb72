"""The recipes, by name."""

import dataclasses
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from jaxgen.models import PRESETS
from jaxgen.models.gan import Config
from jaxgen.recipes.recipe import Claim, Comparative, Entry, Published, Recipe, Repeated
from jaxgen.recipes.theory import (
    generator_gradient_experiment,
    optimal_discriminator_experiment,
    saturation_experiment,
)
from jaxgen.report.section import subject_of
from jaxgen.report.training import loss_and_quality, quality
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.sample_metrics import class_metrics
from jaxgen.typing import KeyArray

PACGAN: Config = dataclasses.replace(PRESETS["pacgan"].config, latent_dim=2)
"""The networks and the optimizer of PacGAN's synthetic experiments, which all models of them share."""

MIXTURE_STEPS = 20_000
"""Turns on a mixture, of WGAN-GP half as many; the authors of PacGAN made 400,000."""


def _on_mixture(data: str, *, published: dict[str, Published] | None = None, packing: int = 1, **choices: Any) -> Entry:
    """PacGAN's networks on a mixture of Gaussians, 100 packs a move, with other choices if there are any."""
    config = dataclasses.replace(PACGAN, packing=packing, **choices)
    return _on_points(data, config, steps=MIXTURE_STEPS, batch_size=100 * packing, published=published)


def _wgan_gp_on_mixture(data: str) -> Entry:
    """The choices of Gulrajani et al. for points; their networks are four times as wide, and learn five times slower.

    Samples are drawn from the average of the generator's weights, which does not swing with the critic.
    """
    config = dataclasses.replace(
        PRESETS["wgan-gp"].config, hidden=(128, 128, 128), latent_dim=2, learning_rate=5e-4, b1=0.5, ema=0.999
    )
    return _on_points(data, config, steps=MIXTURE_STEPS // 2, batch_size=256)


def _on_points(
    data: str, config: Config, *, steps: int, batch_size: int, published: dict[str, Published] | None = None
) -> Entry:
    """A GAN on points, whose samples are judged and drawn ten times in the course of it."""
    config = RunConfig(
        config,
        data=data,
        steps=steps,
        batch_size=batch_size,
        log_every=steps // 40,
        checkpoint_every=steps // 10,
        image_every=steps // 10,
    )
    return Entry("gan", config, published or {})


def _modes(mean: float, error: float | None, high_quality: float | None = None) -> dict[str, Published]:
    """Published numbers of a mixture: modes covered with their standard error, and percent of high quality."""
    covered = {"modes": Published(mean, error)}
    return covered if high_quality is None else covered | {"high_quality": Published(high_quality / 100)}


def _on_images(
    data: str, config: Config, *, steps: int, judged: int = 10, published: dict[str, Published] | None = None
) -> Entry:
    """A GAN on pictures, 64 packs a move, whose samples are judged and drawn some times in the course of it."""
    config = RunConfig(
        config,
        data=data,
        steps=steps,
        batch_size=64 * config.packing,
        log_every=steps // 40,
        checkpoint_every=steps // 10,
        image_every=steps // judged,
    )
    return Entry("gan", config, published or {})


def _thousand_modes(covered: float, kl: float) -> dict[str, Published]:
    """Published numbers of stacked digits: modes covered, and divergence from the shares of real data."""
    return {"modes": Published(covered), "mode_kl": Published(kl)}


def _on_stacked(data: str, *, width: int, steps: int, published: bool) -> Comparative:
    """GANs on stacked digits, with the published numbers if the data are those of the papers."""
    dcgan = Config(architecture="dcgan", width=width, latent_dim=100)
    wgan_gp = dataclasses.replace(PRESETS["wgan-gp"].config, architecture="dcgan", width=width, latent_dim=100)
    entries = {
        "DCGAN": (dcgan, _thousand_modes(99, 3.40)),
        "PacDCGAN2": (dataclasses.replace(dcgan, packing=2), _thousand_modes(1000, 0.06)),
        "WGAN-GP": (wgan_gp, _thousand_modes(959, 0.73)),
        "unrolled": (dataclasses.replace(dcgan, unrolled_steps=5), _thousand_modes(48.7, 4.32)),
    }
    return Comparative(
        {
            name: _on_images(data, config, steps=steps, published=numbers if published else None)
            for name, (config, numbers) in entries.items()
        },
        metrics={
            "modes": "modes covered, of 1000",
            "mode_kl": "divergence of the modes' shares from uniform, nats",
        },
        claims=[Claim("PacDCGAN2", "DCGAN", "modes"), Claim("WGAN-GP", "DCGAN", "modes")],
        seeds=4,
        quick_steps=50,
        quick_change=_narrow_and_judged_once,
        quick_seeds=1,
    )


FASHION_STEPS = 3000
"""Turns of every model on Fashion-MNIST; in one of WGAN's the critic makes five moves."""


def _narrow_and_judged_once(config: RunConfig[Config]) -> RunConfig[Config]:
    """Fifty turns of a wide network, and reading thousands of samples ten times, would take longer than a look may."""
    return dataclasses.replace(
        config, config=dataclasses.replace(config.model_config, width=16), image_every=config.steps
    )


def _losses_on_fashion() -> Comparative:
    """Minimax, non-saturating and WGAN, each with and without batch normalization in both networks."""
    dcgan = dataclasses.replace(PRESETS["dcgan"].config, width=16)
    models = {
        "minimax": dataclasses.replace(dcgan, loss="minimax"),
        "non-saturating": dcgan,
        "WGAN": dataclasses.replace(PRESETS["wgan"].config, architecture="dcgan", width=16, latent_dim=100),
    }
    without: dict[str, Any] = {"generator_normalization": "none", "discriminator_normalization": "none"}
    entries = {}
    for name, config in models.items():
        entries[name] = _on_images("fashion_mnist", config, steps=FASHION_STEPS)
        bare = dataclasses.replace(config, **without)
        entries[f"{name}, no batch norm"] = _on_images("fashion_mnist", bare, steps=FASHION_STEPS)
    return Comparative(
        entries,
        metrics={
            "frechet_distance": "Fréchet distance from the test split, squared logits of a classifier",
            "modes": "classes covered, of 10",
            "mode_kl": "divergence of the classes' shares from uniform, nats",
            "high_quality": "share of samples of which a classifier is sure",
        },
        measure=class_metrics,
        quick_measure=partial(class_metrics, count=1000, classifier_steps=100),
        claims=[
            Claim("minimax, no batch norm", "WGAN, no batch norm", "frechet_distance"),
            Claim("non-saturating, no batch norm", "WGAN, no batch norm", "frechet_distance"),
            Claim("minimax", "non-saturating", "frechet_distance"),
        ],
        seeds=4,
        quick_steps=10,
        quick_seeds=1,
    )


UNROLLED_STEPS = 25_000
"""Turns of a GAN on the ring, unrolled or not, as many as in the authors' notebook."""


def _unrolled_on_ring(unrolled_steps: int) -> Entry:
    """The networks of Metz et al. with a generator that learns faster than its discriminator can answer."""
    config = dataclasses.replace(
        PRESETS["unrolled-gan"].config,
        unrolled_steps=unrolled_steps,
        latent_dim=16,
        learning_rate=1e-3,
        discriminator_learning_rate=1e-4,
    )
    return _on_points("ring", config, steps=UNROLLED_STEPS, batch_size=256)


CRITIC_STEPS = 3000
"""Turns of every model on the digits whose loss is held against its samples."""


def _critics_on_digits() -> Comparative:
    """A clipped critic, a penalized critic and a discriminator that classifies, each asked forty times how it goes."""
    dcgan: dict[str, Any] = {"architecture": "dcgan", "width": 16, "latent": 100}
    models = {
        "WGAN": dataclasses.replace(PRESETS["wgan"].config, **dcgan),
        "WGAN-GP": dataclasses.replace(PRESETS["wgan-gp"].config, **dcgan),
        # With the published 0.0001 the critic has caught up after 200 turns only, and what it says until then is no
        # estimate of anything.
        "WGAN-GP, critic 0.001": dataclasses.replace(
            PRESETS["wgan-gp"].config, discriminator_learning_rate=1e-3, **dcgan
        ),
        "non-saturating": dataclasses.replace(PRESETS["dcgan"].config, width=16),
    }
    return Comparative(
        {name: _on_images("digits", config, steps=CRITIC_STEPS, judged=40) for name, config in models.items()},
        metrics={
            "rank_correlation": "rank correlation of minus D's loss with the distance of samples, over training",
            "sliced_wasserstein": "distance of samples at the end, values of pixels",
        },
        measure=loss_correlation,
        quick_measure=loss_correlation,
        claims=[
            Claim("WGAN-GP", "non-saturating", "rank_correlation"),
            Claim("WGAN-GP, critic 0.001", "non-saturating", "rank_correlation"),
        ],
        seeds=5,
        quick_steps=40,
        quick_seeds=1,
    )


def loss_correlation(run: Run, key: KeyArray) -> dict[str, list[float]]:
    """What `jaxgen analyze` finds of the loss of D and the quality of samples, of every seed; NaN where it diverged."""
    found: dict[str, Sequence[float]] = {}
    subject = subject_of(run, seed=run.config.seed)
    for topic in (loss_and_quality, quality):
        found |= topic(subject).numbers
    return {
        name: [dict(zip(subject.sound, values, strict=True)).get(i, math.nan) for i in range(run.config.seeds or 1)]
        for name, values in found.items()
    }


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
        duration=(
            "on one core of an EPYC, a mixture: GAN 40 minutes, PacGAN2 45, PacGAN3 50, PacGAN4 60, WGAN-GP 20, and by "
            "its first 100 turns unrolled 100; --quick: 3 minutes"
        ),
        carry_out=Comparative(
            entries={
                "ring, GAN": _on_mixture("ring", published=_modes(6.3, 0.5, 98.2)),
                "ring, PacGAN2": _on_mixture("ring", packing=2, published=_modes(7.9, 0.1, 95.6)),
                "ring, PacGAN3": _on_mixture("ring", packing=3),
                "ring, PacGAN4": _on_mixture("ring", packing=4, published=_modes(7.8, None)),
                "ring, WGAN-GP": _wgan_gp_on_mixture("ring"),
                "ring, unrolled": _on_mixture("ring", unrolled_steps=5, published=_modes(7.6, None)),
                "grid, GAN": _on_mixture("grid", published=_modes(17.3, 0.8, 94.8)),
                "grid, PacGAN2": _on_mixture("grid", packing=2, published=_modes(23.8, 0.7, 91.3)),
                "grid, PacGAN3": _on_mixture("grid", packing=3),
                "grid, PacGAN4": _on_mixture("grid", packing=4, published=_modes(24.8, None)),
                "grid, WGAN-GP": _wgan_gp_on_mixture("grid"),
                "grid, unrolled": _on_mixture("grid", unrolled_steps=5, published=_modes(23.6, None)),
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
            f"other: samples are not yet as good as published, and PacGAN3 and PacGAN4 have hardly begun. WGAN-GP, "
            "which is not in that table, has 3 hidden layers of 128 in both networks and plays "
            f"{MIXTURE_STEPS // 2:,} turns of five moves of the critic, with 256 examples; its learning rate is 0.0005 "
            "with b1 = 0.5 and b2 = 0.9, and its samples alone are drawn from an average of the generator's weights."
        ),
    ),
    "unrolled-ring": Recipe(
        what="modes of the ring that a GAN covers whose generator is fast, with and without a look ahead",
        reference="Metz et al. 2017, arXiv:1611.02163, figure 2, which shows points, no numbers",
        duration="10 minutes on one core of an EPYC; --quick: 1 minute",
        carry_out=Comparative(
            entries={f"{k} moves ahead": _unrolled_on_ring(k) for k in (0, 5)},
            metrics={
                "modes": "modes covered, of 8",
                "high_quality": "share of samples within 3 standard deviations of a mode",
                "mode_kl": "divergence of the modes' shares from uniform, nats",
            },
            claims=[
                Claim("5 moves ahead", "0 moves ahead", "modes"),
                Claim("0 moves ahead", "5 moves ahead", "mode_kl"),
            ],
            quick_steps=500,
        ),
        protocol=(
            "generator of 2 hidden layers of 128, discriminator of one; Adam with b1 = 0.5 and learning rates 0.001 of "
            f"the generator and 0.0001 of the discriminator, as in the authors' notebook; {UNROLLED_STEPS:,} turns; "
            "our usual activations and initial weights, one hidden layer in place of two in the discriminator, 16 "
            "numbers of noise in place of 256, 256 examples a move in place of 512; a mode is covered if one of 2,500 "
            "samples is within 3 standard deviations of it."
        ),
    ),
    "critic-loss": Recipe(
        what="whether the loss of D tells how good samples are: WGAN, WGAN-GP and the non-saturating GAN; digits",
        reference="Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, figures 3 and 4, which are curves, not numbers",
        duration="8 minutes on one core of an EPYC; --quick: 1 minute",
        carry_out=_critics_on_digits(),
        protocol=(
            f"DCGANs of width 16, 64 pictures a move, {CRITIC_STEPS:,} turns; at 40 moments the sliced Wasserstein "
            "distance of 1,000 samples from 1,000 training examples, and beside it the difference of the critic's mean "
            "outputs, or minus the loss of the discriminator that classifies; Spearman's rank correlation of the two. "
            "Optimizer, noise and normalization of each are the published ones; one of the penalized critics learns "
            "ten times as fast, so that it has caught up by the first moment."
        ),
    ),
    "fashion-mnist-losses": Recipe(
        what="what a GAN's samples are worth by its loss, with and without batch normalization; Fashion-MNIST",
        reference="Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, section 4.3, which shows pictures, no numbers",
        duration="40 minutes on one core of an EPYC; --quick: 3 minutes",
        carry_out=_losses_on_fashion(),
        protocol=(
            f"DCGANs of width 16, 64 pictures a move, {FASHION_STEPS:,} turns; 10,000 samples and the test split as a "
            "classifier of the ten classes sees them: the Fréchet distance of its logits, which is no FID and is "
            "comparable within this table only, the classes it finds, and the share of samples in which it is sure, "
            "with 90 %, of a class. Optimizer and noise of each are the published ones."
        ),
    ),
    "stacked-digits": Recipe(
        what="classes of three stacked digits that a GAN covers, of 1,000; the bundled digits",
        reference="the experiment of Srivastava et al. 2017, arXiv:1705.07761, on pictures of 8x8 pixels",
        duration="12 minutes on one core of an EPYC; --quick: 2 minutes",
        carry_out=_on_stacked("stacked_digits", width=32, steps=3000, published=False),
        protocol=(
            "DCGANs of width 32; 26,000 samples, each read by a classifier of the single digits; 64 packs a move, "
            "3,000 turns. There are no published numbers for these digits."
        ),
    ),
    "stacked-mnist": Recipe(
        what="classes of three stacked digits that a GAN covers, of 1,000; MNIST",
        reference="Lin et al. 2018, arXiv:1712.04086, table 2; WGAN-GP and unrolled as cited there and by others",
        duration="a day on two cores of an EPYC, reckoned from the first 50 turns; --quick: 3 minutes",
        carry_out=_on_stacked("stacked_mnist", width=64, steps=10_000, published=True),
        protocol=(
            "DCGANs of width 64; 26,000 samples, each read by a classifier of the single digits; 64 packs a move, "
            "10,000 turns. The papers differ in their networks: hold orders against them, not numbers."
        ),
    ),
}
"""Name -> recipe."""
