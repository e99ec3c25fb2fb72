"""Normalization of the outputs of hidden layers (batch, layer) and of the weights of layers (spectral)."""

import math
from typing import Literal, TypeAlias

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.nn.spectral_layers import Weights, power_iteration
from jaxgen.typing import Array, Float, Params, PyTree

Normalization: TypeAlias = Literal["none", "batch", "layer", "spectral"]
"""How a network is normalized, the same in all of its hidden layers."""

STATISTICS = ("batch_stats", "spectral")
"""The collections of variables that are updated with `train=True`: running statistics and singular vectors."""

WARM_UP = 30
"""Number of steps of the orthogonal iteration at initialization; later every forward pass makes one step."""


FAST_VARIANCE = False
"""Whether variances are computed as the mean of the squares minus the square of the mean, as Flax does by default.

No digit of such a variance is left where the mean is a few thousand standard deviations. A step of a DCGAN on the CPU
takes 2 % more time without it.
"""


def normalize(
    normalization: Normalization,
    x: Float[Array, " batch *event"],
    *,
    train: bool,
    scale_init: linen.initializers.Initializer = linen.initializers.ones,
) -> Float[Array, " batch *event"]:
    """Normalize the outputs of a hidden layer; "none" and "spectral" return them as they are.

    Layer normalization (Ba et al. 2016, arXiv:1607.06450) computes mean and variance over all numbers of one example,
    that is over the pixels of all channels, and has one scale and one bias per channel. The outputs for one example do
    not depend on the other examples, which a critic with a gradient penalty requires (Gulrajani et al. 2017,
    arXiv:1704.00028, section 4).

    Call it within the `__call__` of a module, which then owns the parameters.

    Args:
        normalization: name of the normalization.
        x: outputs of the layer.
        train: whether batch normalization uses and records the statistics of the batch, as in `batch_norm`.
        scale_init: initializer of the scales.

    Returns:
        The normalized outputs.

    Reference:
        Ioffe & Szegedy 2015, arXiv:1502.03167; Ba et al. 2016, arXiv:1607.06450.

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
        return batch_norm(x, train=train, scale_init=scale_init)
    if normalization == "layer":
        return linen.LayerNorm(
            reduction_axes=range(1, x.ndim), epsilon=1e-5, scale_init=scale_init, use_fast_variance=FAST_VARIANCE
        )(x)
    return x


def batch_norm(
    x: Float[Array, " batch *event"],
    *,
    train: bool,
    scale_init: linen.initializers.Initializer = linen.initializers.ones,
) -> Float[Array, " batch *event"]:
    """Normalize the outputs of a hidden layer by the statistics of the batch, or by running ones.

        y = scale (x - mean) / sqrt(variance + 1e-5) + bias,    running = 0.9 running + 0.1 statistics of the batch

    Call it within the `__call__` of a module, which then owns the parameters. With `train=True` the collection
    "batch_stats" must be mutable.

    Args:
        x: outputs of the layer.
        train: whether to normalize by the mean and variance of the batch, over all axes but the last, and to update the
            running statistics; otherwise the outputs are normalized by the running statistics.
        scale_init: initializer of the scales.

    Returns:
        The normalized outputs.

    Raises:
        InputError: in training, if there is one value per feature, as in a batch of one example without pixels: its
            variance is 0 and the output would not depend on it.

    Reference:
        Ioffe & Szegedy 2015, arXiv:1502.03167.

    Example:
        >>> class Network(linen.Module):
        ...     @linen.compact
        ...     def __call__(self, x, *, train):
        ...         return batch_norm(x, train=train)
        >>> x = jax.numpy.array([[1.0], [3.0]])
        >>> variables = Network().init(jax.random.key(0), x, train=False)
        >>> in_training, _ = Network().apply(variables, x, train=True, mutable=["batch_stats"])
        >>> afterwards = Network().apply(variables, x, train=False)
        >>> [[round(float(y), 3) for y in output[:, 0]] for output in (in_training, afterwards)]
        [[-1.0, 1.0], [1.0, 3.0]]
    """
    if train:
        check_values_per_feature(x)
    return linen.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        scale_init=scale_init,
        use_fast_variance=FAST_VARIANCE,
    )(x)


def check_values_per_feature(x: Float[Array, " batch *event"]) -> None:
    """Raise an error unless the batch has a variance of each feature, the last axis.

    Args:
        x: outputs of a layer.

    Raises:
        InputError: if there is one value per feature.

    Example:
        >>> check_values_per_feature(jnp.ones((1, 3)))
        Traceback (most recent call last):
        jaxgen.errors.InputError: batch normalization needs at least 2 values of each feature in training, ...
    """
    if math.prod(x.shape[:-1]) == 1:
        raise InputError(
            "batch normalization needs at least 2 values of each feature in training, got a batch of one example: "
            "give a larger batch_size, or another normalization"
        )


def apply_layer(
    normalization: Normalization, layer: linen.Module, x: Float[Array, " batch *event"], *, train: bool
) -> Float[Array, " batch *output"]:
    """Apply a layer, with `SpectralNorm` if the normalization of the network is "spectral".

    Args:
        normalization: name of the normalization.
        layer: layer with a parameter named kernel, created in the `__call__` of the network.
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
    """Spectral normalization: a layer whose kernel W is divided by its largest singular value sigma(W).

        W / sigma(W),    sigma = ||W u||,    u in span(U) with the largest ||W u||,    U = orthonormal basis of W'W U_0

    With the normalized kernel a dense layer has the Lipschitz constant 1. The kernel of a convolution is treated as the
    matrix [window * channels, features], as in the paper; where windows overlap, the Lipschitz constant of the
    convolution may still be larger than 1.

    U approximates the singular vectors of the largest singular values. Every forward pass makes one step of orthogonal
    iteration from the stored U_0; with `train=True` the new U is stored and the collection "spectral" must be mutable,
    with `train=False` U_0 is kept. At initialization `WARM_UP` steps are made and stored.

    The gradient treats u as a constant, so the gradient of sigma is v u' with v = W u / sigma (equation 12). Biases are
    not normalized. With a single vector this is the power iteration of algorithm 1. Training reduces the largest
    singular value until the next ones are as large, and then a single vector converges too slowly: in a discriminator
    of digits sigma was up to 12 % too small, with eight vectors 0.3 %.

    Attributes:
        layer: layer with a parameter named kernel, whose last axis is the features.
        vectors: number of singular vectors in U, at most as many as the kernel has.

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
            self.layer(x)  # Creates the parameters, which are stored without normalization.
        return linen.map_variables(lambda layer, x: layer(x), "params", trans_in_fn=divided)(self.layer, x)

    def _largest(self, kernel: Float[Array, "*window features"], *, train: bool) -> Float[Array, ""]:
        """Estimate the largest singular value of the kernel after one step of the iteration, which training stores."""
        matrix = kernel.reshape(-1, kernel.shape[-1])
        constant = jax.lax.stop_gradient(matrix)

        def start() -> Float[Array, "features vectors"]:
            shape = (matrix.shape[1], min(self.vectors, *matrix.shape))
            return jax.random.normal(self.make_rng("params"), shape)

        followed = self.variable("spectral", "U", start)
        steps = WARM_UP if self.is_initializing() else 1
        basis = jax.lax.fori_loop(0, steps, lambda _, basis: _step(constant, basis), followed.value)
        if train or self.is_initializing():
            followed.value = basis
        return _largest_within(matrix, basis)


def applied_kernels(params: Params, spectral: Params) -> dict[str, Float[Array, "*window features"]]:
    """Return the kernels W / sigma that the layers with spectral normalization apply with `train=False`.

    Args:
        params: parameters of the network.
        spectral: collection "spectral" of the network.

    Returns:
        Path of a layer -> its normalized kernel, for the layers with spectral normalization.

    Raises:
        InputError: if it is ambiguous which layer the vectors belong to, because layers with as many features have
            names of the user's own or are of several types.

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
    # A layer that is created in `setup` belongs to its `SpectralNorm`.
    modules = {"SpectralNorm": spectral} if "U" in spectral else spectral
    found: dict[str, Array] = {}
    vectors: dict[int, list[str]] = {}
    for name, inner in sorted(modules.items(), key=lambda item: _position(item[0])):
        if isinstance(inner, dict) and "u" in inner:  # a layer of `jaxgen.nn.spectral_layers`
            found[name] = _applied_by_one_vector(params[name], inner["u"])
        elif isinstance(inner, dict) and "U" in inner and name not in params:
            vectors.setdefault(len(inner["U"]), []).append(name)
        elif isinstance(inner, dict) and name in params:
            found |= {f"{name}/{path}": kernel for path, kernel in applied_kernels(params[name], inner).items()}
    kernels = {name: inner["kernel"] for name, inner in params.items() if isinstance(inner, dict) and "kernel" in inner}
    for features, names in vectors.items():
        layers = sorted((name for name, kernel in kernels.items() if kernel.shape[-1] == features), key=_position)
        # Flax numbers the modules of each type in the order of application.
        if len(layers) != len(names) or not (len(names) == 1 or (_is_numbered(names) and _is_numbered(layers))):
            raise InputError(
                f"the layers with spectral normalization and {features} features must have the names that Flax gives, "
                f"or be a single one, got {', '.join(layers) or 'none'} for {', '.join(names)}"
            )
        found |= {
            layer: _applied(kernels[layer], modules[name]["U"]) for layer, name in zip(layers, names, strict=True)
        }
    return found


def _applied(
    kernel: Float[Array, "*window features"], basis: Float[Array, "features vectors"]
) -> Float[Array, "*window features"]:
    """Return the kernel W / sigma that is applied with these stored vectors."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    return kernel / _largest_within(matrix, _step(matrix, basis))


def _applied_by_one_vector(layer: dict[str, Array], u: Float[Array, " outputs"]) -> Float[Array, "*window features"]:
    """Return the kernel W / sigma, or the table of an embedding, whose u has one coordinate per row."""
    is_table = "embedding" in layer
    weights = layer["embedding" if is_table else "kernel"]
    rows = weights if is_table else weights.reshape(-1, weights.shape[-1]).T
    return weights / power_iteration(rows, u, epsilon=Weights().epsilon)[0]


def _step(
    matrix: Float[Array, "inputs features"], basis: Float[Array, "features vectors"]
) -> Float[Array, "features vectors"]:
    """Return the basis after one step of the orthogonal iteration."""
    return jnp.linalg.qr(matrix.T @ (matrix @ basis))[0]


def _largest_within(
    matrix: Float[Array, "inputs features"], basis: Float[Array, "features vectors"]
) -> Float[Array, ""]:
    """Return the largest ||W u|| over unit vectors u in the span of the basis; the gradient treats u as a constant."""
    stretched = jax.lax.stop_gradient(matrix) @ basis
    u = basis @ jnp.linalg.eigh(stretched.T @ stretched)[1][:, -1]
    square = jnp.sum(jnp.square(matrix @ u))
    # A kernel of zeros is divided by 1: the root has no derivative at 0, and 0 / 0 is not a number.
    return jnp.sqrt(jnp.where(square > 0, square, 1.0))


def _position(name: str) -> tuple[str, int]:
    """Return the sort key of the name of a module: its type and its number, where Flax has given the name."""
    prefix, _, number = name.rpartition("_")
    return (prefix, int(number)) if number.isdecimal() else (name, 0)


def _is_numbered(names: list[str]) -> bool:
    """Return whether Flax has given the names of these modules, which are of one type."""
    return len({_position(name)[0] for name in names}) == 1 and all(
        name.rpartition("_")[2].isdecimal() for name in names
    )
