"""Wrong arguments of public functions are refused by one sentence, not by an error from inside JAX."""

import functools
import itertools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from jaxgen import analysis, divergences, losses, metrics, plot, runs
from jaxgen.data import batch_indices, example, first_examples, load, random_examples
from jaxgen.errors import InputError
from jaxgen.models import REGISTRY, gan, vae
from jaxgen.plot import Comparison, Snapshot
from jaxgen.recipes import run_recipe
from jaxgen.report import write_report
from jaxgen.runs import RunConfig, load_run
from jaxgen.runs.comparison import compare_runs
from jaxgen.runs.evaluation import evaluate_run
from jaxgen.runs.listing import list_runs
from jaxgen.runs.stylization import stylize
from jaxgen.training import evaluate, fit, seed_keys, summarize
from tests.models.random_states import random_state
from tests.small_runs import stateless, untrained

POINTS = {"point": np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)}
IMAGES = {"image": np.zeros((4, 8, 8, 1), np.uint8), "label": np.zeros(4, np.int32)}
DIGITS = load("digits")
KEY, X = jax.random.key(0), np.ones((12, 3), np.float32)
RUN = untrained("vae")
STATE = untrained("vae").model, untrained("vae").state
TRAIN = {"model": None, "data": POINTS, "key": KEY, "steps": 1, "batch_size": 2}


def train(**changed: Any) -> Any:
    model = vae.build(vae.Config(hidden=(4,), likelihood="gaussian"), POINTS)
    return fit(**{**TRAIN, "model": model, **changed})


KEYED: dict[str, Callable[[Any], Any]] = {
    "fit": lambda key: train(key=key),
    "evaluate": lambda key: evaluate(untrained("vae").model, untrained("vae").state, IMAGES, key=key),
    "random_examples": lambda key: random_examples(key, IMAGES, 2),
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
        ({"hidden": 8}, "hidden must be a tuple of widths, one for each layer, as .* got 8"),
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


FAMILIES = [*REGISTRY, "conditional gan"]


@functools.cache
def model_and_state(family: str) -> tuple[Any, Any]:
    if family != "conditional gan":
        model = stateless(family).model
    else:
        model = gan.build(gan.Config(hidden=(4,), architecture="mlp", latent_dim=2, condition="projection"), DIGITS)
    return model, random_state(model, example(DIGITS))


def calls(family: str) -> dict[str, tuple[Callable[[], Any], str]]:
    """Calls of a model's functions with wrong arguments, and what the error says."""
    model, state = model_and_state(family)
    typed_key = r"key must be a typed PRNG key, such as jax.random.key\(0\), got int 0"
    small = {"image": np.zeros((4, 5, 5, 1), np.uint8), "label": np.zeros(4, np.int32)}
    shape = r"'image' must have the shape \[n, 8, 8, 1\], as the data of the training, got \(4, 5, 5, 1\)"
    short = {**IMAGES, "label": np.zeros(3, np.int32)}
    found = {
        "init key": (lambda: model.init(0, IMAGES), typed_key),
        "init shape": (lambda: model.init(KEY, small), shape),
        "step key": (lambda: model.step(0, state, IMAGES), typed_key),
        "step state": (lambda: model.step(KEY, {}, IMAGES), "state must be a jaxgen State, .* got dict"),
        "step list": (lambda: model.step(KEY, state, {"image": [0]}), "'image' must be an array, got list"),
        "step kind": (lambda: model.step(KEY, state, POINTS), r"a batch must have an array 'image', .* \['point'\]"),
        "step shape": (lambda: model.step(KEY, state, small), shape),
        "step lengths": (
            lambda: model.step(KEY, state, short),
            "'label' must have one label for each of 4 examples, got 3 labels",
        ),
    }
    for name in ("encode", "reconstruct", "predict"):
        if function := getattr(model, name):
            found[f"{name} shape"] = (lambda function=function: function(state, small), shape)
            found[f"{name} state"] = (lambda function=function: function(KEY, IMAGES), "state must be a jaxgen State")
    for name in ("evaluate", "sample_posterior", "latent_densities"):
        if function := getattr(model, name):
            found[f"{name} key"] = (lambda function=function: function(0, state, IMAGES), typed_key)
            found[f"{name} lengths"] = (lambda function=function: function(KEY, state, short), "'label' must have one")
    if model.sample:
        for name, draw in (("sample", lambda key, n: model.sample(key, state, n)), ("latent", model.sample_latent)):
            found[f"{name} key"] = (lambda draw=draw: draw(0, 3), typed_key)
            found[f"{name} fraction"] = (lambda draw=draw: draw(KEY, 2.5), "n must be an integer, got float 2.5")
            found[f"{name} negative"] = (lambda draw=draw: draw(KEY, -2), "n, .* must be at least 1, got -2")
        found["condition"] = (
            lambda: model.sample(KEY, state, 3, colour=1),
            "this model cannot be conditioned on colour",
        )
        label = {"label": 0} if model.conditions else {}
        or_layers = rf" or \[n, {model.styles.layers}, 2\]" if model.styles else ""
        for latent, got in (
            (X, r"shape \(12, 3\)"),
            (X[0], r"shape \(3,\)"),
            ([[1.0, 2.0]], "list"),
            (np.array([["a", "b"]]), "<U1"),
        ):
            found[f"decode {got}"] = (
                lambda latent=latent: model.decode(state, latent, **label),
                rf"latent must be an array of numbers of the shape \[n, 2\]{or_layers}, got {got}",
            )
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_arguments_of_the_functions_of_every_model_are_checked(family: str) -> None:
    for call, sentence in calls(family).values():
        with pytest.raises(InputError, match=f"^{sentence}"):
            call()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_state_of_several_seeds_is_refused(family: str) -> None:
    model, state = model_and_state(family)
    several = jax.tree.map(lambda x: jax.numpy.stack([x, x]), state).replace(step=state.step)
    calls = [lambda: model.step(KEY, several, IMAGES)]
    if model.evaluate:
        calls.append(lambda: model.evaluate(KEY, several, IMAGES))
    if model.sample:
        calls.append(lambda: model.sample(KEY, several, 3))
    for call in calls:
        with pytest.raises(InputError, match=r"^state must be that of one seed of this model: .*extract_seed"):
            call()


@pytest.mark.parametrize("family", ["cvae", "classifier", "conditional gan"])
def test_labels_beyond_the_classes_of_a_model_are_refused(family: str) -> None:
    model, state = model_and_state(family)
    few = {"image": DIGITS["image"][:20], "label": DIGITS["label"][:20] + 5}
    sentence = f"^label must be from 0 to 9, as there are 10 classes, got {few['label'].max()}"
    with pytest.raises(InputError, match=sentence):
        fit(model, few, key=KEY, steps=1, batch_size=4)
    with pytest.raises(InputError, match=sentence):
        evaluate(model, state, few, key=KEY)
    for function in (model.step, model.evaluate):
        with pytest.raises(InputError, match=sentence):
            function(KEY, state, few)
    if family != "conditional gan":
        with pytest.raises(InputError, match=sentence):
            evaluate_run(untrained(family), data=few)


@pytest.mark.parametrize("family", REGISTRY)
def test_data_unlike_the_example_of_the_model_are_refused(family: str) -> None:
    model, state = model_and_state(family)
    for data, sentence in (
        (POINTS, r"^a batch must have an array 'image', as the data of the training, got \['point'\]"),
        ({"image": np.zeros((9, 6, 8, 1), np.uint8)}, r"^'image' must have the shape \[n, 8, 8, 1\]"),
    ):
        with pytest.raises(InputError, match=sentence):
            fit(model, data, key=KEY, steps=1, batch_size=2)
        with pytest.raises(InputError, match=sentence):
            fit(model, data, key=KEY, steps=1, batch_size=2, state=state)
        if model.evaluate:
            with pytest.raises(InputError, match=sentence):
                evaluate(model, state, data, key=KEY)


def test_checks_of_arguments_leave_no_trace_in_compiled_programs() -> None:
    run = untrained("vae")
    program = jax.make_jaxpr(lambda key, state, batch: run.model.encode(state, batch))
    state = jax.tree.map(lambda x: x[0] if x.ndim else x, run.state)
    operations = {str(equation.primitive) for equation in program(KEY, state, IMAGES).eqns}
    assert not operations & {"reduce_min", "reduce_max", "is_finite", "reduce_or"}


ORDER = {"little": ">", "big": "<"}[sys.byteorder]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"point": X[:, :2].astype(f"{ORDER}f4")}, "'point'"),
        ({"image": np.zeros((4, 8, 8, 1), f"{ORDER}f4")}, "'image'"),
        ({**POINTS, "label": np.zeros(20, f"{ORDER}i8")}, "'label'"),
    ],
)
def test_another_byte_order_is_refused_at_every_entrance(data: dict[str, Any], name: str) -> None:
    for call in (lambda: train(data=data), lambda: runs.evaluate_run(RUN, data=data)):
        with pytest.raises(InputError, match=f"^{name} must have the byte order of this machine, got {ORDER}.*astype"):
            call()
    with pytest.raises(InputError, match=f"^points must have the byte order of this machine, got {ORDER}f4"):
        plot.scatter_by_label(X[:, :2].astype(f"{ORDER}f4"), label=None)


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
        (lambda run: load_run(0), "folder must be a text or a path, got int 0"),
    ],
)
def test_arguments_of_a_run_are_checked(call: Callable[[Any], Any], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{sentence}"):
        call(untrained("vae"))


def test_arrays_that_are_no_python_numbers_are_options() -> None:
    """As in a sweep, whose numbers are traced."""
    build = functools.partial(vae.build, example=POINTS)
    for rate in (np.float32(0.1), jax.numpy.float32(0.1)):
        assert build(vae.Config(hidden=[4], likelihood="gaussian", learning_rate=rate)).players


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: load(7), "name_or_path must be a text or a path, got int 7"),
        (lambda: load("digits", split=0), "split must be a text, got int 0"),
        (lambda: load("digits", image_size="8"), "image_size must be an integer or None, got str '8'"),
        (lambda: load("digits", image_size=8.0), "image_size must be an integer or None, got float 8.0"),
        (lambda: load("ring", examples="5"), "examples must be an integer or None, got str '5'"),
        (lambda: load("ring", examples=True), "examples must be an integer or None, got bool True"),
        (lambda: load("ring", key=0), r"key must be a typed PRNG key, such as jax.random.key\(0\), got int 0"),
        (
            lambda: load("ring", key=jax.random.PRNGKey(0)),
            "key must be a typed PRNG key, .* got one of jax.random.PRNG",
        ),
        (lambda: load("ring", key=jax.random.split(KEY)), r"key must be one key, got keys of shape \(2,\)"),
        (lambda: load("digits", stream="no"), "stream must be True or False or None, got str 'no'"),
        (lambda: load("digits", notify="print"), "notify must be a function, got str 'print'"),
        (lambda: evaluate("vae", None, IMAGES, key=KEY), "model must be a Model, got str 'vae'"),
        (lambda: evaluate(untrained("vae").model, None, IMAGES, key=KEY), "state must be a State, got NoneType None"),
        (lambda: evaluate(*STATE, IMAGES["image"], key=KEY), "data must be a mapping or a Stream, got uint8 of shape"),
        (lambda: evaluate(*STATE, IMAGES, key=KEY, several_seeds=2), "several_seeds must be True or False, got int 2"),
        (lambda: first_examples(IMAGES, "3"), "count must be an integer, got str '3'"),
        (lambda: first_examples(IMAGES["image"], 3), "data must be a mapping or a Stream, got uint8 of shape"),
        (lambda: seed_keys("0", 3), "seed must be an integer, got str '0'"),
        (lambda: seed_keys(0, 3.5), "seeds must be an integer, got float 3.5"),
        (lambda: analysis.manifold_grid("4"), "side must be an integer, got str '4'"),
        (lambda: analysis.interpolate(X, X, 2.5), "steps must be an integer, got float 2.5"),
        (
            lambda: plot.scatter(X[:, 0]),
            r"generated must be an array of numbers \[n, dimensions\], got float32 of shape",
        ),
        (
            lambda: plot.scatter_by_label(X[:, :2], label=np.ones(5, int)),
            r"label must be an array of integers \[n\] with n 12, got int64",
        ),
        (
            lambda: plot.scatter_by_label(X[:, :2], label=np.ones(12)),
            r"label must be an array of integers \[n\] with n 12",
        ),
        (lambda: plot.training_curves([1, 2], {"m": {"a": [[1, 2, 3]]}}), r"metrics\['m'\]\['a'\] must be .* steps 2"),
        (
            lambda: plot.save(np.zeros((8, 8)), "x.png"),
            "figure must be a Figure or an array of bytes .* got float64 of sh",
        ),
        (lambda: analysis.slerp(X, X, "0.5"), "at must be a number, got '0.5'"),
        (
            lambda: analysis.class_means(X, list("ab" * 6)),
            r"labels must be an array of integers \[n\] with n 12, got list",
        ),
        (lambda: analysis.fit_latent_density(X, components="2"), "components must be an integer, got str '2'"),
        (lambda: analysis.support_size("3", 100), "collisions must be an integer, got str '3'"),
        (
            lambda: analysis.nearest_pairs(None, 2),
            r"examples must be an array of numbers \[n, event...\], got NoneType",
        ),
        (lambda: analysis.birthday_test(KEY, X, threshold=1.0), "sample must be a function, got float32 of shape"),
        (
            lambda: metrics.class_metrics(X[0]),
            r"logits must be an array of numbers \[n, classes\], got float32 of shape",
        ),
        (lambda: metrics.frechet_distance_of_features(X, X[:, :2]), r"fake must be .* got float32 of shape \(12, 2\)"),
        (lambda: batch_indices(KEY, 0, examples="9", batch_size=3), "examples must be an integer, got str '9'"),
        (lambda: example(X), "data must be a mapping or a Stream, got float32 of shape"),
        (lambda: summarize(1.0), r"values must be an array of numbers \[seeds\], got float 1.0"),
        (lambda: summarize([1.0, 2.0], better="more"), "better must be one of larger, smaller or None, got str 'more'"),
        (lambda: plot.save(np.zeros((8, 8), np.uint8), 3), "path must be a text or a path, got int 3"),
        (lambda: plot.image_grid(X), r"images must be an array of numbers \[n, height, width, channels\], got float32"),
        (lambda: plot.image_grid(np.zeros((0, 8, 8, 1))), "images must be at least one, .* got 0 of height 8"),
    ],
)
def test_wrong_arguments_are_named_with_what_they_must_be(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{sentence}"):
        call()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"patience": "3"}, r"--patience must be of the Python type int \| None, got '3'"),
        ({"epochs": "3"}, r"--epochs must be of the Python type float \| None, got '3'"),
        ({"epochs": float("nan")}, "--epochs must be finite, got nan"),
        ({"image_size": "8"}, r"--image-size must be of the Python type int \| None, got '8'"),
        ({"seeds": [1]}, r"--seeds must be of the Python type int \| None, got \[1\]"),
        ({"steps": None}, "--steps must be of the Python type int, got None"),
        ({"steps": 2.0}, "--steps must be of the Python type int, got 2.0"),
        ({"batch_size": True}, "--batch-size must be of the Python type int .*, got True"),
        ({"data": None}, "--data must be of the Python type str, got None"),
        ({"flip": "yes"}, "--flip must be of the Python type bool, got 'yes'"),
        ({"crop": "a"}, "--crop must be of the Python type float, got 'a'"),
        ({"precision": 32}, "--precision must be one of float32, bfloat16, got 32"),
        ({"init_from": 5}, r"--init-from must be of the Python type str \| None, got 5"),
        ({"validation_fraction": "0.1"}, "--validation-fraction must be of the Python type float .*, got '0.1'"),
    ],
)
def test_options_of_a_run_are_checked_when_they_are_given(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{sentence}"):
        RunConfig(vae.Config(), **options)


CONFIG = RunConfig(vae.Config(), steps=1)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda x: runs.train(None, "vae", CONFIG), "folder must be a text or a path, got NoneType None"),
        (lambda x: runs.train(x, 5, CONFIG), "family must be a text or a Family, got int 5"),
        (lambda x: runs.train(x, "vae", None), "config must be a RunConfig, got NoneType None"),
        (lambda x: runs.train(x, "vae", {"steps": 2}), "config must be a RunConfig, got dict"),
        (lambda x: runs.train(x, "vae", vae.Config()), "config must be a RunConfig, got Config"),
        (lambda x: runs.train(x, "vae", CONFIG, preset=5), "preset must be a text or None, got int 5"),
        (lambda x: runs.train(x, "vae", CONFIG, model=5), "model must be a Model or None, got int 5"),
        (lambda x: runs.train(x, "vae", CONFIG, notify=None), "notify must be a function, got NoneType None"),
        (lambda x: runs.train(x, "vae", CONFIG, resume="no"), "resume must be True or False, got str 'no'"),
        (lambda x: load_run("a\0b"), "a path must not contain a zero byte, got 'a"),
        (lambda x: load_run(x, family="vae"), "family must be a Family or None, got str 'vae'"),
        (lambda x: load_run(x, model=5), "model must be a Model or None, got int 5"),
        (lambda x: load_run(x, best="elbo"), "best must be True or False, got str 'elbo'"),
        (lambda x: runs.read_config(str(x)), "folder must be a path, got str"),
        (lambda x: runs.write_config(x, {}), "description must be a RunDescription, got dict"),
        (lambda x: runs.evaluate_run(x), "run must be a Run, got PosixPath"),
        (lambda x: runs.evaluate_run(untrained("vae"), data=5), "data must be a mapping, a Stream or None, got int"),
        (lambda x: write_report(x), "run must be a Run, got PosixPath"),
        (lambda x: write_report(untrained("vae"), folder=5), "folder must be a text, a path or None, got int 5"),
        (lambda x: stylize(x, SQUARES[0], [SQUARES[0]]), "run must be a Run, got PosixPath"),
        (lambda x: list_runs(str(x)), "folder must be a path, got str"),
        (lambda x: compare_runs(x), "folders must be a sequence, got PosixPath"),
        (lambda x: run_recipe("critic-loss", x), "recipe must be a Recipe, got str 'critic-loss'"),
    ],
)
def test_arguments_of_functions_on_run_folders_are_checked(
    call: Callable[[Any], Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"^{sentence}"):
        call(tmp_path / "run")
    assert not list(tmp_path.iterdir())


LINE, PAIR = np.linspace(0, 1, 5).astype(np.float32), np.ones((6, 2), np.float32)
SQUARES, PIXELS = np.zeros((4, 8, 8, 1), np.float32), np.zeros((8, 8), np.uint8)
DENSITIES = {"p": LINE, "q": LINE}
PLOTS: dict[str, dict[str, Any]] = {
    "check_points": {"count": 3},
    "collisions": {"sizes": np.arange(1, 6), "probability": LINE, "support": 10.0},
    "confusion_matrix": {"counts": np.eye(3, dtype=int), "class_names": ["a", "b", "c"]},
    "discriminators": {"x": LINE, "densities": DENSITIES, "optimal": LINE, "trained": LINE, "title": ""},
    "gan_1d": {"x": LINE, "density": LINE, "snapshots": [Snapshot("", *[LINE] * 4)], "latent_range": (-3.0, 3.0)},
    "generator_gradients": {"confidence": LINE, "gradients": {"a": LINE}},
    "heat_map": {
        "means": np.ones((1, 5)),
        "deviations": np.ones((1, 5)),
        "rows": ("a", np.ones(1)),
        "columns": ("b", LINE),
        "metric": "m",
    },
    "image_grid": {"images": SQUARES, "columns": 2},
    "image_rows": {"rows": {"a": SQUARES}, "columns": list("abcd"), "title": ""},
    "label_texts": {"labels": [0, 1], "names": ["a", "b"]},
    "loss_against_metric": {"loss": LINE, "metric": LINE, "step": np.arange(5), "labels": ("a", "b"), "title": ""},
    "nearest_pairs": {"pairs": np.zeros((3, 2, 8, 8, 1)), "distances": np.zeros(3)},
    "option_curve": {"values": LINE, "means": LINE, "deviations": LINE, "option": "o", "metric": "m"},
    "published_against_ours": {"rows": {"a": Comparison(1.0, 2.0)}, "unit": "nats", "title": ""},
    "reconstructions": {"originals": SQUARES, "decoded": SQUARES, "title": ""},
    "render": {"figure": PIXELS, "file_format": "png"},
    "render_animation": {"frames": [PIXELS, PIXELS], "seconds": 0.1, "loop": True},
    "samples": {"examples": PAIR, "data": PAIR, "titles": (), "columns": 2},
    "saturation": {"x": LINE, "densities": DENSITIES, "discriminator": LINE, "critic": LINE},
    "scatter": {"generated": PAIR, "data": PAIR, "title": ""},
    "scatter_by_label": {"points": PAIR, "label": np.arange(6), "class_names": list("abcdef"), "title": ""},
    "scatter_panels": {"panels": {"a": (PAIR, PAIR)}, "columns": 3},
    "style_grid": {"contents": SQUARES, "styles": SQUARES, "stylized": np.zeros((4, 4, 8, 8, 1)), "title": ""},
    "styles": {"originals": SQUARES, "restyled": np.zeros((4, 3, 8, 8, 1)), "class_names": (), "title": ""},
    "to_bytes": {"images": SQUARES},
    "training_curves": {"step": np.arange(5), "metrics": {"m": {"a": np.ones((2, 5))}}},
}
"""Function of `jaxgen.plot` -> arguments that it accepts."""

WRONG = [0, -1, np.nan, "text", None, np.zeros((2, 3, 4)), np.zeros((0, 8, 8, 1)), [], {"a": "b"}, object()]


def test_every_function_that_draws_is_called_with_wrong_arguments() -> None:
    functions = {name for name in plot.__all__ if callable(getattr(plot, name)) and name[0].islower()}
    assert functions - set(PLOTS) == {"animate", "find_ffmpeg", "save"}  # Of files, as above, and without arguments.


@pytest.mark.parametrize("name", PLOTS)
def test_wrong_arguments_of_plots_are_accepted_or_named(name: str) -> None:
    """Whatever takes the place of an argument, no error comes from inside of NumPy or matplotlib."""
    function, arguments = getattr(plot, name), PLOTS[name]
    function(**arguments)
    sentences = []
    for argument, wrong in itertools.product(arguments, WRONG):
        try:
            function(**{**arguments, argument: wrong})
        except ValueError as error:
            sentences.append(str(error))
    assert [text for text in sentences if not re.search("^[^\n]*(must|a figure has at most)[^\n]*$", text)] == []
    assert len(sentences) > len(arguments)
