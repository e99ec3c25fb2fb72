from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.nn.autoencoding import decoder, encoder

IMAGES = jax.random.normal(jax.random.key(0), (3, 8, 8, 1))
CODES = jax.random.normal(jax.random.key(1), (3, 4))


def widths(params: Any) -> list[tuple[int, ...]]:
    return [params[f"Dense_{i}"]["kernel"].shape for i in range(len(params))]


def test_the_decoder_is_the_mirror_image_of_the_encoder() -> None:
    arguments: dict[str, Any] = {"hidden": (30, 20), "width": 8}
    down = encoder("mlp", features=4, **arguments).init(jax.random.key(0), IMAGES)["params"]
    up = decoder("mlp", shape=(8, 8, 1), **arguments).init(jax.random.key(0), CODES)["params"]
    assert widths(down) == [(64, 30), (30, 20), (20, 4)]
    assert widths(up) == [(4, 20), (20, 30), (30, 64)]


def test_a_linear_one_is_affine_whatever_hidden_layers_are_named() -> None:
    for network, x in (
        (encoder("linear", hidden=(30,), width=8, features=4), IMAGES),
        (decoder("linear", hidden=(30,), width=8, shape=(8, 8, 1)), CODES),
    ):
        variables = network.init(jax.random.key(0), x)

        def f(x: jax.Array, network: Any = network, variables: Any = variables) -> jax.Array:
            return network.apply(variables, x)

        np.testing.assert_allclose(f(2 * x[:1] - x[1:2]), 2 * f(x[:1]) - f(x[1:2]), rtol=1e-4, atol=1e-5)


def test_a_convolutional_pair_goes_from_picture_to_code_and_back() -> None:
    arguments: dict[str, Any] = {"hidden": (), "width": 4}
    down, up = encoder("conv", features=4, **arguments), decoder("conv", shape=(8, 8, 1), **arguments)
    code, _ = down.init_with_output(jax.random.key(0), IMAGES)  # type: ignore[attr-defined]
    image, variables = up.init_with_output(jax.random.key(0), code)  # type: ignore[attr-defined]
    assert (code.shape, image.shape) == ((3, 4), (3, 8, 8, 1))
    kernels = [leaf.ndim for leaf in jax.tree.leaves(variables) if leaf.ndim > 1]
    assert 4 in kernels


@pytest.mark.parametrize(
    ("shape", "said"), [((2,), r"needs pictures, and these examples have shape \(2,\)"), ((2, 2, 1), "2x2")]
)
def test_convolutions_are_for_pictures_that_are_large_enough(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        decoder("conv", hidden=(), width=4, shape=shape)


def test_other_architectures_are_refused() -> None:
    for make in (
        lambda: encoder("cnv", hidden=(), width=4, features=2),  # type: ignore[arg-type]
        lambda: decoder("cnv", hidden=(), width=4, shape=(8, 8, 1)),  # type: ignore[arg-type]
    ):
        with pytest.raises(InputError, match="there is no architecture 'cnv': did you mean 'conv'"):
            make()


def test_a_condition_is_heard() -> None:
    network = encoder("conv", hidden=(), width=4, features=2)
    conditions = jnp.eye(3)
    variables = network.init(jax.random.key(0), IMAGES, conditions)
    output = network.apply(variables, IMAGES, conditions)
    other = network.apply(variables, IMAGES, conditions[::-1])
    np.testing.assert_array_equal(output[1], other[1])
    assert not np.allclose(output[0], other[0])
