"""Kernel distance of features (KID): a squared maximum mean discrepancy, of random subsets or of all examples.

Inner products of features are computed in the precision of the features, and means of the kernel in float64, block by
block, so that no matrix of all pairs is in memory. `jaxgen.divergences.mmd` is the form for compiled programs.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_number, widen
from jaxgen._pairwise_distances import products, squared_distances
from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.typing import AnyArray, Array, Float, Int, KeyArray

STORED = 4096
"""Largest number of examples of which the converted blocks are stored; of more, they are converted for each use."""

BLOCK = 1024
"""Largest side of such a block, in examples: a subset of the usual size is one block."""

LARGE_BLOCK = 2048
"""Largest side of a block of more examples; large, so that the conversion takes little of the time of the products."""

BANDWIDTH = 10.0
"""Bandwidth of the rbf kernel if none is given, as in torch-fidelity."""

Estimator = Literal["unbiased", "biased", "u-statistic"]
Kernel = Callable[[Float[Array, "n features"], Float[Array, "m features"]], Float[Array, "n m"]]
Indices = tuple[Int[AnyArray, "subsets size"], Int[AnyArray, "subsets size"]]


class KernelDistance(NamedTuple):
    """Kernel distance over subsets of features.

    Attributes:
        mean: mean over the subsets, or the distance of all examples; it may be negative.
        sd: standard deviation over the subsets, with the divisor `subsets`; 0 for all examples at once.
    """

    mean: float
    sd: float


@checked
def kernel_distance(
    key: KeyArray | None,
    real: Float[AnyArray, "n features"],
    fake: Float[AnyArray, "m features"],
    *,
    subsets: int | None = 100,
    subset_size: int = 1000,
    indices: Indices | None = None,
    kernel: Literal["polynomial", "rbf"] = "polynomial",
    bandwidth: float | None = None,
    estimator: Estimator = "unbiased",
) -> KernelDistance:
    """Compute the kernel distance between features of real and of generated examples; of Inception features, the KID.

    `mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`, with the kernel of features of d numbers::

        polynomial    (x.y / d + 1)^3
        rbf           exp(-|x - y|^2 / (2 bandwidth^2))

    and with the means over these pairs of n and of m examples::

        unbiased      all but those of an example with itself; the estimate may be negative
        biased        all
        u-statistic   as unbiased, and without the pairs (x_i, y_i) of the same number, for n = m

    Time grows with `subsets subset_size^2 features`, or with `(n + m)^2 features` for all examples at once. In memory
    are the kernels of 2,048 x 2,048 pairs at most.

    Args:
        key: PRNG key of the subsets. It is not used, and may be None, for all examples at once or with `indices`.
        real: features of n real examples, [n, features].
        fake: features of m generated examples, [m, features].
        subsets: number of subsets, drawn independently of real and of generated examples, each without replacement.
            None selects all examples at once.
        subset_size: number of examples of a subset.
        indices: row numbers of the subsets instead of drawn ones, of real and of generated examples, each
            [subsets, subset_size].
        kernel: "polynomial" or "rbf".
        bandwidth: length scale of the rbf kernel, 10 if None; it must be None for the polynomial kernel.
        estimator: "unbiased", "biased" or "u-statistic".

    Returns:
        Mean and standard deviation over the subsets. The mean is a difference of nearly equal means of the kernel: for
        features in float32 its error is at most 1e-6 of these.

    Raises:
        InputError: if the features are not matrices with equally many columns, or not finite, if there are too few
            examples for the subsets, or the estimator or the kernel does not fit the arguments.

    Reference:
        Bińkowski et al. 2018, arXiv:1801.01401, section 4; Gretton et al. 2012, "A kernel two-sample test", JMLR 13,
        lemma 6 for the estimators.

    Example:
        >>> real, fake = np.random.default_rng(0).normal(size=(2, 2000, 4))
        >>> near = kernel_distance(jax.random.key(0), real, fake, subsets=9)
        >>> far = kernel_distance(jax.random.key(0), real, fake + 1.0, subsets=9)
        >>> abs(near.mean) < 0.01, f"{far.mean:.0f}"
        (True, '10')
    """
    function = _kernel(kernel, bandwidth)
    real, fake = (x if isinstance(x, jax.Array) else np.asarray(x) for x in (real, fake))
    if real.shape[1] == 0:
        raise InputError(f"real and fake must have at least one feature, got real of shape {real.shape}")
    distances = []
    for x, y in _pairs_of_sets(key, real, fake, subsets, subset_size, indices):
        _check_sizes(len(x), len(y), estimator)
        with jax.enable_x64(True):  # Sums in float64; features keep their precision.
            distances.append(_discrepancy(function, estimator, x, y))
    mean = float(np.mean(distances))
    if not np.isfinite(mean):
        raise InputError(f"real and fake must be finite and their kernel within the range of floats, got {mean}")
    return KernelDistance(mean, float(np.std(distances)))


def _pairs_of_sets(
    key: KeyArray | None,
    real: AnyArray,
    fake: AnyArray,
    subsets: int | None,
    size: int,
    indices: Indices | None,
) -> Iterator[tuple[AnyArray, AnyArray]]:
    """Yield the features of which distances are computed: subsets, or all examples."""
    if indices is not None:
        of_real, of_fake = (
            _checked_indices(name, rows, len(features))
            for name, rows, features in (("real", indices[0], real), ("fake", indices[1], fake))
        )
        if len(of_real) != len(of_fake):
            raise InputError(f"indices must be of equally many subsets, got {len(of_real)} and {len(of_fake)}")
        for rows, others in zip(of_real, of_fake, strict=True):
            yield real[rows], fake[others]
        return
    if subsets is None:
        yield real, fake
        return
    if key is None:
        raise InputError("key must be a typed PRNG key, such as jax.random.key(0), if subsets are drawn, got None")
    check_number("subsets", subsets, at_least=1)
    check_number("subset_size", size, at_least=1)
    for name, features in (("real", real), ("fake", fake)):
        if len(features) < size:
            raise InputError(
                f"subset_size must be at most {len(features)}, the number of examples of {name}, got {size}; "
                "give more examples, a smaller subset_size or subsets=None"
            )
    for number in range(subsets):
        keys = jax.random.split(jax.random.fold_in(key, number))
        yield real[_drawn(keys[0], len(real), size)], fake[_drawn(keys[1], len(fake), size)]


def _drawn(key: KeyArray, n: int, size: int) -> np.ndarray:
    """Return the numbers of random rows, without replacement: those of the smallest of n random numbers."""
    return np.argpartition(np.asarray(jax.random.bits(key, (n,))), size - 1)[:size]


def _discrepancy(kernel: Kernel, estimator: Estimator, x: AnyArray, y: AnyArray) -> float:
    n, m = len(x), len(y)
    distinct, unpaired = estimator != "biased", estimator == "u-statistic"
    xs, ys = _blocks(x), _blocks(y)
    means = [
        _sum(kernel, xs, xs, within=True, off_diagonal=distinct) / (n * (n - distinct)),
        _sum(kernel, ys, ys, within=True, off_diagonal=distinct) / (m * (m - distinct)),
        _sum(kernel, xs, ys, within=False, off_diagonal=unpaired) / (n * (m - unpaired)),
    ]
    return means[0] + means[1] - 2.0 * means[2]


def _sum(kernel: Kernel, xs: Sequence[Array], ys: Sequence[Array], *, within: bool, off_diagonal: bool) -> float:
    """Return the sum of the kernel over all pairs, or over all but those of equal numbers."""
    total = 0.0
    for row in range(len(xs)):
        x, parts = xs[row], []
        for column in range(row if within else 0, len(ys)):
            part = _sum_of_block(kernel(x, ys[column]), off_diagonal=off_diagonal and row == column)
            # Of two mirrored blocks of pairs of one set, only one is computed, and counted twice.
            parts.append(2.0 * part if within and column > row else part)
        total += float(np.sum(jax.device_get(parts)))
    return total


class _Blocks(Sequence[Array]):
    """Rows of features in blocks, which are converted and copied to the device when they are read."""

    def __init__(self, features: AnyArray) -> None:
        side = BLOCK if len(features) <= STORED else LARGE_BLOCK
        self.features = features
        self.bounds = np.linspace(0, len(features), -(-len(features) // side) + 1).astype(int).tolist()

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, number: Any) -> Any:
        return widen(jnp.asarray(self.features[self.bounds[number] : self.bounds[number + 1]]))


def _blocks(features: AnyArray) -> Sequence[Array]:
    """Return the blocks of the rows; few enough rows are converted once, instead of for each pair of blocks."""
    blocks = _Blocks(features)
    return list(map(blocks.__getitem__, range(len(blocks)))) if len(features) <= STORED else blocks


@partial(jax.jit, static_argnames="off_diagonal")
def _sum_of_block(kernel: Float[Array, "n m"], *, off_diagonal: bool) -> Float[Array, ""]:
    wide = kernel.astype(jnp.float64)
    return jnp.sum(jnp.where(jnp.eye(wide.shape[0], wide.shape[1], dtype=bool), 0.0, wide) if off_diagonal else wide)


def _kernel(name: str, bandwidth: float | None) -> Kernel:
    if name == "polynomial":
        if bandwidth is not None:
            raise InputError(f"bandwidth must be None for kernel 'polynomial', got {bandwidth}; only 'rbf' has one")
        return _polynomial
    bandwidth = BANDWIDTH if bandwidth is None else bandwidth
    check_number("bandwidth", bandwidth, above=0, finite=True)
    return partial(_rbf, bandwidth=float(bandwidth))


def _products(x: Float[Array, "n features"], y: Float[Array, "m features"]) -> Float[AnyArray, "n m"]:
    """Return the inner product of every pair.

    On a CPU by BLAS, which computes one half of the products of a block with itself, and others faster than XLA.
    """
    if any(device.platform != "cpu" for device in x.devices()):
        return _products_on_device(x, y)
    with np.errstate(all="ignore"):  # Distances that are not finite are refused in the end.
        return np.asarray(x) @ np.asarray(y).T


_products_on_device = jax.jit(products)


def _polynomial(x: Float[Array, "n features"], y: Float[Array, "m features"]) -> Float[Array, "n m"]:
    return _cube(_products(x, y), features=x.shape[1])


@partial(jax.jit, static_argnames="features")
def _cube(inner: Float[Array, "n m"], *, features: int) -> Float[Array, "n m"]:
    return (inner.astype(jnp.float64) / features + 1.0) ** 3


def _rbf(x: Float[Array, "n features"], y: Float[Array, "m features"], *, bandwidth: float) -> Float[Array, "n m"]:
    return jnp.exp(-0.5 * squared_distances(x / bandwidth, y / bandwidth, floor=1.0))


def _checked_indices(name: str, rows: Int[AnyArray, "subsets size"], n: int) -> np.ndarray:
    rows = np.asarray(rows)
    if not rows.size or rows.min() < 0 or rows.max() >= n:
        got = f"{rows.min()} to {rows.max()}" if rows.size else f"shape {rows.shape}"
        raise InputError(f"indices of {name} must be row numbers from 0 to {n - 1}, got {got}")
    return rows


def _check_sizes(n: int, m: int, estimator: Estimator) -> None:
    least = 1 if estimator == "biased" else 2
    if min(n, m) < least:
        raise InputError(f"the number of examples must be at least {least} for {estimator!r}, got {n} and {m}")
    if estimator == "u-statistic" and n != m:
        raise InputError(f"real and fake must have equally many examples for 'u-statistic', got {n} and {m}")
