"""Normalization: of what passes between layers (batch, layer), and of the weights of a layer (spectral)."""

from typing import Literal, TypeAlias

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgen.typing import Array, Float, Params, PyTree

Normalization: TypeAlias = Literal["none", "batch", "layer", "spectral"]
"""What a network normalizes by, in all of its hidden layers."""

STATISTICS = ("batch_stats", "spectral")
"""The collections that forward passes move in training: running averages, and singular vectors."""

WARM_UP = 30
"""Steps of the orthogonal iteration when a network is made; from then on every forward pass in training makes one."""


def normalize(
    normalization: Normalization,
    x: Float[Array, " batch *event"],
    *,
    train: bool,
    scale_init: linen.initializers.Initializer = linen.initializers.ones,
) -> Float[Array, " batch *event"]:
    """Normalize what a hidden layer puts out; "none" and "spectral" leave it as it is.

    Layer normalization (Ba et al. 2016, arXiv:1607.06450) takes mean and variance over all numbers of one example, the
    pixels of all channels, and has one scale and one bias a channel. No example depends on another, as a critic with a
    gradient penalty needs it (Gulrajani et al. 2017, arXiv:1704.00028, section 4).

    Args:
        normalization: which.
        x: what the layer puts out.
        train: whether batch normalization uses and records the statistics of the batch, as in `batch_norm`.
        scale_init: initializer of the scales.

    Returns:
        The normalized numbers.

    Example:
        >>> class Network(linen.Module):
        ...     @linen.compact
        ...     def __call__(self, x, *, train):
        ...         return normalize("layer", x, train=train)
        >>> x = jnp.array([[0.0, 2.0], [10.0, 30.0]])
        >>> y, _ = Network().init_with_output(jax.random.key(0), x, train=False)
        >>> y.round(3).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]
    """
    if normalization == "batch":
        return batch_norm(train=train, scale_init=scale_init)(x)
    if normalization == "layer":
        return linen.LayerNorm(reduction_axes=range(1, x.ndim), epsilon=1e-5, scale_init=scale_init)(x)
    return x


def batch_norm(*, train: bool, scale_init: linen.initializers.Initializer = linen.initializers.ones) -> linen.BatchNorm:
    """Return a layer of batch normalization (Ioffe & Szegedy 2015, arXiv:1502.03167).

        y = scale (x - mean) / sqrt(variance + 1e-5) + bias,    moving average = 0.9 moving average + 0.1 new

    Args:
        train: whether the layer normalizes by the mean and variance of the batch, over all axes but the last, and
            updates the running statistics; otherwise it normalizes by the running statistics.
        scale_init: initializer of the scales.

    Returns:
        The layer.

    Example:
        >>> class Network(linen.Module):
        ...     @linen.compact
        ...     def __call__(self, x, *, train):
        ...         return batch_norm(train=train)(x)
        >>> x = jax.numpy.array([[1.0], [3.0]])
        >>> variables = Network().init(jax.random.key(0), x, train=False)
        >>> in_training, _ = Network().apply(variables, x, train=True, mutable=["batch_stats"])
        >>> afterwards = Network().apply(variables, x, train=False)
        >>> [[round(float(y), 3) for y in output[:, 0]] for output in (in_training, afterwards)]
        [[-1.0, 1.0], [1.0, 3.0]]
    """
    return linen.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, scale_init=scale_init)


def apply_layer(
    normalization: Normalization, layer: linen.Module, x: Float[Array, " batch *event"], *, train: bool
) -> Float[Array, " batch *output"]:
    """Apply a layer; "spectral" normalizes its kernel, the other normalizations leave the layer as it is.

    Args:
        normalization: normalization of the network.
        layer: layer with a parameter named kernel, made in the `__call__` of the network.
        x: inputs of the layer.
        train: whether `SpectralNorm` stores its new singular vectors.

    Returns:
        The outputs of the layer, or of its `SpectralNorm`.

    Example:
        >>> class Network(linen.Module):
        ...     @linen.compact
        ...     def __call__(self, x, *, train):
        ...         return apply_layer("spectral", linen.Dense(3), x, train=train)
        >>> y, variables = Network().init_with_output(jax.random.key(0), jnp.ones((1, 2)), train=False)
        >>> y.shape, list(variables["spectral"])
        ((1, 3), ['SpectralNorm_0'])
    """
    return SpectralNorm(layer)(x, train=train) if normalization == "spectral" else layer(x)


class SpectralNorm(linen.Module):
    """A layer whose kernel W is divided by its largest singular value: W / sigma(W).

    So a dense layer stretches nothing. The kernel of a convolution counts as the matrix [window * channels, features],
    as in the paper; where windows overlap, the convolution itself may still stretch a picture. The singular vectors of
    the largest singular values are followed by orthogonal iteration, one step a forward pass, from the U that the last
    pass in training has left:

        U = orthonormal basis of W'W U,    u in span(U) with the largest ||W u||,    sigma = ||W u||

    u is a constant to the gradient, so that of sigma is v u' with v = W u / sigma (equation 12). Biases stay as they
    are. With a single vector this is the power iteration of algorithm 1. But training lowers whatever singular value
    is divided by until the next ones are as large, and then a single vector lags behind: in a discriminator of digits
    sigma was up to 12 % too small, with eight vectors 0.3 %.

    Attributes:
        layer: with a parameter named kernel whose last axis are the features.
        vectors: how many are followed, if the kernel has as many.

    Reference:
        Miyato et al. 2018, arXiv:1802.05957, section 2.

    Example:
        >>> x = jnp.eye(3)
        >>> layer = SpectralNorm(linen.Dense(5, use_bias=False))
        >>> normalized, variables = layer.init_with_output(jax.random.key(0), x, train=False)
        >>> round(float(jnp.linalg.norm(normalized, ord=2)), 3), variables["spectral"]["U"].shape
        (1.0, (5, 3))
    """

    layer: linen.Module
    vectors: int = 8

    @linen.compact
    def __call__(self, x: Float[Array, " batch *event"], *, train: bool) -> Float[Array, " batch *output"]:
        """Apply the layer with its normalized kernel; with `train=True` store the new singular vectors."""

        def divided(variables: PyTree) -> PyTree:
            params = dict(variables["params"])
            return {
                **variables,
                "params": params | {"kernel": params["kernel"] / self._largest(params["kernel"], train=train)},
            }

        if self.is_initializing():
            self.layer(x)  # Makes the parameters, which stay as they are.
        return linen.map_variables(lambda layer, x: layer(x), "params", trans_in_fn=divided)(self.layer, x)

    def _largest(self, kernel: Float[Array, "*window features"], *, train: bool) -> Float[Array, ""]:
        """Estimate the largest singular value of the kernel after one step of the iteration, which training stores."""
        matrix = kernel.reshape(-1, kernel.shape[-1])
        constant = jax.lax.stop_gradient(matrix)

        def start() -> Float[Array, "features vectors"]:
            shape = (matrix.shape[1], min(self.vectors, *matrix.shape))
            return jax.random.normal(self.make_rng("params"), shape)

        def step(_: Array, basis: Float[Array, "features vectors"]) -> Float[Array, "features vectors"]:
            return _step(constant, basis)

        followed = self.variable("spectral", "U", start)
        basis = jax.lax.fori_loop(0, WARM_UP if self.is_initializing() else 1, step, followed.value)
        if train or self.is_initializing():
            followed.value = basis
        return _largest_within(matrix, basis)


def applied_kernels(params: Params, spectral: Params) -> dict[str, Float[Array, "*window features"]]:
    """The kernels of a network as its layers with spectral normalization apply them outside training, W / sigma.

    Args:
        params: of the network.
        spectral: its collection of that name.

    Returns:
        Path of a layer -> its kernel; those that are not normalized are left out.

    Example:
        >>> class Network(linen.Module):
        ...     @linen.compact
        ...     def __call__(self, x, *, train):
        ...         return apply_layer("spectral", linen.Dense(2), x, train=train)
        >>> variables = Network().init(jax.random.key(0), jnp.ones((1, 3)), train=False)
        >>> kernels = applied_kernels(variables["params"], variables["spectral"])
        >>> {path: round(float(jnp.linalg.norm(kernel, ord=2)), 3) for path, kernel in kernels.items()}
        {'Dense_0': 1.0}
    """
    layers = sorted((name for name in params if "kernel" in params[name]), key=_number)
    found: dict[str, Array] = {}
    for name, inner in sorted(spectral.items(), key=lambda item: _number(item[0])):
        if "U" not in inner:
            found |= {f"{name}/{path}": kernel for path, kernel in applied_kernels(params[name], inner).items()}
            continue
        # Flax numbers what it applies in turn, layers of each type for themselves: which type is next, shapes tell.
        layer = next(layer for layer in layers if params[layer]["kernel"].shape[-1] == len(inner["U"]))
        layers.remove(layer)
        kernel = params[layer]["kernel"]
        matrix = kernel.reshape(-1, kernel.shape[-1])
        found[layer] = kernel / _largest_within(matrix, _step(matrix, inner["U"]))
    return found


def _step(
    matrix: Float[Array, "inputs features"], basis: Float[Array, "features vectors"]
) -> Float[Array, "features vectors"]:
    """One step of the orthogonal iteration."""
    return jnp.linalg.qr(matrix.T @ (matrix @ basis))[0]


def _largest_within(
    matrix: Float[Array, "inputs features"], basis: Float[Array, "features vectors"]
) -> Float[Array, ""]:
    """The largest ||W u|| of the unit vectors u that a basis spans, u being a constant to the gradient."""
    stretched = jax.lax.stop_gradient(matrix) @ basis
    u = basis @ jnp.linalg.eigh(stretched.T @ stretched)[1][:, -1]
    square = jnp.sum(jnp.square(matrix @ u))
    # A kernel of zeros is applied as it is: the root has no derivative there, and nothing to divide by.
    return jnp.sqrt(jnp.where(square > 0, square, 1.0))


def _number(name: str) -> int:
    """Which of its type a module is, by its name."""
    return int(name.rpartition("_")[2])
