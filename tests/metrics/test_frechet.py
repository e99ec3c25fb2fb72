"""Fréchet distances of features against SciPy, published implementations and closed forms; moments of chunks."""

import os
import subprocess
import sys
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from sklearn.linear_model import LinearRegression

from jaxgen.errors import InputError
from jaxgen.metrics import (
    Moments,
    extrapolated_frechet_distance,
    frechet_distance_of_features,
    frechet_distance_of_moments,
    merge_moments,
    moments_of,
    update_moments,
)
from jaxgen.metrics.frechet import CHUNK, _moments_on_device


@pytest.fixture(scope="module")
def features():
    """Features after a ReLU: some are constant, and most are correlated."""
    rng = np.random.default_rng(19)
    mix = rng.standard_normal((2, 8, 8))
    real = np.maximum(rng.standard_normal((300, 8)) @ mix[0], 0)
    fake = np.maximum(0.3 + rng.standard_normal((240, 8)) @ mix[1], 0)
    return real.astype(np.float32), fake.astype(np.float32)


def by_matrix_root(real, fake, bias=False):
    """The trace of both covariances, and the distance: Heusel et al. 2017, equation 6, in float64."""
    real, fake = np.float64(real), np.float64(fake)
    covariances = [np.cov(x, rowvar=False, bias=bias) for x in (real, fake)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    shift = np.square(real.mean(axis=0) - fake.mean(axis=0)).sum()
    return np.trace(sum(covariances)), shift + np.trace(sum(covariances) - 2 * root)


class TestDistance:
    def test_it_matches_published_implementations(self, features):
        """Printed by torch-fidelity 0.4.0, pytorch-fid 0.3.0 and torchmetrics 1.9.0 for the features in float64."""
        distance = frechet_distance_of_features(*features)
        for printed in (11.902225623021153, 11.902225623021117, 11.902225623021153):
            assert distance == pytest.approx(printed, rel=1e-12)

    @pytest.mark.parametrize("biased", [False, True])
    def test_it_matches_the_matrix_root_with_either_divisor(self, features, biased):
        """NVIDIA's metrics of StyleGAN2-ADA divide the products of deviations by n."""
        _, expected = by_matrix_root(*features, bias=biased)
        assert frechet_distance_of_features(*features, biased=biased) == pytest.approx(expected, rel=1e-10)
        compiled = jax.jit(partial(frechet_distance_of_features, biased=biased))(*features)
        assert compiled == pytest.approx(expected, rel=1e-5)

    def test_single_precision_features_far_from_the_origin_lose_no_digits(self):
        """Means 10,000 times the deviations, which range over six decades."""
        rng = np.random.default_rng(0)
        scales = np.logspace(-3, 3, 20)
        mixed = rng.standard_normal((2, 400, 20)) @ np.tril(rng.standard_normal((20, 20)))
        real, fake = (np.float32(scales * (x + 1e4)) for x in mixed * np.array([1.0, 1.2])[:, None, None])
        trace, expected = by_matrix_root(real, fake)
        assert frechet_distance_of_features(real, fake) == pytest.approx(expected, rel=0, abs=1e-8 * trace)

    @pytest.mark.filterwarnings("ignore:.*covariance is singular:UserWarning")
    def test_fewer_examples_than_features_match_the_singular_values_of_the_data(self):
        """The trace of the root is the sum of the singular values of one centred matrix times the other's transpose."""
        rng = np.random.default_rng(1)
        real, fake = (100 + rng.standard_normal((n, 50)).astype(np.float32) for n in (7, 12))
        x, y = (np.float64(z) - np.float64(z).mean(axis=0) for z in (real, fake))
        overlap = scipy.linalg.svdvals(x @ y.T).sum() / np.sqrt(6 * 11)
        shift = np.square(np.float64(real).mean(axis=0) - np.float64(fake).mean(axis=0)).sum()
        expected = shift + np.square(x).sum() / 6 + np.square(y).sum() / 11 - 2 * overlap
        assert frechet_distance_of_features(real, fake) == pytest.approx(expected, rel=1e-9)

    @pytest.mark.filterwarnings("ignore:.*covariance is singular:UserWarning")
    def test_fewer_examples_than_features_match_published_implementations(self, features):
        """Printed by torch-fidelity 0.4.0 and pytorch-fid 0.3.0, which take roots of eigenvalues that are rounding
        errors."""
        distance = frechet_distance_of_features(*(x[:6] for x in features))
        for printed in (28.967754663234825, 28.96775477182471):
            assert distance == pytest.approx(printed, rel=1e-7)

    def test_constant_and_duplicate_features_add_their_own_distance_alone(self, features):
        real, fake = features
        more = [np.column_stack([x, np.full(len(x), value)]) for x, value in ((real, 3.0), (fake, 5.0))]
        expected = frechet_distance_of_features(real, fake)
        assert frechet_distance_of_features(*more) == pytest.approx(expected + 4, rel=1e-12)
        twice = [np.column_stack([x, x]) for x in features]
        assert frechet_distance_of_features(*twice) == pytest.approx(2 * expected, rel=1e-7)

    def test_it_is_symmetric_and_zero_for_equal_features(self, features):
        real, fake = features
        there, back = frechet_distance_of_features(real, fake), frechet_distance_of_features(fake, real)
        assert there == pytest.approx(back, rel=1e-12)
        assert 0 <= frechet_distance_of_features(real, real) <= 1e-7 * by_matrix_root(real, real)[0]

    def test_of_one_feature_it_is_the_distance_of_means_and_of_deviations(self):
        x, y = (np.float32(z)[:, None] for z in ([1.0, 3.0, 5.0], [0.0, 4.0, 8.0]))
        assert frechet_distance_of_features(x, y) == pytest.approx((3 - 4) ** 2 + (2 - 4) ** 2, rel=1e-12)
        assert jax.jit(frechet_distance_of_features)(x, y) == pytest.approx(5, rel=1e-5)

    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int8])
    def test_narrow_dtypes_are_computed_in_double_precision(self, dtype):
        rng = np.random.default_rng(2)
        real, fake = (jnp.asarray(8 * rng.standard_normal((40, 3)), dtype) for _ in range(2))
        _, expected = by_matrix_root(np.asarray(real, np.float64), np.asarray(fake, np.float64))
        assert frechet_distance_of_features(real, fake) == pytest.approx(expected, rel=1e-9)

    def test_compiled_it_has_the_dtype_of_the_features_and_the_digits_of_single_precision(self):
        """One ulp of bfloat16 is 2^-8; sums of 40 examples in bfloat16 would lose more."""
        rng = np.random.default_rng(2)
        real, fake = (jnp.asarray(8 * rng.standard_normal((40, 1)) + shift, jnp.bfloat16) for shift in (0, 9))
        (m, s), (n, t) = ((x.mean(), x.std(ddof=1)) for x in (np.asarray(z, np.float64) for z in (real, fake)))
        found = jax.jit(frechet_distance_of_features)(real, fake)
        assert found.dtype == jnp.bfloat16
        assert float(found) == pytest.approx((m - n) ** 2 + (s - t) ** 2, rel=2**-8)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_features_that_are_not_finite_are_refused(self, features, value):
        real, fake = features[0], features[1].copy()
        fake[3, 2] = value
        with pytest.raises(InputError, match=r"^features must be finite, got NaN or infinite values"):
            frechet_distance_of_features(real, fake)

    def test_too_few_examples_are_refused(self, features):
        with pytest.raises(InputError, match=r"^fake must have at least two examples and one feature, got 1 examples"):
            frechet_distance_of_features(features[0], features[1][:1])

    @pytest.mark.parametrize("name", ["real", "fake"])
    def test_fewer_examples_than_features_warn_where_the_function_is_called(self, features, name):
        given = dict(zip(("real", "fake"), features, strict=True))
        given[name] = given[name][:7]
        with pytest.warns(UserWarning, match=f"^{name} has 7 examples of 8 features") as caught:
            frechet_distance_of_features(**given)
        with pytest.warns(UserWarning, match=f"^{name} has 7 examples of 8 features") as of_moments:
            frechet_distance_of_moments(**{key: moments_of(value) for key, value in given.items()})
        assert [warning.filename for warning in (*caught, *of_moments)] == [__file__, __file__]


FOUR_DEVICES = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxgen.metrics import kernel_distance, moments_of

mesh = jax.make_mesh((2, 2), ("batch", "model"), axis_types=(AxisType.Auto,) * 2)
features = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32) + 100
alone = moments_of(features)
for spec in (("batch",), (("batch", "model"),), (None, "model"), ("batch", "model"), ()):
    sharded = jax.device_put(features, NamedSharding(mesh, PartitionSpec(*spec)))
    assert len(sharded.devices()) == 4
    together = moments_of(sharded)
    assert together.n == 64, spec
    np.testing.assert_allclose(together.mean, alone.mean, rtol=1e-14)
    np.testing.assert_allclose(together.scatter, alone.scatter, rtol=0, atol=1e-13 * np.trace(alone.scatter))
rows = jax.device_put(features, NamedSharding(mesh, PartitionSpec(("batch", "model"))))
key = jax.random.key(0)
for subsets in (3, None):
    on_mesh = kernel_distance(key, rows, 1.01 * rows, subsets=subsets, subset_size=32)
    expected = kernel_distance(key, features, np.asarray(1.01 * rows), subsets=subsets, subset_size=32)
    np.testing.assert_allclose(on_mesh, expected, rtol=1e-5)
"""


class TestMoments:
    def test_moments_are_those_of_numpy(self, features):
        real = features[0]
        moments = moments_of(real)
        assert moments.n == 300
        np.testing.assert_allclose(moments.mean, np.float64(real).mean(axis=0), rtol=1e-13)
        np.testing.assert_allclose(moments.scatter / 299, np.cov(real, rowvar=False), rtol=1e-11, atol=1e-13)

    @pytest.mark.parametrize("sizes", [[300], [1] * 300, [299, 1], [7] * 42 + [6], [0, 100, 0, 200]])
    def test_chunks_have_the_moments_of_all_examples(self, features, sizes):
        far = features[0] + 1e4
        chunks = (far[end - size : end] for size, end in zip(sizes, np.cumsum(sizes), strict=True))
        streamed = reduce(update_moments, chunks, moments_of(np.zeros((0, 8))))
        at_once = np.float64(far)
        assert streamed.n == 300
        np.testing.assert_allclose(streamed.mean, at_once.mean(axis=0), rtol=1e-14)
        scatter = 299 * np.cov(at_once, rowvar=False)
        np.testing.assert_allclose(streamed.scatter, scatter, rtol=0, atol=1e-11 * np.trace(scatter))
        fake = moments_of(features[1] + 1e4)
        expected = frechet_distance_of_features(far, features[1] + 1e4)
        assert frechet_distance_of_moments(streamed, fake) == pytest.approx(expected, rel=1e-9)

    def test_more_examples_than_a_chunk_have_the_moments_of_numpy(self):
        x = np.random.default_rng(3).normal(50, [1.0, 0.01], (2 * CHUNK + 5, 2)).astype(np.float32)
        moments = moments_of(x)
        assert moments.n == len(x)
        np.testing.assert_allclose(moments.scatter / (len(x) - 1), np.cov(x, rowvar=False), rtol=1e-9, atol=1e-12)

    def test_the_program_of_graphics_cards_has_the_moments_of_numpy(self, features):
        far = features[0] + 1e4
        with jax.enable_x64(True):
            mean, scatter = jax.device_get(_moments_on_device(jnp.asarray(far)))
        np.testing.assert_allclose(mean, np.float64(far).mean(axis=0), rtol=1e-14)
        expected = 299 * np.cov(far, rowvar=False)
        np.testing.assert_allclose(scatter, expected, rtol=0, atol=1e-11 * np.trace(expected))

    def test_moments_and_kernel_distances_of_four_devices_are_those_of_one(self):
        flags = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
        environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", FOUR_DEVICES],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    def test_other_numbers_of_features_are_refused(self, features):
        moments = moments_of(features[0])
        with pytest.raises(InputError, match=r"^moments and features must have equally many features, got 8 and 3"):
            update_moments(moments, features[0][:, :3])
        with pytest.raises(InputError, match=r"^first and second must have equally many features, got 8 and 3"):
            merge_moments(moments, moments_of(features[0][:, :3]))
        with pytest.raises(InputError, match=r"^real and fake must have equally many features, got 8 and 3"):
            frechet_distance_of_moments(moments, moments_of(features[0][:, :3]))


class TestExtrapolation:
    @pytest.fixture(scope="class")
    @classmethod
    def extrapolated(cls):
        """Samples of the distribution itself, whose moments are exact: the true distance is 0."""
        real = Moments(10**9, np.zeros(30), (10**9 - 1) * np.eye(30))
        fake = np.random.default_rng(4).standard_normal((4000, 30)).astype(np.float32)
        return real, fake, extrapolated_frechet_distance(jax.random.key(0), real, fake)

    def test_the_bias_of_few_samples_is_removed(self, extrapolated):
        real, fake, found = extrapolated
        plain = frechet_distance_of_moments(real, moments_of(fake))
        # To first order in 1 / n: d / n of the means, and d (d + 1) / (4 n) of the covariances.
        assert plain == pytest.approx((30 + 30 * 31 / 4) / 4000, rel=0.15)
        assert abs(found.distance) < 0.15 * plain

    def test_it_is_the_value_of_the_fitted_line_at_infinity(self, extrapolated):
        _, _, found = extrapolated
        line = LinearRegression().fit(1 / found.counts[:, None], found.distances)
        assert found.distance == pytest.approx(line.intercept_, rel=1e-8)

    def test_there_are_fifteen_sizes_from_half_of_few_samples_to_all(self, extrapolated):
        real, fake, found = extrapolated
        assert found.counts[[0, 7, -1]].tolist() == [2000, 3000, 4000]
        assert len(found.counts) == 15
        assert found.distances[-1] == pytest.approx(frechet_distance_of_moments(real, moments_of(fake)), rel=1e-9)
        # The excess over the true distance, 0, is proportional to 1 / n: twice as large for half of the samples.
        assert found.distances[0] / found.distances[-1] == pytest.approx(2, rel=0.15)

    def test_of_many_samples_the_smallest_size_is_that_of_the_published_program(self):
        """score_infinity.py of Chong and Forsyth has 15 sizes from 5,000 to all samples."""
        fake = np.random.default_rng(5).standard_normal((12_000, 1)).astype(np.float32)
        real = Moments(10**9, np.zeros(1), (10**9 - 1) * np.eye(1))
        for n, sizes in ((12_000, [5000, 8500, 12_000]), (5002, [5000, 5001, 5002]), (5000, [2500, 3750, 5000])):
            found = extrapolated_frechet_distance(jax.random.key(0), real, fake[:n])
            assert found.counts[[0, 7, -1]].tolist() == sizes

    def test_subsets_are_a_function_of_the_key(self, extrapolated):
        real, fake, _ = extrapolated
        distances = [
            extrapolated_frechet_distance(jax.random.key(seed), real, fake[:300], counts=[100, 300]).distances
            for seed in (0, 0, 1)
        ]
        np.testing.assert_array_equal(distances[0], distances[1])
        assert distances[0][0] != distances[2][0]
        assert distances[0][1] == pytest.approx(distances[2][1], rel=1e-9)  # All samples, in another order.

    @pytest.mark.parametrize("counts", [[], [5], [5, 5], [1, 5], [5, 301]])
    def test_sizes_that_give_no_line_are_refused(self, extrapolated, counts):
        real, fake, _ = extrapolated
        with pytest.raises(InputError, match=r"^counts must be at least two different sizes from 2 to .*, 300, got"):
            extrapolated_frechet_distance(jax.random.key(0), real, fake[:300], counts=counts)

    def test_few_samples_warn_once(self, extrapolated):
        real, fake, _ = extrapolated
        with pytest.warns(UserWarning, match=r"^fake has 20 examples of 30 features") as caught:
            extrapolated_frechet_distance(jax.random.key(0), real, fake[:300], counts=[20, 25, 300])
        assert [warning.filename for warning in caught] == [__file__]
