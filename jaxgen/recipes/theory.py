"""Theoretical results on GANs, reproduced with networks trained between known densities.

Each experiment trains its networks in seconds and returns numbers and figures:

    optimal_discriminator_experiment    Goodfellow et al. 2014, proposition 1 and theorem 1
    generator_gradient_experiment       Goodfellow et al. 2014, section 3
    saturation_experiment               Arjovsky, Chintala and Bottou 2017, figure 2
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgen import plot
from jaxgen.analysis import generator_gradient, optimal_discriminator, optimal_logits
from jaxgen.analysis.best_response import Sampler, compare_with_optimum, sample_gradients, train_discriminator
from jaxgen.data.synthetic import Synthetic, gaussian_1d
from jaxgen.losses import gradient_penalty, minimax, non_saturating, wasserstein
from jaxgen.losses.penalties import Critic
from jaxgen.recipes.recipe import MetricResult, Outcome, Recipe, Request, finite_or_none
from jaxgen.typing import AnyArray, Array, Float, KeyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUADRATURE_NODES = np.linspace(-15.0, 15.0, 3001, dtype=np.float32)
"""Nodes at which densities are integrated; their range extends far beyond all modes."""

QUADRATURE_STEP = 0.01
"""Distance of two nodes; the difference of two nodes in float32 is inexact in the fifth digit."""

PLOT_POINTS = np.linspace(-8.0, 8.0, 801, dtype=np.float32)
"""Points at which functions are plotted."""


class ExperimentResult(NamedTuple):
    """Result of an experiment for one key.

    Attributes:
        numbers: metric name -> value.
        figures: file name without suffix -> figure.
    """

    numbers: dict[str, float]
    figures: "dict[str, Figure]"


def optimal_discriminator_experiment(key: KeyArray, *, steps: int = 2000) -> ExperimentResult:
    """Train discriminators between known densities, and compare them with the optimal ones.

    Two pairs of densities: three modes and a broad normal distribution, and two mixtures of two modes.

    Args:
        key: PRNG key of the training.
        steps: number of training steps.

    Returns:
        For each pair `probability_error`, `log_ratio_error`, `value` and `optimal_value` of
        `jaxgen.analysis.best_response.AgainstOptimum`, and a figure of the trained and the optimal discriminator.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, proposition 1 and theorem 1.

    Example:
        >>> numbers, figures = optimal_discriminator_experiment(jax.random.key(0), steps=2)
        >>> sorted(figures)
        ['broad_normal', 'two_mixtures']
        >>> numbers["broad_normal/value"] < numbers["broad_normal/optimal_value"]
        True
    """
    pairs = {
        "broad_normal": (gaussian_1d(), _normal(-0.5, 3.0)),
        "two_mixtures": (
            gaussian_1d(weights=(0.5, 0.5), means=(-2.0, 2.0), scales=(0.6, 0.8)),
            gaussian_1d(weights=(0.6, 0.4), means=(-3.0, 2.0), scales=(1.0, 1.5)),
        ),
    }
    numbers: dict[str, float] = {}
    figures: dict[str, Figure] = {}
    for name, (p, q) in pairs.items():
        discriminator = train_discriminator(key, _points(p), _points(q), steps=steps)
        log_p, log_q = p.log_density(_column(QUADRATURE_NODES)), q.log_density(_column(QUADRATURE_NODES))
        compared = compare_with_optimum(discriminator(_column(QUADRATURE_NODES)), log_p, log_q, volumes=QUADRATURE_STEP)
        numbers |= {f"{name}/{quantity}": float(number) for quantity, number in compared._asdict().items()}
        shown = _column(PLOT_POINTS)
        figures[name] = plot.discriminators(
            PLOT_POINTS,
            _densities(p, q),
            optimal=optimal_discriminator(p.log_density(shown), q.log_density(shown)),
            trained=jax.nn.sigmoid(discriminator(shown)),
            title=f"mean |D - D*| = {compared.probability_error:.4f}",
        )
    return ExperimentResult(numbers, figures)


def generator_gradient_experiment(key: KeyArray, *, steps: int = 1000) -> ExperimentResult:
    """Compare the generator's gradients of the minimax and the non-saturating loss through a confident discriminator.

    Real examples are N(0, 1) and generated examples N(4, 1); the optimal logit is linear with derivative -4.

    Args:
        key: PRNG key of the training and the generated examples.
        steps: number of training steps.

    Returns:
        The mean `confidence` D of generated examples, and for both losses the mean absolute gradient with respect to
        them: `minimax` and `non_saturating` through the trained discriminator, `minimax_optimal` and
        `non_saturating_optimal` through the optimal one. The figure shows the derivatives of both losses with respect
        to the logit at the confidences of the trained discriminator between the two means.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, section 3.

    Example:
        >>> numbers, figures = generator_gradient_experiment(jax.random.key(0), steps=50)
        >>> numbers["minimax"] < numbers["non_saturating"]
        True
    """
    losses = {"minimax": minimax, "non_saturating": non_saturating}
    training_key, sample_key = jax.random.split(key)
    p, q = _normal(0.0, 1.0), _normal(4.0, 1.0)
    trained = train_discriminator(training_key, _points(p), _points(q), steps=steps)
    fake = _points(q)(sample_key, 10_000)
    numbers = {"confidence": float(jnp.mean(jax.nn.sigmoid(trained(fake))))}
    for suffix, discriminator in (
        ("", trained),
        ("_optimal", lambda x: optimal_logits(p.log_density(x), q.log_density(x))),
    ):
        for name, loss in losses.items():
            numbers[name + suffix] = float(jnp.mean(jnp.abs(sample_gradients(loss, discriminator, fake))))
    # Between the two means, where probabilities do not round to 1.
    confidence = jnp.sort(jax.nn.sigmoid(trained(_column(np.linspace(0.0, 4.0, 401, dtype=np.float32)))))
    gradients = {name: generator_gradient(loss, confidence) for name, loss in losses.items()}
    return ExperimentResult(numbers, {"generator_gradients": plot.generator_gradients(confidence, gradients)})


def saturation_experiment(key: KeyArray, *, steps: int = 1000) -> ExperimentResult:
    """Train a discriminator and two critics between two distant Gaussians.

    Real examples are N(-4, 1) and generated examples N(4, 1), which hardly overlap. One critic is clipped, as in the
    paper: its gradient, which is limited by the clipping, has no unit. The gradient norm of the other is penalized
    above 1 only: a two-sided penalty prevents a critic of one variable from changing its sign. At derivative 0, the
    penalty with weight 10 pushes with 20 towards the sign of the initial derivative, and the distance of the means with
    only 8 towards the correct sign.

    Where nearly all of p lies left of nearly all of q, at distance d, the penalized critic has the derivative
    `-(1 + d / (2 penalty_weight))`, here -1.4: there the gain and the penalty of a larger gradient norm are balanced.

    Args:
        key: PRNG key of the training.
        steps: number of training steps.

    Returns:
        For `discriminator`, `clipped_critic` and `penalized_critic` the `gradient`: the absolute gradient of the
        generator's loss at the mean of generated examples, for the minimax and the Wasserstein loss; and `r_squared`
        between the two means: the share R^2 of the variance of D's probability, or of the critic's value, that a linear
        fit explains. One figure for each of the critics.

    Reference:
        Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, figure 2; Gulrajani et al. 2017, arXiv:1704.00028.

    Example:
        >>> numbers, figures = saturation_experiment(jax.random.key(0), steps=100)
        >>> numbers["discriminator/gradient"] < 0.01 < 1 < numbers["penalized_critic/gradient"]
        True
    """
    p, q = _normal(-4.0, 1.0), _normal(4.0, 1.0)
    train = partial(train_discriminator, key, _points(p), _points(q), steps=steps, batch_size=256)
    discriminator = train()
    critics = {
        "clipped_critic": train(loss=wasserstein, clip=0.01, optimizer=optax.rmsprop),
        "penalized_critic": train(loss=wasserstein, penalty=partial(gradient_penalty, one_sided=True)),
    }

    def probability(points: Float[Array, "n 1"]) -> Float[Array, " n"]:
        return jax.nn.sigmoid(discriminator(points))

    fake_mean = jnp.array([[4.0]])
    numbers = {
        "discriminator/gradient": float(jnp.abs(sample_gradients(minimax, discriminator, fake_mean))[0, 0]),
        "discriminator/r_squared": _r_squared(probability, -4.0, 4.0),
    }
    figures = {}
    for name, critic in critics.items():
        numbers[f"{name}/gradient"] = float(jnp.abs(sample_gradients(wasserstein, critic, fake_mean))[0, 0])
        numbers[f"{name}/r_squared"] = _r_squared(critic, -4.0, 4.0)
        shown = _column(PLOT_POINTS)
        figures[name] = plot.saturation(
            PLOT_POINTS, _densities(p, q), discriminator=probability(shown), critic=critic(shown)
        )
    return ExperimentResult(numbers, figures)


def _r_squared(function: Critic, start: float, end: float) -> float:
    """Compute the squared correlation of a function with its argument on an interval."""
    points = jnp.linspace(start, end, 401)
    return float(jnp.corrcoef(points, function(_column(points)))[0, 1] ** 2)


def _normal(mean: float, scale: float) -> Synthetic:
    return gaussian_1d(weights=(1.0,), means=(mean,), scales=(scale,))


def _points(distribution: Synthetic) -> Sampler:
    return lambda key, n: distribution.sample(key, n)["point"]


def _column(points: Float[AnyArray, " n"]) -> Float[Array, "n 1"]:
    return jnp.asarray(points)[:, jnp.newaxis]


def _densities(p: Synthetic, q: Synthetic) -> dict[str, Float[Array, " shown"]]:
    shown = _column(PLOT_POINTS)
    return {"real": jnp.exp(p.log_density(shown)), "generated": jnp.exp(q.log_density(shown))}


@dataclass(frozen=True)
class RepeatedExperiment:
    """A recipe that repeats an experiment with several keys.

    Attributes:
        experiment: function from a key to numbers, named `row/metric` or `metric`, and figures; the figures of the
            first key are kept.
        seeds: number of seeds of the protocol.
        quick_seeds: number of seeds of a quick run.
    """

    experiment: Callable[[KeyArray], ExperimentResult]
    seeds: int = 3
    quick_seeds: int = 1

    def __call__(self, request: Request) -> Outcome:
        """Repeat the experiment for all seeds."""
        seeds = request.seeds or (self.quick_seeds if request.quick else self.seeds)
        results = []
        for seed in range(seeds):
            request.notify(f"seed {seed + 1} of {seeds}")
            results.append(self.experiment(jax.random.key(seed)))
        rows: dict[str, dict[str, MetricResult]] = {}
        for name in results[0].numbers:
            row, _, metric = name.rpartition("/")
            values = tuple(finite_or_none(numbers[name]) for numbers, _ in results)
            rows.setdefault(row or "all", {})[metric] = MetricResult(values)
        return Outcome(rows, figures=results[0].figures)


THEORY_RECIPES = {
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
}
"""Recipe name -> recipe."""
