"""Recipes of GANs on mixtures of Gaussians in two dimensions: which of their modes the samples cover."""

import dataclasses
from typing import Any

from jaxgen.models import PRESETS
from jaxgen.models.gan import Config
from jaxgen.recipes.claims import Claim
from jaxgen.recipes.model_comparison import Entry, ModelComparison
from jaxgen.recipes.recipe import Published, Recipe
from jaxgen.recipes.recipe_runs import with_steps
from jaxgen.runs import RunConfig

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


MIXTURE_RECIPES = {
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
}
"""Recipe name -> recipe."""
