"""Counts of operations equal those that follow from the shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.flop import of_algorithm, of_compiled_step, of_traced_step
from jaxgen.game import Model, Player, Regularizer, game
from jaxgen.nn.convolution import convolve, convolve_transpose

N, INPUTS, OUTPUTS = 32, 48, 64
PRODUCT = 2 * N * INPUTS * OUTPUTS


@pytest.mark.parametrize("updates", [1, 5])
def test_compiled_flop_include_all_updates_of_a_loop(updates):
    """An update has one product and one more for its gradient; elementwise operations are less than a tenth of them."""

    def loss(key, params, state, batch):
        return jnp.mean((batch["x"] @ params["w"]) ** 2), ({}, {})

    player = Player("player", ("w",), loss, optax.sgd(0.1), updates=updates)
    init, step = game(lambda key, batch: {"w": {"params": jnp.ones((INPUTS, OUTPUTS))}}, [player])
    model = Model(init, step, players=(player,))
    of_step = {"x": np.ones((N * updates, INPUTS), np.float32)}
    of_update = {"x": np.ones((N, INPUTS), np.float32)}
    key, state = jax.random.key(0), model.init(jax.random.key(0), of_update)
    compiled = jax.jit(model.step).lower(key, state, of_step).compile()
    assert of_compiled_step(compiled, model, state, of_update) == pytest.approx(2 * PRODUCT * updates, rel=0.1)


def model_with_regularizer(every):
    """A model whose regularizer has twice the products of its loss: both of its factors depend on the weights."""

    def loss(key, params, state, batch):
        return jnp.mean((batch["x"] @ params["w"]) ** 2), ({}, {})

    def twice(key, params, state, batch):
        return jnp.mean((batch["x"] @ params["w"]) * (batch["x"] @ (2 * params["w"]))), ({}, {})

    player = Player("player", ("w",), loss, optax.sgd(0.1), regularizers=(Regularizer("twice", twice, every),))
    init, step = game(lambda key, batch: {"w": {"params": jnp.ones((INPUTS, OUTPUTS))}}, [player])
    return Model(init, step, players=(player,))


@pytest.mark.parametrize("every", [1, 4])
def test_updates_with_a_lazy_regularizer_count_as_their_share_of_the_steps(every):
    """The loss has a product and one for its gradient, and the regularizer two and two."""
    batch = {"x": np.ones((N, INPUTS), np.float32)}
    model = model_with_regularizer(every)
    state = jax.eval_shape(model.init, jax.random.key(0), batch)
    expected = (2 + 4 / every) * PRODUCT
    assert of_algorithm(model, state, batch) == expected
    compiled = jax.jit(model.step).lower(jax.random.key(0), state, batch).compile()
    assert of_compiled_step(compiled, model, state, batch) == pytest.approx(expected, rel=0.15)


def test_products_with_vectors_are_not_counted():
    params, x = {"w": np.ones((INPUTS, OUTPUTS), np.float32)}, np.ones((N, INPUTS), np.float32)
    assert (
        flop_of_step(lambda params, x: ((params @ jnp.ones(OUTPUTS)) @ jnp.ones(INPUTS)) * x.sum(), params["w"], x) == 0
    )


def flop_of_step(loss, params, x, updates=1):
    """The operations of a step of a player that minimizes `loss(params, x)`."""
    player = Player("player", ("w",), lambda key, params, state, batch: (loss(params["w"], batch["x"]), ({}, {})),
                    optax.sgd(0.1), updates=updates)  # fmt: skip
    init, step = game(lambda key, batch: {"w": {"params": params}}, [player])
    state = jax.eval_shape(init, jax.random.key(0), {"x": x})
    return of_algorithm(Model(init, step, players=(player,)), state, {"x": x})


def test_products_are_counted_forward_and_backward_in_all_updates():
    """One product forward and one for the gradient by the weights; the one by the inputs is not computed."""
    params, x = {"w": np.ones((INPUTS, OUTPUTS), np.float32)}, np.ones((3 * N, INPUTS), np.float32)
    assert flop_of_step(lambda params, x: (x @ params["w"]).sum() ** 2, params, x, updates=3) == 3 * 2 * PRODUCT


def test_gradients_of_gradients_are_counted():
    """f = sum (x w)^2 by x is 2 (x w) w^T, two products; its gradient by w needs both factors of the second, and w."""
    params, x = {"w": np.ones((INPUTS, OUTPUTS), np.float32)}, np.ones((N, INPUTS), np.float32)

    def penalty(params, x):
        return jnp.sum(jax.grad(lambda x: jnp.sum((x @ params["w"]) ** 2))(x) ** 2)

    assert flop_of_step(penalty, params, x) == 5 * PRODUCT


def test_results_that_are_not_used_are_not_counted():
    params, x = {"w": np.ones((INPUTS, OUTPUTS), np.float32)}, np.ones((N, INPUTS), np.float32)

    def loss(params, x):
        jnp.sum(x @ jnp.ones((INPUTS, 7)))
        return (x @ params["w"]).sum() ** 2

    assert flop_of_step(loss, params, x) == 2 * PRODUCT


def test_convolutions_are_counted_by_output_pixels_forward_and_backward():
    """2 x 3 channels, windows of 4 x 4, 5 x 5 positions; then windows of 1 x 1, whose inputs have a gradient too."""
    params = {"a": np.ones((4, 4, 3, 2), np.float32), "b": np.ones((1, 1, 2, 3), np.float32)}

    def loss(params, x):
        hidden = convolve(x, params["a"], (2, 2), ((1, 1), (1, 1)))
        return convolve(hidden, params["b"], (1, 1), "VALID").sum() ** 2

    first, second = 2 * N * 25 * 2 * 3 * 16, 2 * N * 25 * 3 * 2
    assert flop_of_step(loss, params, np.ones((N, 10, 10, 3), np.float32)) == 2 * first + 3 * second


@pytest.mark.parametrize(
    ("stride", "dilation", "pads"), [(1, 1, (1, 1)), (2, 1, (0, 1)), (1, 2, (2, 3)), (3, 2, (4, 0))]
)
def test_multiplications_of_padding_are_left_out_where_requested(stride, dilation, pads):
    """Of an image and a window of ones, the sum of the result is the number of multiplications within the image."""
    image, window = np.ones((1, 7, 7, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)

    def convolved(x):
        return jax.lax.conv_general_dilated(
            x, window, (stride, stride), (pads, pads), lhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip

    def step(key, state, batch):
        return state, {"sum": convolved(batch["x"]).sum()}

    state = {"count": jnp.zeros(())}
    assert of_traced_step(step, state, {"x": image}, padding=False) == 2 * int(convolved(image).sum())
    assert of_traced_step(step, state, {"x": image}) >= 2 * int(convolved(image).sum())


def test_transposed_convolutions_are_counted_by_input_pixels():
    """Zeros between the pixels of the input are not multiplied: 5 x 5 pixels by windows of 4 x 4."""
    params = {"a": np.ones((4, 4, 2, 3), np.float32)}

    def loss(params, x):
        return convolve_transpose(x, params["a"], (2, 2), "SAME").sum() ** 2

    assert flop_of_step(loss, params, np.ones((N, 5, 5, 2), np.float32)) == 2 * (2 * N * 25 * 2 * 3 * 16)
