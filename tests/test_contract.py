"""Contract of every public function of arrays, tested for every case in `cases/`.

Values match the references and gradients match finite differences; `vmap` equals a loop and `jit` the eager function;
bfloat16 is preserved; mismatched shapes raise.
"""

import importlib
import inspect
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from jaxgen import divergences, losses
from tests.contract import relative_error

BY_MODULE = {
    path.stem: importlib.import_module(f"tests.cases.{path.stem}").CASES
    for path in sorted(Path(__file__).parent.glob("cases/*.py"))
}
CASES = [case for cases in BY_MODULE.values() for case in cases]
MODULE_OF = {case.name: module for module, cases in BY_MODULE.items() for case in cases}
every_case = pytest.mark.parametrize("case", CASES, ids=str)
STEP = 1e-6
"""Step of the finite differences."""

deterministic = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def converted(inputs, dtype):
    """Return the inputs in a floating dtype; integers keep their dtype.

    They remain NumPy arrays: `jnp.asarray` would compile a program for every shape.
    """
    return tuple(x.astype(dtype) if np.issubdtype(x.dtype, np.floating) else x for x in inputs)


def floating(inputs):
    """Return the positions of the inputs that have derivatives."""
    return tuple(i for i, x in enumerate(inputs) if np.issubdtype(x.dtype, np.floating))


def test_every_public_function_has_case_with_reference():
    public = {
        f"{module.__name__.removeprefix('jaxgen.')}.{name}"
        for module in (losses, divergences)
        for name in module.__all__
        if not inspect.isclass(getattr(module, name))
    }
    # The two functions of an adversarial loss are `losses.hinge.discriminator` and `losses.hinge.generator`.
    assert {".".join(case.name.split(".")[:2]) for case in CASES} == public
    assert {case.name for case in CASES if case.references} == {case.name for case in CASES}


@every_case
def test_values_match_references(case, record_property):
    largest = dict.fromkeys(case.references, 0.0)
    function = jax.jit(case.function)

    @deterministic
    @given(case.drawn())
    def check(inputs):
        got = function(*converted(inputs, np.float32))
        assert got.dtype == jnp.float32
        for who, reference in case.references.items():
            want = reference(*inputs)
            assert got.shape == np.shape(want), who
            error = relative_error(got, want, case.floor)
            assert error <= case.rtol, f"{who}: got {got}, want {want}"
            largest[who] = max(largest[who], error)

    check()
    for who, error in largest.items():
        record_property("reference", (MODULE_OF[case.name], case.name, who, error))


@every_case
def test_float64_values_match_references(case):
    of_every_shape = [case.sampled(which=which) for which in range(len(case.all_shapes))]
    with jax.enable_x64(True):
        # One program for all shapes is compiled faster than one for each.
        results = jax.jit(lambda every: [case.function(*inputs) for inputs in every])(of_every_shape)
    for inputs, got in zip(of_every_shape, results, strict=True):
        assert got.dtype == jnp.float64
        for who, reference in case.references.items():
            assert relative_error(got, reference(*inputs), case.floor) <= case.rtol_double, who


@pytest.mark.parametrize("case", [case for case in CASES if case.differentiable], ids=str)
def test_gradients_match_finite_differences(case):
    stacks = [np.stack(both) for both in zip(case.sampled(0), case.sampled(1), strict=True)]
    positions = floating(stacks)
    rng = np.random.default_rng(0)

    def function(*floats):
        given = list(stacks)
        for i, x in zip(positions, floats, strict=True):
            given[i] = x
        return jax.vmap(case.function)(*given)  # some differentiation rules differ for batches

    # One program for all of it, with few copies of the function: compilation takes most of the time.
    @jax.jit
    def evaluate(floats, tangents, cotangents):
        def along(distance):
            return function(*(x + distance * t for x, t in zip(floats, tangents, strict=True)))

        values = jax.lax.map(along, np.array([-STEP, 0.0, STEP]))
        same, differential = jax.linearize(function, *floats)
        return values, same, differential(*tangents), jax.linear_transpose(differential, *floats)(cotangents)

    with jax.enable_x64(True):
        floats = tuple(stacks[i] for i in positions)
        tangents = tuple(rng.normal(size=x.shape) for x in floats)
        cotangents = rng.normal(size=jax.eval_shape(function, *floats).shape)
        (before, value, after), same, forward, backward = map(jax.device_get, evaluate(floats, tangents, cotangents))
    np.testing.assert_allclose(same, value, rtol=1e-5, atol=1e-5)
    numerical = (after - before) / (2 * STEP)
    np.testing.assert_allclose(forward, numerical, rtol=1e-5, atol=1e-5)
    projection = sum(np.vdot(t, gradient) for t, gradient in zip(tangents, backward, strict=True))
    np.testing.assert_allclose(projection, np.vdot(cotangents, numerical), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [case for case in CASES if case.finite_at], ids=str)
def test_values_and_gradients_are_finite_at_edges(case):
    edges = [converted([np.asarray(x) for x in inputs], np.float32) for inputs in case.finite_at]
    total = jax.value_and_grad(lambda *arguments: jnp.sum(case.function(*arguments)), floating(edges[0]))
    compiled = jax.jit(total)
    for inputs in edges:
        value, gradients = compiled(*inputs)
        assert np.isfinite(value), inputs
        for gradient in gradients:
            assert np.isfinite(gradient).all(), (inputs, gradient)


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "losses.triplet_kind"], ids=str)
def test_nan_arguments_give_non_finite_results(case):
    # The loss of a network that has diverged must not be finite.
    inputs = [x * np.nan if x.dtype == np.float32 else x for x in converted(case.sampled(), np.float32)]
    assert not np.isfinite(jax.jit(case.function)(*inputs)).any()


@every_case
def test_vmap_and_jit_match_eager_loop(case):
    examples = [converted(case.sampled(seed), np.float32) for seed in (1, 2)]
    mapped = jax.jit(jax.vmap(case.function))(*(np.stack(both) for both in zip(*examples, strict=True)))
    for inputs, of_batch in zip(examples, np.asarray(mapped), strict=True):
        eager = case.function(*map(jax.device_put, inputs))
        compiled = jax.jit(case.function)(*inputs)
        for other in (of_batch, compiled):
            assert relative_error(other, eager, case.floor) <= case.rtol


@every_case
def test_bfloat16_is_preserved(case):
    function = jax.jit(case.function)
    rounded = converted(case.sampled(), jnp.bfloat16)
    got = function(*rounded)
    assert got.dtype == jnp.bfloat16
    wide = function(*(x.astype(np.float32) if x.dtype == jnp.bfloat16 else x for x in rounded))
    assert relative_error(got, wide, case.floor) <= case.rtol_bfloat16


@pytest.mark.parametrize("case", [case for case in CASES if case.names_of_equal_shape], ids=str)
def test_mismatched_shapes_raise(case):
    names = list(case.arguments)
    shapes = case.all_shapes[-1]
    inputs = converted(case.sampled(), np.float32)
    for name in case.names_of_equal_shape:
        position = names.index(name)
        *front, last = shapes[position]
        for other in ((*front, last, 1), (*front, last + 1), (*front, 1)):
            wrong = list(inputs)
            wrong[position] = np.zeros(other, inputs[position].dtype)
            with pytest.raises(ValueError, match=re.escape(f"{name} {other}")) as error:
                jax.eval_shape(case.function, *wrong)
            assert str(shapes[position]) in str(error.value)
