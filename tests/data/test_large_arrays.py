"""Functions of many examples in batches against the function of all examples at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data.large_arrays import LARGEST_BATCH, map_batches, split_batches


@pytest.mark.parametrize(
    ("count", "size", "lengths"), [(7, 3, [3, 3, 1]), (6, 3, [3, 3]), (2, 3, [2]), (3, 1, [1] * 3)]
)
def test_batches_hold_all_examples_in_order(count, size, lengths):
    examples = {"point": np.arange(2 * count).reshape(count, 2), "nested": (np.arange(count),)}
    batches = list(split_batches(examples, size))
    assert [len(batch["point"]) for batch in batches] == lengths
    np.testing.assert_array_equal(np.concatenate([batch["point"] for batch in batches]), examples["point"])
    np.testing.assert_array_equal(np.concatenate([batch["nested"][0] for batch in batches]), examples["nested"][0])


def test_batches_have_at_most_1000_examples_by_default():
    sizes = [len(batch) for batch in split_batches(np.arange(2500))]
    assert sizes == [1000, 1000, 500]
    assert LARGEST_BATCH == 1000
    seen = []

    def record(batch):
        seen.append(len(batch))
        return jnp.asarray(batch)

    np.testing.assert_array_equal(map_batches(record, np.arange(2500)), np.arange(2500))
    assert seen == [1000, 1000, 500]


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_a_function_of_each_example_gives_the_same_in_batches(count):
    rng = np.random.default_rng(0)
    batch = {"point": rng.standard_normal((count, 3)).astype(np.float32), "label": np.arange(count)}

    def function(batch):
        return jnp.tanh(batch["point"]) * batch["label"][:, None]

    np.testing.assert_allclose(map_batches(function, batch, size=4), function(batch), rtol=1e-6)


def test_the_axis_of_the_examples_may_come_after_that_of_seeds():
    weights = np.arange(6.0).reshape(2, 3)

    def function(x):
        return jnp.einsum("sd,nd->sn", weights, x)

    x = np.random.default_rng(0).standard_normal((7, 3))
    found = map_batches(function, x, size=2, axis=1)
    assert found.shape == (2, 7)
    np.testing.assert_allclose(found, function(x), rtol=1e-6)


def test_a_compiled_function_is_compiled_for_the_full_batch_and_the_rest():
    traced = []

    @jax.jit
    def double(x):
        traced.append(x.shape)
        return 2 * x

    map_batches(double, jnp.arange(11), size=3)
    assert traced == [(3,), (2,)]
