"""Discriminators and critics trained against a fixed generator, compared with optima in closed form."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

from jaxgen import losses
from jaxgen.analysis import optimal_logits
from jaxgen.analysis.best_response import compare_with_optimum, sample_gradients, train_discriminator
from jaxgen.errors import DivergenceError, InputError

affine = partial(train_discriminator, hidden=(), learning_rate=0.05, steps=400)
"""Trains an affine network, whose optimum is known in closed form."""


def normal(*mean):
    return lambda key, n: jnp.array(mean) + jax.random.normal(key, (n, len(mean)))


def weights_and_bias(network, dim):
    bias = network(jnp.zeros((1, dim)))[0]
    return np.asarray(network(jnp.eye(dim)) - bias), float(bias)


@pytest.mark.parametrize(("offset", "scale"), [(1000.0, 1.0), (0.0, 1000.0), (1e3, 1e-3)])
def test_logits_do_not_depend_on_the_place_and_the_unit_of_the_points(offset, scale):
    def samples(mean):
        return lambda key, n: offset + scale * (mean + jax.random.normal(key, (n, 1)))

    network = train_discriminator(jax.random.key(0), samples(-0.5), samples(0.5), hidden=(16,), steps=600)
    points = np.float32(offset + scale * np.array([[-1.5], [0.0], [1.5]]))
    exact = -(points[:, 0].astype(np.float64) - offset) / scale  # log N(x; -1/2, 1) - log N(x; 1/2, 1) = -x
    np.testing.assert_allclose(network(points), exact, atol=0.3)


def test_a_penalized_critic_far_from_the_origin_has_gradient_norms_in_the_unit_of_the_points():
    penalty = partial(losses.gradient_penalty, one_sided=True)
    train = partial(affine, loss=losses.wasserstein, penalty=penalty, penalty_weight=5.0)
    network = train(jax.random.key(0), normal(1e4, 1e4), normal(1e4 + 3.0, 1e4 + 4.0))
    gradient = jax.grad(lambda x: network(x[None])[0])(jnp.array([1e4, 1e4]))
    np.testing.assert_allclose(gradient, -1.5 * np.array([0.6, 0.8]), atol=0.02)


@pytest.mark.parametrize("loss", [losses.minimax, losses.non_saturating])
def test_logit_matches_affine_optimum_between_gaussians(loss):
    network = affine(jax.random.key(0), normal(0.0, 0.0), normal(1.0, -2.0), loss=loss)
    weights, bias = weights_and_bias(network, 2)  # log N(x; 0, I) - log N(x; m, I) = |m|^2 / 2 - m'x
    np.testing.assert_allclose(weights, [-1.0, 2.0], atol=0.05)
    np.testing.assert_allclose(bias, 2.5, atol=0.1)


def test_least_squares_loss_matches_linear_regression():
    network = affine(jax.random.key(0), normal(0.0), normal(2.0), loss=losses.least_squares)
    weights, bias = weights_and_bias(network, 1)  # Regression of 1 and 0 on x, whose variance is 2.
    np.testing.assert_allclose([weights[0], bias], [-0.25, 0.75], atol=0.01)


def test_clipped_critic_reaches_the_bound_in_every_weight():
    train = partial(affine, loss=losses.wasserstein, optimizer=optax.rmsprop)
    network = train(jax.random.key(0), normal(0.0, 0.0), normal(3.0, -3.0), clip=0.01)
    np.testing.assert_allclose(weights_and_bias(network, 2)[0], [-0.01, 0.01], rtol=1e-5)


def test_penalized_critic_exceeds_target_norm_by_distance_over_twice_the_penalty_weight():
    penalty = partial(losses.gradient_penalty, one_sided=True)
    train = partial(affine, loss=losses.wasserstein, penalty=penalty, penalty_weight=5.0)
    weights, _ = weights_and_bias(train(jax.random.key(0), normal(0.0, 0.0), normal(3.0, 4.0)), 2)
    np.testing.assert_allclose(weights, -1.5 * np.array([0.6, 0.8]), atol=0.02)


def test_two_sided_penalty_has_a_local_optimum_of_the_wrong_sign_in_one_dimension():
    train = partial(affine, loss=losses.wasserstein, penalty=losses.gradient_penalty, penalty_weight=5.0)
    weights = [weights_and_bias(train(jax.random.key(seed), normal(0.0), normal(5.0)), 1)[0][0] for seed in (1, 2)]
    np.testing.assert_allclose(weights, [-1.5, 0.5], atol=0.02)


def test_every_step_samples_new_points():
    batches = []

    def recorded(key, n):
        points = jax.random.normal(key, (n, 1))
        jax.debug.callback(lambda points: batches.append(np.asarray(points)), points)
        return points

    train_discriminator(jax.random.key(0), recorded, recorded, hidden=(), steps=5, batch_size=8)
    jax.effects_barrier()
    batches = [batch for batch in batches if len(batch) == 8]
    assert len(batches) == 10  # Real and generated points, in each of five steps.
    assert len(np.unique(np.concatenate(batches))) == 80


def test_result_is_a_function_of_the_key():
    points = jnp.linspace(-2, 2, 5)[:, None]
    train = partial(train_discriminator, real=normal(0.0), fake=normal(1.0), hidden=(), steps=5, batch_size=8)
    trained = [train(jax.random.key(seed))(points) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(trained[0], trained[1])
    assert np.abs(trained[0] - trained[2]).max() > 1e-3


def distributions():
    p, q = np.random.default_rng(0).dirichlet(np.full(20, 0.5), size=2)
    p[:3], q[2:5] = 0, 0
    return p / p.sum(), q / q.sum()


def test_comparison_matches_float64():
    p, q = distributions()
    logits = np.random.default_rng(1).normal(size=20)
    with np.errstate(divide="ignore", invalid="ignore"):
        got = jax.jit(compare_with_optimum)(np.float32(logits), *(np.log(np.float32(x)) for x in (p, q)))
        best = np.where(p + q > 0, p / (p + q), 0.5)
    d = scipy.special.expit(logits)
    np.testing.assert_allclose(got.probability_error, np.sum((p + q) / 2 * np.abs(d - best)), rtol=1e-5)
    both = (p > 0) & (q > 0)
    errors = np.abs(logits[both] - np.log(p[both] / q[both]))
    np.testing.assert_allclose(got.log_ratio_error, np.average(errors, weights=np.minimum(p, q)[both]), rtol=1e-5)
    # The difference of the values is the KL divergence of D from D*, integrated over p + q.
    divergence = np.sum((p + q) * (scipy.special.rel_entr(best, d) + scipy.special.rel_entr(1 - best, 1 - d)))
    np.testing.assert_allclose(got.optimal_value - got.value, divergence, rtol=1e-4)
    np.testing.assert_allclose(got.value, np.sum(p * np.log(d) + q * np.log(1 - d)), rtol=1e-5)


def test_optimal_discriminator_has_zero_errors():
    log_p, log_q = (jnp.log(jnp.asarray(x)) for x in distributions())
    logits = jnp.clip(optimal_logits(log_p, log_q), -100, 100)
    got = compare_with_optimum(logits, log_p, log_q, volumes=jnp.ones(20))
    assert got.probability_error < 1e-6
    assert got.log_ratio_error == 0
    np.testing.assert_allclose(got.value, got.optimal_value, atol=1e-6)


def test_volumes_are_quadrature_weights():
    p, q = distributions()
    logits, volumes = np.random.default_rng(1).normal(size=20), np.random.default_rng(2).uniform(0.5, 2, size=20)
    plain = compare_with_optimum(jnp.asarray(logits), jnp.log(p), jnp.log(q))
    weighted = compare_with_optimum(jnp.asarray(logits), jnp.log(p / volumes), jnp.log(q / volumes), volumes=volumes)
    np.testing.assert_allclose(plain, weighted, rtol=1e-5)


def test_log_ratio_error_of_disjoint_distributions_is_nan():
    log_p, log_q = np.float32([0.0, -np.inf]), np.float32([-np.inf, 0.0])
    got = jax.jit(compare_with_optimum)(np.zeros(2, np.float32), log_p, log_q)
    assert np.isnan(got.log_ratio_error)
    np.testing.assert_allclose(got[::2], [0.5, -2 * np.log(2)], rtol=1e-6)


GRADIENTS = {
    losses.minimax: lambda f: -scipy.special.expit(f),
    losses.non_saturating: lambda f: -scipy.special.expit(-f),
    losses.least_squares: lambda f: f - 1,
    losses.hinge: lambda f: -np.ones_like(f),
    losses.wasserstein: lambda f: -np.ones_like(f),
}


@pytest.mark.parametrize("loss", GRADIENTS)
def test_sample_gradients_match_closed_forms(loss):
    y = np.random.default_rng(0).normal(scale=3, size=(50, 2))
    f, derivatives = y[:, 0] ** 2 * y[:, 1], np.stack([2 * y[:, 0] * y[:, 1], y[:, 0] ** 2], axis=1)
    got = jax.jit(partial(sample_gradients, loss, lambda y: y[:, 0] ** 2 * y[:, 1]))(np.float32(y))
    np.testing.assert_allclose(got, GRADIENTS[loss](f)[:, None] * derivatives, rtol=1e-4, atol=1e-6)


def test_sample_gradients_of_relativistic_loss_raise():
    with pytest.raises(ValueError, match="real_logits must be given"):
        sample_gradients(losses.relativistic_average, lambda y: y[:, 0], jnp.ones((3, 1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, got 0.0"),
        ({"penalty_weight": -1.0}, "penalty_weight must be above 0, got -1.0"),
        ({"clip": 0.0}, "bound must be above 0, got 0.0"),
        ({"loss": losses.wasserstein}, "penalty or clip must be given with loss=wasserstein, got neither"),
    ],
)
def test_arguments_out_of_range_raise(options, message):
    with pytest.raises(InputError, match=message):
        train_discriminator(jax.random.key(0), normal(0.0), normal(1.0), **options)


def test_samplers_of_different_dimensions_raise_with_shapes():
    with pytest.raises(ValueError, match=r"real \(512, 1\) and fake \(512, 2\)"):
        train_discriminator(jax.random.key(0), normal(0.0), normal(0.0, 1.0))


def test_diverged_training_raises():
    train = partial(affine, loss=losses.least_squares, optimizer=optax.sgd, learning_rate=1e9)
    with pytest.raises(DivergenceError, match="after 400 steps: give a smaller learning_rate"):
        train(jax.random.key(0), normal(0.0), normal(1.0))
