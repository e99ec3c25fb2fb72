"""Wrong arguments of public functions are refused by one sentence, not by an error from inside JAX."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from jaxgen import analysis, divergences, losses
from jaxgen.errors import InputError
from jaxgen.models import REGISTRY, vae
from jaxgen.runs import load_run
from jaxgen.training import fit
from tests.small_runs import untrained

POINTS = {"point": np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)}
IMAGES = {"image": np.zeros((4, 8, 8, 1), np.uint8), "label": np.zeros(4, np.int32)}
KEY, X = jax.random.key(0), np.ones((12, 3), np.float32)
TRAIN = {"model": None, "data": POINTS, "key": KEY, "steps": 1, "batch_size": 2}


def train(**changed: Any) -> Any:
    model = vae.build(vae.Config(hidden=(4,), likelihood="gaussian"), POINTS)
    return fit(**{**TRAIN, "model": model, **changed})


KEYED: dict[str, Callable[[Any], Any]] = {
    "fit": lambda key: train(key=key),
    "Run.sample": lambda key: untrained("vae").sample(key, 3),
    "sliced_wasserstein": lambda key: divergences.sliced_wasserstein(key, X, X),
    "gradient_penalty": lambda key: losses.gradient_penalty(key, lambda x: x[:, 0], X, X),
    "dragan_penalty": lambda key: losses.dragan_penalty(key, lambda x: x[:, 0], X),
    "contractive_penalty_estimate": lambda key: losses.contractive_penalty_estimate(key, lambda x: x, X),
    "triplet_semi_hard": lambda key: losses.triplet_semi_hard(key, X, np.arange(12)),
    "aggregate_posterior_mmd": lambda key: analysis.aggregate_posterior_mmd(key, X),
    "birthday_test": lambda key: analysis.birthday_test(key, lambda key, n: X, threshold=1.0),
}


@pytest.mark.parametrize("function", KEYED.values(), ids=KEYED)
@pytest.mark.parametrize(
    ("key", "got"),
    [(0, "int 0"), ("0", "str '0'"), (None, "NoneType"), (jax.random.PRNGKey(0), "one of jax.random.PRNGKey")],
    ids=["integer", "text", "none", "without type"],
)
def test_keys_must_be_typed(function: Callable[[Any], Any], key: Any, got: str) -> None:
    with pytest.raises(InputError, match=rf"^key must be a typed PRNG key, such as jax.random.key\(0\), got {got}"):
        function(key)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"model": "vae"}, "model must be a jaxgen.Model, got str"),
        ({"model": vae.Config()}, "model must be a jaxgen.Model, got Config"),
        ({"data": POINTS["point"]}, "data must be a mapping of arrays or a stream, got ndarray"),
        ({"data": {"point": [[1.0, 2.0]]}}, "point of the data must be an array of numbers .* got list"),
        ({"data": {"point": np.float32(1)}}, "point of the data must be an array of numbers"),
        ({"data": {"point": np.array([["a", "b"]] * 3)}}, "'point' must be floats, got <U1"),
        ({"steps": "10"}, "steps must be an integer, got str '10'"),
        ({"steps": 1e3}, "steps must be an integer, got float 1000.0"),
        ({"batch_size": 2.0}, "batch_size must be an integer, got float 2.0"),
        ({"batch_size": float("nan")}, "batch_size must be an integer, got float nan"),
        ({"chunk": True}, "chunk must be an integer, got bool True"),
        ({"steps": -1}, "steps must be at least first_step"),
    ],
)
def test_arguments_of_fit_are_checked(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{sentence}"):
        train(**changed)


@pytest.mark.parametrize("family", REGISTRY)
def test_arguments_of_every_build_are_checked(family: str) -> None:
    build, config = REGISTRY[family].build, REGISTRY[family].config
    for options, sentence in (
        ({"learning_rate": "0.1"}, "learning_rate must be a number"),
        ({"hidden": (4.5,)}, "hidden must be of the type"),
        ({"width": "wide"}, "width must be a number"),
    ):
        if next(iter(options)) in config.__dataclass_fields__:
            with pytest.raises(InputError, match=f"^{sentence}"):
                build(config(**options), IMAGES)
    with pytest.raises(InputError, match=r"^config must be a jaxgen.models.\w+.Config, got dict"):
        build({}, IMAGES)
    with pytest.raises(InputError, match=r"^the example must be a mapping of arrays, such as the data, got ndarray"):
        build(config(), IMAGES["image"])
    with pytest.raises(InputError, match=r"^image must be \[n, height, width, channels\], got shape \(8, 8\)"):
        build(config(), {"image": np.zeros((8, 8), np.uint8)})


SHAPE = r"'image' must have the shape \[n, height, width, channels\], got \(12, 3\)"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda run: run.sample(KEY, "3"), "n must be an integer, got str '3'"),
        (lambda run: run.sample(KEY, 3.0), "n must be an integer, got float 3.0"),
        (lambda run: run.sample(KEY, -1), "the number of samples must be at least 1, got -1"),
        (lambda run: run.sample(jax.random.split(KEY), 1), r"key must be one key, got keys of shape \(2,\)"),
        (
            lambda run: run.encode(IMAGES["image"]),
            "data must be arrays by their names, as in .*, got ndarray",
        ),
        (lambda run: run.encode({"point": X}), r"a batch must have an array 'image', as .* got \['point'\]"),
        (
            lambda run: run.encode({"image": X}),
            SHAPE,
        ),
        (
            lambda run: run.reconstruct({"image": X}),
            SHAPE,
        ),
        (lambda run: run.reconstruct(X), "data must be arrays by their names"),
        (lambda run: run.restyle(X), "data must be arrays by their names"),
        (lambda run: load_run(0), "folder must be the path of a run folder, got int"),
    ],
)
def test_arguments_of_a_run_are_checked(call: Callable[[Any], Any], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{sentence}"):
        call(untrained("vae"))


def test_arrays_that_are_no_python_numbers_are_options() -> None:
    """As in a sweep, whose numbers are traced."""
    build = partial(vae.build, example=POINTS)
    for rate in (np.float32(0.1), jax.numpy.float32(0.1)):
        assert build(vae.Config(hidden=[4], likelihood="gaussian", learning_rate=rate)).players
