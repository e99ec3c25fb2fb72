"""Every function with data of the user refuses what `load` refuses, with the same sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.batch_checks import check_data, check_labels
from jaxgen.data import load
from jaxgen.data.own_arrays import read_npz
from jaxgen.errors import InputError
from jaxgen.losses import bernoulli_nll, discretized_logistic_nll
from jaxgen.models import cvae, vae
from jaxgen.runs.evaluation import evaluate_run
from jaxgen.training import fit
from jaxgen.training.mean_metrics import evaluate
from tests.small_runs import untrained

BYTES = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1))
LABEL = np.arange(12) % 10

IMAGES = {
    "int32": (BYTES.astype(np.int32), r"must be uint8 or floats in \[0, 1\], got int32; .* x.astype\('uint8'\)"),
    "uint16": (BYTES.astype(np.uint16) * 257, r"got uint16; scale values from 0 to 65535 to \[0, 1\]"),
    "negative": (BYTES.astype(np.int16) - 128, r"got int16; scale values from -128 to 127 to \[0, 1\]"),
    "bool": (BYTES > 100, r"must be uint8 or floats in \[0, 1\], got bool; .* x.astype\('float32'\)"),
    "binary": ((BYTES > 100).astype(int), r"must be uint8 or floats in \[0, 1\], got int64; .* x.astype\('float32'\)"),
    "floats to 255": (BYTES.astype(np.float32), r"must be in \[0, 1\], got 0.0 to 255.0; divide them by 255"),
    "floats from -1": (BYTES / 127.5 - 1, r"must be in \[0, 1\], got -1.0 to 1.0; if they are in \[-1, 1\], give"),
    "nan": (BYTES * np.float32(np.nan), r"must be in \[0, 1\], got nan to nan"),
}
LABELS = {
    "one-hot": (np.eye(10)[LABEL], r"got the shape \(12, 10\); convert one-hot labels by label.argmax\(axis=1\)"),
    "text": (LABEL.astype(str), r"must have an integer dtype, got <U21; number the classes by np.unique"),
    "objects": (LABEL.astype(object), r"must have an integer dtype, got object; number the classes by np.unique"),
    "negative": (LABEL - 1, "must be from 0 to 65535, got -1 to 8; number the classes from 0"),
    "very large": (LABEL * 250_000_000, "must be from 0 to 65535, got 0 to 2250000000; number the classes from 0"),
    "floats": (LABEL * 1.0, r"must have an integer dtype, got float64; .* label.astype\('int32'\)"),
}
BAD = {f"image: {name}": ({"image": x, "label": LABEL}, message) for name, (x, message) in IMAGES.items()} | {
    f"label: {name}": ({"image": BYTES.astype(np.uint8), "label": x}, message) for name, (x, message) in LABELS.items()
}


def from_file(folder, data):
    np.savez(folder / "a.npz", **data)
    read_npz(folder / "a.npz")


def fit_model(_, data):
    run = untrained("cvae")
    fit(run.model, data, key=jax.random.key(0), steps=1, batch_size=4)


def evaluate_state(_, data):
    run = untrained("cvae")
    evaluate(run.model, run.state, data, key=jax.random.key(0), several_seeds=True)


ENTRANCES = {
    "load": from_file,
    "build": lambda _, data: cvae.build(cvae.Config(hidden=(4,)), data),
    "fit": fit_model,
    "evaluate": evaluate_state,
    "evaluate_run": lambda _, data: evaluate_run(untrained("cvae"), data=data),
    "Run.encode": lambda _, data: untrained("cvae").encode(data),
    "Run.reconstruct": lambda _, data: untrained("cvae").reconstruct(data),
    "Run.restyle": lambda _, data: untrained("cvae").restyle(data),
    "Run.predict": lambda _, data: untrained("classifier").predict(data),
}


LEFT_OUT = {
    ("load", "label: text"),  # The texts of a file become class names.
    ("load", "label: objects"),  # They are pickled.
}


@pytest.mark.parametrize(("entrance", "bad"), [(a, b) for a in ENTRANCES for b in BAD if (a, b) not in LEFT_OUT])
def test_every_entrance_refuses_unscaled_images_and_labels_that_are_not_numbers(tmp_path, entrance, bad):
    data, message = BAD[bad]
    with pytest.raises(InputError, match=message):
        ENTRANCES[entrance](tmp_path, data)


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_valid_data_pass(make):
    for image in (BYTES.astype(np.uint8), BYTES / np.float32(255), (BYTES / 255).astype(np.float16)):
        check_data({"image": make(image), "label": make(LABEL.astype(np.int32))})
    check_data({"point": make(np.float32([[-1e30], [3.0]]))})
    check_data({"other": make(np.int32([7]))})
    check_data(load("digits"))


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16, np.float16])
def test_one_nan_among_many_values_is_refused(make, dtype):
    points, images = np.ones((4096, 2), dtype), np.ones((64, 8, 8, 1), dtype)
    points[70, 1], images[7, 3, 1, 0] = np.nan, np.nan
    with pytest.raises(InputError, match="'point' must be finite, got NaN or infinity"):
        check_data({"point": make(points)})
    with pytest.raises(InputError, match=r"must be in \[0, 1\], got nan to nan"):
        check_data({"image": make(images)})
    for nll in (bernoulli_nll, discretized_logistic_nll):
        with pytest.raises(InputError, match=r"targets must be in .*, got nan to nan"):
            nll(jnp.zeros((64, 8, 8, 1)), make(images))


def test_arrays_of_jax_are_checked_also_within_jit():
    constant = jnp.asarray(BYTES, jnp.float32)

    def build(x):
        check_data({"image": constant})
        return x

    with pytest.raises(InputError, match="divide them by 255"):
        jax.jit(build)(1.0)


@pytest.mark.parametrize(("array", "message"), [(BYTES, "must be uint8 or floats"), (BYTES[0] / 255, "x.*None")])
def test_the_dtype_and_the_number_of_axes_of_traced_arrays_are_checked(array, message):
    with pytest.raises(InputError, match=message):
        jax.jit(lambda x: check_data({"image": x}))(jnp.asarray(array))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 2], "data must be arrays by their names, as in .* got list"),
        ({"image": [[1]]}, "'image' must be an array, got list; use np.asarray"),
        ({"image": BYTES[..., 0] / 255}, r"must have the shape .* got \(12, 8, 8\); .* x\[..., None\]"),
        (
            {"point": np.zeros(4)},
            r"must have the shape \[n, dim\], got \(4,\); points in one .* x\[:, None\]",
        ),
        ({"point": np.zeros((4, 2), int)}, r"must be floats, got int64; convert them by x.astype\('float32'\)"),
        ({"point": np.array([[np.inf]])}, "must be finite, got NaN or infinity"),
        ({"image": np.zeros((3, 8, 0, 1))}, r"must have the shape .* got \(3, 8, 0, 1\)"),
    ],
)
def test_error_says_how_to_convert(data, message):
    with pytest.raises(InputError, match=message):
        check_data(data)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"image": np.zeros((3, 9, 8, 1))}, r"'image' must have the shape \[n, 8, 8, 1\], .* got \(3, 9, 8, 1\)"),
        ({"image": np.zeros((3, 8, 8, 3))}, r"'image' must have the shape \[n, 8, 8, 1\], .* got \(3, 8, 8, 3\)"),
        ({"point": np.zeros((3, 2))}, r"must have an array 'image', as the data of the training, got \['point'\]"),
    ],
)
def test_a_run_refuses_examples_of_another_shape_than_those_of_its_training(batch, message):
    run = untrained("vae")
    for function in (run.encode, run.reconstruct, lambda x: evaluate_run(run, data=x)):
        with pytest.raises(InputError, match=message):
            function(batch)


def test_a_model_without_labels_builds_and_trains_on_valid_floats():
    data = {"image": BYTES / np.float32(255)}
    model = vae.build(vae.Config(hidden=(4,), latent_dim=2), data)
    losses = fit(model, data, key=jax.random.key(0), steps=3, batch_size=4).history["vae/loss"]
    assert np.all(losses > 0)  # the negative log-likelihood of Bernoulli variables and a KL divergence


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.ones(2, np.float32), "must have an integer dtype, got float32"),
        (np.eye(2, dtype=np.int32), "one label for each example.*convert one-hot labels"),
        (np.array(1, np.int32), "one label for each example"),
        (np.ones(2, bool), "must have an integer dtype, got bool"),
        (np.array([0, -1]), "must be from 0"),
    ],
)
def test_labels_of_networks_that_are_not_one_class_per_example_are_refused(label, message):
    with pytest.raises(InputError, match=message):
        check_labels(label)
    np.testing.assert_array_equal(check_labels(np.array([2, 0])), [2, 0])
