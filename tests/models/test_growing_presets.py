"""Presets of PGGAN and StyleGAN against the numbers of the authors' code, which are repeated here."""

import jax
import numpy as np
import pytest

from jaxgen.models import PRESETS, build_model, starting_point

BATCH_SIZES = {4: 512, 8: 256, 16: 128, 32: 64, 64: 32}
"""`minibatch_dict` for 8 GPUs in train.py of NVlabs/stylegan, which has both networks; 32 for all other sizes."""

RATES = {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}
"""`G_lrate_dict` there; 0.001 for all other sizes."""

COUNTS = {
    # Trainable parameters of the generator and of the discriminator, with all layers that read and write images.
    "progressive-1024": (23_079_115, 23_087_249),
    "stylegan-1024": (26_219_627, 23_087_249),
}


@pytest.mark.parametrize(("name", "start"), [("progressive-1024", 4), ("stylegan-1024", 8)])
def test_presets_for_1024_pixels_have_the_options_of_the_authors_code(name, start):
    family, config = starting_point(name)
    example = {"image": np.zeros((4, 1024, 1024, 3), np.uint8)}
    model = build_model(family, config, example)
    sizes = [2**power for power in range(2, 11) if 2**power >= start]
    assert len(model.phases) == 2 * len(sizes) - 1
    for number, phase in enumerate(model.phases[:-1]):
        size = sizes[(number + 1) // 2]
        assert phase.name == (f"fading in {size}" if number % 2 else f"stable at {size}")
        batch_size = BATCH_SIZES.get(size, 32)
        assert phase.batch_size == batch_size
        # The schedule is read every fourth step, and images above the end of a phase count for the next one.
        assert abs(phase.steps * batch_size - 600_000) <= 4 * max(batch_size, BATCH_SIZES.get(size // 2, 32))
        for player in phase.players if number % 2 else ():
            ones = {player.name: {"dense0": np.ones(2, np.float32)}}
            updates, _ = player.tx.update(ones, player.tx.init(ones), ones, step=np.int32(0))
            np.testing.assert_allclose(updates[player.name]["dense0"], -RATES.get(size, 0.001), rtol=1e-5)
    assert PRESETS[name].batch_size == BATCH_SIZES.get(1024, 32)
    assert (config.base, config.largest, config.latent_dim, config.group) == (8192, 512, 512, 4)
    assert (config.optimizer, config.b1, config.b2, config.eps) == ("adam", 0.0, 0.99, 1e-8)
    params = jax.eval_shape(model.init, jax.random.key(0), example).params
    counts = [sum(x.size for x in jax.tree.leaves(params[name])) for name in ("generator", "discriminator")]
    assert tuple(counts) == COUNTS[name]


def test_losses_and_averages_have_the_options_of_the_authors_code():
    config = PRESETS["progressive-1024"].config
    assert (config.penalty_weight, config.gradient_norm, config.drift, config.ema) == (10, 1, 0.001, 0.999)
    assert config.fused
    config = PRESETS["stylegan-1024"].config
    assert (config.gamma, config.mixing, config.truncated_layers, config.ema_half_life) == (10, 0.9, 8, 10_000)
    assert (config.style_dim, config.mapping_layers) == (512, 8)


def test_the_preset_for_cifar10_has_the_options_of_the_authors_first_code():
    """`config.py` of the Theano version: the baseline but for the base, the phases and the norm; one group a batch."""
    config = PRESETS["progressive-cifar10"].config
    assert not config.fused
    assert (config.size, config.start, config.stabilize, config.fade) == (32, 4, 400_000, 400_000)
    assert (config.base, config.largest, config.latent_dim) == (4096, 512, 512)
    assert (config.batch_sizes, config.group, config.gradient_norm) == ((16,), 16, 750)
    assert PRESETS["progressive-cifar10"].batch_size == 16
    assert (config.learning_rate, config.learning_rate_factors, config.ema) == (0.001, (1.0,), 0.999)


@pytest.mark.parametrize("name", ["progressive-32", "stylegan-32"])
def test_small_presets_grow_from_8_to_32_pixels(name):
    family, config = starting_point(name)
    model = build_model(family, config, {"image": np.zeros((4, 28, 28, 1), np.uint8)})
    assert [phase.name for phase in model.phases] == [
        "stable at 8",
        "fading in 16",
        "stable at 16",
        "fading in 32",
        "stable at 32",
    ]
    assert [phase.batch_size for phase in model.phases] == [64, 64, 64, 32, None]
