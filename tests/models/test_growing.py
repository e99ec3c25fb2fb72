"""Families that grow: the schedule of the authors' programs, images of all sizes, and what comes with a new phase."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.averaging import Average, constant_decay
from jaxgen.errors import InputError
from jaxgen.models import growing, progressive, stylegan
from jaxgen.models.growing import GrowingConfig, at_step, enlarged, plan, real_at


def schedule_of_the_authors(config, size, steps):
    """Resolution, level of detail and batch size of each step: the training loops of PGGAN and StyleGAN.

    They read the schedule every 4 batches, at the number of images so far.
    """
    images, found = 0, []
    while len(found) < steps:
        length = config.stabilize + config.fade
        phase, within = divmod(images, length)
        lod = np.log2(size) - np.floor(np.log2(config.start)) - phase
        if config.fade:
            lod -= max(within - config.stabilize, 0) / config.fade
        lod = max(lod, 0.0)
        resolution = 2 ** int(np.log2(size) - np.floor(lod))
        number = int(np.log2(resolution / config.start))
        batch_size = config.batch_sizes[min(number, len(config.batch_sizes) - 1)]
        for _ in range(4):
            found.append((resolution, lod, batch_size))
            images += batch_size
    return found


@pytest.mark.parametrize(
    ("start", "stabilize", "fade", "batch_sizes"),
    [
        (4, 1000, 700, (16, 12, 8)),
        (4, 640, 320, (16,)),  # Phases end exactly at readings of the schedule.
        (8, 500, 900, (12, 8, 4)),
        (8, 640, 0, (16, 8)),
        (32, 100, 100, (8,)),
    ],
)
def test_every_step_has_the_size_the_weight_and_the_batch_size_of_the_authors_schedule(
    start, stabilize, fade, batch_sizes
):
    """Stable first, then fading; the weight is that of the new path, 1 minus the fraction of their level of detail."""
    config = GrowingConfig(start=start, stabilize=stabilize, fade=fade, batch_sizes=batch_sizes)
    phases = plan(config, 32)
    assert [phase.first for phase in phases[1:]] == np.cumsum([phase.steps for phase in phases[:-1]]).tolist()
    expected = schedule_of_the_authors(config, 32, phases[-1].first + 8)
    with jax.disable_jit():
        for step in range(0, len(expected), 2):
            phase = max((phase for phase in phases if phase.first <= step), key=lambda phase: phase.first)
            resolution, lod, batch_size = expected[step]
            assert phase.size == resolution, step
            weight = phase.weight(np.int32(step))
            np.testing.assert_allclose(1.0 if weight is None else weight, 1 - lod % 1 if lod % 1 else 1.0, atol=1e-6)
            assert phase.fading == bool(lod % 1)
            assert phase.batch_size in (batch_size, None)
    assert phases[-1].batch_size is None
    assert phases[-1].steps is None


def test_the_state_s_step_says_the_size_and_the_weight_also_where_it_is_traced():
    config = GrowingConfig(stabilize=40, fade=80, batch_sizes=(4, 8))
    phases = plan(config, 16)
    numbers = np.arange(0, phases[-1].first + 4, 2, dtype=np.int32)
    traced = jax.jit(
        jax.vmap(lambda step: at_step(phases, step, lambda size, new: jnp.array([size, 1.0 if new is None else new])))
    )(numbers)
    known = [at_step(phases, step, lambda size, new: (size, 1.0 if new is None else float(new))) for step in numbers]
    np.testing.assert_allclose(traced, known, atol=1e-6)
    assert {size for size, _ in known} == {4, 8, 16}
    assert len({new for _, new in known}) > 5


def test_real_images_are_averaged_and_fade_towards_those_of_half_the_size():
    images = np.random.default_rng(0).normal(size=(3, 16, 16, 2)).astype(np.float32)

    def pooled(factor):
        return images.reshape(3, 16 // factor, factor, 16 // factor, factor, 2).mean(axis=(2, 4))

    np.testing.assert_allclose(real_at(images, 8, None), pooled(2), atol=1e-6)
    repeated = np.kron(pooled(4), np.ones((1, 2, 2, 1)))
    np.testing.assert_allclose(real_at(images, 8, 0.3), 0.3 * pooled(2) + 0.7 * repeated, atol=1e-6)
    np.testing.assert_array_equal(enlarged(images, 64), np.kron(images, np.ones((1, 4, 4, 1))))


def layers(factor):
    """Parameters as those of networks: layers for 4, 8 and 16 pixels, and one for all."""
    names = ("b4", "torgb4", "b8", "torgb8", "b16", "torgb16", "dense0")
    return {"synthesis": {name: {"kernel": jnp.full(2, factor)} for name in names}}


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_layers_of_later_sizes_keep_their_values_and_learning_rates_have_the_factor_of_the_size(optimizer):
    """Also where the optimizer decays weights; all phases have optimizer states of one form."""
    config = GrowingConfig(
        stabilize=4,
        fade=4,
        batch_sizes=(4,),
        learning_rate=0.5,
        learning_rate_factors=(1.0, 3.0),
        weight_decay=0.1 if optimizer == "adamw" else 0.0,
        optimizer=optimizer,
    )
    phases = plan(config, 16)
    losses = (lambda *_: None, lambda *_: None)
    for phase in phases:
        for player in growing._players(config, phase, losses):
            own = {player.name: layers(1.0)}
            updates, _ = player.tx.update({player.name: layers(1.0)}, player.tx.init(own), own, step=jnp.int32(0))
            rate = 0.5 * (1 if phase.size == 4 else 3) * (1.1 if optimizer == "adamw" else 1.0)
            for name, layer in updates[player.name]["synthesis"].items():
                later = name in {8: ("b16", "torgb16"), 4: ("b8", "torgb8", "b16", "torgb16"), 16: ()}[phase.size]
                np.testing.assert_allclose(layer["kernel"], 0 if later else -rate, rtol=1e-5)


def test_optimizers_are_initialized_again_at_every_change_of_the_phase():
    """As the authors do wherever the floor or the ceiling of the level of detail changes."""
    data = {"image": np.zeros((4, 16, 16, 1), np.uint8)}
    model = progressive.build(progressive.Config(base=16, largest=4, latent_dim=2, stabilize=4, fade=4), data)
    assert [phase.name for phase in model.phases] == [
        "stable at 4",
        "fading in 8",
        "stable at 8",
        "fading in 16",
        "stable at 16",
    ]
    assert [phase.reset for phase in model.phases] == [(), *[("discriminator", "generator")] * 4]


def test_the_discriminator_plays_first_and_the_average_is_of_the_generator_before_its_update():
    params = {name: {"params": layers(1.0)} for name in ("generator", "discriminator")}

    def loss(name):
        def value(key, params, state, batch):
            return sum(leaf.sum() for leaf in jax.tree.leaves(params[name])), ({}, {})

        return value

    config = GrowingConfig(optimizer="sgd", momentum=0.0, learning_rate=0.25, stabilize=4, fade=4, batch_sizes=(1,))
    model = growing.growing_model(
        lambda key, batch: params,
        config,
        plan(config, 8),
        lambda phase: (loss("discriminator"), loss("generator")),
        Average(constant_decay(0.5), delayed=True),
    )
    assert [player.name for player in model.players] == ["discriminator", "generator"]
    state, batch = model.init(jax.random.key(0), {}), {"image": np.zeros((1, 8, 8, 1))}
    for _ in range(3):
        state, _ = model.phases[0].step(jax.random.key(0), state, batch)
    average = state.ema["generator"]["params"]["synthesis"]
    np.testing.assert_allclose(state.params["generator"]["synthesis"]["b4"]["kernel"], 0.25)
    np.testing.assert_allclose(average["b4"]["kernel"], 0.5 * (0.5 * 1 + 0.5 * 0.75) + 0.5 * 0.5)
    # Layers that come new: the average begins with the values of the generator.
    np.testing.assert_array_equal(average["b8"]["kernel"], state.params["generator"]["synthesis"]["b8"]["kernel"])


@pytest.mark.parametrize("module", [progressive, stylegan])
@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, (28, 28, 1), "got 28x28: surround them by black with size=32"),
        ({}, (9000, 4, 1), "got 9000x4: one side is too long and the other too short; give other images"),
        ({"size": 12}, (8, 8, 1), "^size must be a power of 2 from 8 on, got 12"),
        ({"size": 8}, (28, 28, 1), "size must be at least that of the images, 28x28, got 8"),
        ({"start": 16}, (8, 8, 1), "start must be at most the size of the images, 8, got 16"),
        ({"start": 6}, (8, 8, 1), "start must be a power of 2 from 4 on, got 6"),
        ({"base": 3}, (8, 8, 1), "base must be at least half the size of the images, 4, got 3"),
        ({"stabilize": 0}, (8, 8, 1), "stabilize must be positive"),
        ({"fade": -1}, (8, 8, 1), "fade must be finite and not negative"),
        ({"batch_sizes": ()}, (8, 8, 1), "batch_sizes must have at least one value"),
        ({"batch_sizes": (4, 0)}, (8, 8, 1), "batch_sizes must be positive"),
        ({"batch_sizes": 4}, (8, 8, 1), "batch_sizes must be a tuple"),
        ({"learning_rate_factors": (1.0, float("nan"))}, (8, 8, 1), "learning_rate_factors must be positive"),
        ({"learning_rate": None}, (8, 8, 1), "learning_rate must be positive"),
        ({"conditional": True}, (8, 8, 1), "must have labels"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_sentence(module, options, shape, message):
    with pytest.raises(InputError, match=message) as found:
        module.build(module.Config(**options), {"image": np.zeros((2, *shape), np.uint8)})
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (progressive, {"gradient_norm": 0.0}, "gradient_norm must be positive"),
        (progressive, {"drift": -1.0}, "drift must be finite and not negative"),
        (progressive, {"ema": 1.0}, "ema must be a decay"),
        (stylegan, {"mixing": 1.5}, "mixing must be from 0 to 1, got 1.5"),
        (stylegan, {"gamma": -1.0}, "gamma must be finite and not negative"),
        (stylegan, {"truncated_layers": 0}, "truncated_layers must be positive"),
        (stylegan, {"ema_half_life": float("nan")}, "ema_half_life must be positive"),
    ],
)
def test_impossible_options_of_one_family_are_refused(module, options, message):
    with pytest.raises(InputError, match=message):
        module.Config(**options)


def test_points_are_refused():
    for module, name in ((progressive, "progressive"), (stylegan, "stylegan")):
        with pytest.raises(InputError, match=f"{name} is for images"):
            module.build(module.Config(), {"point": np.zeros((2, 2))})


def test_a_training_without_growing_has_one_phase_of_the_batch_size_of_the_training():
    (phase,) = plan(replace(GrowingConfig(), start=32), 32)
    assert (phase.size, phase.fading, phase.batch_size, phase.steps) == (32, False, None, None)
