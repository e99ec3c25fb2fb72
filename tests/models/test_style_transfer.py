"""Style transfer: losses and gradients equal PyTorch's, and the functions of a trained model have their identities."""

import dataclasses
import hashlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax.traverse_util import flatten_dict

from jaxgen.errors import InputError
from jaxgen.installed_weights import install_weights
from jaxgen.models import PRESETS, style_transfer
from jaxgen.models.style_transfer import Config, build
from jaxgen.nn.published_weights import variables_from, weights_of
from jaxgen.nn.vgg19_names import DECODER, NORMALISED
from jaxgen.training import fit
from jaxgen.training.states import initial_state
from tests.metrics.extractors.weights_by_rule import weights_by_rule
from tests.models.random_states import random_state
from tests.nn import style_transfer_in_pytorch as reference

pytestmark = pytest.mark.usefixtures("convolutions_by_xla")

WIDTH = 2
SMALL = Config(encoder_weights="random", width=WIDTH, stages=2, style_weight=0.3)
RANDOM = np.random.default_rng(0)
IMAGES = {"image": RANDOM.uniform(size=(2, 8, 5, 3)).astype(np.float32)}
STYLES = RANDOM.integers(0, 256, (2, 6, 7, 3), np.uint8)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def model():
    return build(SMALL, IMAGES)


@pytest.fixture(scope="module")
def state(model):
    return random_state(model, IMAGES)


@pytest.fixture(scope="module")
def functions(model, state):
    """The functions of the model with its state, compiled."""
    return {
        "style": jax.jit(partial(model.style_transfer.style, state)),
        "stylize": jax.jit(partial(model.style_transfer.stylize, state)),
        "reconstruct": jax.jit(partial(model.reconstruct, state)),
        "evaluate": jax.jit(partial(model.evaluate, KEY, state)),
        "loss": jax.jit(partial(model.players[0].loss, KEY, state.params, state)),
    }


def by_rule(module):
    arrays = weights_by_rule({name: tuple(array.shape) for name, array in module.state_dict().items()})
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return module.double(), arrays


def test_losses_and_gradients_of_the_decoder_equal_pytorch_in_float64():
    """Of two images each is the style of the other; 16 pixels, as PyTorch's decoder does not cut off what pools add."""
    encoder, encoder_arrays = by_rule(reference.normalised_encoder(WIDTH))
    decoder, decoder_arrays = by_rule(reference.decoder(WIDTH))
    images = RANDOM.uniform(size=(2, 16, 16, 3))
    model = build(dataclasses.replace(SMALL, stages=4), {"image": images})
    like = jax.eval_shape(model.init, KEY, {"image": images}).params
    params = {
        name: variables_from(arrays, {"params": like[name]}, naming)["params"]
        for name, arrays, naming in (("encoder", encoder_arrays, NORMALISED), ("decoder", decoder_arrays, DECODER))
    }

    def loss(own, params, images):
        return model.players[0].loss(KEY, params | own, None, {"image": images})

    with jax.enable_x64(True):
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)
        differentiate = jax.jit(jax.value_and_grad(loss, has_aux=True))
        (value, (_, metrics)), gradient = differentiate({"decoder": params["decoder"]}, params, images)
    content = reference.to_torch(images)
    expected = reference.losses(lambda x: reference.first_features(encoder, x), decoder, content, content[[1, 0]])
    np.testing.assert_allclose(metrics["content_loss"], expected[0].item(), rtol=1e-10)
    np.testing.assert_allclose(metrics["style_loss"], expected[1].item(), rtol=1e-10)
    total = expected[0] + 0.3 * expected[1]
    np.testing.assert_allclose(value, total.item(), rtol=1e-10)
    total.backward()
    gradients = weights_of({"params": jax.tree.map(np.asarray, gradient["decoder"])}, DECODER)
    assert gradients.keys() == dict(decoder.named_parameters()).keys()
    for name, parameter in decoder.named_parameters():
        scale = parameter.grad.abs().max()
        np.testing.assert_allclose(gradients[name], parameter.grad, rtol=1e-8, atol=1e-10 * scale)


def test_styles_from_elsewhere_take_the_place_of_those_of_the_batch(functions):
    (one, other), loss = IMAGES["image"][:, None], functions["loss"]
    pairs = [loss({"image": content, "style": style})[0] for content, style in ((one, other), (other, one))]
    np.testing.assert_allclose(loss(IMAGES)[0], np.mean(pairs), rtol=1e-5)


def test_every_image_has_the_style_of_another_one():
    """With features that are the images themselves, the style is that of the place that it was taken from."""
    features = [jnp.arange(5.0).reshape(5, 1, 1, 1)]
    for seed in range(10):
        (found,) = style_transfer._rotated(jax.random.key(seed), features, least=1)
        assert sorted(found.ravel().tolist()) == list(range(5))
        assert np.all(found != features[0])


def test_only_the_decoder_is_trained_and_its_losses_fall():
    model = build(dataclasses.replace(SMALL, learning_rate=1e-2), IMAGES)
    before = initial_state(model, KEY[None], IMAGES).params
    found = fit(model, IMAGES, key=KEY, steps=60, batch_size=2)
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, y[0]), found.state.params["encoder"], before["encoder"])
    losses = found.history["decoder/loss"]
    assert losses[-5:].mean() < 0.9 * losses[:5].mean()


def test_alpha_of_zero_is_the_reconstruction_and_one_that_of_the_style(functions):
    images, stylize, style = IMAGES["image"], functions["stylize"], functions["style"]
    reconstructed = functions["reconstruct"](IMAGES)
    scale = np.abs(reconstructed).max()
    np.testing.assert_allclose(stylize(images, style(STYLES), 0.0), reconstructed, atol=1e-5 * scale)
    np.testing.assert_allclose(stylize(images, style(images), 1.0), reconstructed, atol=1e-4 * scale)
    styled = stylize(images, style(STYLES), 1.0)
    assert styled.shape == images.shape
    assert np.abs(styled - reconstructed).max() > 0.01 * scale


def test_bytes_and_grey_images_are_styled_as_floats_and_colours(functions):
    style, grey = functions["style"], STYLES[..., :1]
    np.testing.assert_allclose(style(STYLES), style(STYLES / np.float32(255)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(style(grey), style(np.repeat(grey, 3, axis=-1)), rtol=1e-5, atol=1e-6)


def test_model_of_grey_images_makes_grey_images():
    grey = {"image": IMAGES["image"][..., :1]}
    model = build(SMALL, grey)
    state = jax.eval_shape(model.init, KEY, grey)
    style = jax.eval_shape(model.style_transfer.style, state, grey["image"])
    assert jax.eval_shape(model.style_transfer.stylize, state, grey["image"], style).shape == grey["image"].shape
    with pytest.raises(InputError, match="images must have 1 channel, as those of the training, got 3"):
        model.style_transfer.style(state, STYLES)


def test_metrics_of_an_image_depend_on_no_other_one(functions):
    together = functions["evaluate"](IMAGES)
    alone = functions["evaluate"]({"image": IMAGES["image"][1:]})
    for name, values in together.items():
        np.testing.assert_allclose(values[1:], alone[name], rtol=1e-4)
    expected = np.square(functions["reconstruct"](IMAGES) - IMAGES["image"]).mean((1, 2, 3))
    np.testing.assert_allclose(together["mse"], expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"encoder_weights": "vgg"}, "there is no encoder_weights 'vgg'"),
        ({"stages": 5}, "stages must be from 2 to 4, got 5"),
        ({"style_weight": -1.0}, "style_weight must be finite and not negative, got -1.0"),
        ({"width": 8}, "width must be 64 for published weights of the encoder, got 8: give encoder_weights 'random'"),
    ],
)
def test_impossible_options_are_refused(options, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        Config(**options)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((8, 20, 3), "images must have at least 9x9 pixels for the encoder, got 8x20: surround .* give fewer stages"),
        ((16, 16, 4), "images must have 1 or 3 channels for style transfer, got 4"),
        ((2,), "style transfer is for images, and these data are points"),
    ],
)
def test_data_that_it_is_not_for_are_refused(shape, sentence):
    name = "image" if len(shape) == 3 else "point"
    with pytest.raises(InputError, match=f"^{sentence}"):
        build(Config(), {name: np.zeros((1, *shape), np.float32)})


def test_impossible_arguments_of_its_functions_are_refused(model, state):
    transfer = model.style_transfer
    style = np.ones((2, 2, 2 * WIDTH), np.float32)
    for alpha in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match=r"^alpha must be "):
            transfer.stylize(state, IMAGES["image"], style, alpha)
    with pytest.raises(
        InputError, match="at least 3x3 pixels for the encoder, got 2x5: surround them by black, or resize"
    ):
        transfer.style(state, IMAGES["image"][:, :2])
    with pytest.raises(InputError, match="images must have 1 or 3 channels, as those of the training, got 2"):
        transfer.style(state, IMAGES["image"][..., :2])


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installed weights by the rule under the name of the normalised ones, and their arrays."""
    monkeypatch.setenv("JAXGEN_WEIGHTS", str(tmp_path / "weights"))
    _, arrays = by_rule(reference.normalised_encoder(64))
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, tmp_path / "vgg.pth")
    digest = hashlib.sha256((tmp_path / "vgg.pth").read_bytes()).hexdigest()
    published = dataclasses.replace(style_transfer.ENCODER_WEIGHTS["vgg_normalised"], sha256=digest)
    monkeypatch.setitem(style_transfer.ENCODER_WEIGHTS, "vgg_normalised", published)
    install_weights(published, tmp_path / "vgg.pth")
    return arrays


def test_training_begins_with_published_weights_in_every_seed(installed):
    model = build(Config(stages=2), IMAGES)
    params = initial_state(model, jax.random.split(KEY, 2), IMAGES).params
    found = {name: np.asarray(x) for name, x in flatten_dict(params["encoder"], sep="/").items()}
    assert {name.partition("/")[0] for name in found} == {"input", "conv1_1", "conv1_2", "conv2_1"}
    for array in found["conv2_1/kernel"]:
        np.testing.assert_array_equal(array, installed["9.weight"].transpose(2, 3, 1, 0))
    decoders = params["decoder"]["conv1_1"]["kernel"]
    assert np.any(decoders[0] != decoders[1])


def test_training_without_weights_names_the_file_and_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXGEN_WEIGHTS", str(tmp_path))
    with pytest.raises(InputError) as error:
        fit(build(Config(stages=2), IMAGES), IMAGES, key=KEY, steps=1, batch_size=2)
    assert str(error.value) == (
        f"the weights of vgg_normalised must be installed in {tmp_path}, got none: fetch "
        "https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0/vgg_normalised.pth and run: "
        "jaxgen metrics weights vgg_normalised --from vgg_normalised.pth"
    )


def test_preset_has_the_options_of_the_authors_code():
    """`train.lua`: learningRate 1e-4, learningRateDecay 5e-5, momentum 0.9, styleWeight 1e-2, batchSize 8."""
    preset = PRESETS["adain"]
    config = preset.config
    assert (config.optimizer, config.learning_rate, config.b1, preset.batch_size) == ("adam", 1e-4, 0.9, 8)
    assert (config.schedule, 1 / config.decay_steps) == ("inverse", pytest.approx(5e-5))
    assert (config.encoder_weights, config.width, config.stages) == ("vgg_normalised", 64, 4)
    assert config.style_weight == 1e-2


def test_hash_of_torchvision_is_the_end_of_the_name_of_its_file():
    weights = style_transfer.ENCODER_WEIGHTS["vgg19"]
    assert weights.files == (f"vgg19-{weights.sha256}.pth",)
