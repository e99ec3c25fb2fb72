from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.nn.autoencoding import make_decoder, make_encoder

IMAGES = jax.random.normal(jax.random.key(0), (3, 8, 8, 1))
LATENTS = jax.random.normal(jax.random.key(1), (3, 4))


def kernel_shapes(params: Any) -> list[tuple[int, ...]]:
    return [params[f"Dense_{i}"]["kernel"].shape for i in range(len(params))]


def test_decoder_has_hidden_layers_of_encoder_in_reverse_order() -> None:
    arguments: dict[str, Any] = {"hidden": (30, 20), "width": 8}
    encoder = make_encoder("mlp", features=4, **arguments).init(jax.random.key(0), IMAGES, train=False)
    decoder = make_decoder("mlp", shape=(8, 8, 1), **arguments).init(jax.random.key(0), LATENTS, train=False)
    assert kernel_shapes(encoder["params"]) == [(64, 30), (30, 20), (20, 4)]
    assert kernel_shapes(decoder["params"]) == [(4, 20), (20, 30), (30, 64)]


def test_linear_architecture_is_affine_for_any_hidden_widths() -> None:
    for network, x in (
        (make_encoder("linear", hidden=(30,), width=8, features=4), IMAGES),
        (make_decoder("linear", hidden=(30,), width=8, shape=(8, 8, 1)), LATENTS),
    ):
        variables = network.init(jax.random.key(0), x, train=False)
        f = partial(network.apply, variables, train=False)
        np.testing.assert_allclose(f(2 * x[:1] - x[1:2]), 2 * f(x[:1]) - f(x[1:2]), rtol=1e-4, atol=1e-5)


def test_convolutional_encoder_and_decoder_map_images_to_latents_and_back() -> None:
    arguments: dict[str, Any] = {"hidden": (), "width": 4}
    encoder: Any = make_encoder("conv", features=4, **arguments)
    decoder: Any = make_decoder("conv", shape=(8, 8, 1), **arguments)
    latents, _ = encoder.init_with_output(jax.random.key(0), IMAGES, train=False)
    images, variables = decoder.init_with_output(jax.random.key(0), latents, train=False)
    assert (latents.shape, images.shape) == ((3, 4), (3, 8, 8, 1))
    kernels = [leaf.ndim for leaf in jax.tree.leaves(variables) if leaf.ndim > 1]
    assert 4 in kernels


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2,), r"shape must be \(height, width, channels\) .* got \(2,\)"), ((2, 2, 1), "got 2x2")],
)
def test_convolutional_decoder_rejects_points_and_small_images(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_decoder("conv", hidden=(), width=4, shape=shape)


def test_activation_is_that_of_every_hidden_layer() -> None:
    network = make_encoder("mlp", hidden=(5, 4), width=8, features=2, activation="tanh")
    variables = network.init(jax.random.key(0), IMAGES, train=False)
    x = np.float64(IMAGES).reshape(3, 64)
    layers = [variables["params"][f"Dense_{i}"] for i in range(3)]
    for layer in layers[:2]:
        x = np.tanh(x @ layer["kernel"] + layer["bias"])
    expected = x @ layers[2]["kernel"] + layers[2]["bias"]
    np.testing.assert_allclose(network.apply(variables, IMAGES, train=False), expected, rtol=1e-5, atol=1e-6)


def test_unknown_architecture_is_rejected_with_nearest_name() -> None:
    for make in (
        lambda: make_encoder("cnv", hidden=(), width=4, features=2),  # type: ignore[arg-type]
        lambda: make_decoder("cnv", hidden=(), width=4, shape=(8, 8, 1)),  # type: ignore[arg-type]
    ):
        with pytest.raises(InputError, match="there is no architecture 'cnv': did you mean 'conv'"):
            make()


def test_condition_changes_output_of_its_own_example_only() -> None:
    network = make_encoder("conv", hidden=(), width=4, features=2)
    conditions = jnp.eye(3)
    variables = network.init(jax.random.key(0), IMAGES, conditions, train=False)
    output = network.apply(variables, IMAGES, conditions, train=False)
    other = network.apply(variables, IMAGES, conditions[::-1], train=False)
    np.testing.assert_array_equal(output[1], other[1])
    assert not np.allclose(output[0], other[0])
