import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.nn.conv_autoencoder import ConvDecoder, ConvEncoder
from jaxgen.typing import Array

IMAGES = [(8, 8, 1), (28, 28, 1), (20, 12, 3), (9, 31, 2)]


def flax_layer(kind: type[linen.Module], params: dict, x: Array) -> Array:
    """The plain Flax layer with the given parameters."""
    features = params["kernel"].shape[-1]
    return kind(features, (4, 4), strides=(2, 2), padding="SAME").apply({"params": params}, x)


def test_the_encoder_agrees_with_plain_flax_layers() -> None:
    network = ConvEncoder(width=4, features=5)
    x = jax.random.normal(jax.random.key(1), (2, 13, 8, 3))
    variables = network.init(jax.random.key(0), x)
    params = variables["params"]
    h = linen.relu(flax_layer(linen.Conv, params["Conv_0"], x))
    h = linen.relu(flax_layer(linen.Conv, params["Conv_1"], h))
    assert h.shape == (2, 4, 2, 8)
    expected = h.reshape(2, -1) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    np.testing.assert_allclose(network.apply(variables, x), expected, rtol=1e-4, atol=1e-5)


def test_the_decoder_agrees_with_plain_flax_layers() -> None:
    network = ConvDecoder(shape=(13, 8, 3), width=4)
    code = jax.random.normal(jax.random.key(1), (2, 5))
    variables = network.init(jax.random.key(0), code)
    params = variables["params"]
    h = (code @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]).reshape(2, 4, 2, 8)
    h = flax_layer(linen.ConvTranspose, params["ConvTranspose_0"], linen.relu(h))[:, :7, :4]
    h = flax_layer(linen.ConvTranspose, params["ConvTranspose_1"], linen.relu(h))[:, :13, :8]
    np.testing.assert_allclose(network.apply(variables, code), h, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", IMAGES)
def test_every_pixel_reaches_the_code_and_every_pixel_comes_from_it(shape: tuple[int, int, int]) -> None:
    encoder = ConvEncoder(width=2, features=1, activation=jnp.tanh)
    decoder = ConvDecoder(shape=shape, width=2, activation=jnp.tanh)

    @jax.jit
    def sensitivities(x: Array, code: Array) -> tuple[Array, Array]:
        encoder_variables = encoder.init(jax.random.key(0), x)
        decoder_variables = decoder.init(jax.random.key(1), code)
        by_pixel = jax.grad(lambda x: encoder.apply(encoder_variables, x)[0, 0])(x)
        _, of_pixel = jax.jvp(lambda z: decoder.apply(decoder_variables, z), (code,), (jnp.ones_like(code),))
        return by_pixel, of_pixel

    x = jax.random.normal(jax.random.key(2), (1, *shape))
    by_pixel, of_pixel = sensitivities(x, jnp.ones((1, 1)))
    assert by_pixel.shape == of_pixel.shape == x.shape
    assert np.all(by_pixel != 0)
    assert np.all(of_pixel != 0)


def test_a_condition_in_the_encoder_is_worth_the_same_appended_to_every_inner_pixel() -> None:
    x = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
    condition = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    network = ConvEncoder(width=4, features=5)
    variables = network.init(jax.random.key(0), x, condition)
    # Spread the weights of the condition over the 4x4 window: the same network, with the condition as more channels.
    params = variables["params"]
    spread = jnp.broadcast_to(params["Dense_0"]["kernel"] / 16, (4, 4, 3, 4))
    appended = jnp.concatenate([x, jnp.broadcast_to(condition[:, None, None, :], (2, 8, 8, 3))], axis=-1)
    wide = {"kernel": jnp.concatenate([params["Conv_0"]["kernel"], spread], axis=2), "bias": params["Conv_0"]["bias"]}
    expected = linen.relu(flax_layer(linen.Conv, wide, appended))[:, 1:-1, 1:-1]
    _, seen = network.apply(variables, x, condition, capture_intermediates=True)
    shifted = seen["intermediates"]["Conv_0"]["__call__"][0] + (condition @ params["Dense_0"]["kernel"])[:, None, None]
    np.testing.assert_allclose(linen.relu(shifted)[:, 1:-1, 1:-1], expected, rtol=1e-4, atol=1e-5)
    inner = linen.relu(shifted).reshape(2, -1) @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]
    np.testing.assert_allclose(network.apply(variables, x, condition), inner, rtol=1e-4, atol=1e-5)


def test_a_condition_extends_the_code_of_the_decoder() -> None:
    network = ConvDecoder(shape=(8, 8, 1), width=4)
    code, condition = jax.random.normal(jax.random.key(1), (2, 5)), jnp.eye(2, 3)
    variables = network.init(jax.random.key(0), code, condition)
    together = network.apply(variables, jnp.concatenate([code, condition], axis=-1))
    np.testing.assert_array_equal(network.apply(variables, code, condition), together)
