"""The family progressive: its losses, its training through all phases, and its samples in each of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.averaging import with_averages
from jaxgen.errors import InputError
from jaxgen.models import progressive
from jaxgen.models.growing import plan, real_at
from jaxgen.models.progressive import Config, Objective
from jaxgen.training.seeds import over_seeds, select_seed
from tests.models.grown_runs import DATA, SMALL, Complete

pytestmark = pytest.mark.usefixtures("convolutions_by_xla")


def test_losses_are_those_of_the_authors_with_gradients_with_respect_to_full_images():
    """While layers for half the full size fade in; with classes and a gradient norm of its own.

    The authors enlarge the images to the full size, average them in the networks, and take the gradient in between.
    """
    images = {"image": np.random.default_rng(1).integers(0, 256, (4, 16, 16, 1), np.uint8), "label": np.arange(4) % 3}
    config = Config(**{**SMALL, "conditional": True, "gradient_norm": 0.01, "penalty_weight": 2.0, "drift": 0.5})
    networks = progressive._networks(config, images)
    phase = plan(config, 16)[1]
    of = Objective(networks, config, phase)
    assert (phase.size, phase.fading) == (8, True)

    @jax.jit
    def results(key):
        state = progressive.build(config, images).init(key, images).replace(step=jnp.int32(phase.first + 5))
        params = jax.tree.map(lambda leaf: leaf + 0.05, state.params)
        new = phase.weight(state.step)
        fake_key, penalty_key = jax.random.split(key)
        fake, label = of.fake(fake_key, params, state, images)
        real = real_at(jnp.asarray(images["image"]) / 127.5 - 1, 8, new)
        u = jax.random.uniform(penalty_key, (4, 1, 1, 1))

        def enlarged(x):
            return jnp.kron(x, jnp.ones((1, 2, 2, 1)))

        def from_full(full):
            return networks.discriminate(params, full.reshape(4, 8, 2, 8, 2, 1).mean((2, 4)), new)[0].sum()

        return {
            "norms": jnp.sqrt(jnp.square(jax.grad(from_full)(enlarged(u * real + (1 - u) * fake))).sum((1, 2, 3))),
            "real": networks.discriminate(params, real, new),
            "fake": networks.discriminate(params, fake, new),
            "discriminator": progressive.discriminator_loss(of, key, params, state, images)[0],
            "generator": progressive.generator_loss(of, fake_key, params, state, images)[0],
            "label": label,
            "new": new,
        }

    found = jax.tree.map(lambda x: np.asarray(x, np.float64), results(jax.random.key(0)))
    (of_real, classes_of_real), (of_fake, classes_of_fake) = found["real"], found["fake"]
    rows = np.arange(4), found["label"].astype(int)

    def class_nll(logits):
        return (np.log(np.exp(logits).sum(axis=1)) - logits[rows]).mean()

    np.testing.assert_allclose(found["new"], (4 + 4 * 4) / 36, rtol=1e-6)
    penalty = 2.0 / 0.01**2 * np.square(found["norms"] - 0.01).mean()
    expected = (of_fake - of_real).mean() + penalty + 0.5 * np.square(of_real).mean()
    expected += class_nll(classes_of_real) + class_nll(classes_of_fake)
    np.testing.assert_allclose(found["discriminator"], expected, rtol=1e-4)
    np.testing.assert_allclose(found["generator"], -of_fake.mean() + class_nll(classes_of_fake), rtol=1e-4)


@pytest.fixture(scope="module")
def complete():
    return Complete(progressive.build(Config(**SMALL), DATA), seeds=2)


def test_training_goes_on_with_the_same_bits_from_within_the_fade_and_from_the_end_of_a_phase(complete):
    complete.assert_same(complete.resumed(6, 12), 12)  # Between two readings of the schedule.
    complete.assert_same(complete.resumed(12, 14), 14)


def test_several_seeds_in_one_program_equal_single_runs_within_the_fade(complete):
    complete.assert_equal_to_single_run(4, 6)


def test_new_layers_learn_from_their_phase_on_and_optimizers_begin_again(complete):
    stable, fading, last = (complete.states[step] for step in (4, 6, 14))
    for network, old, new in (("generator", "torgb4", "torgb8"), ("discriminator", "fromrgb4", "fromrgb8")):
        before, after = stable.params[network], fading.params[network]
        two = complete.states[2].params[network]
        assert np.any(two[old]["kernel"] != before[old]["kernel"])
        np.testing.assert_array_equal(two[new]["kernel"], before[new]["kernel"])
        assert np.any(before[new]["kernel"] != after[new]["kernel"])
        # Layers of the size before are in use until the new ones have faded in.
        np.testing.assert_array_equal(
            complete.states[12].params[network][old]["kernel"], last.params[network][old]["kernel"]
        )
    np.testing.assert_allclose(
        stable.ema["generator"]["params"]["b8"]["conv1"]["kernel"],
        stable.params["generator"]["b8"]["conv1"]["kernel"],
        rtol=1e-6,
    )
    counts = {step: int(np.max(jax.tree.leaves(state.opt["generator"])[0])) for step, state in complete.states.items()}
    assert [counts[step] for step in (2, 4, 6, 12, 14)] == [2, 4, 2, 8, 2]


def test_samples_have_the_resolution_of_the_step_of_the_state(complete):
    """Compiled, and over seeds, as well as not: images of the full size, blocks of 2 x 2 pixels at first."""
    model, networks = complete.model, progressive._networks(Config(**SMALL), DATA)
    z = model.sample_latent(jax.random.key(1), 2)
    decode = jax.jit(over_seeds(lambda state: model.decode(state, z)))
    for step, weight in ((2, 0.0), (6, 4 / 36), (14, 1.0)):
        state = complete.states[step]
        images = np.asarray(decode(state))
        assert images.shape == (2, 2, 8, 8, 1)
        seed = select_seed(state, 1)
        np.testing.assert_allclose(images[1], model.decode(seed, z), atol=1e-5)
        params = with_averages(seed).params
        small, large = (networks.generate(params, z, None, size, None) for size in (4, 8))
        expected = (1 - weight) * np.kron(small, np.ones((1, 2, 2, 1))) + weight * np.asarray(large)
        np.testing.assert_allclose(images[1], (expected + 1) / 2, atol=1e-5)


def test_a_model_without_classes_takes_no_label(complete):
    with pytest.raises(InputError, match="not conditioned on labels"):
        complete.model.sample(jax.random.key(0), select_seed(complete.states[2], 0), 3, label=1)
