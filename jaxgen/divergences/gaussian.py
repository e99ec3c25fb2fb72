"""Divergences between Gaussians, with independent components or with full covariances."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxgen._arrays import check_batch, check_same_shape, float_dtype, sum_events, widen
from jaxgen._numerics import exp_remainder
from jaxgen.typing import Array, Float, KeyArray, Shaped

Events = Float[Array, " batch *event"]
Vectors = Float[Array, "*batch dim"]
Matrices = Float[Array, "*batch dim dim"]

NOISE = 8.0
"""Eigenvalues of a covariance up to this many float epsilons of their root mean square are treated as rounding errors.

The entries of a covariance in dim dimensions have a root mean square of the eigenvalues' over the square root of dim.
Rounding them gives eigenvalues of about twice epsilon times the eigenvalues' root mean square, and sums over examples
give somewhat larger ones. Up to 4.3 units were measured, for covariances of 1,000 normal vectors in 2,048 dimensions.
The bound is needed because the square root of such an eigenvalue is no longer small.
"""


def kl_standard_normal(mean: Events, log_var: Events) -> Float[Array, " batch"]:
    """Compute the KL divergence of a diagonal Gaussian from the standard normal distribution.

    `KL(N(mean, exp(log_var)) || N(0, 1)) = 1/2 sum(exp(log_var) + mean^2 - 1 - log_var)`

    Args:
        mean: means, one event per example, [batch, ...].
        log_var: logarithms of the variances, of the same shape.

    Returns:
        One divergence per example, [batch], summed over the event, in nats; never negative.

    Raises:
        ValueError: if the shapes differ or there is no axis of examples.

    Reference:
        Kingma and Welling 2014, arXiv:1312.6114, appendix B (which gives its negative).

    Example:
        >>> kl_standard_normal(jnp.array([[0.0, 0.0], [1.0, 2.0]]), jnp.zeros((2, 2)))
        Array([0. , 2.5], dtype=float32)
    """
    check_same_shape(mean=mean, log_var=log_var)
    check_batch(mean=mean)
    return kl_normal(mean, log_var, jnp.zeros_like(mean), jnp.zeros_like(log_var))


def draw_normal(key: KeyArray, mean: Events, log_var: Events) -> tuple[Events, Shaped[Array, " *batch"]]:
    """Draw from a diagonal Gaussian q, with the logarithm of the ratio of the standard normal density p to that of q.

    `z = mean + exp(log_var / 2) e`, e ~ N(0, I); `log p(z) - log q(z) = 1/2 sum(e^2 - z^2 + log_var)`

    Gradients flow through the draw.

    Args:
        key: PRNG key of the draw.
        mean: means, [..., dim].
        log_var: logarithms of the variances, [..., dim].

    Returns:
        One draw of each distribution, [..., dim], and the logarithm of the ratio, [...], in nats.

    Reference:
        Kingma and Welling 2014, arXiv:1312.6114, section 2.4.

    Example:
        >>> z, log_ratio = draw_normal(jax.random.key(0), jnp.ones((1, 1)), jnp.zeros((1, 1)))
        >>> bool(jnp.allclose(log_ratio, 0.5 - z[:, 0]))  # log N(z; 0, 1) - log N(z; 1, 1)
        True
    """
    noise = jax.random.normal(key, mean.shape, mean.dtype)
    z = mean + jnp.exp(log_var / 2) * noise
    return z, 0.5 * jnp.sum(jnp.square(noise) - jnp.square(z) + log_var, axis=-1)


def kl_normal(mean_p: Events, log_var_p: Events, mean_q: Events, log_var_q: Events) -> Float[Array, " batch"]:
    """Compute the KL divergence of one diagonal Gaussian from another.

    `KL(p || q) = 1/2 sum(exp(r) - 1 - r + (mean_p - mean_q)^2 / exp(log_var_q))`, r = log_var_p - log_var_q

    Args:
        mean_p: means of p, one event per example, [batch, ...].
        log_var_p: logarithms of the variances of p, of the same shape.
        mean_q: means of q, for example of a conditional prior, of the same shape.
        log_var_q: logarithms of the variances of q, of the same shape.

    Returns:
        One divergence per example, [batch], summed over the event, in nats. It is never negative and, where p is near
        q, accurate to all digits of r and of the difference of the means. It is infinite where a term of the sum
        overflows.

    Raises:
        ValueError: if the shapes differ or there is no axis of examples.

    Reference:
        Kullback and Leibler 1951, doi:10.1214/aoms/1177729694; the sum over components of `kl_multivariate_normal`.

    Example:
        >>> kl_normal(jnp.array([[1.0]]), jnp.array([[0.0]]), jnp.array([[3.0]]), jnp.array([[0.0]]))
        Array([2.], dtype=float32)
    """
    check_same_shape(mean_p=mean_p, log_var_p=log_var_p, mean_q=mean_q, log_var_q=log_var_q)
    check_batch(mean_p=mean_p)
    difference = widen(mean_p) - widen(mean_q)
    # Divided by the deviation of q before it is squared: otherwise squares of near and far means leave the float range.
    log_inverse_deviation = -0.5 * widen(log_var_q)
    # Equal means have distance 0 even if the inverse deviation overflows, so it is bounded there: 0 * inf would be NaN.
    log_largest = 0.99 * math.log(jnp.finfo(log_inverse_deviation.dtype).max)
    inverse_deviation = jnp.exp(
        jnp.where(difference == 0, jnp.minimum(log_inverse_deviation, log_largest), log_inverse_deviation)
    )
    terms = jnp.square(difference * inverse_deviation) + exp_remainder(widen(log_var_p) - widen(log_var_q))
    return (0.5 * sum_events(terms)).astype(float_dtype(mean_p, log_var_p, mean_q, log_var_q))


def kl_multivariate_normal(
    mean_p: Vectors, cov_p: Matrices, mean_q: Vectors, cov_q: Matrices
) -> Float[Array, " *batch"]:
    """Compute the KL divergence of one Gaussian from another, both with full covariance.

    `KL(p || q) = 1/2 (tr(Q^-1 P) + (mean_p - mean_q)' Q^-1 (mean_p - mean_q) - dim + log(det Q / det P))`

    With the lower Cholesky factors `P = A A'`, `Q = B B'` and with `W = B^-1 A`, it is computed without subtractions as
    half the sum of the squares of the elements of W below its diagonal, of `W_ii^2 - 1 - log W_ii^2`, and of the
    squares of `B^-1 (mean_p - mean_q)`.

    Args:
        mean_p: means of p, [..., dim].
        cov_p: covariances of p, of which the symmetric part is used, [..., dim, dim].
        mean_q: means of q, [..., dim].
        cov_q: covariances of q, of which the symmetric part is used, [..., dim, dim].

    Returns:
        One divergence per pair, [...], in nats; never negative. It is infinite, with gradient 0, where one of the
        covariances is singular, so that p or q has no density. Two singular covariances with the same support, whose
        divergence on it is finite, are not recognized, unless p and q are equal: then the divergence is 0. A covariance
        is singular, in working precision, if it has no Cholesky factor; if rounding has made a singular covariance
        definite, the divergence is large instead. In float32 the error of a divergence D is at most
        `e (D + sqrt(D) + e)`, e being 1e-7 times the larger condition number.

    Raises:
        ValueError: if the shapes of means and covariances do not match.

    Reference:
        Kullback and Leibler 1951, doi:10.1214/aoms/1177729694; Kingma and Welling 2014, arXiv:1312.6114, appendix B
        for q = N(0, I).

    Example:
        >>> mean, cov = jnp.zeros(2), jnp.array([[1.0, 0.6], [0.6, 1.0]])
        >>> kl_multivariate_normal(mean, cov, mean, jnp.eye(2))  # -log(1 - 0.6^2) / 2
        Array(0.22314355, dtype=float32)
    """
    mean_p, cov_p, mean_q, cov_q, dtype = _checked(mean_p, cov_p, mean_q, cov_q)
    root_p, definite_p = _cholesky(cov_p)
    root_q, definite_q = _cholesky(cov_q)
    columns = jnp.concatenate([root_p, (mean_p - mean_q)[..., None]], axis=-1)
    whitened = lax.linalg.triangular_solve(root_q, columns, left_side=True, lower=True)
    below_diagonal, shift = jnp.tril(whitened[..., :-1], -1), whitened[..., -1]
    log_variances = 2.0 * jnp.log(_diagonal(root_p) / _diagonal(root_q))
    divergence = 0.5 * (
        jnp.sum(jnp.square(below_diagonal), axis=(-2, -1))
        + jnp.sum(exp_remainder(log_variances), axis=-1)
        + jnp.sum(jnp.square(shift), axis=-1)
    )
    equal = jnp.all(mean_p == mean_q, axis=-1) & _equal(cov_p, cov_q)
    unknown = jnp.isnan(cov_p + cov_q).any(axis=(-2, -1))
    without_densities = jnp.where(equal, 0.0, jnp.where(unknown, jnp.nan, jnp.inf))
    return jnp.where(definite_p & definite_q, divergence, without_densities).astype(dtype)


def frechet_distance(mean_p: Vectors, cov_p: Matrices, mean_q: Vectors, cov_q: Matrices) -> Float[Array, " *batch"]:
    """Compute the squared Fréchet distance of two Gaussians, which is their squared 2-Wasserstein distance.

    `FD(p, q) = |mean_p - mean_q|^2 + tr(P + Q - 2 (P^1/2 Q P^1/2)^1/2)`

    For Inception features it is the Fréchet inception distance, FID. The trace is computed as `|A - B|^2`, the sum of
    squares, where `P = A A'` and `Q = B B'` are the roots that are closest to each other. Unlike the terms of the
    formula, this does not cancel where p is near q.

    Args:
        mean_p: means of p, [..., dim].
        cov_p: covariances of p, of which the symmetric part is used, [..., dim, dim]. They may be singular, as those of
            fewer examples than dimensions are; negative eigenvalues are replaced by 0.
        mean_q: means of q, [..., dim].
        cov_q: covariances of q, as those of p, [..., dim, dim].

    Returns:
        One squared distance per pair, [...], in the squared unit of the means; never negative, exactly 0 for equal
        arguments. The derivative with respect to P is `I - T`, T being the matrix of the optimal map from p to q
        restricted to directions in which both p and q have variance, and 0 where P = Q. In a direction in which only q
        has variance it is 1; the true derivative is -inf there. Second derivatives are not defined. In float32 the
        error of the square root of the trace is at most `1e-7 sqrt(c (tr P + tr Q))`, c <= 1e6 being the larger
        condition number. Eigenvalues below 1e-6 of their root mean square are treated as rounding errors of a singular
        covariance and replaced by 0.

    Raises:
        ValueError: if the shapes of means and covariances do not match.

    Reference:
        Dowson and Landau 1982, doi:10.1016/0047-259X(82)90077-X; Heusel et al. 2017, arXiv:1706.08500, equation 6;
        Bhatia, Jain and Lim 2019, arXiv:1712.01504, theorem 1, for the closest roots.

    Example:
        >>> frechet_distance(jnp.zeros(2), jnp.eye(2), jnp.ones(2), 4.0 * jnp.eye(2))
        Array(4., dtype=float32)
    """
    mean_p, cov_p, mean_q, cov_q, dtype = _checked(mean_p, cov_p, mean_q, cov_q)
    return (jnp.sum(jnp.square(mean_p - mean_q), axis=-1) + _squared_bures(cov_p, cov_q)).astype(dtype)


def _checked(
    mean_p: Vectors, cov_p: Matrices, mean_q: Vectors, cov_q: Matrices
) -> tuple[Vectors, Matrices, Vectors, Matrices, jnp.dtype]:
    """Return all arrays in one dtype, float32 or wider, and the dtype of the result."""
    check_same_shape(mean_p=mean_p, mean_q=mean_q)
    check_same_shape(cov_p=cov_p, cov_q=cov_q)
    mean, cov = jnp.shape(mean_p), jnp.shape(cov_p)
    if not mean or cov != (*mean, mean[-1]):
        raise ValueError(f"mean_p and cov_p must be [..., dim] and [..., dim, dim], got mean_p {mean} and cov_p {cov}")
    dtype = float_dtype(mean_p, cov_p, mean_q, cov_q)
    wide = jnp.promote_types(dtype, jnp.float32)
    mean_p, cov_p, mean_q, cov_q = (jnp.asarray(array, wide) for array in (mean_p, cov_p, mean_q, cov_q))
    return mean_p, cov_p, mean_q, cov_q, dtype


def _cholesky(cov: Matrices) -> tuple[Matrices, Shaped[Array, " *batch"]]:
    """Return the lower Cholesky factor of each covariance (of the identity where none exists) and whether it exists."""
    definite = jnp.isfinite(jnp.linalg.cholesky(lax.stop_gradient(cov))).all(axis=(-2, -1))
    identity = jnp.eye(cov.shape[-1], dtype=cov.dtype)
    return jnp.linalg.cholesky(jnp.where(definite[..., None, None], cov, identity)), definite


def _diagonal(matrices: Matrices) -> Vectors:
    return jnp.diagonal(matrices, axis1=-2, axis2=-1)


@jax.custom_jvp
def _squared_bures(cov_p: Matrices, cov_q: Matrices) -> Float[Array, " *batch"]:
    """Return the squared Bures distance, the part of the Fréchet distance that depends on the covariances.

    The derivative is defined explicitly, since those of eigenvectors and singular vectors do not exist where values
    coincide.
    """
    return jnp.where(_equal(cov_p, cov_q), 0.0, _squared_distance(*_closest_roots(cov_p, cov_q)))


@_squared_bures.defjvp
def _squared_bures_jvp(
    covariances: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Float[Array, " *batch"], Float[Array, " *batch"]]:
    """Return `tr((I - T) dP)` plus the same for Q.

    `T = sum_i b_i b_i' / (a_i . b_i)` is the matrix of the optimal map: `T P T = Q`.
    """
    root_p, root_q = _closest_roots(*covariances)
    inverse_overlap = _inverse_overlap(root_p, root_q)[..., None, :]

    def change(tangent: Matrices, other_root: Matrices) -> Float[Array, " *batch"]:
        optimal_map = _product(other_root * inverse_overlap, jnp.matrix_transpose(other_root))
        return jnp.trace(tangent, axis1=-2, axis2=-1) - jnp.sum(optimal_map * tangent, axis=(-2, -1))

    tangent_p, tangent_q = tangents
    tangent = change(tangent_p, root_q) + change(tangent_q, root_p)
    equal = _equal(*covariances)
    return jnp.where(equal, 0.0, _squared_distance(root_p, root_q)), jnp.where(equal, 0.0, tangent)


def _closest_roots(cov_p: Matrices, cov_q: Matrices) -> tuple[Matrices, Matrices]:
    """Return A and B with `P = A A'` and `Q = B B'`, rotated so that `|A - B|` is smallest and `A' B` is diagonal."""
    root_p, root_q = _root(cov_p), _root(cov_q)
    left, _, right = jnp.linalg.svd(_product(jnp.matrix_transpose(root_p), root_q))
    return _product(root_p, left), _product(root_q, jnp.matrix_transpose(right))


def _root(cov: Matrices) -> Matrices:
    """Return an A with `cov = A A'`, in which eigenvalues that may be rounding errors are replaced by 0."""
    values, vectors = jnp.linalg.eigh(cov)
    largest = jnp.max(jnp.abs(values), axis=-1, keepdims=True)
    shares = values / jnp.where(largest > 0, largest, 1.0)
    noise = NOISE * jnp.finfo(values.dtype).eps * jnp.sqrt(jnp.mean(jnp.square(shares), axis=-1, keepdims=True))
    return vectors * jnp.sqrt(jnp.where(shares > noise, values, 0.0))[..., None, :]


def _inverse_overlap(root_p: Matrices, root_q: Matrices) -> Vectors:
    """Return `1 / (a_i . b_i)` for the columns of two closest roots; 0 where either column is only rounding errors."""
    sizes = [jnp.linalg.norm(root, axis=-2) for root in (root_p, root_q)]
    epsilon = jnp.finfo(root_p.dtype).eps
    least_p, least_q = (jnp.sqrt(epsilon) * jnp.max(size, axis=-1, keepdims=True) for size in sizes)
    overlap = jnp.sum(root_p * root_q, axis=-2)
    shared = (sizes[0] > least_p) & (sizes[1] > least_q) & (overlap > least_p * least_q)
    return jnp.where(shared, 1.0 / jnp.where(shared, overlap, 1.0), 0.0)


def _squared_distance(root_p: Matrices, root_q: Matrices) -> Float[Array, " *batch"]:
    return jnp.sum(jnp.square(root_p - root_q), axis=(-2, -1))


def _equal(cov_p: Matrices, cov_q: Matrices) -> Shaped[Array, " *batch"]:
    return jnp.all(cov_p == cov_q, axis=(-2, -1))


def _product(x: Matrices, y: Matrices) -> Matrices:
    # By default, an accelerator multiplies with fewer bits.
    return jnp.matmul(x, y, precision=lax.Precision.HIGHEST)
