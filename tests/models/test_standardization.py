"""Models of points in any unit: all functions commute with the map to standardized points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.models import classifier, cvae, gan, vae
from jaxgen.models.standardization import describe, standardization_from, standardization_of, standardized
from jaxgen.training import fit

KEY = jax.random.key(0)
RING = load("ring", examples=400)
OFFSET, FACTOR = np.float32([1000.0, -3e6]), np.float32([7.0, 1e4])
FAR = {**RING, "point": RING["point"] * FACTOR + OFFSET}
MODELS = {
    "gan": gan.build(gan.Config(hidden=(8,), latent_dim=2), RING),
    "vae": vae.build(vae.Config(hidden=(8,), latent_dim=2, likelihood="gaussian"), RING),
    "cvae": cvae.build(cvae.Config(hidden=(8,), latent_dim=2, likelihood="gaussian"), RING),
    "classifier": classifier.build(classifier.Config(hidden=(8,), architecture="mlp"), RING),
}


def near(points):
    by = standardization_of(FAR["point"])
    return {**points, "point": (points["point"] - np.float32(by.mean)) / np.float32(by.scale)}


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module", params=MODELS)
def pair(request):
    """A model, the same model in the unit of the data, and a state."""
    model = MODELS[request.param]
    return model, standardized(model, standardization_of(FAR["point"])), model.init(KEY, RING)


def test_columns_have_mean_0_and_standard_deviation_1():
    points = near(FAR)["point"].astype(np.float64)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-3)  # 1e-3: float32 at 3e6 has a spacing of 0.25.
    np.testing.assert_allclose(points.std(axis=0), 1, rtol=1e-5)


def test_a_constant_column_becomes_zero():
    by = standardization_of(np.float32([[1.0, 5.0], [2.0, 5.0]]))
    assert (by.mean, by.scale) == ((1.5, 5.0), (0.5, 1.0))


def test_functions_of_examples_take_points_in_the_unit_of_the_data(pair):
    model, in_units, state = pair
    for name in ("encode", "predict"):
        if (function := getattr(model, name)) is not None:
            assert_close(getattr(in_units, name)(state, FAR), function(state, near(FAR)))
    for name in ("evaluate", "sample_posterior"):
        if (function := getattr(model, name)) is not None:
            found, expected = getattr(in_units, name)(KEY, state, FAR), function(KEY, state, near(FAR))
            jax.tree.map(assert_close, found, expected)


def test_densities_are_those_of_standardized_points(pair):
    model, in_units, state = pair
    if model.latent_densities is not None:
        found, expected = in_units.latent_densities(KEY, state, FAR), model.latent_densities(KEY, state, near(FAR))
        assert_close(found.mean, expected.mean)
        assert_close(found.log_likelihood(expected.mean), expected.log_likelihood(expected.mean))


def test_samples_decoded_latents_and_reconstructions_are_in_the_unit_of_the_data(pair):
    model, in_units, state = pair
    by = standardization_of(FAR["point"])
    calls = {
        "sample": lambda function: function(KEY, state, 9),
        "decode": lambda function: function(state, jnp.ones((9, 2)), **({"label": 1} if model.conditions else {})),
    }
    for name, call in calls.items():
        if getattr(model, name) is not None:
            expected = np.float64(call(getattr(model, name))) * by.scale + by.mean
            np.testing.assert_allclose(call(getattr(in_units, name)), expected, rtol=1e-6)
    if model.reconstruct is not None:
        expected = np.float64(model.reconstruct(state, near(FAR))) * by.scale + by.mean
        np.testing.assert_allclose(in_units.reconstruct(state, FAR), expected, rtol=1e-6)


def test_what_a_model_does_not_offer_stays_absent(pair):
    model, in_units, _ = pair
    for name in (
        "sample",
        "encode",
        "decode",
        "reconstruct",
        "predict",
        "evaluate",
        "sample_posterior",
        "latent_densities",
    ):
        assert (getattr(model, name) is None) == (getattr(in_units, name) is None)


def test_the_training_of_a_gan_does_not_depend_on_the_unit_of_the_points():
    histories = []
    for data in (RING, FAR):
        model = standardized(MODELS["gan"], standardization_of(data["point"]))
        histories.append(fit(model, data, key=KEY, steps=20, batch_size=64).history)
    for name in ("discriminator/loss", "discriminator/gradient_norm", "generator/gradient_norm"):
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=0.02)
    assert histories[1]["discriminator/gradient_norm"].max() < 10


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"image": np.zeros((9, 8, 8, 1), np.uint8)}, r"a batch must have an array 'point', .* got \['image'\]"),
        ({"point": np.zeros((9, 3), np.float32)}, r"'point' must have the shape \[n, 2\], .* got \(9, 3\)"),
        ({"point": np.zeros(9, np.float32)}, r"'point' must have the shape \[n, dim\], got \(9,\)"),
        ({"point": np.array(["a"] * 9)}, "'point' must be floats, got <U1|must have the shape"),
        (np.zeros((9, 2), np.float32), "data must be"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_they_are_standardized(data, sentence):
    model = MODELS["vae"]
    state, in_units = model.init(KEY, RING), standardized(model, standardization_of(FAR["point"]))
    for call in (
        lambda: fit(in_units, data, key=KEY, steps=1, batch_size=4),
        lambda: in_units.encode(state, data),
        lambda: in_units.evaluate(KEY, state, data),
    ):
        with pytest.raises(InputError, match=sentence):
            call()


def test_fit_warns_of_points_far_from_the_origin_unless_the_model_standardizes_them():
    model = MODELS["vae"]
    for make in (np.asarray, jnp.asarray):
        far = {**RING, "point": make(RING["point"] + np.float32([0.0, 1000.0]))}
        with pytest.warns(UserWarning, match=r"column 1 of 'point' has the mean 1000.* and .* 0.7.*standardization_of"):
            fit(model, far, key=KEY, steps=1, batch_size=4)
    # Neither of these warns, where warnings are errors.
    fit(standardized(model, standardization_of(far["point"])), far, key=KEY, steps=1, batch_size=4)
    constant = {**RING, "point": np.concatenate([RING["point"][:, :1], np.ones((400, 1), np.float32)], axis=1)}
    fit(model, constant, key=KEY, steps=1, batch_size=4)


@pytest.mark.parametrize(
    "description",
    [
        [],
        {},
        {"mean": [0.0, 0.0]},
        {"mean": [0.0], "scale": [1.0]},
        {"mean": [0.0, 0.0], "scale": [1.0, 0.0]},
        {"mean": [0.0, float("nan")], "scale": [1.0, 1.0]},
        {"mean": [0.0, 1e300], "scale": [1.0, 1.0]},
        {"mean": ["0", "0"], "scale": [1.0, 1.0]},
        {"mean": [0.0, True], "scale": [1.0, 1.0]},
    ],
)
def test_an_edited_description_is_refused(description):
    with pytest.raises(InputError, match="must have a mean and a positive scale for each of 2 columns"):
        standardization_from(description, 2)


def test_a_description_is_read_as_it_was_written():
    by = standardization_of(FAR["point"])
    assert standardization_from(describe(by), 2) == by
    assert standardization_from(describe(None), 2) is None
