import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxgen.losses import contractive_penalty, contractive_penalty_estimate, l1_latent, l2_latent, sparsity_penalty

EXAMPLES = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)


@pytest.mark.parametrize(("penalty", "gradient"), [(l1_latent, [-1.0, 0.0, 1.0]), (l2_latent, [-4.0, 0.0, 6.0])])
def test_gradients_of_norms_are_finite_at_zero(penalty, gradient):
    assert jax.jit(jax.grad(lambda latent: penalty(latent).sum()))(np.float32([[-2.0, 0.0, 3.0]])).tolist() == [
        gradient
    ]


@pytest.mark.parametrize("penalty", [l1_latent, l2_latent])
def test_norms_of_bfloat16_are_summed_in_float32(penalty):
    # In bfloat16, 256 + 1 is 256: a sum of ones accumulated in bfloat16 would stop there.
    total = penalty(jnp.ones((1, 1024), jnp.bfloat16))
    assert total.dtype == jnp.bfloat16
    assert total.tolist() == [1024.0]


WEIGHTS = np.random.default_rng(1).normal(size=(12, 7)).astype(np.float32)


def linear(x):
    return x.reshape(len(x), 12) @ WEIGHTS


@pytest.mark.parametrize("units", [1, 7, 12])
def test_contractive_penalty_of_linear_encoder_is_sum_of_squared_weights(units):
    penalty = jax.jit(lambda x: contractive_penalty(lambda x: linear(x)[:, :units], x))(EXAMPLES)
    np.testing.assert_allclose(penalty, np.square(np.float64(WEIGHTS[:, :units])).sum(), rtol=1e-5)


def test_contractive_penalty_of_sigmoid_layer_matches_published_formula():
    # Rifai et al. 2011, section 5.1: sum_i (h_i (1 - h_i))^2 sum_j W_ij^2.
    h = 1 / (1 + np.exp(-np.float64(EXAMPLES).reshape(5, 12) @ np.float64(WEIGHTS)))
    want = ((h * (1 - h)) ** 2 * np.square(np.float64(WEIGHTS)).sum(0)).sum(1)
    penalty = jax.jit(lambda x: contractive_penalty(lambda x: jax.nn.sigmoid(linear(x)), x))(EXAMPLES)
    np.testing.assert_allclose(penalty, want, rtol=1e-5)


@pytest.mark.parametrize("n_probes", [1, 4])
def test_contractive_penalty_estimate_is_unbiased(n_probes):
    keys = jax.random.split(jax.random.key(0), 2000)

    def encode(x):
        return jnp.tanh(linear(x))

    @jax.jit
    def penalty_and_estimates(keys):
        example = jnp.asarray(EXAMPLES[:1])
        estimate = lambda key: contractive_penalty_estimate(key, encode, example, n_probes=n_probes)[0]  # noqa: E731
        both = contractive_penalty_estimate(jax.random.key(0), encode, jnp.tile(example, (2, 1, 1)))
        return contractive_penalty(encode, example)[0], jax.vmap(estimate)(keys), both

    penalty, estimates, both = map(np.asarray, penalty_and_estimates(keys))
    standard_error = estimates.std() / np.sqrt(len(keys))
    assert abs(estimates.mean() - penalty) < 4 * standard_error
    # The signs of each example are drawn independently.
    assert both[0] != both[1]


def test_encoder_with_wrong_output_shape_raises():
    with pytest.raises(ValueError, match=r"one latent per example, \[5, ...\], got \(\)"):
        contractive_penalty(jnp.sum, EXAMPLES)
    with pytest.raises(ValueError, match="n_probes must be at least 1, got 0"):
        contractive_penalty_estimate(jax.random.key(0), linear, EXAMPLES, n_probes=0)


def test_contractive_penalty_accepts_integer_examples():
    # Integers have no gradient, which must not be taken for a gradient of 0.
    assert contractive_penalty(lambda x: 3.0 * x, np.ones((2, 4), np.uint8)).tolist() == [36.0, 36.0]
    assert contractive_penalty(lambda x: jnp.tile(x, 2), np.ones((2, 4), np.int32)).tolist() == [8.0, 8.0]


def test_encoder_that_returns_tuple_raises():
    with pytest.raises(ValueError, match="one array of latents, got a tuple"):
        contractive_penalty(lambda x: (linear(x), linear(x)), EXAMPLES)


def test_sparsity_gradient_is_bounded_for_inactive_unit():
    # Through a sigmoid, the derivative of the divergence is mean - rho, even for an activation of almost 0.
    logits = np.float32([[-50.0], [-50.0]])
    gradient = jax.jit(jax.grad(lambda x: sparsity_penalty(jax.nn.sigmoid(x), rho=0.05)))(logits)
    np.testing.assert_allclose(gradient, -0.025, rtol=1e-5)


def test_sparsity_penalty_is_zero_at_rho_and_matches_scipy_elsewhere():
    activations = np.float32([[0.25, 0.1, 0.4], [0.25, 0.4, 0.5]])
    penalty_and_gradient = jax.jit(jax.value_and_grad(lambda a: sparsity_penalty(a, rho=0.25)))
    assert penalty_and_gradient(activations[:, :2])[0] < 1e-7
    want = scipy.stats.entropy([0.25, 0.75], [0.45, 0.55])
    penalty, gradient = penalty_and_gradient(activations)
    np.testing.assert_allclose(penalty, want, rtol=1e-5)
    assert penalty_and_gradient(np.zeros((2, 1), np.float32))[0] == np.inf
    # A gradient step decreases the activation of units whose mean is above rho.
    assert (np.asarray(gradient)[:, 2] > 0).all()


@pytest.mark.parametrize("rho", [0.0, 1.0, -0.5])
def test_rho_outside_open_unit_interval_raises(rho):
    with pytest.raises(ValueError, match=f"rho must be above 0 and below 1, got {rho}"):
        sparsity_penalty(np.ones((1, 1)), rho=rho)
