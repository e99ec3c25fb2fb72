"""What holds for every loss and divergence of two arrays: shapes, dtypes, and how they go with vmap and jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen import divergences, losses

PER_EXAMPLE = {
    "bernoulli_nll": (losses.bernoulli_nll, "logits", "targets"),
    "gaussian_nll": (losses.gaussian_nll, "mean", "targets"),
    "laplace_nll": (losses.laplace_nll, "mean", "targets"),
    "feature_similarity": (losses.feature_similarity, "real_features", "reconstructed_features"),
    "kl_standard_normal": (divergences.kl_standard_normal, "mean", "log_var"),
}
ELEMENTWISE = {
    "absolute_error": (losses.absolute_error, "predictions", "targets"),
    "squared_error": (losses.squared_error, "predictions", "targets"),
    "non_saturating.discriminator": (losses.non_saturating.discriminator, "real_logits", "fake_logits"),
    "wasserstein.discriminator": (losses.wasserstein.discriminator, "real_logits", "fake_logits"),
}
ALL = PER_EXAMPLE | ELEMENTWISE
every_loss = pytest.mark.parametrize(("loss", "first", "second"), ALL.values(), ids=ALL)
every_loss_per_example = pytest.mark.parametrize(("loss", "first", "second"), PER_EXAMPLE.values(), ids=PER_EXAMPLE)


def pair(shape=(4, 3, 5)):
    generator = np.random.default_rng(0)
    return generator.normal(size=shape), generator.uniform(size=shape)


@every_loss
@pytest.mark.parametrize("other", [(4, 3, 1), (1, 3, 5), (3, 5), (4, 15)], ids=str)
def test_nothing_is_broadcast(loss, first, second, other):
    with pytest.raises(ValueError, match=rf"{first} \(4, 3, 5\) and {second} \({', '.join(map(str, other))}\)"):
        jax.eval_shape(loss, jnp.ones((4, 3, 5)), jnp.ones(other))


@every_loss_per_example
def test_a_lone_number_is_no_batch(loss, first, second):
    with pytest.raises(ValueError, match=f"{first} must have a leading axis"):
        loss(jnp.float32(0.0), jnp.float32(0.0))


@every_loss
def test_float32_is_within_1e_5_of_float64(loss, first, second):
    a, b = pair((16, 28, 28))
    single = loss(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32))
    with jax.enable_x64(True):
        double = loss(jnp.asarray(np.float32(a), jnp.float64), jnp.asarray(np.float32(b), jnp.float64))
    assert (single.dtype, double.dtype) == (jnp.float32, jnp.float64)
    np.testing.assert_allclose(single, double, rtol=1e-5, atol=0)


@every_loss
def test_bfloat16_goes_in_and_out_and_is_summed_in_float32(loss, first, second):
    a, b = (jnp.asarray(x, jnp.bfloat16) for x in pair((4, 28, 28)))
    got = loss(a, b)
    assert got.dtype == jnp.bfloat16
    # 2**-8 is half a unit in the last place: only the result is rounded.
    np.testing.assert_allclose(np.float32(got), loss(a.astype(jnp.float32), b.astype(jnp.float32)), rtol=2**-8, atol=0)


@every_loss
def test_an_example_does_not_see_its_neighbours(loss, first, second):
    a, b = map(jnp.asarray, pair())
    together = jax.jit(loss)(a, b)
    alone = jnp.concatenate([jax.jit(loss)(a[i : i + 1], b[i : i + 1]) for i in range(len(a))])
    np.testing.assert_allclose(together, alone, rtol=1e-6)
    mapped = jax.jit(jax.vmap(loss))(jnp.stack([a, 2.0 * a]), jnp.stack([b, b]))
    np.testing.assert_allclose(mapped[1], loss(2.0 * a, b), rtol=1e-6)
