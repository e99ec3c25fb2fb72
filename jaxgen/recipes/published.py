"""All published experiments as recipes, by name, and those on GANs of images."""

import dataclasses
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from jaxgen.models import PRESETS
from jaxgen.models.gan import Config
from jaxgen.recipes.claims import Claim
from jaxgen.recipes.extractor_weights import EXTRACTOR_RECIPES
from jaxgen.recipes.known_answers import KNOWN_ANSWERS
from jaxgen.recipes.later_gans import LATER_GAN_RECIPES
from jaxgen.recipes.mixtures import MIXTURE_RECIPES
from jaxgen.recipes.mnist_likelihood import MNIST_LIKELIHOOD
from jaxgen.recipes.model_comparison import Entry, ModelComparison
from jaxgen.recipes.recipe import Published, Recipe
from jaxgen.recipes.sample_quality import SAMPLE_QUALITY_RECIPES
from jaxgen.recipes.theory import THEORY_RECIPES
from jaxgen.report.loss_and_quality import logged_estimate, loss_and_quality, rank_correlation
from jaxgen.report.quality import quality
from jaxgen.report.section import load_input
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.classifier_metrics import classifier_metrics
from jaxgen.typing import KeyArray


def _on_images(
    data: str, config: Config, *, steps: int, evaluations: int = 10, published: dict[str, Published] | None = None
) -> Entry:
    """Return a GAN on images with 64 packs per update, whose samples are measured and plotted `evaluations` times."""
    run_config = RunConfig(
        config,
        data=data,
        steps=steps,
        batch_size=64 * config.packing,
        log_every=steps // 40,
        checkpoint_every=steps // 10,
        image_every=steps // evaluations,
    )
    return Entry("gan", run_config, published or {})


def _thousand_modes(covered: float, kl: float) -> dict[str, Published]:
    """Return published metrics of stacked digits: modes covered, and KL divergence from the shares of real data."""
    return {"modes": Published(covered), "mode_kl_all": Published(kl)}


def _on_stacked(data: str, *, width: int, steps: int, published: bool) -> ModelComparison:
    """Return GANs on stacked digits, with the published numbers if the papers use the same data."""
    dcgan = Config(architecture="dcgan", width=width, latent_dim=100)
    wgan_gp = dataclasses.replace(PRESETS["wgan-gp"].config, architecture="dcgan", width=width, latent_dim=100)
    entries = {
        "DCGAN": (dcgan, _thousand_modes(99, 3.40)),
        "PacDCGAN2": (dataclasses.replace(dcgan, packing=2), _thousand_modes(1000, 0.06)),
        "WGAN-GP": (wgan_gp, _thousand_modes(959, 0.73)),
        "unrolled": (dataclasses.replace(dcgan, unrolled_steps=5), _thousand_modes(48.7, 4.32)),
    }
    return ModelComparison(
        {
            name: _on_images(data, config, steps=steps, published=numbers if published else None)
            for name, (config, numbers) in entries.items()
        },
        metrics={
            "modes": "modes covered, of 1000",
            "mode_kl_all": "KL divergence of mode shares from uniform, all samples, nats",
        },
        claims=[Claim("PacDCGAN2", "DCGAN", "modes"), Claim("WGAN-GP", "DCGAN", "modes")],
        seeds=4,
        quick_steps=50,
        quick_change=_narrow_and_evaluated_once,
        quick_seeds=1,
    )


FASHION_STEPS = 3000
"""Training steps of every model on Fashion-MNIST; a step of WGAN has five critic updates."""


def _narrow_and_evaluated_once(config: RunConfig[Config]) -> RunConfig[Config]:
    """Return a narrower model whose samples are measured once.

    Fifty steps of the wide network, and ten classifications of thousands of samples, exceed the time of a quick run.
    """
    narrow = dataclasses.replace(config.model_config, width=16)
    return dataclasses.replace(config, model_config=narrow, image_every=config.steps)


def _losses_on_fashion() -> ModelComparison:
    """Return minimax, non-saturating and WGAN losses, each with and without batch normalization in both networks."""
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
    return ModelComparison(
        entries,
        metrics={
            "frechet_distance": "Fréchet distance from the test split, squared features",
            "modes": "classes covered, of 10",
            "mode_kl_all": "KL divergence of class shares from uniform, all samples, nats",
            "high_quality": "share of samples with a confidence of fashion_mnist_v1 of at least 0.9",
        },
        measures={"classes": classifier_metrics},
        quick_measures={"classes": partial(classifier_metrics, count=1000)},
        claims=[
            Claim("minimax, no batch norm", "WGAN, no batch norm", "frechet_distance"),
            Claim("non-saturating, no batch norm", "WGAN, no batch norm", "frechet_distance"),
            Claim("minimax", "non-saturating", "frechet_distance"),
        ],
        seeds=4,
        quick_steps=10,
        quick_seeds=1,
    )


CRITIC_STEPS = 3000
"""Training steps of every model on the digits in the comparison of loss and sample quality."""


CRITIC_WARM_UP = 200
"""Training steps in which the critic of WGAN-GP approaches its optimum at the published learning rate."""


def _critics_on_digits() -> ModelComparison:
    """Return clipped and penalized critics and a classifying discriminator, each measured 40 times during training."""
    dcgan: dict[str, Any] = {"architecture": "dcgan", "width": 16, "latent_dim": 100}
    models = {
        "WGAN": dataclasses.replace(PRESETS["wgan"].config, **dcgan),
        "WGAN-GP": dataclasses.replace(PRESETS["wgan-gp"].config, **dcgan),
        # With the published learning rate of 0.0001 the critic is near its optimum only after 200 steps, and its loss
        # does not estimate a distance until then.
        "WGAN-GP, critic 0.001": dataclasses.replace(
            PRESETS["wgan-gp"].config, discriminator_learning_rate=1e-3, **dcgan
        ),
        "non-saturating": dataclasses.replace(PRESETS["dcgan"].config, width=16),
    }
    return ModelComparison(
        {name: _on_images("digits", config, steps=CRITIC_STEPS, evaluations=40) for name, config in models.items()},
        metrics={
            "rank_correlation": "rank correlation of minus the discriminator loss with the distance of samples",
            "rank_correlation_late": f"rank correlation of both after the first {CRITIC_WARM_UP} training steps",
            "sliced_wasserstein": "sliced Wasserstein distance of samples after training, pixel values",
        },
        measures={"correlation": loss_correlation},
        quick_measures={"correlation": loss_correlation},
        claims=[
            Claim("WGAN-GP", "non-saturating", "rank_correlation"),
            Claim("WGAN-GP", "non-saturating", "rank_correlation_late"),
            Claim("WGAN-GP, critic 0.001", "non-saturating", "rank_correlation"),
        ],
        seeds=5,
        quick_steps=40,
        quick_seeds=1,
    )


def loss_correlation(run: Run, key: KeyArray) -> dict[str, list[float]]:
    """Compute the report's metrics of discriminator loss and sample quality for every seed; NaN for diverged seeds.

    `rank_correlation_late` is that of the measurements after the first `CRITIC_WARM_UP` steps.
    """
    metrics: dict[str, Sequence[float]] = {}
    inputs = load_input(run, seed=run.config.seed)
    for section in (loss_and_quality, quality):
        metrics |= section(inputs).metrics
    logged = logged_estimate(inputs, critic=run.config.model_config.loss == "wasserstein")
    late = logged.steps > CRITIC_WARM_UP
    metrics["rank_correlation_late"] = [
        rank_correlation(estimate[late], distance[late])
        for estimate, distance in zip(logged.estimate, logged.distance, strict=True)
    ]
    return {
        name: [dict(zip(inputs.finite, values, strict=True)).get(i, math.nan) for i in range(run.config.seeds or 1)]
        for name, values in metrics.items()
    }


RECIPES: dict[str, Recipe] = {
    **THEORY_RECIPES,
    **MIXTURE_RECIPES,
    "mnist-likelihood": MNIST_LIKELIHOOD,
    "critic-loss": Recipe(
        description="correlation of discriminator loss and sample quality: WGAN, WGAN-GP, non-saturating; on digits",
        reference="Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, figures 3 and 4 (curves, no numbers)",
        duration="8 minutes on one core of an EPYC; --quick: 1 minute",
        run=_critics_on_digits(),
        protocol=(
            f"DCGANs of width 16, 64 images per update, {CRITIC_STEPS:,} steps. At 40 points of the training: sliced "
            "Wasserstein distance of 1,000 samples from 1,000 training examples, and difference of the critic's mean "
            "outputs of real and generated examples, or minus the loss of the classifying discriminator; Spearman's "
            f"rank correlation of the two, also without the first {CRITIC_WARM_UP} steps. Optimizer, "
            "latent distribution and normalization of each model are the published ones, except that one of the "
            "penalized critics has a ten times larger learning rate, so that it is near its optimum at the first of "
            "the 40 points."
        ),
    ),
    "fashion-mnist-losses": Recipe(
        description="sample quality of GANs by loss, with and without batch normalization; on Fashion-MNIST",
        reference="Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, section 4.3 (images, no numbers)",
        duration="40 minutes on one core of an EPYC; --quick: 3 minutes",
        run=_losses_on_fashion(),
        protocol=(
            f"DCGANs of width 16, 64 images per update, {FASHION_STEPS:,} steps. 10,000 samples and the test split are "
            "compared by the classifier fashion_mnist_v1 in the package: Fréchet distance of its features, which is no "
            "FID; number of classes of the samples that it predicts with a confidence of at least 90 %; share of these "
            "samples. Optimizer and latent distribution of each model are the published ones."
        ),
    ),
    "stacked-digits": Recipe(
        description="classes of three stacked digits covered by GANs, of 1,000; on the bundled digits",
        reference="experiment of Srivastava et al. 2017, arXiv:1705.07761, on images of 8x8 pixels",
        duration="12 minutes on one core of an EPYC; --quick: 2 minutes",
        run=_on_stacked("stacked_digits", width=32, steps=3000, published=False),
        protocol=(
            "DCGANs of width 32, 64 packs per update, 3,000 steps; 26,000 samples, whose labels are predicted by the "
            "classifier of single digits digits_v1 in the package. There are no published numbers for these digits."
        ),
    ),
    "stacked-mnist": Recipe(
        description="classes of three stacked digits covered by GANs, of 1,000; on MNIST",
        reference="Lin et al. 2018, arXiv:1712.04086, table 2; WGAN-GP and unrolled GAN as cited there and elsewhere",
        duration="1 day on two cores of an EPYC (estimated from the first 50 steps); --quick: 7 minutes (estimated)",
        run=_on_stacked("stacked_mnist", width=64, steps=10_000, published=True),
        protocol=(
            "DCGANs of width 64, 64 packs per update, 10,000 steps; 26,000 samples, whose labels are predicted by the "
            "classifier of single digits mnist_v1 in the package. The networks of the papers differ: compare the "
            "ranking of the models, not the numbers."
        ),
    ),
    "known-answers": KNOWN_ANSWERS,
    **SAMPLE_QUALITY_RECIPES,
    **LATER_GAN_RECIPES,
    **EXTRACTOR_RECIPES,
}
"""Recipe name -> recipe."""
