"""Training in mixed precision, beside training in float32."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.data import load
from jaxgen.models import vae
from jaxgen.models.mixed_precision import in_mixed_precision
from jaxgen.training import fit
from tests.small_runs import LinearConfig, build_linear

DIGITS = load("digits")


def test_losses_differ_by_the_rounding_of_bfloat16_and_the_state_is_float32():
    model = vae.build(vae.Config(hidden=(16,), latent_dim=2), DIGITS)
    options = {"key": jax.random.key(0), "steps": 10, "batch_size": 32}
    full, mixed = fit(model, DIGITS, **options), fit(in_mixed_precision(model), DIGITS, **options)
    difference = np.abs(mixed.history["vae/loss"] / full.history["vae/loss"] - 1)
    assert 1e-6 < difference.max() < 0.02
    assert {leaf.dtype for leaf in jax.tree.leaves(mixed.state.params)} == {jnp.dtype("float32")}


def test_products_of_the_step_are_in_bfloat16_and_those_of_samples_are_not():
    model = in_mixed_precision(vae.build(vae.Config(hidden=(4,), latent_dim=2), DIGITS))
    batch = {name: array[:3] for name, array in DIGITS.items()}
    state = model.init(jax.random.key(0), batch)
    assert "bf16" in str(jax.make_jaxpr(model.step)(jax.random.key(1), state, batch))
    assert "bf16" not in str(jax.make_jaxpr(lambda key: model.sample(key, state, 2))(jax.random.key(1)))


def test_phases_keep_their_steps_and_players():
    model = build_linear(LinearConfig(change=2), DIGITS)
    mixed = in_mixed_precision(model)
    assert [phase.name for phase in mixed.phases] == ["first", "second"]
    options = {"key": jax.random.key(0), "steps": 4, "batch_size": 8}
    states = [fit(m, DIGITS, **options).state for m in (model, mixed)]
    # The matrix of this model is not in a Flax layer: nothing changes.
    jax.tree.map(np.testing.assert_array_equal, *states)
