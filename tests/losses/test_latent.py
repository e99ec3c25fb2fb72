import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxgen.losses import contractive_penalty, contractive_penalty_estimate, l1_latent, l2_latent, sparsity_penalty

CODE = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)


@pytest.mark.parametrize(("penalty", "slopes"), [(l1_latent, [-1.0, 0.0, 1.0]), (l2_latent, [-4.0, 0.0, 6.0])])
def test_slopes_are_finite_at_zero(penalty, slopes):
    assert jax.grad(lambda code: penalty(code).sum())(jnp.array([[-2.0, 0.0, 3.0]])).tolist() == [slopes]


@pytest.mark.parametrize("penalty", [l1_latent, l2_latent])
def test_bfloat16_is_summed_in_float32(penalty):
    # In bfloat16, 256 + 1 is 256: a running sum of ones would stop there.
    total = penalty(jnp.ones((1, 1024), jnp.bfloat16))
    assert total.dtype == jnp.bfloat16
    assert total.tolist() == [1024.0]


WEIGHTS = np.random.default_rng(1).normal(size=(12, 7)).astype(np.float32)


def linear(x):
    return x.reshape(len(x), 12) @ WEIGHTS


@pytest.mark.parametrize("units", [1, 7, 12])
def test_a_linear_encoder_pays_for_the_squares_of_its_weights(units):
    penalty = contractive_penalty(lambda x: linear(x)[:, :units], jnp.asarray(CODE))
    np.testing.assert_allclose(penalty, np.square(np.float64(WEIGHTS[:, :units])).sum(), rtol=1e-5)


def test_a_layer_of_sigmoids_pays_what_its_authors_say():
    # Rifai et al. 2011, section 5.1: sum_i (h_i (1 - h_i))^2 sum_j W_ij^2.
    h = 1 / (1 + np.exp(-np.float64(CODE).reshape(5, 12) @ np.float64(WEIGHTS)))
    want = ((h * (1 - h)) ** 2 * np.square(np.float64(WEIGHTS)).sum(0)).sum(1)
    np.testing.assert_allclose(contractive_penalty(lambda x: jax.nn.sigmoid(linear(x)), CODE), want, rtol=1e-5)


@pytest.mark.parametrize("n_probes", [1, 4])
def test_the_estimate_is_unbiased(n_probes):
    keys = jax.random.split(jax.random.key(0), 2000)

    def encode(x):
        return jnp.tanh(linear(x))

    estimates = jax.vmap(lambda key: contractive_penalty_estimate(encode, key, CODE[:1], n_probes=n_probes)[0])(keys)
    standard_error = estimates.std() / np.sqrt(len(keys))
    assert abs(estimates.mean() - contractive_penalty(encode, CODE[:1])[0]) < 4 * standard_error
    # Each example has signs of its own.
    both = contractive_penalty_estimate(encode, jax.random.key(0), jnp.tile(CODE[:1], (2, 1, 1)))
    assert both[0] != both[1]


def test_an_encoder_of_the_wrong_batch_is_refused():
    with pytest.raises(ValueError, match=r"one code per example, \[5, ...\], got \(\)"):
        contractive_penalty(jnp.sum, CODE)
    with pytest.raises(ValueError, match="n_probes must be at least 1, got 0"):
        contractive_penalty_estimate(linear, jax.random.key(0), CODE, n_probes=0)


def test_bytes_are_numbers_too():
    # The gradient by a whole number is none, which must not be taken for 0.
    assert contractive_penalty(lambda x: 3.0 * x, jnp.ones((2, 4), jnp.uint8)).tolist() == [36.0, 36.0]
    assert contractive_penalty(lambda x: jnp.tile(x, 2), np.ones((2, 4), np.int32)).tolist() == [8.0, 8.0]


def test_an_encoder_that_returns_a_distribution_is_refused():
    with pytest.raises(ValueError, match="one array of codes, got a tuple"):
        contractive_penalty(lambda x: (linear(x), linear(x)), CODE)


def test_a_unit_that_never_fires_pulls_by_no_more_than_it_can():
    # Through a sigmoid the slope of the divergence is mean - rho, for the faintest activation.
    logits = jnp.array([[-50.0], [-50.0]])
    slope = jax.grad(lambda x: sparsity_penalty(jax.nn.sigmoid(x), rho=0.05))(logits)
    np.testing.assert_allclose(slope, -0.025, rtol=1e-5)


def test_units_as_active_as_wanted_cost_nothing_and_others_what_scipy_says():
    activations = jnp.array([[0.25, 0.1, 0.4], [0.25, 0.4, 0.5]])
    assert sparsity_penalty(activations[:, :2], rho=0.25) < 1e-7
    want = scipy.stats.entropy([0.25, 0.75], [0.45, 0.55])
    np.testing.assert_allclose(sparsity_penalty(activations, rho=0.25), want, rtol=1e-5)
    assert sparsity_penalty(jnp.zeros((2, 1)), rho=0.25) == jnp.inf
    # The gradient lowers units that are too active.
    assert (jax.grad(lambda a: sparsity_penalty(a, rho=0.25))(activations)[:, 2] > 0).all()


@pytest.mark.parametrize("rho", [0.0, 1.0, -0.5])
def test_an_impossible_sparsity_is_refused(rho):
    with pytest.raises(ValueError, match=f"rho must be above 0 and below 1, got {rho}"):
        sparsity_penalty(jnp.ones((1, 1)), rho=rho)
