"""Tests of convolutions against `jax.lax`, its derivatives, and Flax's layers."""

import math
from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgen.nn.convolution import Conv, ConvTranspose, convolve, convolve_transpose
from jaxgen.training import jit

NUMBERS = ("NHWC", "HWIO", "NHWC")

# (shape of the inputs, shape of the kernel, strides, padding): gathered, interleaved and scattered; even and uneven
# padding.
CONVOLUTIONS = {
    "stride 2, kernel 4": ((2, 6, 6, 3), (4, 4, 3, 5), (2, 2), "SAME"),
    "stride 1, widening": ((2, 5, 5, 2), (3, 3, 2, 4), (1, 1), "SAME"),
    "stride 1, narrowing": ((2, 5, 5, 4), (3, 2, 4, 1), (1, 1), "SAME"),
    "to a single pixel": ((2, 4, 4, 3), (4, 4, 3, 1), (1, 1), "VALID"),
    "uneven sizes, strides and padding": ((1, 7, 6, 2), (3, 2, 2, 3), (3, 2), ((2, 0), (1, 3))),
    "narrowing with more padding than window": ((1, 3, 3, 3), (2, 2, 3, 1), (1, 1), ((3, 2), (2, 2))),
    "stride beyond the window": ((2, 7, 7, 2), (2, 2, 2, 3), (3, 3), "VALID"),
    "filtered, stride 2": ((2, 8, 7, 4), (4, 4, 4, 16), (2, 2), "SAME"),
    "filtered, stride 1": ((2, 6, 5, 16), (3, 3, 16, 16), (1, 1), "SAME"),
}
TRANSPOSED = {
    "stride 2, kernel 4": ((2, 3, 3, 4), (4, 4, 4, 2), (2, 2), "SAME"),
    "stride 2, kernel 5": ((2, 3, 4, 2), (5, 5, 2, 3), (2, 2), "SAME"),
    "stride 2, kernel 3, valid": ((2, 3, 3, 2), (3, 3, 2, 3), (2, 2), "VALID"),
    "from a single pixel": ((2, 1, 1, 5), (4, 4, 5, 3), (1, 1), "VALID"),
    "stride 1": ((2, 4, 4, 2), (3, 3, 2, 3), (1, 1), "SAME"),
    "explicit": ((1, 3, 3, 2), (4, 3, 2, 2), (2, 3), ((1, 2), (3, 0))),
    "filtered": ((2, 4, 2, 16), (4, 2, 16, 8), (2, 2), "SAME"),
}
CASES = [pytest.param(False, *case, id=f"conv {name}") for name, case in CONVOLUTIONS.items()]
CASES += [pytest.param(True, *case, id=f"transposed {name}") for name, case in TRANSPOSED.items()]
EVERY_FORM = [
    case
    for case in CASES
    if case.id
    in (
        "conv stride 2, kernel 4",
        "conv stride 1, widening",
        "conv stride 1, narrowing",
        "transposed stride 2, kernel 5",
        "conv filtered, stride 2",
        "transposed filtered",
    )
]
every_case = pytest.mark.parametrize(("transposed", "shape", "window", "strides", "padding"), CASES)
every_form = pytest.mark.parametrize(("transposed", "shape", "window", "strides", "padding"), EVERY_FORM)


def functions(transposed, strides, padding):
    """Return the functions of jaxgen and of XLA."""
    if transposed:
        return (
            lambda x, w: convolve_transpose(x, w, strides, padding),
            lambda x, w: lax.conv_transpose(x, w, strides, padding, dimension_numbers=NUMBERS),
        )
    return (
        lambda x, w: convolve(x, w, strides, padding),
        lambda x, w: lax.conv_general_dilated(x, w, strides, padding, dimension_numbers=NUMBERS),
    )


def arrays(*shapes, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=shape) for shape in shapes]


def assert_close(got, want, tolerance=1e-12):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert a.dtype == b.dtype
        scale = max(1.0, float(np.abs(np.asarray(b, np.float64)).max()))
        np.testing.assert_allclose(np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=0, atol=tolerance * scale)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


@cache
def traced_derivatives(transposed, shape, window, strides, padding):
    """Return the inputs, and the second derivatives of our function and of XLA's as traced functions in float64."""
    x, w = arrays(shape, window)

    def derivatives(conv):
        def nonlinear(x, w):
            value = conv(x, w)
            return jnp.sum(jnp.sin(value)), value

        def squared_gradient_norm(x, w):
            # A function of a gradient, like a gradient penalty, so that its gradient is a second derivative.
            gradients, value = jax.grad(nonlinear, (0, 1), has_aux=True)(x, w)
            return sum(jnp.sum(gradient**2) for gradient in gradients), (value, gradients)

        return jit(jax.grad(squared_gradient_norm, (0, 1), has_aux=True)).trace(x, w)

    return (x, w), *map(derivatives, functions(transposed, strides, padding))


@every_case
def test_value_and_second_derivatives_match_lax(float64, transposed, shape, window, strides, padding):
    (x, w), *traced = traced_derivatives(transposed, shape, window, strides, padding)
    assert_close(*(function.lower().compile()(x, w) for function in traced))


def count_xla_convolutions(traced):
    # The text names every XLA convolution, also inside custom rules.
    return str(traced.jaxpr).count("= conv_general_dilated")


@every_case
def test_gradients_contain_no_xla_convolution_on_cpu(float64, transposed, shape, window, strides, padding):
    _, ours, reference = traced_derivatives(transposed, shape, window, strides, padding)
    assert count_xla_convolutions(reference) >= 4
    assert count_xla_convolutions(ours) == 0


@every_form
def test_forward_mode_and_vmap_match_lax(float64, transposed, shape, window, strides, padding):
    x, w, dx, dw = arrays(shape, window, shape, window)

    def transformed(conv):
        def nonlinear(x, w):
            return jnp.sum(jnp.sin(conv(x, w)))

        def transforms():
            return {
                "jvp": jax.jvp(conv, (x, w), (dx, dw)),
                "Hessian-vector": jax.jvp(jax.grad(nonlinear, (0, 1)), (x, w), (dx, dw))[1],
                "jacfwd": jax.jacfwd(lambda t: conv(x + t * dx, w + t * dw))(0.5),
                "vmap": jax.vmap(conv)(jnp.stack([x, dx]), jnp.stack([w, dw])),
                "vmap over kernels of grad": jax.vmap(jax.grad(nonlinear, 1), (None, 0))(x, jnp.stack([w, dw])),
            }

        return jit(transforms)()

    ours, reference = functions(transposed, strides, padding)
    assert_close(transformed(ours), transformed(reference))


@cache
def value_and_pullback(transposed, strides, padding):
    """Return compiled functions of jaxgen and of XLA, the same for every dtype."""

    def both(conv):
        def value_and_gradients(x, w, mix):
            y, pullback = jax.vjp(conv, x, w)
            return y, *pullback(mix)

        return jit(value_and_gradients)

    return [both(conv) for conv in functions(transposed, strides, padding)]


@every_form
@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 2e-6), (jnp.bfloat16, 8e-3)])
def test_low_precision_is_within_tolerance_of_float64(transposed, shape, window, strides, padding, dtype, tolerance):
    ours, reference = value_and_pullback(transposed, strides, padding)
    shape_of_outputs = jax.eval_shape(functions(transposed, strides, padding)[1], *map(np.empty, (shape, window))).shape
    inputs = [a.astype(dtype) for a in arrays(shape, window) + arrays(shape_of_outputs, seed=1)]
    traced = ours.trace(*inputs)
    assert count_xla_convolutions(traced) == 0
    got = traced.lower().compile()(*inputs)
    assert {a.dtype for a in got} == {jnp.dtype(dtype)}
    with jax.enable_x64(True):
        want = reference(*(a.astype(np.float64) for a in inputs))
    assert_close([np.asarray(a, np.float64) for a in got], [np.asarray(a) for a in want], tolerance)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize(("window", "strides"), [(5, (1, 1)), (8, (2, 2))])
def test_low_precision_is_summed_in_float32_where_windows_overlap(dtype, window, strides):
    """Each output is a sum over 16 or more windows; rounding each of them would make the error 3 times as large."""
    ours, reference = functions(True, strides, "SAME")
    inputs = [a.astype(dtype) for a in arrays((2, 8, 8, 64), (window, window, 64, 2))]

    @jax.jit
    def outputs(x, w):
        return reference(x.astype(jnp.float32), w.astype(jnp.float32)), ours(x, w), reference(x, w)

    exact, *rounded = (np.asarray(output, np.float32) for output in outputs(*inputs))
    error, by_xla = (np.sqrt(np.mean((output - exact) ** 2)) for output in rounded)
    assert error <= 1.1 * by_xla


@every_form
def test_gradient_descent_inside_scan_matches_loop_with_lax(float64, transposed, shape, window, strides, padding):
    ours, reference = functions(transposed, strides, padding)
    x, w = arrays(shape, window)

    def descend(conv, w):
        return w - 0.01 * jax.grad(lambda w: jnp.mean(jnp.sin(conv(x, w))))(w)

    scanned, _ = jax.jit(lambda w: lax.scan(lambda w, _: (descend(ours, w), None), w, None, length=3))(w)
    looped, step = w, jax.jit(lambda w: descend(reference, w))
    for _ in range(3):
        looped = step(looped)
    assert_close(scanned, looped)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_dilation": (2, 2)},
        {"strides": (2, 1), "padding": "VALID", "use_bias": False},
        {"strides": (2, 2), "dtype": jnp.bfloat16},
        {"strides": (2, 2), "param_dtype": jnp.bfloat16, "dtype": jnp.float32},
        {"padding": ((2, 1), (0, 1)), "bias_init": nn.initializers.normal(1.0)},
        {"kernel_init": nn.initializers.normal(0.02), "strides": (2, 2)},
    ],
    ids="-".join,
)
@pytest.mark.parametrize("pair", [(Conv, nn.Conv), (ConvTranspose, nn.ConvTranspose)], ids=["Conv", "ConvTranspose"])
def test_initialization_and_outputs_of_layers_match_flax(pair, options):
    ours, flax = (layer(6, (4, 3), **options) for layer in pair)
    x = np.float32(arrays((2, 7, 6, 4))[0])
    got, variables = ours.init_with_output(jax.random.key(1), x)
    want, expected = flax.init_with_output(jax.random.key(1), x)
    assert_close(variables, expected, 0.0)
    assert_close(got, want, 8e-3 if options.get("dtype") == jnp.bfloat16 else 1e-6)


@pytest.mark.parametrize("pair", [(Conv, nn.Conv), (ConvTranspose, nn.ConvTranspose)], ids=["Conv", "ConvTranspose"])
@pytest.mark.parametrize("axes", [1, 3])
def test_layers_match_flax_with_one_and_three_spatial_axes(pair, axes):
    ours, flax = (layer(2, (3,) * axes, strides=(2,) * axes) for layer in pair)
    assert_same_outputs(ours, flax, (2, *(5, 4, 6)[:axes], 3), (*(3,) * axes, 3, 2))


def test_groups_of_channels_match_flax():
    ours, flax = (layer(8, (3, 3), strides=(2, 2), feature_group_count=4) for layer in (Conv, nn.Conv))
    assert_same_outputs(ours, flax, (2, 6, 6, 4), (3, 3, 1, 8))


def assert_same_outputs(ours, flax, shape, window):
    x, kernel, bias = (np.float32(a) for a in arrays(shape, window, window[-1:]))
    variables = {"params": {"kernel": kernel, "bias": bias}}
    assert_close(
        *jax.jit(lambda variables, x: (ours.apply(variables, x), flax.apply(variables, x)))(variables, x), 1e-6
    )


def test_convolution_on_accelerator_is_one_xla_convolution(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    x, w = np.ones((1, 4, 4, 2)), np.ones((4, 4, 2, 3))
    for conv in (convolve, convolve_transpose):
        text = str(jax.make_jaxpr(lambda x, w, conv=conv: conv(x, w, (2, 2), "SAME"))(x, w))
        assert text.count("= conv_general_dilated") == 1
        assert "dot_general" not in text


@pytest.mark.parametrize(
    ("transposed", "shape", "window", "strides", "padding"), [case for case in CASES if "filtered" in case.id]
)
def test_cases_named_filtered_use_filtering(transposed, shape, window, strides, padding):
    """A filtered convolution has a product for each combination of rows, a plain one a single product."""
    ours, _ = functions(transposed, strides, padding)
    text = jax.jit(ours).lower(*map(np.empty, (shape, window))).as_text()
    rows = {1: 1, 2: 3, 3: 4}
    combinations = math.prod(rows[-(-size // step)] for size, step in zip(window, strides, strict=False))
    assert text.count("stablehlo.dot_general") == combinations > 1


def test_transposed_convolution_of_4x4_map_takes_nine_products():
    """As many as the convolution whose transpose it is; one for each pixel of the output would be sixteen."""
    ours = jax.jit(lambda x, w: convolve_transpose(x, w, (2, 2), "SAME"))
    text = ours.lower(np.ones((2, 4, 4, 16)), np.ones((4, 4, 16, 16))).as_text()
    assert text.count("stablehlo.dot_general") == 9


@pytest.mark.parametrize(
    ("shape", "window"),
    [((0, 5, 5, 16), (3, 3, 16, 16)), ((2, 5, 5, 0), (3, 3, 0, 16)), ((2, 3, 3, 16), (5, 5, 16, 16))],
    ids=["no examples", "no channels", "a window larger than the input"],
)
def test_empty_inputs_and_outputs_match_lax(shape, window):
    ours, reference = functions(False, (1, 1), "VALID")
    got, want = (conv(np.ones(shape), np.ones(window)) for conv in (ours, reference))
    np.testing.assert_array_equal(got, want)


def test_integers_are_exact_and_different_dtypes_are_rejected():
    x = np.full((1, 4, 4, 16), 2**11 + 1, np.int32)
    w = np.full((3, 3, 16, 16), 2**10 + 1, np.int32)
    assert np.asarray(convolve(x, w, (1, 1), "VALID"))[0, 0, 0, 0] == 9 * 16 * (2**11 + 1) * (2**10 + 1)
    with pytest.raises(TypeError, match=r"float32.*bfloat16"):
        convolve(x.astype(np.float32), w.astype(jnp.bfloat16), (1, 1), "VALID")


def test_shapes_and_names_that_do_not_fit_are_rejected():
    with pytest.raises(ValueError, match=r"inputs \(1, 4, 4, 2\) and kernel \(3, 3, 3, 1\)"):
        convolve(np.ones((1, 4, 4, 2)), np.ones((3, 3, 3, 1)), (1, 1), "SAME")
    with pytest.raises(ValueError, match="channels must be the last axis"):
        convolve(
            np.ones((1, 4, 4, 4)), np.ones((3, 3, 4, 1)), (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW")
        )
    with pytest.raises(ValueError, match="'CIRCULAR'"):
        convolve_transpose(np.ones((1, 4, 4, 1)), np.ones((3, 3, 1, 1)), (1, 1), "CIRCULAR")
