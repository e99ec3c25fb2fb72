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
    module: linen.Module,
    normalization: Normalization,
    x: Float[Array, " batch *event"],
    *,
    scale_init: linen.initializers.Initializer = linen.initializers.ones,
) -> Float[Array, " batch *event"]:
    """Normalize what a hidden layer puts out; "none" and "spectral" leave it as it is.

    Layer normalization (Ba et al. 2016, arXiv:1607.06450) takes mean and variance over all numbers of one example, the
    pixels of all channels, and has one scale and one bias a channel. No example depends on another, as a critic with a
    gradient penalty needs it (Gulrajani et al. 2017, arXiv:1704.00028, section 4).

    Args:
        module: in whose `__call__` the layer stands.
        normalization: which.
        x: what the layer puts out.
        scale_init: initializer of the scales.

    Returns:
        The normalized numbers.

    Example:
        >>> class Network(linen.Module):
        ...     @linen.compact
        ...     def __call__(self, x):
        ...         return normalize(self, "layer", x)
        >>> y, _ = Network().init_with_output(jax.random.key(0), jnp.array([[0.0, 2.0], [10.0, 30.0]]))
        >>> y.round(3).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]
    """
    if normalization == "batch":
        return batch_norm(module, scale_init=scale_init)(x)
    if normalization == "layer":
        return linen.LayerNorm(reduction_axes=range(1, x.ndim), epsilon=1e-5, scale_init=scale_init)(x)
    return x


def batch_norm(
    module: linen.Module, *, scale_init: linen.initializers.Initializer = linen.initializers.ones
) -> linen.BatchNorm:
    """Batch normalization (Ioffe & Szegedy 2015, arXiv:1502.03167), in training where its statistics may change.

        y = scale (x - mean) / sqrt(variance + 1e-5) + bias,    moving average = 0.9 moving average + 0.1 new

    Flax tells the two modes apart here: where the statistics may change (`apply(..., mutable=["batch_stats"])`) it
    normalizes by the batch and updates the moving averages, where they may not it uses these. So a network is called
    like those that have no statistics at all.

    Args:
        module: in whose `__call__` the layer stands.
        scale_init: initializer of the scales.

    Returns:
        The layer.

    Example:
        >>> class Network(linen.Module):
        ...     @linen.compact
        ...     def __call__(self, x):
        ...         return batch_norm(self)(x)
        >>> x = jax.numpy.array([[1.0], [3.0]])
        >>> variables = Network().init(jax.random.key(0), x)
        >>> in_training, _ = Network().apply(variables, x, mutable=["batch_stats"])
        >>> afterwards = Network().apply(variables, x)
        >>> [[round(float(y), 3) for y in output[:, 0]] for output in (in_training, afterwards)]
        [[-1.0, 1.0], [1.0, 3.0]]
    """
    moving = not module.is_mutable_collection("batch_stats")
    return linen.BatchNorm(use_running_average=moving, momentum=0.9, epsilon=1e-5, scale_init=scale_init)


def weights(normalization: Normalization, layer: linen.Module) -> linen.Module:
    """Normalize the weights of a layer, if they are what is to be normalized.

    Args:
        normalization: of the network; only "spectral" concerns weights.
        layer: with a parameter named kernel.

    Returns:
        The layer, or its `SpectralNorm`.

    Example:
        >>> type(weights("spectral", linen.Dense(3))).__name__, type(weights("batch", linen.Dense(3))).__name__
        ('SpectralNorm', 'Dense')
    """
    return SpectralNorm(layer) if normalization == "spectral" else layer


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
        >>> normalized, variables = layer.init_with_output(jax.random.key(0), x)
        >>> round(float(jnp.linalg.norm(normalized, ord=2)), 3), variables["spectral"]["U"].shape
        (1.0, (5, 3))
    """

    layer: linen.Module
    vectors: int = 8

    @linen.compact
    def __call__(self, x: Float[Array, " batch *event"]) -> Float[Array, " batch *output"]:
        """Apply the layer with its normalized kernel."""

        def divided(variables: PyTree) -> PyTree:
            params = dict(variables["params"])
            return {**variables, "params": params | {"kernel": params["kernel"] / self._largest(params["kernel"])}}

        if self.is_initializing():
            self.layer(x)  # Makes the parameters, which stay as they are.
        return linen.map_variables(lambda layer, x: layer(x), "params", trans_in_fn=divided)(self.layer, x)

    def _largest(self, kernel: Float[Array, "*window features"]) -> Float[Array, ""]:
        """The largest singular value of the kernel, and in training a step of the vectors towards its own."""
        matrix = kernel.reshape(-1, kernel.shape[-1])
        constant = jax.lax.stop_gradient(matrix)

        def start() -> Float[Array, "features vectors"]:
            shape = (matrix.shape[1], min(self.vectors, *matrix.shape))
            return jax.random.normal(self.make_rng("params"), shape)

        def step(_: Array, basis: Float[Array, "features vectors"]) -> Float[Array, "features vectors"]:
            return _step(constant, basis)

        followed = self.variable("spectral", "U", start)
        basis = jax.lax.fori_loop(0, WARM_UP if self.is_initializing() else 1, step, followed.value)
        if self.is_mutable_collection("spectral"):
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
        ...     def __call__(self, x):
        ...         return weights("spectral", linen.Dense(2))(x)
        >>> variables = Network().init(jax.random.key(0), jnp.ones((1, 3)))
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
