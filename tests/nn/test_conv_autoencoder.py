import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.nn.conv_autoencoder import ConvDecoder, ConvEncoder
from jaxgen.typing import Array

IMAGES = [(8, 8, 1), (28, 28, 1), (20, 12, 3), (9, 31, 2)]


def flax_layer(kind: type[linen.Module], params: dict, x: Array) -> Array:
    """Apply the plain Flax layer with the given parameters."""
    features = params["kernel"].shape[-1]
    return kind(features, (4, 4), strides=(2, 2), padding="SAME").apply({"params": params}, x)


def test_encoder_matches_flax_layers() -> None:
    network = ConvEncoder(width=4, features=5)
    x = jax.random.normal(jax.random.key(1), (2, 13, 8, 3))
    variables = network.init(jax.random.key(0), x, train=False)
    params = variables["params"]
    h = linen.relu(flax_layer(linen.Conv, params["Conv_0"], x))
    h = linen.relu(flax_layer(linen.Conv, params["Conv_1"], h))
    assert h.shape == (2, 4, 2, 8)
    expected = h.reshape(2, -1) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    np.testing.assert_allclose(network.apply(variables, x, train=False), expected, rtol=1e-4, atol=1e-5)


def test_decoder_matches_flax_layers() -> None:
    network = ConvDecoder(shape=(13, 8, 3), width=4)
    latent = jax.random.normal(jax.random.key(1), (2, 5))
    variables = network.init(jax.random.key(0), latent, train=False)
    params = variables["params"]
    h = (latent @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]).reshape(2, 4, 2, 8)
    h = flax_layer(linen.ConvTranspose, params["ConvTranspose_0"], linen.relu(h))[:, :7, :4]
    h = flax_layer(linen.ConvTranspose, params["ConvTranspose_1"], linen.relu(h))[:, :13, :8]
    np.testing.assert_allclose(network.apply(variables, latent, train=False), h, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", IMAGES)
def test_latent_depends_on_every_pixel_and_every_pixel_depends_on_latent(shape: tuple[int, int, int]) -> None:
    encoder = ConvEncoder(width=2, features=1, activation=jnp.tanh)
    decoder = ConvDecoder(shape=shape, width=2, activation=jnp.tanh)

    @jax.jit
    def derivatives(x: Array, latent: Array) -> tuple[Array, Array]:
        encoder_variables = encoder.init(jax.random.key(0), x, train=False)
        decoder_variables = decoder.init(jax.random.key(1), latent, train=False)
        of_latent = jax.grad(lambda x: encoder.apply(encoder_variables, x, train=False)[0, 0])(x)
        _, of_pixels = jax.jvp(
            lambda z: decoder.apply(decoder_variables, z, train=False), (latent,), (jnp.ones_like(latent),)
        )
        return of_latent, of_pixels

    x = jax.random.normal(jax.random.key(2), (1, *shape))
    of_latent, of_pixels = derivatives(x, jnp.ones((1, 1)))
    assert of_latent.shape == of_pixels.shape == x.shape
    assert np.all(of_latent != 0)
    assert np.all(of_pixels != 0)


def test_encoder_condition_equals_condition_appended_to_every_inner_pixel() -> None:
    x = jax.random.normal(jax.random.key(1), (2, 8, 8, 1))
    condition = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    network = ConvEncoder(width=4, features=5)
    variables = network.init(jax.random.key(0), x, condition, train=False)
    # Spread the weights of the condition over the 4x4 window: the same network, with the condition as more channels.
    params = variables["params"]
    spread = jnp.broadcast_to(params["Dense_0"]["kernel"] / 16, (4, 4, 3, 4))
    appended = jnp.concatenate([x, jnp.broadcast_to(condition[:, None, None, :], (2, 8, 8, 3))], axis=-1)
    wide = {"kernel": jnp.concatenate([params["Conv_0"]["kernel"], spread], axis=2), "bias": params["Conv_0"]["bias"]}
    expected = linen.relu(flax_layer(linen.Conv, wide, appended))[:, 1:-1, 1:-1]
    _, captured = network.apply(variables, x, condition, train=False, capture_intermediates=True)
    conv = captured["intermediates"]["Conv_0"]["__call__"][0]
    shifted = conv + (condition @ params["Dense_0"]["kernel"])[:, None, None]
    np.testing.assert_allclose(linen.relu(shifted)[:, 1:-1, 1:-1], expected, rtol=1e-4, atol=1e-5)
    output = linen.relu(shifted).reshape(2, -1) @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]
    np.testing.assert_allclose(network.apply(variables, x, condition, train=False), output, rtol=1e-4, atol=1e-5)


def test_decoder_condition_is_appended_to_latent() -> None:
    network = ConvDecoder(shape=(8, 8, 1), width=4)
    latent, condition = jax.random.normal(jax.random.key(1), (2, 5)), jnp.eye(2, 3)
    variables = network.init(jax.random.key(0), latent, condition, train=False)
    together = network.apply(variables, jnp.concatenate([latent, condition], axis=-1), train=False)
    np.testing.assert_array_equal(network.apply(variables, latent, condition, train=False), together)
