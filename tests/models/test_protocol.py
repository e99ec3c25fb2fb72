"""Every family of the registry against the protocol of `jaxgen.game.Model`; a new family is tested once registered."""

import dataclasses
import functools
import types
import typing
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.data import example
from jaxgen.errors import InputError
from jaxgen.game import Model, Player, State
from jaxgen.models import REGISTRY
from jaxgen.models.optimizer import AdversarialOptimizerConfig, OptimizerConfig, OptimizerName, make_optimizer
from jaxgen.typing import Batch

IMAGES = [(8, 8, 1), (28, 28, 1), (16, 16, 3), (20, 12, 3)]
SMALLEST = IMAGES[0]
UNEVEN = (9, 12, 3)
"""A size that strided convolutions do not divide, with as few layers as the smallest one."""
POINTS = (2,)

FOR_POINTS: dict[str, dict[str, Any]] = {"vae": {"likelihood": "gaussian"}, "cvae": {"likelihood": "gaussian"}}
"""Family -> options that points require and that are not the default."""

NOT_ALONE: dict[str, dict[str, Any]] = {"wasserstein": {"penalty": "gradient"}}
"""Option -> options without which it is rejected."""

FIXED = {"style_transfer": {"encoder"}}
"""Family -> networks that no player trains."""

NOT_ALL_SIZES = {"gan": {"resnet": [SMALLEST, (32, 32, 3)]}}
"""Family -> option that is for some image sizes only -> such sizes."""

SIZES = {"biggan": IMAGES[:3], "style_transfer": IMAGES[1:]} | {
    name: [SMALLEST, IMAGES[2]] for name in ("progressive", "stylegan", "stylegan2")
}
"""Family -> the image sizes that it is for, if not all."""

FEW_LAYERS: dict[str, dict[str, Any]] = {
    "gan": {"architecture": "mlp"},
    "biggan": {"width": 1, "latent_dim": 2, "shared_dim": 2},
    "classifier": {"architecture": "mlp"},
    "progressive": {"base": 16, "largest": 4, "latent_dim": 2},
    "style_transfer": {"encoder_weights": "random", "width": 2, "stages": 2},
    "stylegan": {"base": 16, "largest": 4, "latent_dim": 2, "style_dim": 2, "mapping_layers": 1},
    "stylegan2": {"base": 16, "largest": 4, "latent_dim": 2, "style_dim": 2, "mapping_layers": 1},
    "vaegan": {"width": 4},
}
"""Options with which a family compiles quickly; convolutions are compiled in the tests of the families."""

EXAMPLES = 4
CLASSES = 3


def data(shape: tuple[int, ...], examples: int = EXAMPLES) -> Batch:
    rng = np.random.default_rng(0)
    label = (np.arange(examples) % CLASSES).astype(np.int32)
    if len(shape) == 3:
        return {"image": rng.integers(0, 256, (examples, *shape), np.uint8), "label": label}
    return {"point": rng.normal(size=(examples, *shape)).astype(np.float32), "label": label}


def build(name: str, shape: tuple[int, ...], **options: Any) -> Model:
    family = REGISTRY[name]
    return family.build(family.config(**options), example(data(shape)))


def variants() -> list[tuple[str, dict[str, Any]]]:
    """Return every family with each name that an option may have and that is not its default, one at a time.

    Options of the optimizer, which all families share, have a test of their own.
    """
    found = []
    for name, family in REGISTRY.items():
        hints = typing.get_type_hints(family.config)
        shared = {field.name for field in dataclasses.fields(AdversarialOptimizerConfig)}
        for field in dataclasses.fields(family.config):
            if field.name in shared:
                continue
            found += [(name, {field.name: value}) for value in names(hints[field.name]) if value != field.default]
    return found


def names(hint: Any) -> list[str]:
    """Return the names of a `Literal` type, also of one in a union with None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [name for part in typing.get_args(hint) for name in names(part)]
    return list(typing.get_args(hint)) if typing.get_origin(hint) is typing.Literal else []


def forms(tree: Any) -> Any:
    """Return structure, shapes and dtypes of a pytree."""
    return jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), tree)


def check_forms(model: Model, shape: tuple[int, ...]) -> None:
    """Trace every function of a model and compare its result with the protocol."""
    key, batch, batches = jax.random.key(0), data(shape), data(shape, EXAMPLES * model.slices)
    condition = {"label": jnp.zeros(EXAMPLES, jnp.int32)} if "label" in model.conditions else {}
    state = jax.eval_shape(model.init, key, batch)
    after, metrics = jax.eval_shape(model.step, key, state, batches)
    assert forms(after) == forms(state)
    for player in model.players:
        assert {f"{player.name}/loss", f"{player.name}/gradient_norm"} <= set(metrics)
        assert set(player.trains) <= set(state.params)
    assert all(metric.shape == () and metric.dtype == jnp.float32 for metric in metrics.values())
    trained = {network for player in model.players for network in player.trains}
    fixed = FIXED["style_transfer"] if model.style_transfer else set()
    assert trained | fixed == set(state.params)
    assert not trained & fixed

    if model.sample:
        samples = jax.eval_shape(lambda key, state: model.sample(key, state, 7), key, state)
        assert (samples.shape, samples.dtype) == ((7, *shape), jnp.float32)
    if model.predict:
        logits = jax.eval_shape(model.predict, state, batch)
        assert (logits.shape, logits.dtype) == ((EXAMPLES, CLASSES), jnp.float32)
    assert model.sample or model.predict or model.style_transfer
    if model.evaluate:
        errors = jax.eval_shape(model.evaluate, key, state, batch)
        assert errors
        assert all(error.shape == (EXAMPLES,) for error in errors.values())
    if model.reconstruct:
        assert jax.eval_shape(model.reconstruct, state, batch).shape == (EXAMPLES, *shape)
    if model.encode and model.decode:
        latent = jax.eval_shape(model.encode, state, batch)
        assert latent.ndim == 2
        assert len(latent) == EXAMPLES
        decoded = jax.eval_shape(lambda s, c: model.decode(s, c, **condition), state, latent)
        assert decoded.shape == (EXAMPLES, *shape)
    assert (model.sample_posterior is None) == (model.encode is None)
    if model.latent_densities:

        def densities(key: Any, state: Any) -> Any:
            found = model.latent_densities(key, state, batch)
            return found.mean, found.log_var, found.log_likelihood(model.sample_posterior(key, state, batch))

        mean, log_var, log_likelihood = jax.eval_shape(densities, key, state)
        assert forms(mean) == forms(log_var) == forms(jax.eval_shape(model.encode, state, batch))
        assert (log_likelihood.shape, log_likelihood.dtype) == ((EXAMPLES,), jnp.float32)
    if model.sample_posterior and model.encode:
        drawn = jax.eval_shape(model.sample_posterior, key, state, batch)
        assert forms(drawn) == forms(jax.eval_shape(model.encode, state, batch))


@pytest.mark.usefixtures("convolutions_by_xla")
@pytest.mark.parametrize("shape", IMAGES, ids=str)
@pytest.mark.parametrize("name", REGISTRY)
def test_every_family_builds_for_images_of_every_size_that_it_is_for(name: str, shape: tuple[int, ...]) -> None:
    if shape in SIZES.get(name, IMAGES):
        check_forms(build(name, shape), shape)
    else:
        with pytest.raises(InputError, match="surround them by black"):
            build(name, shape)


@pytest.mark.usefixtures("convolutions_by_xla")
@pytest.mark.parametrize(("name", "options"), variants(), ids=str)
def test_every_named_option_of_every_family_builds_for_images(name: str, options: dict[str, Any]) -> None:
    ((field, option),) = options.items()
    # Only networks have layers that depend on the size.
    sizes = SIZES[name][:1] if name in SIZES else [SMALLEST, UNEVEN] if field == "architecture" else [UNEVEN]
    for shape in NOT_ALL_SIZES.get(name, {}).get(option, sizes):
        check_forms(build(name, shape, **options, **NOT_ALONE.get(option, {})), shape)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_family_builds_for_points_or_raises_input_error(name: str) -> None:
    try:
        model = build(name, POINTS, **FOR_POINTS.get(name, {}))
    except InputError as error:
        assert "images" in str(error)  # noqa: PT017
        assert "points" in str(error)  # noqa: PT017
    else:
        check_forms(model, POINTS)


ALL_OPTIONS: dict[str, Any] = {"clip_norm": 0.5, "weight_decay": 0.1, "schedule": "cosine", "decay_steps": 9}
"""Options of the optimizer, each of which adds a transformation with a state of its own."""


@functools.cache
def first_params(name: str) -> dict[str, Any]:
    """Return the shapes of the parameters of a family with few layers."""
    model = build(name, SMALLEST, **FEW_LAYERS.get(name, {}))
    return jax.eval_shape(model.init, jax.random.key(0), data(SMALLEST)).params


def optimizer_forms(name: str, player: Player, tx: optax.GradientTransformation) -> Any:
    """Return the forms of an optimizer's state for the networks that a player of a family trains."""
    return forms(jax.eval_shape(tx.init, {network: first_params(name)[network] for network in player.trains}))


@pytest.mark.parametrize("optimizer", typing.get_args(OptimizerName))
@pytest.mark.parametrize("name", REGISTRY)
def test_options_of_the_optimizer_apply_to_every_player_of_every_family(name: str, optimizer: Any) -> None:
    options = {"optimizer": optimizer, **ALL_OPTIONS}
    expected = make_optimizer(OptimizerConfig(**options))
    for player in build(name, SMALLEST, **options, **FEW_LAYERS.get(name, {})).players:
        assert optimizer_forms(name, player, player.tx) == optimizer_forms(name, player, expected)


@pytest.mark.parametrize("optimizer", typing.get_args(OptimizerName))
@pytest.mark.parametrize("name", ["biggan", "gan", "progressive", "stylegan", "stylegan2", "vaegan"])
def test_own_options_of_the_discriminator_apply_to_it_alone(name: str, optimizer: Any) -> None:
    options = {"optimizer": optimizer, **ALL_OPTIONS}
    own = {f"discriminator_{option}": value for option, value in options.items()}
    model, shared = (build(name, SMALLEST, **more, **FEW_LAYERS[name]) for more in (own, {}))
    expected = make_optimizer(OptimizerConfig(**options))
    for player, other in zip(model.players, shared.players, strict=True):
        tx = expected if player.name == "discriminator" else other.tx
        assert optimizer_forms(name, player, player.tx) == optimizer_forms(name, player, tx)


def functions_of_state(model: Model, key: Any, state: State, batch: Batch) -> dict[str, Any]:
    """Return what the functions of a model return that use a state."""
    found: dict[str, Any] = {}
    if model.sample:
        found["sample"] = model.sample(key, state, 5)
    if model.sample_latent:
        condition = {"label": np.arange(5) % CLASSES} if "label" in model.conditions else {}
        found["decode"] = model.decode(state, model.sample_latent(key, 5), **condition)
    if model.predict:
        found["predict"] = model.predict(state, batch)
    if model.evaluate:
        found["evaluate"] = model.evaluate(key, state, batch)
    return found


@pytest.mark.usefixtures("convolutions_by_xla")
@pytest.mark.parametrize("name", REGISTRY)
def test_one_step_of_every_family(name: str) -> None:
    model = build(name, SMALLEST, **FEW_LAYERS.get(name, {}))
    batch, batches = data(SMALLEST), data(SMALLEST, EXAMPLES * model.slices)
    step = jax.jit(model.step)
    before = jax.jit(model.init)(jax.random.key(0), batch)
    after, metrics = step(jax.random.key(1), before, batches)
    assert int(after.step) == 1
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves((after.params, after.stats, metrics)))
    for network in before.params.keys() - FIXED.get(name, set()):
        changed = jax.tree.map(lambda a, b: np.any(np.asarray(a) != b), before.params[network], after.params[network])
        assert any(jax.tree.leaves(changed)), f"{network} has not changed"

    again, _ = step(jax.random.key(1), before, batches)
    jax.tree.map(np.testing.assert_array_equal, after, again)  # The same key gives the same bits.
    step(jax.random.key(2), after, batches)
    assert step._cache_size() == 1  # The second step is not compiled again.

    functions = jax.jit(functools.partial(functions_of_state, model))
    found, other = (functions(jax.random.key(seed), after, batch) for seed in (3, 4))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))
    if model.sample:
        assert np.any(found["sample"] != other["sample"])
    if model.sample_latent:
        np.testing.assert_allclose(found["decode"], found["sample"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", REGISTRY)
def test_family_has_a_one_line_summary_and_frozen_options(name: str) -> None:
    family = REGISTRY[name]
    assert family.name == name
    assert family.summary
    assert "\n" not in family.summary
    assert dataclasses.is_dataclass(family.config)
    assert family.config() == family.config()
    first = dataclasses.fields(family.config)[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(family.config(), first.name, first.default)


@pytest.mark.parametrize("name", REGISTRY)
def test_data_without_images_or_points_raise_input_error(name: str) -> None:
    family = REGISTRY[name]
    with pytest.raises(InputError, match="'image' or 'point'"):
        family.build(family.config(), {"label": np.array([2], np.int32)})
