"""Means over a data set against those of NumPy, of metrics that NumPy can compute for each example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import Stream
from jaxgen.data.streaming import ArraySource
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.training import mean_metrics
from jaxgen.training.mean_metrics import evaluate

KEY = jax.random.key(5)


def state_of(prototypes):
    return State(jnp.int32(0), {"net": {"prototype": jnp.asarray(prototypes, jnp.float32)}}, {}, {}, {})


def model_with(metrics):
    return Model(init=None, step=None, players=(), evaluate=metrics)


def distances(key, state, batch):
    """The distance of every image from a prototype, and large values whose sum needs many digits."""
    difference = batch["image"] / 255 - state.params["net"]["prototype"]
    return {"mse": jnp.mean(difference**2, axis=(1, 2, 3)), "large": 1e4 + batch["label"]}


def expected_of(images, prototype):
    difference = images["image"] / 255 - np.asarray(prototype, np.float32)
    return {"mse": np.mean(difference**2), "large": 1e4 + np.mean(images["label"])}


def assert_near(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], value, rtol=1e-6)


@pytest.fixture(params=["arrays", "stream"])
def data(request, images):
    return images if request.param == "arrays" else Stream(ArraySource(images))


@pytest.fixture(params=[1, 7, 20, 60, 1000])
def batch_size(request, monkeypatch):
    """Some divide the 60 examples, some do not, one is larger."""
    monkeypatch.setattr(mean_metrics, "LARGEST_BATCH", request.param)
    return request.param


def test_any_batching_gives_the_mean_over_the_examples(data, batch_size, images):
    prototype = np.random.default_rng(1).uniform(size=(8, 8, 1))
    found = evaluate(model_with(distances), state_of(prototype), data, key=KEY)
    assert_near(found, expected_of(images, prototype))


def test_one_seed_along_a_leading_axis_keeps_that_axis(images):
    prototype = np.zeros((8, 8, 1))
    found = evaluate(model_with(distances), state_of(prototype[None]), images, key=KEY, several_seeds=True)
    assert_near(found, {name: [value] for name, value in expected_of(images, prototype).items()})


@pytest.mark.parametrize("shape", [(8,), (8, 8, 1)], ids=["side by side", "in sequence"])
def test_every_seed_has_its_own_mean(shape, data, images):
    prototypes = np.random.default_rng(1).uniform(size=(3, *shape))
    found = evaluate(model_with(distances), state_of(prototypes), data, key=KEY, several_seeds=True)
    each = [expected_of(images, prototype) for prototype in prototypes]
    assert_near(found, {name: [one[name] for one in each] for name in each[0]})
    assert len(set(found["mse"].tolist())) == 3


def test_noise_differs_between_batches_and_is_the_same_for_every_seed(batch_size, images):
    def noise(key, state, batch):
        return {"noise": jax.random.normal(key, (len(batch["image"]),))}

    sizes = [min(batch_size, 60 - first) for first in range(0, 60, batch_size)]
    draws = [jax.random.normal(jax.random.fold_in(KEY, i), (size,)) for i, size in enumerate(sizes)]
    found = evaluate(model_with(noise), state_of(np.zeros(2)), images, key=KEY, several_seeds=True)
    np.testing.assert_allclose(found["noise"], [np.mean(np.concatenate(draws))] * 2, rtol=1e-5, atol=1e-6)


def test_an_example_with_a_value_that_is_not_finite_makes_the_mean_not_finite(images):
    def log(key, state, batch):
        return {"log": jnp.log(batch["label"] - 3.0)}

    assert np.isnan(evaluate(model_with(log), state_of(0.0), images, key=KEY)["log"])


def test_a_model_without_metrics_on_examples_is_refused(images):
    with pytest.raises(InputError, match="this model has no metrics on examples"):
        evaluate(model_with(None), state_of(0.0), images, key=KEY)


@pytest.mark.parametrize("as_stream", [False, True])
def test_data_without_examples_are_refused(as_stream):
    nothing = {"image": np.zeros((0, 8, 8, 1), np.uint8)}
    data = Stream(ArraySource(nothing)) if as_stream else nothing
    with pytest.raises(InputError, match="the data must have at least one example, got none"):
        evaluate(model_with(distances), state_of(np.zeros((8, 8, 1))), data, key=KEY)
