"""Layers with BigGAN's spectral normalization: one persistent vector per kernel and one step of the power iteration.

`jaxgen.nn.normalization.SpectralNorm` estimates the largest singular value more closely, by several vectors. The layers
here compute what the authors' code computes, so that weights that were trained with it give the same outputs.

    v = normalize(W' u),    u <- normalize(W v),    sigma = u' W v,    the layer applies W / sigma

W has one row per output: per feature of a dense layer or a convolution, per class of an embedding. Every pass makes one
step from the stored u; only a pass in training stores the new u. The gradient flows through W, with u and v constant.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype as promote

from jaxgen.batch_checks import check_labels
from jaxgen.nn.convolution import convolve
from jaxgen.typing import AnyArray, Array, Float, Int, KeyArray, Scalar

_multiply = partial(jnp.matmul, precision="highest")


class Weights(NamedTuple):
    """How the weights of a network are initialized and normalized.

    Attributes:
        init: initializer of kernels and embeddings; the published one is orthogonal (Saxe et al. 2014,
            arXiv:1312.6120): the rows of W, or its columns where there are fewer, are orthonormal.
        epsilon: smallest norm by which a vector of the power iteration is divided (BigGAN's is 1e-6; 1e-8 in the
            authors' settings for CIFAR-10).
        embedding: initializer of embeddings, where it is another one.

    Example:
        >>> kernel = Weights().init(jax.random.key(0), (3, 3, 4, 5)).reshape(-1, 5)
        >>> bool(jnp.allclose(kernel.T @ kernel, jnp.eye(5), atol=1e-5))
        True
    """

    init: linen.initializers.Initializer = linen.initializers.orthogonal()
    epsilon: Scalar = 1e-6
    embedding: linen.initializers.Initializer | None = None

    @property
    def of_embedding(self) -> linen.initializers.Initializer:
        """The initializer of embeddings."""
        return self.embedding or self.init


def power_iteration(
    matrix: Float[AnyArray, "outputs inputs"], u: Float[AnyArray, " outputs"], *, epsilon: Scalar
) -> tuple[Float[Array, ""], Float[Array, " outputs"]]:
    """Return the estimate of the largest singular value after one step of the power iteration, and the new vector.

        v = W' u / max(||W' u||, epsilon),    u <- W v / max(||W v||, epsilon),    sigma = u' W v

    Args:
        matrix: W, one row per output.
        u: approximate left singular vector, of any length but 0.
        epsilon: smallest norm by which a vector is divided.

    Returns:
        sigma, whose gradient treats u and v as constants, and the new u of length 1.

    Reference:
        Miyato et al. 2018, arXiv:1802.05957, algorithm 1; Brock et al. 2019, arXiv:1809.11096, appendix C.

    Example:
        >>> sigma, u = power_iteration(jnp.diag(jnp.array([3.0, 0.0])), jnp.array([1.0, 1.0]), epsilon=1e-6)
        >>> float(sigma), u.tolist()
        (3.0, [1.0, 0.0])
    """
    constant = jax.lax.stop_gradient(matrix)
    v = _normalized(_multiply(u, constant), epsilon)
    u = _normalized(_multiply(constant, v), epsilon)
    return _multiply(u, _multiply(matrix, v)), u


class SpectralDense(linen.Module):
    """Dense layer with spectral normalization.

    Attributes:
        features: number of outputs.
        use_bias: whether a bias is added, which is not normalized.
        weights: initializer of the kernel and epsilon of the power iteration.
        dtype: dtype of the product; None infers it from inputs and parameters.

    Example:
        >>> layer = SpectralDense(3)
        >>> y, variables = layer.init_with_output(jax.random.key(0), jnp.ones((2, 4)), train=False)
        >>> y.shape, variables["spectral"]["u"].shape
        ((2, 3), (3,))
    """

    features: int
    use_bias: bool = True
    weights: Weights = Weights()
    dtype: Any = None

    @linen.compact
    def __call__(self, inputs: Float[AnyArray, "batch inputs"], *, train: bool) -> Float[Array, "batch features"]:
        """Apply the layer; with `train=True` store the new vector."""
        kernel, bias = _parameters(self, (inputs.shape[-1],), train=train)
        x, kernel, bias = promote(inputs, kernel, bias, dtype=self.dtype)
        return _add(x @ kernel, bias)


class SpectralConv(linen.Module):
    """Convolution with spectral normalization, stride 1 and as many zeros around the image as keep its size.

    The kernel is treated as the matrix [features, window * channels].

    Attributes:
        features: number of channels of the output.
        kernel_size: height and width of the window.
        use_bias: whether a bias is added, which is not normalized.
        weights: initializer of the kernel and epsilon of the power iteration.
        dtype: dtype of the product; None infers it from inputs and parameters.

    Example:
        >>> layer = SpectralConv(3, (3, 3))
        >>> y, variables = layer.init_with_output(jax.random.key(0), jnp.ones((2, 4, 4, 1)), train=False)
        >>> y.shape, variables["params"]["kernel"].shape, variables["spectral"]["u"].shape
        ((2, 4, 4, 3), (3, 3, 1, 3), (3,))
    """

    features: int
    kernel_size: Sequence[int]
    use_bias: bool = True
    weights: Weights = Weights()
    dtype: Any = None

    @linen.compact
    def __call__(
        self, inputs: Float[AnyArray, "batch height width channels"], *, train: bool
    ) -> Float[Array, "batch height width features"]:
        """Apply the layer; with `train=True` store the new vector."""
        kernel, bias = _parameters(self, (*self.kernel_size, inputs.shape[-1]), train=train)
        x, kernel, bias = promote(inputs, kernel, bias, dtype=self.dtype)
        return _add(convolve(x, kernel, (1, 1), "SAME"), bias)


class SpectralEmbed(linen.Module):
    """Table of one vector per class with spectral normalization, whose u has one coordinate per class.

    Attributes:
        classes: number of classes.
        features: number of coordinates of each vector.
        weights: initializer of the table and epsilon of the power iteration.

    Example:
        >>> layer = SpectralEmbed(classes=3, features=4)
        >>> y, variables = layer.init_with_output(jax.random.key(0), jnp.array([2, 0]), train=False)
        >>> y.shape, variables["spectral"]["u"].shape
        ((2, 4), (3,))
    """

    classes: int
    features: int
    weights: Weights = Weights()

    @linen.compact
    def __call__(self, label: Int[AnyArray, " batch"], *, train: bool) -> Float[Array, "batch features"]:
        """Return the vectors of classes; NaN for a label that is no class. With `train=True` store the new vector."""
        table = self.param("embedding", self.weights.of_embedding, (self.classes, self.features))
        sigma = _sigma(self, table, epsilon=self.weights.epsilon, train=train)
        return jnp.take(table / sigma, check_labels(label), axis=0)


def _parameters(
    layer: SpectralDense | SpectralConv, inputs: tuple[int, ...], *, train: bool
) -> tuple[Float[Array, "*inputs features"], Float[Array, " features"] | None]:
    """Return the normalized kernel, and the bias if there is one."""
    kernel = jnp.asarray(layer.param("kernel", layer.weights.init, (*inputs, layer.features)))
    sigma = _sigma(layer, kernel.reshape(-1, layer.features).T, epsilon=layer.weights.epsilon, train=train)
    if not layer.use_bias:
        return kernel / sigma, None
    bound = (kernel.size // layer.features) ** -0.5

    def init(key: KeyArray, shape: tuple[int, ...]) -> Array:
        """The authors' code initializes weights alone and leaves biases as PyTorch draws them."""
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    return kernel / sigma, jnp.asarray(layer.param("bias", init, (layer.features,)))


def _sigma(module: linen.Module, matrix: Float[AnyArray, "outputs inputs"], *, epsilon: Scalar, train: bool) -> Array:
    """Return the estimate of the largest singular value; in training store it and the new vector.

    Only u is used later. The stored sigma is that of the last pass in training: the singular values that section 4 of
    Brock et al. 2019 (arXiv:1809.11096) follows in training.
    """
    u = module.variable("spectral", "u", lambda: jax.random.normal(module.make_rng("params"), matrix.shape[:1]))
    stored = module.variable("spectral", "sigma", lambda: jnp.ones(()))
    sigma, new = power_iteration(matrix, u.value, epsilon=epsilon)
    if train and not module.is_initializing():
        u.value, stored.value = new, jax.lax.stop_gradient(sigma)
    return sigma


def _normalized(x: Float[Array, " n"], epsilon: Scalar) -> Float[Array, " n"]:
    return x / jnp.maximum(jnp.linalg.norm(x), epsilon)


def _add(outputs: Array, bias: Array | None) -> Array:
    return outputs if bias is None else outputs + bias
