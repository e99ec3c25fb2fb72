"""Kernel distances of features against published implementations, NumPy in float64, and closed forms."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.divergences import mmd
from jaxgen.errors import InputError
from jaxgen.metrics import kernel_distance
from jaxgen.metrics.kernel_distance import BLOCK

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(19)
    mix = rng.standard_normal((2, 8, 8))
    real = np.maximum(rng.standard_normal((300, 8)) @ mix[0], 0)
    fake = np.maximum(0.3 + rng.standard_normal((240, 8)) @ mix[1], 0)
    return real.astype(np.float32), fake.astype(np.float32)


def by_numpy(x, y, kernel, estimator):
    """Means of the kernel over masked matrices of all pairs, in float64."""
    x, y = np.float64(x), np.float64(y)

    def matrix(a, b):
        if kernel == "polynomial":
            return (a @ b.T / a.shape[1] + 1) ** 3
        return np.exp(-np.square(a[:, None] - b).sum(axis=-1) / 200)

    def mean(a, b, without_diagonal):
        return np.mean(matrix(a, b)[~np.eye(len(a), len(b), dtype=bool) | (not without_diagonal)])

    own = estimator != "biased"
    return mean(x, x, own) + mean(y, y, own) - 2 * mean(x, y, estimator == "u-statistic")


class TestAllExamples:
    @pytest.mark.parametrize(
        ("kernel", "estimator", "printed"),
        [
            ("polynomial", "unbiased", 53.92628875096278),
            ("polynomial", "biased", 60.689566921158416),
            ("polynomial", "u-statistic", 53.96902596071941),
            ("rbf", "unbiased", 0.01840617837365377),
            ("rbf", "biased", 0.020122281693026878),
            ("rbf", "u-statistic", 0.018449793897904243),
        ],
    )
    def test_it_matches_torch_fidelity(self, features, kernel, estimator, printed):
        """Printed by torch-fidelity 0.4.0 for the features in float64; torchmetrics 1.9.0 prints 53.926288750962755
        for the first."""
        real, fake = features[0][:240], features[1]
        options = {"subsets": None, "kernel": kernel, "estimator": estimator}
        assert kernel_distance(None, real, fake, **options).mean == pytest.approx(printed, rel=1e-6)
        wide = kernel_distance(None, np.float64(real), np.float64(fake), **options)
        assert wide.mean == pytest.approx(printed, rel=1e-10)
        assert wide.sd == 0

    @pytest.mark.parametrize("estimator", ["unbiased", "biased", "u-statistic"])
    @pytest.mark.parametrize("kernel", ["polynomial", "rbf"])
    @pytest.mark.parametrize("stored", [0, 600, 4096])
    def test_pairs_of_several_blocks_are_counted_as_often_as_by_numpy(self, monkeypatch, kernel, estimator, stored):
        module = sys.modules["jaxgen.metrics.kernel_distance"]  # The package has the function under this name.
        monkeypatch.setattr(module, "STORED", stored)
        monkeypatch.setattr(module, "LARGE_BLOCK", 300)
        rng = np.random.default_rng(1)
        real, fake = rng.standard_normal((BLOCK + 9, 5)), 0.2 + rng.standard_normal((2 * BLOCK + 1, 5))
        if estimator == "u-statistic":
            fake = fake[: len(real)]
        got = kernel_distance(None, real, fake, subsets=None, kernel=kernel, estimator=estimator)
        assert got.mean == pytest.approx(by_numpy(real, fake, kernel, estimator), rel=1e-10)

    def test_it_matches_the_maximum_mean_discrepancy_of_compiled_programs(self, features):
        real, fake = features
        expected = mmd(real, fake, kernel="polynomial")
        assert kernel_distance(None, real, fake, subsets=None).mean == pytest.approx(float(expected), rel=1e-5)
        expected = mmd(real, fake, kernel="rbf", bandwidth=2.0)
        got = kernel_distance(None, real, fake, subsets=None, kernel="rbf", bandwidth=2.0)
        assert got.mean == pytest.approx(float(expected), rel=1e-5)

    def test_single_precision_keeps_six_digits_of_the_mean_kernel(self):
        """The distance of two samples of one distribution is a small difference of means of about 2."""
        rng = np.random.default_rng(2)
        real, fake = np.abs(rng.standard_normal((2, 500, 64)).astype(np.float32))
        expected = by_numpy(real, fake, "polynomial", "unbiased")
        assert kernel_distance(None, real, fake, subsets=None).mean == pytest.approx(expected, rel=0, abs=1e-7)


class TestSubsets:
    def test_published_subsets_reproduce_the_published_numbers(self, features):
        """Printed by torch-fidelity 0.4.0, which draws 7 subsets of 100 of the generated, then of the real examples."""
        real, fake = features
        draw = np.random.RandomState(2020)
        drawn = [[draw.choice(n, 100, replace=False) for n in (240, 300)] for _ in range(7)]
        of_fake, of_real = np.array(drawn).swapaxes(0, 1)
        for kernel, mean, sd in (
            ("polynomial", 49.66250987684175, 10.635014198214616),
            ("rbf", 0.017981419959614758, 0.002825617613532995),
        ):
            got = kernel_distance(None, real, fake, indices=(of_real, of_fake), kernel=kernel)
            assert got == pytest.approx((mean, sd), rel=1e-5)

    def test_subsets_of_all_examples_have_the_distance_of_all(self, features):
        real, fake = features[0][:240], features[1]
        got = kernel_distance(KEY, real, fake, subsets=3, subset_size=240)
        expected = kernel_distance(None, real, fake, subsets=None).mean
        assert got == pytest.approx((expected, 0), rel=1e-6, abs=1e-5)

    def test_no_example_is_drawn_twice(self):
        """Unit vectors in more dimensions than a subset has examples: all pairs have the kernel 1 unless equal."""
        real, fake = np.eye(50, dtype=np.float32), np.zeros((50, 50), np.float32)
        got = kernel_distance(KEY, real, fake, subsets=5, subset_size=40, estimator="unbiased")
        assert got == pytest.approx((0, 0), abs=1e-6)

    def test_the_mean_over_subsets_estimates_the_distance_of_all(self, features):
        real, fake = features
        everything = kernel_distance(None, real, fake, subsets=None).mean
        got = kernel_distance(KEY, real, fake, subsets=100, subset_size=100)
        assert got.mean == pytest.approx(everything, abs=4 * got.sd / 10)

    def test_real_and_generated_examples_are_drawn_independently_by_the_key(self, features):
        real = features[0]
        first, again, other = (
            kernel_distance(jax.random.key(seed), real, real, subsets=2, subset_size=100) for seed in (0, 0, 1)
        )
        assert first == again
        assert first.mean != other.mean
        assert abs(first.mean) > 1e-3  # It would be about -2 mean k(x, x) / n, the same in both, for equal subsets.
        assert first.sd > 1e-3

    @pytest.mark.parametrize("convert", [jnp.asarray, lambda x: jnp.asarray(x, jnp.bfloat16), np.ndarray.tolist])
    def test_arrays_of_devices_narrow_ones_and_lists_are_converted(self, features, convert):
        real, fake = (x[:40] for x in features)
        real_in, fake_in = (np.asarray(jnp.asarray(convert(x)), np.float64) for x in (real, fake))
        expected = by_numpy(real_in, fake_in, "polynomial", "unbiased")
        got = kernel_distance(None, convert(real), convert(fake), subsets=None)
        assert got.mean == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "subset_size must be at most 300, the number of examples of real, got 1000"),
        ({"subset_size": 250}, "subset_size must be at most 240, the number of examples of fake, got 250"),
        ({"subset_size": 1}, "the number of examples must be at least 2 for 'unbiased', got 1 and 1"),
        ({"key": None, "subset_size": 9}, "key must be a typed PRNG key.* if subsets are drawn, got None"),
        ({"subset_size": 9, "bandwidth": 1.0}, "bandwidth must be None for kernel 'polynomial', got 1.0"),
        ({"subset_size": 9, "kernel": "rbf", "bandwidth": -1.0}, "bandwidth must be finite and above 0, got -1.0"),
        ({"subsets": None, "estimator": "u-statistic"}, "real and fake must have equally many .*, got 300 and 240"),
        ({"indices": ([[300]], [[0]])}, "indices of real must be row numbers from 0 to 299, got 300 to 300"),
        ({"indices": ([[0, 1]], [[0, 1], [1, 2]])}, "indices must be of equally many subsets, got 1 and 2"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(features, options, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        kernel_distance(options.pop("key", KEY), *features, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_features_without_a_finite_kernel_are_refused(features, value):
    real = features[0].copy()
    real[5, 5] = value
    with pytest.raises(InputError, match=r"^real and fake must be finite and their kernel within the range of floats"):
        kernel_distance(None, real, features[1], subsets=None)
