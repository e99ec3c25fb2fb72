"""Every family of the registry keeps the protocol of `jaxgen.game.Model`: a new one is tested by being registered."""

import dataclasses
import types
import typing
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import example
from jaxgen.errors import InputError
from jaxgen.game import Model
from jaxgen.models import REGISTRY
from jaxgen.typing import Batch

IMAGES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (20, 12, 3)]
SMALLEST = IMAGES[0]
POINTS = (2,)

FOR_POINTS: dict[str, dict[str, Any]] = {"vae": {"likelihood": "gaussian"}, "cvae": {"likelihood": "gaussian"}}
"""What must be chosen differently from the default, family by family, where the examples are points."""

NOT_ALONE: dict[str, dict[str, Any]] = {"wasserstein": {"penalty": "gradient"}}
"""Options that work only with others."""

NOT_ALL_SIZES = {"resnet": [SMALLEST, (32, 32, 3)]}
"""Options that say which sizes of pictures they take, and sizes that they take."""

EXAMPLES = 4
CLASSES = 3


def data(shape: tuple[int, ...], examples: int = EXAMPLES) -> Batch:
    rng = np.random.default_rng(0)
    label = (np.arange(examples) % CLASSES).astype(np.int32)
    if len(shape) == 3:
        return {"image": rng.integers(0, 256, (examples, *shape), np.uint8), "label": label}
    return {"point": rng.normal(size=(examples, *shape)).astype(np.float32), "label": label}


def build(name: str, shape: tuple[int, ...], **choices: Any) -> Model:
    family = REGISTRY[name]
    return family.build(family.config(**choices), example(data(shape)))


def variants() -> list[tuple[str, dict[str, Any]]]:
    """Every family with every option of every choice between names, one at a time."""
    found = []
    for name, family in REGISTRY.items():
        hints = typing.get_type_hints(family.config)
        for field in dataclasses.fields(family.config):
            found += [(name, {field.name: option}) for option in options(hints[field.name]) if option != field.default]
    return found


def options(hint: Any) -> list[str]:
    """What a type of named options, perhaps beside None, lets one choose from."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [option for part in typing.get_args(hint) for option in options(part)]
    return list(typing.get_args(hint)) if typing.get_origin(hint) is typing.Literal else []


def forms(tree: Any) -> Any:
    """Structure, shapes and types of a pytree."""
    return jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), tree)


def check_forms(model: Model, shape: tuple[int, ...]) -> None:
    """Trace every function of a model and compare what it returns with the protocol."""
    key, batch, turn = jax.random.key(0), data(shape), data(shape, EXAMPLES * model.slices)
    condition = {"label": jnp.zeros(EXAMPLES, jnp.int32)} if "label" in model.conditions else {}
    state = jax.eval_shape(model.init, key, batch)
    after, metrics = jax.eval_shape(model.step, key, state, turn)
    assert forms(after) == forms(state)
    for player in model.players:
        assert {f"{player.name}/loss", f"{player.name}/gradient_norm"} <= set(metrics)
        assert set(player.trains) <= set(state.params)
    assert all(metric.shape == () and metric.dtype == jnp.float32 for metric in metrics.values())
    assert {network for player in model.players for network in player.trains} == set(state.params)

    samples = jax.eval_shape(lambda key, state: model.sample(key, state, 7), key, state)
    assert (samples.shape, samples.dtype) == ((7, *shape), jnp.float32)
    if model.evaluate:
        errors = jax.eval_shape(model.evaluate, key, state, batch)
        assert errors
        assert all(error.shape == (EXAMPLES,) for error in errors.values())
    if model.reconstruct:
        assert jax.eval_shape(model.reconstruct, state, batch).shape == (EXAMPLES, *shape)
    if model.encode and model.decode:
        code = jax.eval_shape(model.encode, state, batch)
        assert code.ndim == 2
        assert len(code) == EXAMPLES
        decoded = jax.eval_shape(lambda s, c: model.decode(s, c, **condition), state, code)
        assert decoded.shape == (EXAMPLES, *shape)
    assert (model.posterior is None) == (model.encode is None)
    if model.posterior and model.encode:
        drawn = jax.eval_shape(model.posterior, key, state, batch)
        assert forms(drawn) == forms(jax.eval_shape(model.encode, state, batch))


@pytest.mark.parametrize("shape", IMAGES, ids=str)
@pytest.mark.parametrize("name", REGISTRY)
def test_every_family_takes_pictures_of_every_size(name: str, shape: tuple[int, ...]) -> None:
    check_forms(build(name, shape), shape)


@pytest.mark.parametrize(("name", "choices"), variants(), ids=str)
def test_every_named_option_of_every_family_works_with_pictures(name: str, choices: dict[str, Any]) -> None:
    (option,) = choices.values()
    for shape in NOT_ALL_SIZES.get(option, [SMALLEST, IMAGES[-1]]):
        check_forms(build(name, shape, **choices, **NOT_ALONE.get(option, {})), shape)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_family_takes_points_or_says_that_it_does_not(name: str) -> None:
    try:
        model = build(name, POINTS, **FOR_POINTS.get(name, {}))
    except InputError as refusal:
        assert "pictures" in str(refusal)  # noqa: PT017
        assert "points" in str(refusal)  # noqa: PT017
    else:
        check_forms(model, POINTS)


@pytest.mark.parametrize("name", REGISTRY)
def test_one_real_turn_of_every_family(name: str) -> None:
    narrow = {"width": 8} if "width" in {field.name for field in dataclasses.fields(REGISTRY[name].config)} else {}
    model = build(name, SMALLEST, **narrow)
    batch, turn = data(SMALLEST), data(SMALLEST, EXAMPLES * model.slices)
    step = jax.jit(model.step)
    before = jax.jit(model.init)(jax.random.key(0), batch)
    after, metrics = step(jax.random.key(1), before, turn)
    assert int(after.step) == 1
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((after.params, after.stats, metrics)))
    for network in before.params:
        moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), before.params[network], after.params[network])
        assert any(jax.tree.leaves(moved)), f"{network} has not moved"

    again, _ = step(jax.random.key(1), before, turn)
    jax.tree.map(np.testing.assert_array_equal, after, again)  # the same key, the same bits
    step(jax.random.key(2), after, turn)
    assert step._cache_size() == 1  # the second turn compiled nothing

    samples = jax.jit(model.sample, static_argnums=2)(jax.random.key(3), after, 5)
    assert np.all(np.isfinite(samples))
    assert np.any(samples != jax.jit(model.sample, static_argnums=2)(jax.random.key(4), after, 5))
    if model.prior:
        told = {"label": np.arange(5) % CLASSES} if "label" in model.conditions else {}
        decoded = jax.jit(model.decode)(after, model.prior(jax.random.key(3), 5), **told)
        np.testing.assert_allclose(decoded, samples, rtol=1e-4, atol=1e-5)
    if model.evaluate:
        errors = jax.jit(model.evaluate)(jax.random.key(5), after, batch)
        assert all(np.all(np.isfinite(error)) for error in errors.values())


@pytest.mark.parametrize("name", REGISTRY)
def test_a_family_has_a_line_for_the_list_and_choices_that_cannot_change(name: str) -> None:
    family = REGISTRY[name]
    assert family.description
    assert "\n" not in family.description
    assert dataclasses.is_dataclass(family.config)
    assert family.config() == family.config()
    first = dataclasses.fields(family.config)[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(family.config(), first.name, first.default)


@pytest.mark.parametrize("name", REGISTRY)
def test_data_without_examples_are_refused(name: str) -> None:
    family = REGISTRY[name]
    with pytest.raises(InputError, match="'image' or 'point'"):
        family.build(family.config(), {"label": np.array([2], np.int32)})
