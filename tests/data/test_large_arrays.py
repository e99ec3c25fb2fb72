"""Functions of many examples in batches against the function of all examples at once."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data.large_arrays import LARGEST_BATCH, join_parts, map_batches, split_batches


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


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("lengths", [[7], [3, 3, 1], [2, 2]])
def test_joined_parts_are_those_that_numpy_concatenates(lengths, axis):
    rng = np.random.default_rng(0)
    parts = [np.moveaxis(rng.normal(size=(n, 2, 3)), 0, axis).astype(np.float32) for n in lengths]
    found = join_parts(iter(parts), count=sum(lengths), axis=axis)
    np.testing.assert_array_equal(found, np.concatenate(parts, axis=axis))


def test_joined_parts_take_the_memory_of_the_result_and_of_a_part():
    """The largest memory of a process in units of the result; with a copy of all parts it would be 2."""
    program = """
import re, resource, jax, jax.numpy as jnp
from jaxgen.data.large_arrays import map_batches
double = jax.jit(lambda x: jnp.full((len(x), 50_000), 2.0))
map_batches(double, jnp.arange(30), size=10)
before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
whole = map_batches(double, jnp.arange(1000), size=10)
assert float(whole.sum()) == 1e8
# Not ru_maxrss, which begins with the memory of the process that started this one.
largest = int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
print((largest - before) / whole.nbytes)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 0.9 < float(done.stdout) < 1.3
