"""Losses of batches require an axis of examples."""

import functools

import jax.numpy as jnp
import pytest

from jaxgen import divergences, losses


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (losses.bernoulli_nll, "logits"),
        (losses.gaussian_nll, "mean"),
        (losses.laplace_nll, "mean"),
        (losses.discretized_logistic_nll, "mean"),
        (losses.feature_similarity, "real_features"),
        (divergences.kl_standard_normal, "mean"),
    ],
)
def test_two_scalars_in_place_of_batches_raise(loss, name):
    with pytest.raises(ValueError, match=f"{name} must have a leading axis"):
        loss(jnp.float32(0.0), jnp.float32(0.0))


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (losses.l1_latent, "latent"),
        (losses.l2_latent, "latent"),
        (functools.partial(losses.sparsity_penalty, rho=0.1), "activations"),
        (functools.partial(losses.contractive_penalty, jnp.tanh), "x"),
        (functools.partial(losses.r1_penalty, jnp.sum), "real"),
        (functools.partial(losses.r2_penalty, jnp.sum), "fake"),
    ],
)
def test_scalar_in_place_of_batch_raises(loss, name):
    with pytest.raises(ValueError, match=f"{name} must have a leading axis"):
        loss(jnp.float32(0.0))
