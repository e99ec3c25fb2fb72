"""Published experiments as recipes, by name."""

import dataclasses
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from jaxgen.models import PRESETS
from jaxgen.models.gan import Config
from jaxgen.recipes.extractor_weights import EXTRACTOR_RECIPES
from jaxgen.recipes.known_answers import KNOWN_ANSWERS
from jaxgen.recipes.mnist_likelihood import MNIST_LIKELIHOOD
from jaxgen.recipes.recipe import Claim, Entry, ModelComparison, Published, Recipe, RepeatedExperiment, with_steps
from jaxgen.recipes.sample_quality import SAMPLE_QUALITY_RECIPES
from jaxgen.recipes.theory import (
    generator_gradient_experiment,
    optimal_discriminator_experiment,
    saturation_experiment,
)
from jaxgen.report.loss_and_quality import logged_estimate, loss_and_quality, rank_correlation
from jaxgen.report.quality import quality
from jaxgen.report.section import load_input
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.classifier_metrics import classifier_metrics
from jaxgen.typing import KeyArray

PACGAN: Config = dataclasses.replace(PRESETS["pacgan"].config, latent_dim=2)
"""Networks and optimizer of the synthetic experiments of PacGAN, shared by all of their models."""

MIXTURE_STEPS = 20_000
"""Training steps on a mixture; half as many for WGAN-GP, and 400,000 in the paper of PacGAN."""


def _on_mixture(data: str, *, published: dict[str, Published] | None = None, packing: int = 1, **choices: Any) -> Entry:
    """Return the networks of PacGAN on a mixture of Gaussians, with 100 packs per update and changed `choices`."""
    config = dataclasses.replace(PACGAN, packing=packing, **choices)
    return _on_points(data, config, steps=MIXTURE_STEPS, batch_size=100 * packing, published=published)


LONG_RING_STEPS = 100_000
"""Training steps on the ring of the models that need as many to have samples of high quality."""


def _long_on_ring() -> ModelComparison:
    """Return the GAN and PacGAN2 on the ring, trained five times as long as in the comparison of all models."""
    entries = {
        "GAN": _on_mixture("ring", published=_modes(6.3, 0.5, 98.2)),
        "PacGAN2": _on_mixture("ring", packing=2, published=_modes(7.9, 0.1, 95.6)),
    }
    return ModelComparison(
        {name: entry._replace(config=with_steps(entry.config, LONG_RING_STEPS)) for name, entry in entries.items()},
        metrics={
            "modes": "modes covered, of 8",
            "high_quality": "share of samples within 3 standard deviations of a mode",
            "mode_kl_all": "KL divergence of mode shares from uniform, all samples, nats",
        },
        claims=[Claim("PacGAN2", "GAN", "modes"), Claim("PacGAN2", "GAN", "high_quality")],
        seeds=4,
        quick_steps=100,
        full_steps=400_000,
        full_seeds=10,
    )


def _wgan_gp_on_mixture(data: str) -> Entry:
    """Return WGAN-GP with the choices of Gulrajani et al. for points, but narrower and with a larger learning rate.

    Their networks are four times as wide, and their learning rate is five times smaller. Samples are generated with the
    exponential moving average of the generator's weights, which does not oscillate with the critic.
    """
    config = dataclasses.replace(
        PRESETS["wgan-gp"].config, hidden=(128, 128, 128), latent_dim=2, learning_rate=5e-4, b1=0.5, ema=0.999
    )
    return _on_points(data, config, steps=MIXTURE_STEPS // 2, batch_size=256)


def _on_points(
    data: str, config: Config, *, steps: int, batch_size: int, published: dict[str, Published] | None = None
) -> Entry:
    """Return a GAN on points, whose samples are measured and plotted ten times during training."""
    run_config = RunConfig(
        config,
        data=data,
        steps=steps,
        batch_size=batch_size,
        log_every=steps // 40,
        checkpoint_every=steps // 10,
        image_every=steps // 10,
    )
    return Entry("gan", run_config, published or {})


def _modes(mean: float, error: float | None, high_quality: float | None = None) -> dict[str, Published]:
    """Return published metrics of a mixture: modes covered with their standard error, and high quality in percent."""
    covered = {"modes": Published(mean, error)}
    return covered if high_quality is None else covered | {"high_quality": Published(high_quality / 100)}


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
        measure=classifier_metrics,
        quick_measure=partial(classifier_metrics, count=1000),
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
"""Training steps of a GAN on the ring, unrolled or not, as in the authors' notebook."""


def _unrolled_on_ring(unrolled_steps: int) -> Entry:
    """Return the networks of Metz et al. with a generator learning rate ten times that of the discriminator."""
    config = dataclasses.replace(
        PRESETS["unrolled-gan"].config,
        unrolled_steps=unrolled_steps,
        latent_dim=16,
        learning_rate=1e-3,
        discriminator_learning_rate=1e-4,
    )
    return _on_points("ring", config, steps=UNROLLED_STEPS, batch_size=256)


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
            "rank_correlation_late": f"the same after the first {CRITIC_WARM_UP} training steps",
            "sliced_wasserstein": "sliced Wasserstein distance of samples after training, pixel values",
        },
        measure=loss_correlation,
        quick_measure=loss_correlation,
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
    "optimal-discriminator": Recipe(
        description="discriminators trained between known densities, compared with the optimal ones",
        reference="Goodfellow et al. 2014, arXiv:1406.2661, proposition 1 and theorem 1",
        duration="1 minute",
        run=RepeatedExperiment(optimal_discriminator_experiment),
        protocol=(
            "Two pairs of one-dimensional densities. Metrics: mean of |D - D*| over (p + q) / 2, error of the logit "
            "as an estimate of log(p / q) in nats, and value of the game, which is 2 JS(p, q) - 2 log 2 at the "
            "optimum."
        ),
    ),
    "generator-gradient": Recipe(
        description="gradients of the generator through a confident discriminator, minimax and non-saturating loss",
        reference="Goodfellow et al. 2014, arXiv:1406.2661, section 3",
        duration="1 minute",
        run=RepeatedExperiment(generator_gradient_experiment),
        protocol=(
            "Real examples N(0, 1), generated examples N(4, 1). Metric: mean absolute gradient of the generator's "
            "loss at generated examples."
        ),
    ),
    "saturation": Recipe(
        description="a discriminator saturates between two distant Gaussians, a critic remains linear",
        reference="Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, figure 2",
        duration="1 minute",
        run=RepeatedExperiment(saturation_experiment),
        protocol=(
            "Real examples N(-4, 1), generated examples N(4, 1). Metrics: absolute gradient of the generator's loss "
            "at the mean of generated examples, and share R^2 of the variance between the means that a linear fit "
            "explains."
        ),
    ),
    "pacgan-mixtures": Recipe(
        description="modes of the ring and the grid covered by GANs: unpacked, packed, with gradient penalty, unrolled",
        reference="Lin et al. 2018, arXiv:1712.04086, table 1; unrolled: Srivastava et al. 2017, arXiv:1705.07761",
        duration=(
            "per mixture on one core of an EPYC: GAN 40 minutes, PacGAN2 45, PacGAN3 50, PacGAN4 60, WGAN-GP 20, "
            "unrolled 100 (estimated from its first 100 steps); --quick: 3 minutes"
        ),
        run=ModelComparison(
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
                "mode_kl_all": "KL divergence of mode shares from uniform, all samples, nats",
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
            "100,000 points; generator with 4 hidden layers of 400 units and batch normalization, discriminator with "
            "3 hidden layers of 200 maxout units of 5 pieces; Adam with learning rate 0.0001 and b1 = 0.8; 100 packs "
            "per update. A mode is covered if one of 2,500 samples is within 3 standard deviations of it. The authors "
            "train for 400,000 steps with simultaneous updates of both networks; here both networks are updated in "
            f"alternation for {MIXTURE_STEPS:,} steps: the share of high-quality samples is below the published one, "
            "and PacGAN3 and PacGAN4 are at an early stage of training. WGAN-GP, which is not in that table, has 3 "
            f"hidden layers of 128 units in both networks, and {MIXTURE_STEPS // 2:,} steps with five critic updates "
            "each and 256 examples per update; its learning rate is 0.0005 with b1 = 0.5 and b2 = 0.9. Only its "
            "samples are generated with an exponential moving average of the generator's weights."
        ),
    ),
    "pacgan-ring": Recipe(
        description="modes of the ring covered by a GAN and by PacGAN2 after a longer training",
        reference="Lin et al. 2018, arXiv:1712.04086, table 1",
        duration="3 hours on one core of an EPYC (estimated from the first steps); --full: 30 hours; --quick: 1 minute",
        run=_long_on_ring(),
        protocol=(
            f"As pacgan-mixtures, for {LONG_RING_STEPS:,} steps and four seeds; --full for the 400,000 steps and the "
            "ten seeds of the paper. Both networks are updated in alternation, in the paper simultaneously."
        ),
        has_full=True,
    ),
    "mnist-likelihood": MNIST_LIKELIHOOD,
    "unrolled-ring": Recipe(
        description="modes of the ring covered by a GAN with a fast generator, with and without unrolling",
        reference="Metz et al. 2017, arXiv:1611.02163, figure 2 (plots of samples, no numbers)",
        duration="10 minutes on one core of an EPYC; --quick: 1 minute",
        run=ModelComparison(
            entries={f"{k} unrolled steps": _unrolled_on_ring(k) for k in (0, 5)},
            metrics={
                "modes": "modes covered, of 8",
                "high_quality": "share of samples within 3 standard deviations of a mode",
                "mode_kl_all": "KL divergence of mode shares from uniform, all samples, nats",
            },
            claims=[
                Claim("5 unrolled steps", "0 unrolled steps", "modes"),
                Claim("0 unrolled steps", "5 unrolled steps", "mode_kl_all"),
            ],
            quick_steps=500,
        ),
        protocol=(
            "Generator with 2 hidden layers of 128 units, discriminator with one; Adam with b1 = 0.5 and learning "
            "rates 0.001 of the generator and 0.0001 of the discriminator, as in the authors' notebook; "
            f"{UNROLLED_STEPS:,} steps. Differences: default activations and initialization, one hidden layer "
            "instead of two in the discriminator, 16 latent dimensions instead of 256, 256 examples per update "
            "instead of 512. A mode is covered if one of 2,500 samples is within 3 standard deviations of it."
        ),
    ),
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
    **EXTRACTOR_RECIPES,
}
"""Recipe name -> recipe."""
