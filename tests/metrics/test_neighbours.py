"""Metrics of neighbours against prdc 0.2, torch-fidelity 0.4.0, SciPy's kd-tree, and complete matrices in float64."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from jaxgen.errors import InputError
from jaxgen.metrics import _pairs, density_coverage, nearest_neighbours, precision_recall, realism


@pytest.fixture(scope="module")
def features():
    generator = np.random.default_rng(0)
    real = generator.standard_normal((300, 24)).astype(np.float32)
    return real, np.float32(0.9) * generator.standard_normal((240, 24)).astype(np.float32) + np.float32(0.3)


@pytest.fixture(scope="module")
def with_copies():
    """Real examples with duplicates, and generated ones of which some copy real ones or nearly do."""
    generator = np.random.default_rng(1)
    real = generator.standard_normal((120, 20)).astype(np.float32)
    real[100:110] = real[:10]
    near = real[20:50] + np.float32(1e-4) * generator.standard_normal((30, 20)).astype(np.float32)
    return real, np.concatenate([real[40:80], real[:5], near, real[60:70] * np.float32(1.5)])


def radii(points, k):
    return np.sort(cdist(points, points), axis=1)[:, k]


def expected(real, fake, k, test):
    """Precision, recall, density and coverage from complete matrices in float64."""
    real, fake = np.float64(real), np.float64(fake)
    distances = cdist(real, fake)
    in_real, in_fake = test(distances, radii(real, k)[:, None]), test(distances, radii(fake, k))
    return in_real.any(axis=0).mean(), in_fake.any(axis=1).mean(), in_real.sum() / k / len(fake), in_real.any(1).mean()


@pytest.mark.parametrize(
    ("k", "of_prdc", "of_torch_fidelity"),
    [
        (
            3,
            (0.8333333333333334, 0.43333333333333335, 1.3680555555555556, 0.8),
            (0.8333333134651184, 0.4333333373069763),
        ),
        (
            5,
            (0.9166666666666666, 0.5533333333333333, 1.3183333333333334, 0.92),
            (0.9166666865348816, 0.5533333420753479),
        ),
    ],
)
def test_numbers_are_those_of_published_programs(features, k, of_prdc, of_torch_fidelity):
    """The numbers that prdc 0.2 and torch-fidelity 0.4.0 printed."""
    np.testing.assert_allclose(density_coverage(*features, k=k), of_prdc, rtol=1e-12)
    np.testing.assert_allclose(precision_recall(*features, k=k), of_torch_fidelity, rtol=1e-7)


@pytest.mark.parametrize("dim", [3, 20])
@pytest.mark.parametrize("k", [1, 4])
def test_ties_of_copies_are_exact(with_copies, k, dim):
    """A copy of the k-th neighbour is at exactly the radius: inside of a closed ball, outside of an open one."""
    real, fake = (points[:, :dim] for points in with_copies)
    np.testing.assert_allclose(density_coverage(real, fake, k=k), expected(real, fake, k, np.less), rtol=1e-12)
    closed = expected(real, fake, k, np.less_equal)
    np.testing.assert_allclose(precision_recall(real, fake, k=k), closed[:2], rtol=1e-12)
    assert closed[2] > expected(real, fake, k, np.less)[2]


def test_results_do_not_depend_on_the_tiles(with_copies, monkeypatch):
    def compute():
        return (
            *density_coverage(*with_copies),
            *precision_recall(*with_copies),
            *nearest_neighbours(*with_copies, k=2).distances.ravel(),
            *nearest_neighbours(with_copies[0], k=2).distances.ravel(),
        )

    in_one_tile = compute()
    monkeypatch.setattr(_pairs, "TILE", 33)
    assert compute() == in_one_tile


def test_identical_points_are_in_closed_balls_only():
    points = np.full((40, 30), 0.7, np.float32)
    assert density_coverage(points, points) == (0, 0, 0, 0)
    assert precision_recall(points, points) == (1, 1)


def test_a_set_with_itself_has_ones(features):
    """Of the balls around other real examples, exactly k - 1 contain an example in their interior on average."""
    assert density_coverage(features[0], features[0]) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    "convert", [lambda x: x * np.float32(2.0**100), lambda x: x * np.float32(2.0**-100), jnp.asarray]
)
def test_numbers_do_not_depend_on_unit_and_place(with_copies, convert):
    assert density_coverage(*map(convert, with_copies)) == density_coverage(*with_copies)


def test_digits_of_points_far_from_the_origin_are_kept():
    """In float64, where single precision does not tell the points apart."""
    generator = np.random.default_rng(0)
    real, fake = 1e9 + generator.standard_normal((2, 90, 20))
    np.testing.assert_allclose(density_coverage(real, fake), expected(real, fake, 5, np.less), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.int16])
def test_other_dtypes_are_widened(features, dtype):
    narrow = [np.asarray(10 * points).astype(dtype) for points in features]
    assert density_coverage(*narrow) == density_coverage(*(points.astype(np.float32) for points in narrow))


@pytest.mark.parametrize("tile", [2048, 96])
def test_realism_is_the_largest_ratio_over_the_smaller_half_of_the_balls(features, tile, monkeypatch):
    monkeypatch.setattr(_pairs, "TILE", tile)
    real, fake = features
    radius = radii(np.float64(real), 3)
    kept = radius <= np.median(radius)
    want = (radius[kept, None] / (cdist(np.float64(real), fake)[kept] + 1e-5)).max(axis=0)
    np.testing.assert_allclose(realism(real, fake), want, rtol=1e-5)
    inside = (cdist(np.float64(real), fake) < radius[:, None]).any(axis=0)
    # But for the offset of 1e-5.
    np.testing.assert_array_equal(realism(real, fake, quantile=1.0) > 1, inside)


@pytest.mark.parametrize("dim", [5, 40])
@pytest.mark.parametrize("tile", [2048, 64])
def test_nearest_of_many_nearly_equal_distances_is_that_of_float64(dim, tile, monkeypatch):
    """Points of the unit sphere and others near its centre: single precision rounds their distances to equal ones."""
    monkeypatch.setattr(_pairs, "TILE", tile)
    generator = np.random.default_rng(2)
    sphere = generator.standard_normal((150, dim))
    sphere = np.float32(sphere / np.linalg.norm(sphere, axis=1, keepdims=True))
    centre = np.float32(1e-7 * generator.standard_normal((70, dim)))
    distances, indices = KDTree(np.float64(sphere)).query(np.float64(centre), k=3)
    found = nearest_neighbours(centre, sphere, k=3)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-14)
    np.testing.assert_array_equal(found.indices, indices)
    together = np.concatenate([sphere, centre[:1]])
    distances = np.sort(cdist(np.float64(centre[:1]), np.float64(sphere))[0])
    np.testing.assert_allclose(nearest_neighbours(together, k=3).distances[-1], distances[:3], rtol=1e-14)


@pytest.mark.parametrize("dim", [2, 24])
def test_neighbours_are_those_of_a_kd_tree(features, dim):
    real, fake = (np.float64(points[:, :dim]) for points in features)
    distances, indices = KDTree(real).query(fake, k=4)
    found = nearest_neighbours(fake, real, k=4)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-14)
    np.testing.assert_array_equal(found.indices, indices)
    distances, indices = KDTree(real).query(real, k=3)
    found = nearest_neighbours(real, k=2)
    np.testing.assert_allclose(found.distances, distances[:, 1:], rtol=1e-14)
    np.testing.assert_array_equal(found.indices, indices[:, 1:])


def test_a_duplicate_is_a_neighbour_at_distance_0(with_copies):
    found = nearest_neighbours(with_copies[0])
    assert found.distances[:10].tolist() == [[0]] * 10
    assert found.indices[:10, 0].tolist() == list(range(100, 110))


FOUR_DEVICES = """
import jax, numpy as np
from scipy.spatial.distance import cdist
from jaxgen import metrics
from jaxgen.metrics import _pairs
from jaxgen.training.mesh import data_parallel_mesh, spread

assert jax.local_device_count() == 4
_pairs.TILE = 96
generator = np.random.default_rng(0)
real = generator.standard_normal((200, 20)).astype(np.float32)
real[150:160] = real[:10]
fake = np.concatenate([real[::2], generator.standard_normal((100, 20)).astype(np.float32)])
mesh = data_parallel_mesh(200)
sharded = [jax.device_put(spread({"x": x}, mesh)["x"]) for x in (real, fake)]
assert {shard.data.shape for shard in sharded[0].addressable_shards} == {(50, 20)}
layouts, tile = set(), _pairs.tile

def recorded(x, y, **options):
    squared = tile(x, y, **options)
    jax.debug.inspect_array_sharding(squared, callback=lambda layout: layouts.add(layout.shard_shape(squared.shape)))
    return squared

_pairs.tile = recorded
found = metrics.density_coverage(*sharded)
assert {rows for rows, _ in layouts} == {128 // 4}, layouts

def radii(x):
    return np.sort(cdist(x, x), axis=1)[:, 5]

distances = cdist(real, fake)
in_real, in_fake = distances < radii(real)[:, None], distances < radii(fake)
shares = in_real.any(axis=0).mean(), in_fake.any(axis=1).mean(), in_real.sum() / 5 / 200, in_real.any(axis=1).mean()
np.testing.assert_allclose(found, shares, rtol=1e-12)
"""


def test_features_on_four_devices_are_compared_on_all_of_them():
    flags = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"  # 0: compile quickly
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FOUR_DEVICES],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


X = np.ones((6, 4), np.float32)
WITH_NAN = np.where(np.eye(6, 4), np.nan, X)


@pytest.mark.parametrize("function", [precision_recall, density_coverage, realism])
@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        (X, X[:, :3], {}, r"fake must be an array of numbers \[m, features\] with features 4, got float32 of shape"),
        (X[0], X, {}, r"real must be an array of numbers \[n, features\], got float32 of shape \(4,\)"),
        (X[:2], X, {"k": 2}, "real must have more than k = 2 examples, got 2; add examples or choose a smaller k"),
        (X, X[:0], {}, "fake must have .* got"),
        (WITH_NAN, X, {"k": 1}, "real must be finite, got NaN or infinite values; leave these examples out"),
        (X, X * np.inf, {"k": 1}, "fake must be finite"),
        (X, X, {"k": 0}, "k must be at least 1, got 0"),
        (X, X, {"k": 1.5}, "k must be an integer, got"),
        (X[:, :0], X[:, :0], {}, r"real must have at least one feature, got shape \(6, 0\)"),
    ],
)
def test_wrong_arguments_are_refused(function, real, fake, options, message):
    with pytest.raises(InputError, match=message):
        function(real, fake, **options)


def test_other_wrong_arguments_are_refused():
    with pytest.raises(InputError, match=r"quantile must be above 0 and at most 1, got 1\.5"):
        realism(X, X, quantile=1.5)
    with pytest.raises(InputError, match="of must have at least k = 7 examples, got 6"):
        nearest_neighbours(X, X, k=7)
    with pytest.raises(InputError, match="points must have more than k = 6 examples, got 6"):
        nearest_neighbours(X, k=6)
    with pytest.raises(InputError, match="real must be known, got a traced array; call this function outside of jit"):
        jax.jit(precision_recall)(X, X)
