"""Means over a whole data set against NumPy's, of metrics that NumPy can compute for each example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import Stream
from jaxgen.data.streaming import ArraySource
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.training import evaluation
from jaxgen.training.evaluation import evaluate

KEY = jax.random.key(5)


def state_of(prototypes, *, runs=()):
    return State(jnp.zeros(runs, jnp.int32), {"net": {"prototype": jnp.asarray(prototypes, jnp.float32)}}, {}, {}, {})


def model_that_evaluates(metrics):
    return Model(init=None, step=None, sample=None, evaluate=metrics)


def distances(key, state, batch):
    """How far every picture is from a prototype."""
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
    monkeypatch.setattr(evaluation, "LARGEST_BATCH", request.param)
    return request.param


def test_any_batching_gives_the_mean_over_the_examples(data, batch_size, images):
    prototype = np.random.default_rng(1).uniform(size=(8, 8, 1))
    found = evaluate(model_that_evaluates(distances), state_of(prototype), data, key=KEY)
    assert_near(found, expected_of(images, prototype))


@pytest.mark.parametrize("shape", [(8,), (8, 8, 1)], ids=["side by side", "in turn"])
def test_every_run_has_a_mean_of_its_own(shape, data, images):
    prototypes = np.random.default_rng(1).uniform(size=(3, *shape))
    found = evaluate(model_that_evaluates(distances), state_of(prototypes, runs=3), data, key=KEY, runs=3)
    each = [expected_of(images, prototype) for prototype in prototypes]
    assert_near(found, {name: [one[name] for one in each] for name in each[0]})
    assert len(set(found["mse"].tolist())) == 3


def test_noise_is_new_in_every_batch_and_the_same_in_every_run(batch_size, images):
    def noise(key, state, batch):
        return {"noise": jax.random.normal(key, (len(batch["image"]),))}

    sizes = [min(batch_size, 60 - first) for first in range(0, 60, batch_size)]
    draws = [jax.random.normal(jax.random.fold_in(KEY, i), (size,)) for i, size in enumerate(sizes)]
    found = evaluate(model_that_evaluates(noise), state_of(np.zeros(2), runs=2), images, key=KEY, runs=2)
    np.testing.assert_allclose(found["noise"], [np.mean(np.concatenate(draws))] * 2, rtol=1e-5, atol=1e-6)


def test_an_example_that_is_not_finite_is_not_hidden(images):
    def log(key, state, batch):
        return {"log": jnp.log(batch["label"] - 3.0)}

    assert np.isnan(evaluate(model_that_evaluates(log), state_of(0.0), images, key=KEY)["log"])


def test_a_model_that_has_nothing_to_evaluate(images):
    with pytest.raises(InputError, match="this model has nothing to evaluate"):
        evaluate(model_that_evaluates(None), state_of(0.0), images, key=KEY)


@pytest.mark.parametrize("as_stream", [False, True])
def test_data_without_examples(as_stream):
    nothing = {"image": np.zeros((0, 8, 8, 1), np.uint8)}
    data = Stream(ArraySource(nothing)) if as_stream else nothing
    with pytest.raises(InputError, match="there are no examples to evaluate on"):
        evaluate(model_that_evaluates(distances), state_of(np.zeros((8, 8, 1))), data, key=KEY)
