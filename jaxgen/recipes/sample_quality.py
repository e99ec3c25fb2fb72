"""Quality of samples by features: of GANs by their losses, and of autoencoders by the source of their latents."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxgen.analysis import fit_latent_density
from jaxgen.analysis.feature_metrics import Sets, feature_metrics
from jaxgen.analysis.image_features import features_of_data, features_of_parts
from jaxgen.data import random_examples
from jaxgen.data.large_arrays import split_batches
from jaxgen.metrics.extractors import INCEPTION_WEIGHTS, default_extractor, is_installed, load_extractor
from jaxgen.models import PRESETS, autoencoder, vae
from jaxgen.models.gan import Config
from jaxgen.recipes.claims import Limit
from jaxgen.recipes.model_comparison import Entry, ModelComparison
from jaxgen.recipes.recipe import Published, Recipe
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.loading import single
from jaxgen.runs.sample_evaluation import evaluate_samples
from jaxgen.training.seeds import measure_seeds
from jaxgen.typing import KeyArray

GAN_STEPS = 3000
"""Training steps of every GAN; a step of WGAN has five critic updates."""

LUCIC = "fid, Inception, n=10000/10000, best of a search, Lucic et al. 2018"
"""Protocol of the published distances."""

PUBLISHED_FID = {
    "mnist": {
        "minimax": (9.8, 0.9),
        "non-saturating": (6.8, 0.5),
        "LSGAN": (7.8, 0.6),
        "WGAN": (6.7, 0.4),
        "WGAN-GP": (20.3, 5.0),
        "DRAGAN": (7.6, 0.4),
    },
    "fashion_mnist": {
        "minimax": (29.6, 1.6),
        "non-saturating": (26.5, 1.6),
        "LSGAN": (30.7, 2.2),
        "WGAN": (21.5, 1.6),
        "WGAN-GP": (24.5, 2.1),
        "DRAGAN": (27.7, 1.2),
    },
}
"""Data set -> model -> published distance and its standard deviation."""


DRAGAN_WEIGHT_SCALE = 0.1
"""Standard deviation of DRAGAN's initial weights."""


def _gans() -> dict[str, Config]:
    """Return the six losses with one architecture, each with its published optimizer."""
    dcgan: dict[str, Any] = {"architecture": "dcgan", "width": 16, "latent_dim": 64}
    plain = dataclasses.replace(PRESETS["dcgan"].config, **dcgan)
    return {
        # With DCGAN's discriminator the gradient of this loss vanishes within hundreds of steps, in all seeds.
        "minimax": dataclasses.replace(
            plain, loss="minimax", discriminator_normalization="spectral", discriminator_learning_rate=5e-5
        ),
        "non-saturating": plain,
        "LSGAN": dataclasses.replace(PRESETS["lsgan"].config, **dcgan),
        "WGAN": dataclasses.replace(PRESETS["wgan"].config, **dcgan),
        "WGAN-GP": dataclasses.replace(PRESETS["wgan-gp"].config, **dcgan),
        # With the initial weights of DCGAN, which rely on batch normalization in both networks, all seeds collapse.
        "DRAGAN": dataclasses.replace(
            plain, penalty="dragan", discriminator_normalization="none", weight_scale=DRAGAN_WEIGHT_SCALE
        ),
    }


def _gan_entries() -> dict[str, Entry]:
    entries = {}
    for data, numbers in PUBLISHED_FID.items():
        for name, config in _gans().items():
            run = RunConfig(
                config,
                data=data,
                steps=GAN_STEPS,
                batch_size=64,
                log_every=GAN_STEPS // 40,
                checkpoint_every=GAN_STEPS // 10,
                image_every=GAN_STEPS // 2,
            )
            mean, sd = numbers[name]
            published = Published(mean, sd=sd, protocol=LUCIC)
            entries[f"{data}, {name}"] = Entry("gan", run, {"frechet_distance": published, "fid": published})
    return entries


def metrics_by_classifier(run: Run, key: KeyArray, *, count: int = 10_000) -> dict[str, Any]:
    """Compare samples with the test split by the features of the classifier of the data.

    Args:
        run: run of a GAN on MNIST or Fashion-MNIST.
        key: PRNG key of the samples.
        count: number of samples of each seed.

    Returns:
        Protocol, as a text -> value of each seed, NaN for those that have diverged.
    """
    names = ["fid", "kid", "precision_recall", "density_coverage"]
    return _by_extractor(run, key, names, default_extractor(run.config.data), count)


def metrics_by_inception(run: Run, key: KeyArray, *, count: int = 10_000) -> dict[str, Any]:
    """Compute the Fréchet Inception distance of samples from the test split, where the weights are installed.

    Args:
        run: run of a GAN on MNIST or Fashion-MNIST.
        key: PRNG key of the samples.
        count: number of samples of each seed.

    Returns:
        Protocol, as a text -> value of each seed, NaN for those that have diverged; nothing without the weights.
    """
    return _by_extractor(run, key, ["fid"], "inception_2015", count) if is_installed(INCEPTION_WEIGHTS) else {}


def _by_extractor(run: Run, key: KeyArray, names: Sequence[str], extractor: str, count: int) -> dict[str, Any]:
    found = evaluate_samples(run, key, names, load_extractor(extractor), count=count, split="test")
    return {name: np.array(value["seeds"], float) for name, value in found.items()}


LATENT_DIM = 16
"""Dimension of the latents of the autoencoders, as on MNIST by Ghosh et al."""

AUTOENCODER_STEPS = 8000
"""Training steps of every autoencoder."""

COMPONENTS = 10
"""Gaussians of the mixture, as in Ghosh et al."""

FITTED = 10_000
"""Training examples to whose latents the mixture is fitted."""


def _autoencoders() -> dict[str, Entry]:
    shared: dict[str, Any] = {"architecture": "conv", "latent_dim": LATENT_DIM}
    every = AUTOENCODER_STEPS // 10
    run: dict[str, Any] = {
        "data": "mnist",
        "steps": AUTOENCODER_STEPS,
        "batch_size": 100,
        "log_every": every,
        "checkpoint_every": every,
        "image_every": AUTOENCODER_STEPS,
    }
    models: dict[str, tuple[str, Any]] = {
        "autoencoder": ("autoencoder", autoencoder.Config(**shared)),
        "L2-regularized autoencoder": ("autoencoder", autoencoder.Config(l2=5e-3, weight_decay=1e-5, **shared)),
        "VAE": ("vae", vae.Config(**shared)),
    }
    return {name: Entry(family, RunConfig(config, **run)) for name, (family, config) in models.items()}


def latent_source_metrics(run: Run, key: KeyArray, *, count: int = 10_000) -> dict[str, Any]:
    """Compare samples of two distributions of latents with the test split.

    Args:
        run: run of a model that encodes and decodes.
        key: PRNG key of the latents.
        count: number of samples of each seed.

    Returns:
        `frechet_distance_prior[...]`, of decoded draws from N(0, I), and `frechet_distance_mixture[...]`, of decoded
        draws from a mixture of Gaussians that is fitted to latents of training examples, and the fall from the first
        to the second, `frechet_distance_fall[...]`: one value for each seed.
    """
    extractor = load_extractor(default_extractor(run.config.data))
    example_key, fit_key, prior_key, mixture_key, metric_key = jax.random.split(key, 5)
    real = features_of_data(extractor, run.config.source.load("test"))
    train = random_examples(example_key, run.config.source.load("train"), FITTED)

    def of_seed(number: int) -> dict[str, float]:
        alone = single(run, number)
        seed = int(jax.random.bits(fit_key) >> 1)
        mixture = fit_latent_density(alone.encode(train), components=COMPONENTS, seed=seed)
        prior = jax.random.normal(prior_key, (count, LATENT_DIM))
        distances = {}
        for source, latents in (("prior", prior), ("mixture", mixture.sample(mixture_key, count))):
            fake = features_of_parts(extractor, map(alone.decode, split_batches(latents)), count=count)
            sets = Sets(real, fake, f"{run.config.data}:test")
            (measured,) = feature_metrics(metric_key, ["fid"], extractor, sets)
            distances[source] = measured.value
        distances["fall"] = distances["prior"] - distances["mixture"]
        name = measured.protocol.metric
        return {
            str(dataclasses.replace(measured.protocol, metric=f"{name}_{source}")): value
            for source, value in distances.items()
        }

    return measure_seeds(of_seed, run.finite, run.config.seeds or 1)


SAMPLE_QUALITY_RECIPES = {
    "gan-fid": Recipe(
        description="Fréchet distances of GANs by loss on MNIST and Fashion-MNIST, beside the order of Lucic et al.",
        reference="Lucic et al. 2018, arXiv:1711.10337, table 2; features: the classifiers in the package",
        duration="3 hours on two cores of an EPYC (estimated from the first steps); --quick: 3 minutes",
        run=ModelComparison(
            entries=_gan_entries(),
            metrics={
                "frechet_distance": "Fréchet distance from the test split, squared features",
                "fid": "Fréchet Inception distance from the test split",
                "kernel_distance": "squared kernel distance from the test split",
                "precision": "precision: share of samples near test images",
                "recall": "recall: share of test images near samples",
                "density": "density",
                "coverage": "coverage: share of test images with samples around them",
            },
            measures={"classifier": metrics_by_classifier, "inception": metrics_by_inception},
            quick_measures={
                "classifier": partial(metrics_by_classifier, count=500),
                "inception": partial(metrics_by_inception, count=500),
            },
            seeds=5,
            quick_steps=10,
            quick_seeds=1,
        ),
        protocol=(
            f"DCGANs of width 16 with 64 latent dimensions, 64 images per update, {GAN_STEPS:,} steps, optimizer of "
            "each loss as published; for the minimax loss the discriminator has spectral normalization and learns at "
            "5e-5, the best of eight choices after 400 or 1,000 steps of one seed on MNIST, as with DCGAN's own all "
            "seeds collapse; DRAGAN has no normalization in the discriminator and initial weights with a standard "
            f"deviation of {DRAGAN_WEIGHT_SCALE}, the best of eight choices likewise. 10,000 samples beside the 10,000 "
            "test images by the features of mnist_v1 and fashion_mnist_v1, and by Inception where its weights are "
            "installed. Published: another architecture, "
            "Inception, and the best of 100 settings of the hyperparameters: compare the order of the models, not the "
            "numbers."
        ),
    ),
    "ex-post-density": Recipe(
        description="samples of autoencoders from the prior and from a mixture fitted to the latents; on MNIST",
        reference="Ghosh et al. 2020, arXiv:1903.12436, table 1 (other networks, Inception)",
        duration="30 minutes on two cores of an EPYC (estimated from the first steps); --quick: 2 minutes",
        run=ModelComparison(
            entries=_autoencoders(),
            metrics={
                "frechet_distance_prior": "Fréchet distance of samples from N(0, I), squared features",
                "frechet_distance_mixture": "Fréchet distance of samples from the mixture, squared features",
                "frechet_distance_fall": "fall of the distance from the prior to the mixture, squared features",
            },
            measures={"latents": latent_source_metrics},
            quick_measures={"latents": partial(latent_source_metrics, count=500)},
            limits=[Limit("frechet_distance_fall", at_least=0)],
            seeds=3,
            quick_steps=20,
            quick_seeds=1,
        ),
        protocol=(
            f"Convolutional autoencoders of width 32 with {LATENT_DIM} latent dimensions, {AUTOENCODER_STEPS:,} steps "
            "of 100 images; the regularized one has the weight 0.005 of the squared norm of the latent and weight "
            f"decay, as RAE-L2. A mixture of {COMPONENTS} Gaussians with full covariances is fitted to the latents of "
            f"{FITTED:,} training images (of a VAE, the means). 10,000 samples beside the 10,000 test images by the "
            "features of mnist_v1."
        ),
    ),
}
"""Recipe name -> recipe."""
