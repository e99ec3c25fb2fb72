"""Modules, losses, penalties, distributions and optimizers of the user's own in every family."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import chex
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.losses import AdversarialLoss, gradient_penalty
from jaxgen.models import autoencoder, classifier, cvae, gan, vae, vaegan
from jaxgen.models.likelihood import Likelihood
from jaxgen.models.optimizer import OptimizerConfig
from jaxgen.typing import Array
from tests.models.gan_reference import (
    MLP,
    POINTS,
    discriminator_latent,
    first_step,
    generated,
    generator_latent,
    logits,
)
from tests.models.random_states import random_state

CLASSES = 3
BATCH = {
    "image": np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), np.uint8),
    "label": np.arange(6, dtype=np.int32) % CLASSES,
}
IMAGE = (8, 8, 1)
LATENT_DIM = 2


class Own(linen.Module):
    """A module with batch normalization, and with dropout whose strength is a variable of a collection of its own."""

    shape: tuple[int, ...]
    with_features: bool = False

    @linen.compact
    def __call__(self, inputs: Array, condition: Array | None = None, *, train: bool) -> Any:
        """Return outputs of the given shape, and perhaps features."""
        y = inputs.reshape(len(inputs), -1)
        if condition is not None:
            y = jnp.concatenate([y, condition], axis=-1)
        y = linen.BatchNorm(use_running_average=not train, momentum=0.9)(linen.Dense(8)(y))
        y = linen.tanh(y)
        strength = self.variable("strength", "dropout", lambda: jnp.zeros(()))
        y += strength.value * (linen.Dropout(0.5, deterministic=not train)(y) - y)
        output = linen.Dense(math.prod(self.shape))(y).reshape(len(inputs), *self.shape)
        return (output, y) if self.with_features else output


class OwnFamily(NamedTuple):
    """A family with its options and modules of the user's own.

    Attributes:
        build: function `(config, example, **parts) -> model`.
        config: options.
        modules: name of the argument of `build` -> module.
        networks: names of the networks in the state, in the order of the modules.
    """

    build: Callable[..., Model]
    config: Any
    modules: dict[str, Own]
    networks: tuple[str, ...]


def own_family(build: Callable[..., Model], config: Any, **modules: Own) -> OwnFamily:
    networks = tuple("classifier" if name == "network" else name for name in modules)
    return OwnFamily(build, config, modules, networks)


FAMILIES = {
    "autoencoder": own_family(
        autoencoder.build, autoencoder.Config(latent_dim=LATENT_DIM), encoder=Own((LATENT_DIM,)), decoder=Own(IMAGE)
    ),
    "vae": own_family(vae.build, vae.Config(latent_dim=LATENT_DIM), encoder=Own((2 * LATENT_DIM,)), decoder=Own(IMAGE)),
    "cvae": own_family(
        cvae.build, cvae.Config(latent_dim=LATENT_DIM), encoder=Own((2 * LATENT_DIM,)), decoder=Own(IMAGE)
    ),
    "gan": own_family(gan.build, gan.Config(latent_dim=LATENT_DIM), generator=Own(IMAGE), discriminator=Own(())),
    "vaegan": own_family(
        vaegan.build,
        vaegan.Config(latent_dim=LATENT_DIM),
        encoder=Own((2 * LATENT_DIM,)),
        decoder=Own(IMAGE),
        discriminator=Own((), with_features=True),
    ),
    "classifier": own_family(classifier.build, classifier.Config(), network=Own((CLASSES,))),
}


def with_dropout(state: State, *networks: str) -> State:
    """Return the state in which these networks have dropout."""
    strength = {name: {"strength": {"dropout": np.ones((), np.float32)}} for name in networks}
    return state.replace(stats={name: kinds | strength.get(name, {}) for name, kinds in state.stats.items()})


def without_training(model: Model, state: State) -> dict[str, Array]:
    """Return the results of all functions that a model offers beside its training."""
    condition = {"label": 1} if model.conditions else {}
    found: dict[str, Any] = {}
    if model.sample:
        found["sample"] = model.sample(jax.random.key(0), state, 3, **condition)
    if model.encode:
        found["encode"] = model.encode(state, BATCH)
        found["sample_posterior"] = model.sample_posterior(jax.random.key(0), state, BATCH)
        found["reconstruct"] = model.reconstruct(state, BATCH)
    if model.decode:
        found["decode"] = model.decode(state, jnp.ones((3, LATENT_DIM)), **condition)
    if model.predict:
        found["predict"] = model.predict(state, BATCH)
    if model.evaluate:
        found["evaluate"] = model.evaluate(jax.random.key(0), state, BATCH)
        found["evaluate"].pop("accuracy", None)  # It has few values.
    return found


class FirstStep(NamedTuple):
    """A model of modules of the user's own, its compiled step, and its states before and after the first step."""

    model: Model
    step: Callable[..., Any]
    start: State
    end: State
    metrics: dict[str, Array]


@pytest.fixture(scope="module")
def first_step_of() -> Callable[[str], FirstStep]:
    """Return the first step of a family, computed once."""

    @cache
    def compute(name: str) -> FirstStep:
        build, config, modules, _ = FAMILIES[name]
        model = build(config, BATCH, **modules)
        step = jax.jit(model.step)
        start = jax.jit(model.init)(jax.random.key(0), BATCH)
        return FirstStep(model, step, start, *step(jax.random.key(1), start, BATCH))

    return compute


@pytest.mark.parametrize("name", FAMILIES)
def test_own_modules_have_dropout_and_batch_statistics_in_training_only(
    name: str, first_step_of: Callable[[str], FirstStep]
) -> None:
    networks, key = FAMILIES[name].networks, jax.random.key(1)
    model, step, start, end, metrics = first_step_of(name)
    assert set(start.stats) == set(networks)
    chex.assert_trees_all_equal(step(key, start, BATCH), (end, metrics))  # The same key gives the same bits.
    for network in networks:
        before, after = (jax.tree.leaves(state.stats[network]["batch_stats"]) for state in (start, end))
        assert all(np.any(a != b) for a, b in zip(before, after, strict=True)), network
        _, dropped = step(key, with_dropout(start, network), BATCH)
        losses = [f"{player.name}/loss" for player in model.players]
        assert any(dropped[loss] != metrics[loss] for loss in losses), network
    outside = jax.jit(lambda state: without_training(model, state))
    results = outside(end)
    chex.assert_trees_all_equal(results, outside(with_dropout(end, *networks)))
    # Without the running statistics of the step the results are different.
    others = outside(end.replace(stats=start.stats))
    assert all(np.any(a != b) for a, b in zip(jax.tree.leaves(results), jax.tree.leaves(others), strict=True))


@pytest.mark.parametrize("name", ["autoencoder", "classifier"])
def test_running_statistics_of_own_modules_match_numpy(name: str, first_step_of: Callable[[str], FirstStep]) -> None:
    networks = FAMILIES[name].networks
    _, _, start, end, _ = first_step_of(name)
    x = BATCH["image"].reshape(6, 64) / 255.0
    x = 2 * x - 1 if name == "classifier" else x
    layer = jax.tree.map(np.float64, start.params[networks[0]]["Dense_0"])
    hidden = x @ layer["kernel"] + layer["bias"]
    running = end.stats[networks[0]]["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(running["mean"], 0.1 * hidden.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(running["var"], 0.9 + 0.1 * hidden.var(axis=0), rtol=1e-5)


@pytest.mark.parametrize("penalty_every", [1, 2])
def test_penalty_applies_to_own_discriminator_with_dropout(penalty_every: int) -> None:
    class Critic(linen.Module):
        @linen.compact
        def __call__(self, x: Array, *, train: bool) -> Array:
            y = linen.Dropout(0.5, deterministic=not train)(linen.tanh(linen.Dense(16)(x)))
            return linen.Dense(1)(y)[:, 0]

    config = gan.Config(hidden=(4,), penalty="gradient", penalty_every=penalty_every)
    model = gan.build(config, POINTS, discriminator=Critic())
    start, step = random_state(model, POINTS), jax.jit(model.step)
    name = "discriminator/penalty" if penalty_every == 1 else "discriminator/penalty/penalty"
    penalties = [float(step(jax.random.key(i), start, POINTS)[1][name]) for i in (0, 0, 1)]
    assert np.isfinite(penalties).all()
    assert penalties[0] == penalties[1] != penalties[2]


def test_networks_of_a_gan_have_different_dropout_keys() -> None:
    """The generator returns normal noise, and the discriminator its product with noise, whose mean is then 0."""

    class Noise(linen.Module):
        discriminate: bool

        @linen.compact
        def __call__(self, x: Array, *, train: bool) -> Array:
            noise = jax.random.normal(self.make_rng("dropout"), (len(x), 2)) if train else jnp.ones((len(x), 2))
            noise *= self.param("scale", linen.initializers.ones, ())
            return (x * noise).sum(axis=-1) if self.discriminate else noise

    loss = AdversarialLoss(discriminator=lambda real, fake: fake, generator=lambda fake, real=None: fake)
    ones = {"point": np.ones((4000, 2), np.float32)}
    networks = {"generator": Noise(discriminate=False), "discriminator": Noise(discriminate=True)}
    model = gan.build(gan.Config(), ones, **networks, loss=loss)

    @jax.jit
    def values() -> list[Array]:
        state = model.init(jax.random.key(0), ones)
        return [player.loss(jax.random.key(1), state.params, state, ones)[0] for player in model.players]

    for player, value in zip(model.players, values(), strict=True):
        assert abs(float(value)) < 5 * math.sqrt(2 / 4000), player.name


class MissingTrain(linen.Module):
    """A module without the argument `train`."""

    @linen.compact
    def __call__(self, inputs: Array, condition: Array | None = None) -> Array:
        """Return the inputs."""
        return inputs


class Raising(linen.Module):
    """A module that raises an exception of several lines."""

    @linen.compact
    def __call__(self, inputs: Array, condition: Array | None = None, *, train: bool) -> Array:
        """Raise an exception."""
        raise RuntimeError("not finished\nyet")


class AlwaysDropout(linen.Module):
    """A module that needs a key outside training too."""

    @linen.compact
    def __call__(self, inputs: Array, condition: Array | None = None, *, train: bool) -> Array:
        """Return the inputs with dropout."""
        return linen.Dropout(0.1, deterministic=False)(inputs)


class OtherShape(linen.Module):
    """A module that fits its role in training only."""

    shape: tuple[int, ...]
    with_features: bool

    @linen.compact
    def __call__(self, inputs: Array, condition: Array | None = None, *, train: bool) -> Any:
        """Return zeros, of another shape outside training."""
        output = jnp.zeros((len(inputs), *(self.shape if train else (9,))))
        return (output, inputs) if self.with_features else output


class Pair(linen.Module):
    """A module that returns a tuple of three."""

    @linen.compact
    def __call__(self, inputs: Array, condition: Array | None = None, *, train: bool) -> Any:
        """Return three arrays."""
        return inputs, inputs, inputs


ROLES = {
    ("autoencoder", "encoder"): (r"\[batch, 8, 8, 1\]", r"\[batch, 2\]"),
    ("autoencoder", "decoder"): (r"\[batch, 2\]", r"\[batch, 8, 8, 1\]"),
    ("vae", "encoder"): (r"\[batch, 8, 8, 1\]", r"\[batch, 4\]"),
    ("vae", "decoder"): (r"\[batch, 2\]", r"\[batch, 8, 8, 1\]"),
    ("cvae", "encoder"): (r"\[batch, 8, 8, 1\], \[batch, 3\]", r"\[batch, 4\]"),
    ("cvae", "decoder"): (r"\[batch, 2\], \[batch, 3\]", r"\[batch, 8, 8, 1\]"),
    ("gan", "generator"): (r"\[batch, 2\]", r"\[batch, 8, 8, 1\]"),
    ("gan", "discriminator"): (r"\[batch, 8, 8, 1\]", r"\[batch\]"),
    ("vaegan", "encoder"): (r"\[batch, 8, 8, 1\]", r"\[batch, 4\]"),
    ("vaegan", "decoder"): (r"\[batch, 2\]", r"\[batch, 8, 8, 1\]"),
    ("vaegan", "discriminator"): (r"\[batch, 8, 8, 1\]", r"\[batch\]"),
    ("classifier", "network"): (r"\[batch, 8, 8, 1\]", r"\[batch, 3\]"),
}
"""(family, argument of build) -> patterns of the inputs and of the output of the module."""


@pytest.mark.parametrize(("name", "argument"), ROLES, ids=str)
def test_modules_that_do_not_fit_their_role_raise_input_error(name: str, argument: str) -> None:
    build, config, modules, _ = FAMILIES[name]
    inputs, output = ROLES[name, argument]
    role = "classifier" if argument == "network" else argument
    with_features = modules[argument].with_features
    call = rf"the {role} must be a Flax module that can be called as module\({inputs}, train=...\), got "
    shape = rf"the {role} must return an array {output} for inputs \[.*\], got "
    not_features = rf"the {role} must return a pair of arrays \(output, features\), got "
    for module, message in (
        (MissingTrain(), call + r"MissingTrain: .*unexpected keyword argument 'train'"),
        (Raising(), call + "Raising: not finished$"),
        (AlwaysDropout(), call + "AlwaysDropout: .*dropout"),
        (OtherShape(modules[argument].shape, with_features), shape + r"\[batch, 9\]$"),
        (lambda x, train: x, call + "function: 'function' object has no attribute 'init'"),
        (Own, call),
        ("encoder", call + "str: "),
        (Own((7,), with_features=with_features), shape + r"\[batch, 7\]$"),
        (Pair(), (not_features if with_features else shape) + "tuple$"),
    ):
        with pytest.raises(InputError, match=message) as raised:
            build(config, BATCH, **modules | {argument: module})
        assert "\n" not in str(raised.value)


def test_discriminator_with_projection_must_have_an_output_per_class() -> None:
    config = gan.Config(latent_dim=LATENT_DIM, condition="projection")
    parts = {"generator": Own(IMAGE)}
    with pytest.raises(InputError, match=r"discriminator must return an array \[batch, 4\] .*, got \[batch\]"):
        gan.build(config, BATCH, **parts, discriminator=Own(()))
    model = gan.build(config, BATCH, **parts, discriminator=Own((1 + CLASSES,)))
    state = jax.eval_shape(model.init, jax.random.key(0), BATCH)
    # The generator has the class appended to its latent.
    assert state.params["generator"]["Dense_0"]["kernel"].shape == (LATENT_DIM + CLASSES, 8)


def test_own_adversarial_loss_replaces_the_named_one() -> None:
    key = jax.random.key(5)
    loss = AdversarialLoss(
        discriminator=lambda real, fake: (real - 2) ** 2 + (fake + 1) ** 2,
        generator=lambda fake, real=None: jnp.cosh(fake),
    )
    start, metrics = first_step(gan.build(MLP, POINTS, loss=loss), POINTS, key)
    r = logits(start, POINTS["point"])
    f = logits(start, generated(start, discriminator_latent(key, 0, (40, 3))))
    assert metrics["discriminator/loss"] == pytest.approx(((r - 2) ** 2 + (f + 1) ** 2).mean(), rel=1e-5)
    f = logits(start, generated(start, generator_latent(key, 40)))
    assert metrics["generator/loss"] == pytest.approx(np.cosh(f).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "arguments", "weight"),
    [
        ({}, {}, 1.0),
        ({}, {"penalty_weight": 0.5}, 0.5),
        ({"penalty": "r1"}, {}, 1.0),
        ({"penalty": "r1", "penalty_weight": 3.0}, {}, 3.0),
        ({"penalty": "r1", "penalty_weight": 3.0}, {"penalty_weight": 0.5}, 0.5),
    ],
    ids=str,
)
def test_own_penalty_is_added_with_its_weight(
    options: dict[str, Any], arguments: dict[str, float], weight: float
) -> None:
    key = jax.random.key(5)
    model = gan.build(
        replace(MLP, **options),
        POINTS,
        penalty=lambda key, critic, real, fake: jnp.square(critic(real)) + jnp.abs(critic(2 * fake)),
        **arguments,
    )
    start, metrics = first_step(model, POINTS, key)
    fake = generated(start, discriminator_latent(key, 0, (40, 3)))
    expected = (logits(start, POINTS["point"]) ** 2 + np.abs(logits(start, 2 * fake))).mean()
    assert metrics["discriminator/penalty"] == pytest.approx(expected, rel=1e-4)
    rest = metrics["discriminator/loss"] - metrics["discriminator/adversarial_loss"]
    assert rest == pytest.approx(weight * expected, rel=1e-4)


def test_own_penalty_is_refused_with_batch_normalization() -> None:
    config = replace(MLP, discriminator_normalization="batch")
    with pytest.raises(InputError, match=r"the penalty of one's own needs .* 'batch' mixes examples: choose 'layer'"):
        gan.build(config, POINTS, penalty=gradient_penalty)


def test_own_penalty_equal_to_a_named_one_gives_its_results() -> None:
    """Also of the architecture: a convolutional critic with a penalty has no batch normalization."""
    config = gan.Config(width=2, latent_dim=LATENT_DIM)
    named = gan.build(replace(config, penalty="gradient"), BATCH)
    own = gan.build(config, BATCH, penalty=gradient_penalty, penalty_weight=10.0)
    inits = [jax.jit(model.init).lower(jax.random.key(0), BATCH).as_text() for model in (named, own)]
    assert inits[0] == inits[1]
    start = random_state(named, BATCH)
    ends = [jax.jit(model.step)(jax.random.key(1), start, BATCH) for model in (named, own)]
    chex.assert_trees_all_close(*ends, rtol=1e-6)


def test_own_likelihood_replaces_the_named_one() -> None:
    """A logistic distribution, whose density SciPy has."""

    def nll(decoded: Array, x: Array, log_scale: Any) -> Array:
        z = x - decoded
        return jnp.sum(z + 2 * jnp.logaddexp(0.0, -z), axis=-1)

    likelihood = Likelihood(nll=nll, mean=lambda decoded: 2 * decoded, scaled=False)
    model = vae.build(vae.Config(architecture="linear", latent_dim=2), POINTS, likelihood=likelihood)
    state = random_state(model, POINTS)
    # Without its kernel the decoder's output is its bias, for every latent.
    decoder = {"Dense_0": {"kernel": np.zeros((2, 2), np.float32), "bias": np.array([0.5, -1.0], np.float32)}}
    state = state.replace(params=state.params | {"decoder": decoder})
    metrics, samples = jax.jit(
        lambda: (model.evaluate(jax.random.key(1), state, POINTS), model.sample(jax.random.key(2), state, 3))
    )()
    expected = -stats.logistic([0.5, -1.0]).logpdf(np.float64(POINTS["point"])).sum(axis=1)
    np.testing.assert_allclose(metrics["reconstruction"], expected, rtol=1e-5)
    np.testing.assert_allclose(samples, [[1.0, -2.0]] * 3)


def test_own_corruption_replaces_the_named_one() -> None:
    def shift(key: Any, x: Array, level: float) -> Array:
        return x + level

    config = autoencoder.Config(architecture="linear", latent_dim=2, corruption_level=0.5)
    own, plain = (autoencoder.build(config, POINTS, corrupt=corrupt) for corrupt in (shift, None))
    state, shifted = random_state(plain, POINTS), {"point": POINTS["point"] + np.float32(0.5)}

    @jax.jit
    def compute() -> tuple[Array, ...]:
        loss, _ = own.players[0].loss(jax.random.key(1), state.params, state, POINTS)
        return loss, plain.reconstruct(state, shifted), plain.reconstruct(state, POINTS), own.reconstruct(state, POINTS)

    loss, of_shifted, of_plain, of_own = compute()
    expected = ((np.float64(of_shifted) - POINTS["point"]) ** 2).sum(axis=1).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(of_own, of_plain)


OPTIMIZERS = dict.fromkeys(FAMILIES, ("optimizer",)) | {
    "gan": ("generator_optimizer", "discriminator_optimizer"),
    "vaegan": ("encoder_optimizer", "decoder_optimizer", "discriminator_optimizer"),
}
"""Family -> arguments of its build function for optimizers."""


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_own_optimizers_replace_those_of_the_config(name: str, first_step_of: Callable[[str], FirstStep]) -> None:
    """Gradient descent, so that the parameters change by the gradient of the player's loss."""
    build, config, modules, _ = FAMILIES[name]
    rate = 0.25
    model = build(config, BATCH, **modules, **{argument: optax.sgd(rate) for argument in OPTIMIZERS[name]})
    # Gradient descent has no state.
    start = first_step_of(name).start.replace(opt=jax.eval_shape(model.init, jax.random.key(0), BATCH).opt)
    end, metrics = jax.jit(model.step)(jax.random.key(1), start, BATCH)
    for player in model.players:
        pairs = zip(*(jax.tree.leaves([state.params[n] for n in player.trains]) for state in (start, end)), strict=True)
        norm = np.sqrt(sum(np.sum((np.float64(a) - np.float64(b)) ** 2) for a, b in pairs))
        expected = rate * float(metrics[f"{player.name}/gradient_norm"])
        assert norm == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_arguments_that_are_no_optimizers_are_refused(name: str) -> None:
    build, config, modules, _ = FAMILIES[name]
    for argument in OPTIMIZERS[name]:
        for value in ("adam", optax.adam, 1e-3, OptimizerConfig):
            with pytest.raises(InputError, match=rf"^{argument} must be an optax optimizer such as .*, got "):
                build(config, BATCH, **modules | {argument: value})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"loss": "hinge"}, r"loss must be a jaxgen.losses.AdversarialLoss.*, got 'hinge'"),
        ({"loss": lambda real: real}, r"loss must be a jaxgen.losses.AdversarialLoss.*, got <function"),
        ({"penalty": "r1"}, r"penalty must be a function .*, got 'r1'"),
        ({"penalty": gradient_penalty, "penalty_weight": -1.0}, "penalty_weight must be finite and not negative, got"),
    ],
)
def test_parts_that_are_no_losses_or_penalties_are_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        gan.build(MLP, POINTS, **parts)


@pytest.mark.parametrize("shape", [(), (40, 1)])
def test_penalty_that_is_not_one_value_per_example_is_refused(shape: tuple[int, ...]) -> None:
    model = gan.build(MLP, POINTS, penalty=lambda key, critic, real, fake: jnp.zeros(shape))
    with pytest.raises(InputError, match=r"penalty must return one value per example, \(40,\), got shape"):
        first_step(model, POINTS, jax.random.key(0))


def test_own_optimizer_with_extra_arguments_is_given_the_step() -> None:
    def update(updates: Any, state: Any, params: Any = None, *, step: Array, **extra: Any) -> Any:
        return jax.tree.map(lambda x: jnp.full_like(x, step.astype(jnp.float32)), updates), state

    tx = optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
    model = gan.build(gan.Config(hidden=(4,), unrolled_steps=2), POINTS, discriminator_optimizer=tx)
    step, state = jax.jit(model.step), random_state(model, POINTS)
    start = state.params["discriminator"]
    for i in range(3):
        state, _ = step(jax.random.key(i), state, POINTS)
    chex.assert_trees_all_close(
        jax.tree.map(lambda a, b: np.asarray(b) - a, start, state.params["discriminator"]),
        jax.tree.map(lambda a: np.full_like(a, 0.0 + 1.0 + 2.0), start),
        rtol=1e-6,
    )
