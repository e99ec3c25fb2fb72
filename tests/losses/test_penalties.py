import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from jax.test_util import check_grads

from jaxgen.losses import (
    clip_weights,
    dragan_penalty,
    gradient_penalty,
    orthogonal_penalty,
    r1_penalty,
    r2_penalty,
)

KEY = jax.random.key(0)
SHAPE = (6, 4, 4, 2)
REAL, FAKE = jax.random.normal(jax.random.key(1), (2, *SHAPE))
WEIGHTS = jax.random.normal(jax.random.key(2), SHAPE[1:])


def linear(x):
    return jnp.tensordot(x, WEIGHTS, 3)


def test_gradient_penalty_matches_closed_form_for_linear_critic():
    norm = np.linalg.norm(np.float64(WEIGHTS).ravel())
    np.testing.assert_allclose(gradient_penalty(KEY, linear, REAL, FAKE), (norm - 1) ** 2, rtol=1e-5)
    np.testing.assert_allclose(gradient_penalty(KEY, linear, REAL, FAKE, target=0.0), norm**2, rtol=1e-5)


def test_one_sided_penalty_is_zero_for_gradient_norms_below_target():
    norm = float(np.linalg.norm(np.float64(WEIGHTS).ravel()))
    above = gradient_penalty(KEY, linear, REAL, FAKE, target=norm - 2.0, one_sided=True)
    np.testing.assert_allclose(above, 4.0, rtol=1e-5)
    assert not gradient_penalty(KEY, linear, REAL, FAKE, target=norm + 2.0, one_sided=True).any()


def test_interpolation_weights_are_uniform_and_one_per_example():
    # The critic's gradient is the point itself: with real = 1 and fake = 0 everywhere, its norm is u * sqrt(pixels).
    pixels = 9
    penalty = gradient_penalty(
        KEY, lambda x: 0.5 * jnp.sum(x**2, (1, 2)), jnp.ones((4000, 3, 3)), jnp.zeros((4000, 3, 3)), target=0.0
    )
    weights = np.sqrt(np.float64(penalty) / pixels)
    # With one weight per pixel, the mean square would concentrate around 1/3 and the weights would not be uniform.
    assert scipy.stats.kstest(weights, "uniform").pvalue > 0.01


def test_mean_gradient_penalty_matches_integral_over_segment():
    real, fake = np.array([2.0, 1.0]), np.array([-1.0, 0.5])

    def cost(u):
        return (np.linalg.norm(3 * (u * real + (1 - u) * fake) ** 2) - 1) ** 2

    exact, _ = scipy.integrate.quad(cost, 0, 1)
    many = (20_000, 1)
    penalty = gradient_penalty(KEY, lambda x: jnp.sum(x**3, 1), jnp.tile(real, many), jnp.tile(fake, many))
    assert abs(penalty.mean() - exact) < 4 * penalty.std() / np.sqrt(len(penalty))


def test_gradient_of_penalty_is_finite_for_constant_critic():
    def loss(w):
        return gradient_penalty(KEY, lambda x: jnp.sum(w * x, (1, 2, 3)), REAL, FAKE).mean()

    value, gradient = jax.value_and_grad(loss)(jnp.zeros(SHAPE[1:]))
    assert value == 1.0
    assert not gradient.any()


def test_gradient_of_penalty_matches_finite_differences_for_nonlinear_critic():
    with jax.enable_x64(True):
        real, fake = (jnp.asarray(x, jnp.float64) for x in (REAL, FAKE))

        @jax.jit
        def loss(w):
            return gradient_penalty(KEY, lambda x: jnp.tanh(jnp.sum(w * x**2, (1, 2, 3))), real, fake).mean()

        check_grads(loss, (0.1 * jnp.asarray(WEIGHTS, jnp.float64),), order=1)


def test_mismatched_shapes_and_critic_outputs_raise():
    with pytest.raises(ValueError, match=r"real \(6, 4, 4, 2\) and fake \(3, 4, 4, 2\)"):
        gradient_penalty(KEY, linear, REAL, FAKE[:3])
    for penalty in (gradient_penalty, dragan_penalty, r1_penalty, r2_penalty):
        key = (KEY,) if penalty in (gradient_penalty, dragan_penalty) else ()
        examples = (REAL, FAKE) if penalty is gradient_penalty else (REAL,)
        with pytest.raises(ValueError, match=r"one value per example \(6,\), got \(6, 1\)"):
            penalty(*key, lambda x: linear(x)[:, None], *examples)


def test_integer_examples_and_empty_batches_are_accepted():
    images = jnp.ones((6, 4, 4, 2), jnp.uint8)
    squared = np.square(np.float64(WEIGHTS)).sum()
    np.testing.assert_allclose(r1_penalty(linear, images), squared, rtol=1e-5)
    for penalty in (gradient_penalty(KEY, linear, REAL[:0], FAKE[:0]), r1_penalty(linear, REAL[:0])):
        assert penalty.shape == (0,)


def test_r1_and_r2_of_linear_critic_are_squared_gradient_norm():
    squared = np.square(np.float64(WEIGHTS)).sum()
    np.testing.assert_allclose(r1_penalty(linear, REAL), squared, rtol=1e-5)
    np.testing.assert_allclose(r2_penalty(linear, FAKE), squared, rtol=1e-5)


def test_dragan_points_lie_between_example_and_noisy_copy():
    # At x = 0 with f = |x|^2 / 2 the gradient is the noise: scale * deviation * u * e, u and e uniform on [0, 1].
    examples = jnp.concatenate([jnp.zeros((20_000, 1)), jnp.full((20_000, 1), 100.0)])
    deviation = 50.0
    penalty = dragan_penalty(KEY, lambda x: 0.5 * jnp.sum(x**2, 1), examples, scale=0.2, target=0.0)
    noise = np.sqrt(np.float64(penalty[:20_000])) / (0.2 * deviation)
    # The product of two uniform variables has the distribution function z - z log z.
    assert scipy.stats.kstest(noise, lambda z: z - z * np.log(np.maximum(z, 1e-30))).pvalue > 0.01


def test_dragan_penalty_matches_closed_form_for_linear_critic():
    norm = float(np.linalg.norm(np.float64(WEIGHTS).ravel()))
    np.testing.assert_allclose(dragan_penalty(KEY, linear, REAL, target=norm - 3.0), 9.0, rtol=1e-5)


def test_clip_weights_bounds_floats_and_keeps_integers():
    params = {"dense": {"kernel": WEIGHTS * 10, "bias": jnp.array([0.001, -0.5])}, "steps": jnp.array(7)}
    clipped = clip_weights(params, 0.01)
    assert jax.tree.structure(clipped) == jax.tree.structure(params)
    assert jnp.abs(clipped["dense"]["kernel"]).max() == jnp.float32(0.01)
    np.testing.assert_array_equal(clipped["dense"]["bias"], np.float32([0.001, -0.01]))
    assert clipped["steps"] == 7
    assert clip_weights(WEIGHTS.astype(jnp.bfloat16), np.float64(0.01)).dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="bound must be above 0, got -1"):
        clip_weights(params, -1.0)


@pytest.mark.parametrize("outputs", [3, 20])
@pytest.mark.parametrize("diagonal", [False, True])
def test_gradient_of_orthogonal_penalty_is_four_times_the_products_of_rows_with_rows(outputs, diagonal):
    """The authors of BigGAN add half of it. With more outputs the penalty is computed from the products of columns."""
    rows = np.random.default_rng(0).normal(size=(outputs, 6)).astype(np.float32)
    exact = rows.astype(np.float64)
    products = exact @ exact.T
    excess = products - np.diag(np.ones(outputs) if diagonal else np.diag(products))
    kernel = rows.T.reshape(2, 3, outputs)
    value, gradient = jax.value_and_grad(lambda x: orthogonal_penalty(x, diagonal=diagonal))(kernel)
    np.testing.assert_allclose(value, (excess**2).sum(), rtol=1e-5)
    np.testing.assert_allclose(gradient.reshape(6, outputs).T, 4 * excess @ exact, rtol=1e-4, atol=1e-3)


def test_orthogonal_penalty_refuses_vectors():
    with pytest.raises(ValueError, match=r"kernel must be \[\*inputs, outputs\], got shape \(3,\)"):
        orthogonal_penalty(jnp.ones(3))
