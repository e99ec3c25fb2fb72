"""What theory says of GANs, checked with trained networks between densities that are known.

Each experiment trains its networks in seconds and returns its numbers and its figures:

    optimal_discriminator_experiment    Goodfellow et al. 2014, proposition 1 and theorem 1
    generator_gradient_experiment       Goodfellow et al. 2014, section 3
    saturation_experiment               Arjovsky, Chintala and Bottou 2017, figure 2
"""

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
from jaxgen.typing import AnyArray, Array, Float, KeyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINE = np.linspace(-15.0, 15.0, 3001, dtype=np.float32)
"""Where densities are integrated: far beyond the modes of all of them."""

STEP = 0.01
"""Of that grid; the difference of two of its places in float32 is wrong in the fifth digit."""

SHOWN = np.linspace(-8.0, 8.0, 801, dtype=np.float32)
"""Where functions are drawn."""


class Experiment(NamedTuple):
    """What came out for one key.

    Attributes:
        numbers: name -> number.
        figures: name -> figure.
    """

    numbers: dict[str, float]
    figures: "dict[str, Figure]"


def optimal_discriminator_experiment(key: KeyArray, *, steps: int = 2000) -> Experiment:
    """Train discriminators between densities that are known, and compare them with the best ones.

    Two pairs of densities: three modes against a broad normal distribution, and two modes against two others.

    Args:
        key: of the training.
        steps: of the training.

    Returns:
        For each pair `probability_error`, `log_ratio_error`, `value` and `optimal_value`, as
        `jaxgen.analysis.best_response.AgainstOptimum` has them, and a figure of the two discriminators.

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
        log_p, log_q = p.log_density(_column(LINE)), q.log_density(_column(LINE))
        compared = compare_with_optimum(discriminator(_column(LINE)), log_p, log_q, volumes=STEP)
        numbers |= {f"{name}/{quantity}": float(number) for quantity, number in compared._asdict().items()}
        shown = _column(SHOWN)
        figures[name] = plot.discriminators(
            SHOWN,
            _densities(p, q),
            optimal=optimal_discriminator(p.log_density(shown), q.log_density(shown)),
            trained=jax.nn.sigmoid(discriminator(shown)),
            title=f"mean |D - D*| = {compared.probability_error:.4f}",
        )
    return Experiment(numbers, figures)


def generator_gradient_experiment(key: KeyArray, *, steps: int = 1000) -> Experiment:
    """Compare what the generator gets from a discriminator that is sure, by the minimax and the non-saturating loss.

    Real examples are N(0, 1) and generated ones N(4, 1); the best logit is a straight line of slope -4.

    Args:
        key: of the training and the generated examples.
        steps: of the training.

    Returns:
        The mean `confidence` of D in generated examples, and for both losses the mean size of the gradient at them,
        per unit of the line: `minimax` and `non_saturating` through the trained discriminator, `minimax_optimal` and
        `non_saturating_optimal` through the best one. The figure shows both losses at the confidences of the trained
        discriminator between the two means.

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
    # Between the two means, where a probability does not round to 1.
    confidence = jnp.sort(jax.nn.sigmoid(trained(_column(np.linspace(0.0, 4.0, 401, dtype=np.float32)))))
    gradients = {name: generator_gradient(loss, confidence) for name, loss in losses.items()}
    return Experiment(numbers, {"generator_gradients": plot.generator_gradients(confidence, gradients)})


def saturation_experiment(key: KeyArray, *, steps: int = 1000) -> Experiment:
    """Train a discriminator and two critics between the same two distant Gaussians.

    Real examples are N(-4, 1) and generated ones N(4, 1), which hardly overlap. One critic is clipped, as in the paper:
    its slope, which stays within that bound, has no unit. The slope of the other is penalized, from above only.
    A two-sided penalty does not let a critic on the line change its sign: at slope 0, its weight of 10 pushes by 20
    towards the side where the critic began, and the distance of 8 by no more than 8 to the right one.

    Where nearly all of p lies left of nearly all of q, at the distance d, the penalized critic has the slope
    `-(1 + d / (2 penalty_weight))`, here -1.4: what is gained by a steeper one and what it costs are in balance.

    Args:
        key: of the training.
        steps: of the training.

    Returns:
        For `discriminator`, `clipped_critic` and `penalized_critic` the `gradient`, which is the size of what the
        generator gets at the mean of generated examples, through the minimax and the Wasserstein loss, and the
        `straightness` between the two means: the share R^2 of the variance of D's probability, or of the critic's
        value, that a straight line explains. A figure with each of the critics.

    Reference:
        Arjovsky, Chintala and Bottou 2017, arXiv:1701.07875, figure 2; Gulrajani et al. 2017, arXiv:1704.00028.

    Example:
        >>> numbers, figures = saturation_experiment(jax.random.key(0), steps=200)
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
        "discriminator/straightness": _straightness(probability, -4.0, 4.0),
    }
    figures = {}
    for name, critic in critics.items():
        numbers[f"{name}/gradient"] = float(jnp.abs(sample_gradients(wasserstein, critic, fake_mean))[0, 0])
        numbers[f"{name}/straightness"] = _straightness(critic, -4.0, 4.0)
        shown = _column(SHOWN)
        figures[name] = plot.saturation(SHOWN, _densities(p, q), discriminator=probability(shown), critic=critic(shown))
    return Experiment(numbers, figures)


def _straightness(function: Critic, start: float, end: float) -> float:
    """The square of the correlation of a function with its argument, on a segment of the line."""
    places = jnp.linspace(start, end, 401)
    return float(jnp.corrcoef(places, function(_column(places)))[0, 1] ** 2)


def _normal(mean: float, scale: float) -> Synthetic:
    return gaussian_1d(weights=(1.0,), means=(mean,), scales=(scale,))


def _points(distribution: Synthetic) -> Sampler:
    return lambda key, n: distribution.sample(key, n)["point"]


def _column(places: Float[AnyArray, " n"]) -> Float[Array, "n 1"]:
    return jnp.asarray(places)[:, jnp.newaxis]


def _densities(p: Synthetic, q: Synthetic) -> dict[str, Float[Array, " shown"]]:
    shown = _column(SHOWN)
    return {"real": jnp.exp(p.log_density(shown)), "generated": jnp.exp(q.log_density(shown))}
