"""Likelihoods of MNIST under variational and importance-weighted autoencoders (Burda et al. 2016)."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.game import State
from jaxgen.metrics import annealed_importance_sampling, bidirectional_bounds, importance_weighted_bound
from jaxgen.metrics.protocol import Protocol, choice
from jaxgen.models.vae import Config
from jaxgen.recipes.claims import Claim, Limit
from jaxgen.recipes.model_comparison import Entry, ModelComparison
from jaxgen.recipes.recipe import Published, Recipe
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.evaluation import load_test_split
from jaxgen.runs.likelihood_metrics import likelihood_metrics, with_protocol
from jaxgen.training.seeds import extract_seed, measure_seeds
from jaxgen.typing import Array, Batch, KeyArray

BATCH_SIZE = 20
"""Images of one update, of Burda et al."""

EPOCH = 60_000 // BATCH_SIZE
"""Steps of one pass over the training images."""

STAGES = [3**stage for stage in range(8)]
"""Epochs of the eight stages of Burda et al., 3,280 in total."""

FACTORS = tuple(round(10 ** (1 - stage / 7), 1) / 10 for stage in range(8))
"""Factors of the learning rate of the stages, rounded as in their program: 1, 0.72, 0.52, ..., 0.1."""

SHORT_STAGES = [max(1, round(epochs / 80)) for epochs in STAGES]
"""Epochs of the stages here, 44 in total."""


def in_stages(config: Config, stages: Sequence[int], *, data: str) -> RunConfig[Config]:
    """Return a run with the stages of Burda et al.: smaller learning rates in longer and longer stages.

    Args:
        config: options of the model.
        stages: epochs of each of the eight stages.
        data: name of the data set.

    Returns:
        The run.

    Example:
        >>> run = in_stages(Config(), [1, 1, 1, 1, 1, 3, 9, 27], data="mnist")
        >>> run.steps, run.model_config.milestones[:2], run.model_config.factors[:2]
        (132000, (3000, 6000), (0.72, 0.52))
    """
    *milestones, steps = (EPOCH * epochs for epochs in accumulate(stages))
    staged = dataclasses.replace(
        config, learning_rate=1e-3, eps=1e-4, schedule="piecewise", milestones=tuple(milestones), factors=FACTORS[1:]
    )
    return RunConfig(
        staged,
        data=data,
        steps=steps,
        batch_size=BATCH_SIZE,
        log_every=steps // 44,
        checkpoint_every=steps // 22,
        image_every=steps,
    )


def _burda(objective: Literal["elbo", "iwae"], draws: int, published: float) -> Entry:
    """Return a model of Burda et al. with one stochastic layer; one seed of the expensive ones."""
    config = Config(
        hidden=(200, 200), latent_dim=50, activation="tanh", objective=objective, draws=draws, binarize=True
    )
    return Entry(
        "vae",
        in_stages(config, SHORT_STAGES, data="mnist"),
        {"importance_weighted_bound": Published(-published)},
        seeds=1 if draws == 50 else None,
        full=in_stages(config, STAGES, data="mnist"),
    )


PUBLISHED_STATIC = "k=200, the binarization of Salakhutdinov & Murray, 500 epochs"
"""Protocol of the published bound of the VAE on images that are binarized once."""


def _static() -> Entry:
    """Return the VAE 784-400-40 on images that are binarized once."""
    config = Config(hidden=(400,), latent_dim=40)
    long = Config(hidden=(400,), latent_dim=40, learning_rate=1e-4)
    steps = 500 * EPOCH
    return Entry(
        "vae",
        in_stages(config, SHORT_STAGES, data="binary_mnist"),
        {"importance_weighted_bound": Published(-89.9, protocol=PUBLISHED_STATIC)},
        full=RunConfig(
            long,
            data="binary_mnist",
            steps=steps,
            batch_size=BATCH_SIZE,
            log_every=steps // 500,
            checkpoint_every=steps // 50,
            image_every=steps,
        ),
    )


def bound_metrics(run: Run, key: KeyArray, *, k: int = 5000, examples: int | None = None) -> dict[str, Any]:
    """Compute the importance-weighted bound of log p(x) on the test split, and count the active units.

    Args:
        run: run of a VAE with the Bernoulli likelihood.
        key: PRNG key of binarization and draws.
        k: draws of the bound.
        examples: number of test images; None for all.

    Returns:
        `importance_weighted_bound`, in nats, and `active_units`, with their protocols: one value for each seed.
    """
    shown = _test_images(run, examples)
    found = likelihood_metrics(run, key, k=k, names=("importance_weighted_bound", "active_units"), data=shown)
    count = len(shown["image"])
    return {with_protocol(name, run.config, k=k, examples=count): value for name, value in found.items()}


def annealed_metrics(
    run: Run, key: KeyArray, *, k: int = 5000, images: int = 100, chains: int = 16, temperatures: int = 2000
) -> dict[str, Any]:
    """Compare the importance-weighted bound with annealed importance sampling, for the first seed of a run.

    Args:
        run: run of a VAE with the Bernoulli likelihood.
        key: PRNG key of binarization, draws and chains.
        k: draws of the bound.
        images: number of test images, and of simulated images.
        chains: chains per image.
        temperatures: temperatures of each chain.

    Returns:
        `annealed_minus_bound`, the mean difference of the estimates of log p(x) of the first test images, and
        `bidirectional_gap`, the mean difference of the upper and the lower bound of simulated images, in nats, with
        their protocols: a value for the first seed that has not diverged, and NaN for the others.
    """
    differences, gaps = _annealed(
        run.model.latent_densities,
        run.model.sample_latent,
        run.model.decode,
        (k, chains, temperatures),
        key,
        extract_seed(run.state, run.first_finite),
        _test_images(run, images),
    )
    chain = (f"n={images}", f"chains={chains}", f"temperatures={temperatures}")
    data = (f"k={k}", f"split={choice(Path(run.config.data).name)}:test")
    found = {
        str(Protocol(name, choices)): float(np.mean(np.asarray(values), dtype=np.float64))
        for name, choices, values in (
            ("annealed_minus_bound", (*data, *chain), differences),
            ("bidirectional_gap", ("simulated images", *chain), gaps),
        )
    }
    return measure_seeds(lambda _: found, [run.first_finite], run.config.seeds or 1)


def _test_images(run: Run, count: int | None) -> dict[str, Any]:
    """The first images of the test split."""
    data = load_test_split(run.config, run.example)
    assert isinstance(data, Mapping)
    return {name: array[:count] for name, array in data.items()}


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _annealed(
    latent_densities: Any,
    sample_latent: Any,
    decode: Any,
    numbers: tuple[int, int, int],
    key: KeyArray,
    state: State,
    batch: Batch,
) -> tuple[Array, Array]:
    """The difference of both estimates for each image of the batch, and the gap for as many simulated images."""
    image_key, bound_key, chain_key, latent_key, pixel_key, gap_key = jax.random.split(key, 6)
    (k, chains, temperatures), count = numbers, len(batch["image"])
    densities = latent_densities(image_key, state, batch)
    bound = importance_weighted_bound(bound_key, *densities, k=k)
    options = {"chains": chains, "temperatures": temperatures}
    annealed = annealed_importance_sampling(
        chain_key, densities.log_likelihood, batch=count, latent_dim=densities.mean.shape[1], **options
    )
    latents = sample_latent(latent_key, count)
    simulated = jax.random.bernoulli(pixel_key, decode(state, latents)).astype(jnp.float32)
    of_simulated = latent_densities(image_key, state, {**batch, "image": simulated}).log_likelihood
    gap = bidirectional_bounds(gap_key, of_simulated, latents, **options)
    return annealed.log_likelihood - bound, gap.upper - gap.lower


MNIST_LIKELIHOOD = Recipe(
    description="likelihood of MNIST under variational and importance-weighted autoencoders with 1, 5 and 50 draws",
    reference="Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, table 1; AIS: Wu et al. 2017, arXiv:1611.04273",
    duration=(
        "4 hours on two cores of an EPYC (estimated from the first steps: 2 of training), --full: 150 hours; "
        "--quick: 2 minutes"
    ),
    run=ModelComparison(
        entries={
            "VAE and IWAE, k = 1": _burda("elbo", 1, 86.76),
            "VAE, k = 5": _burda("elbo", 5, 86.47),
            "VAE, k = 50": _burda("elbo", 50, 86.35),
            "IWAE, k = 5": _burda("iwae", 5, 85.54),
            "IWAE, k = 50": _burda("iwae", 50, 84.78),
            "static VAE 784-400-40": _static(),
        },
        metrics={
            "importance_weighted_bound": "lower bound of log p(x) of test images, nats",
            "active_units": "active units of the latent",
            "annealed_minus_bound": "annealed importance sampling minus that bound, few test images, nats",
            "bidirectional_gap": "upper minus lower bound of log p(x), few simulated images, nats",
        },
        measures={"bound": bound_metrics, "annealed": annealed_metrics},
        quick_measures={
            "bound": partial(bound_metrics, k=50, examples=200),
            "annealed": partial(annealed_metrics, k=50, images=10, chains=4, temperatures=50),
        },
        limits=[Limit("annealed_minus_bound", at_least=-0.5), Limit("bidirectional_gap", at_most=1)],
        claims=[
            Claim("IWAE, k = 5", "VAE, k = 5", "importance_weighted_bound"),
            Claim("IWAE, k = 5", "VAE and IWAE, k = 1", "importance_weighted_bound"),
        ],
        seeds=3,
        quick_steps=60,
        quick_seeds=1,
    ),
    protocol=(
        "784-200-200-50 and mirrored, tanh; pixels are drawn anew with their grey values as probabilities in every "
        "update and once for the test. Adam with b1 = 0.9, b2 = 0.999 and eps = 0.0001, 20 images per update, eight "
        "stages with learning rates from 0.001 to 0.0001 as in the authors' program, of 1, 1, 1, 1, 1, 3, 9 and 27 "
        "epochs instead of 3^0 to 3^7, which --full has: the bounds are below the published ones. Differences: the KL "
        "term of the VAE is exact instead of estimated by the draws; biases of the output start at 0 instead of the "
        "log-odds of the data means; weights by LeCun et al. instead of Glorot & Bengio; their program has b1 = 0.99. "
        "Three seeds, one with 50 draws. Bound: 5,000 draws, 10,000 test images. The last model is on binary_mnist, "
        "MNIST binarized once by draws of this library (other draws than the shared file of Salakhutdinov & Murray), "
        "with ReLU and the same stages; published for it: Rezende & Mohamed 2015, arXiv:1505.05770, table 3, 500 "
        "epochs with the learning rate 0.0001, 200 draws at the test. Annealed importance sampling: first seed, 100 "
        "images, 16 chains, 2,000 temperatures, 10 leapfrog steps."
    ),
    has_full=True,
)
"""The recipe."""
