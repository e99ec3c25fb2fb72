import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.losses import l1_code, l2_code

CODE = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)


@pytest.mark.parametrize(("penalty", "order", "power"), [(l1_code, 1, 1), (l2_code, 2, 2)])
def test_norms_are_those_of_numpy(penalty, order, power):
    want = np.linalg.norm(np.float64(CODE).reshape(5, -1), ord=order, axis=1) ** power
    np.testing.assert_allclose(penalty(jnp.asarray(CODE)), want, rtol=1e-5)


@pytest.mark.parametrize(("penalty", "slopes"), [(l1_code, [-1.0, 0.0, 1.0]), (l2_code, [-4.0, 0.0, 6.0])])
def test_slopes_are_finite_at_zero(penalty, slopes):
    assert jax.grad(lambda code: penalty(code).sum())(jnp.array([[-2.0, 0.0, 3.0]])).tolist() == [slopes]


@pytest.mark.parametrize("penalty", [l1_code, l2_code])
def test_bfloat16_is_summed_in_float32(penalty):
    # In bfloat16, 256 + 1 is 256: a running sum of ones would stop there.
    total = penalty(jnp.ones((1, 1024), jnp.bfloat16))
    assert total.dtype == jnp.bfloat16
    assert total.tolist() == [1024.0]


@pytest.mark.parametrize("penalty", [l1_code, l2_code])
def test_a_lone_number_is_no_batch(penalty):
    with pytest.raises(ValueError, match="code must have a leading axis"):
        penalty(jnp.float32(1.0))
