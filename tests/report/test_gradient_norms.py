"""Gradient norms of discriminators with known gradients."""

import jax.numpy as jnp
import pytest

from jaxgen.report.gradient_norms import gradient_norms
from jaxgen.report.section import NotApplicable
from tests.report.small_reports import STATE, on_points
from tests.report.test_optimal_discriminator import linear_critic


def test_gradient_norm_of_a_linear_critic_is_the_norm_of_its_weights():
    metrics = gradient_norms(on_points(linear_critic([3.0, 4.0]), "ring")).metrics
    assert metrics["gradient_norm_mean"] == [pytest.approx(5.0, rel=1e-6)]
    assert metrics["gradient_norm_sd"] == [pytest.approx(0.0, abs=1e-5)]


def test_points_are_between_the_data_and_samples_of_the_generator_that_is_trained_not_of_its_average():
    def sample(key, state, n):
        return jnp.full((n, 2), 1000.0 if state.ema else 0.0)

    # The gradient norm is the distance from 0, and all examples are within 2.
    quadratic = linear_critic([1.0, 1.0])._replace(
        sample=sample, evaluate=lambda key, state, batch: {"real_output": (batch["point"] ** 2).sum(axis=1) / 2}
    )
    state = STATE.replace(ema={"generator": jnp.zeros(1)})
    assert 0 < gradient_norms(on_points(quadratic, "ring", state)).metrics["gradient_norm_mean"][0] < 2


def test_discriminator_without_an_output_for_single_examples_is_named():
    model = linear_critic([1.0, 1.0])
    with pytest.raises(NotApplicable, match="the discriminator is applied to several examples together"):
        gradient_norms(on_points(model._replace(evaluate=None), "ring"))
    other = model._replace(evaluate=lambda key, state, batch: {"accuracy": batch["point"][:, 0]})
    with pytest.raises(NotApplicable, match="the metrics of the model have no 'real_output'"):
        gradient_norms(on_points(other, "ring"))
