"""Tests of DCGAN's networks against the published numbers of parameters and NumPy in float64."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.nn.dcgan import Discriminator, Generator
from jaxgen.nn.normalization import STATISTICS, Normalization

MOMENTUM, EPSILON, LEAK = 0.9, 1e-5, 0.2

SIZES = {
    (8, 8, 1): [(8, 8), (4, 4), (2, 2)],
    (11, 17, 2): [(11, 17), (6, 9), (3, 5), (2, 3)],
    (28, 28, 1): [(28, 28), (14, 14), (7, 7), (4, 4)],
}
"""Shape of an image -> sizes of the feature maps."""

CASES = [
    *((shape, "batch", train) for shape in SIZES for train in (True, False)),
    *(((11, 17, 2), other, False) for other in ("none", "layer", "spectral")),
]
each_case = pytest.mark.parametrize(("shape", "normalization", "train"), CASES)


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """Cross-correlate without padding: [batch, height, width, in] with [rows, columns, in, out]."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijco->nhwo", windows, kernel)


def convolve_down(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Cross-correlate with stride 2 and the padding that halves the image, rounded up; an odd zero is at the end."""
    totals = [(-(-size // 2) - 1) * 2 + 4 - size for size in x.shape[1:3]]
    padding = [(0, 0), *[(total // 2, total - total // 2) for total in totals], (0, 0)]
    return convolve(np.pad(x, padding), kernel, stride=2)


def convolve_up(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Double the image: put zeros between the pixels and two around them, and cross-correlate."""
    n, height, width, channels = x.shape
    dilated = np.zeros((n, 2 * height + 3, 2 * width + 3, channels))
    dilated[:, 2:-2:2, 2:-2:2] = x
    return convolve(dilated, kernel, stride=1)


def normalize(
    x: np.ndarray, normalization: Normalization, params: Any, stats: Any, i: int, train: bool
) -> tuple[np.ndarray, dict[str, dict[str, np.ndarray]]]:
    """Return the outputs of a layer after the i-th normalization, and the new running statistics."""
    if normalization in ("none", "spectral"):
        return x, {}
    if normalization == "layer":
        affine = params[f"LayerNorm_{i}"]
        mean, variance = (moment(x, axis=(1, 2, 3), keepdims=True) for moment in (np.mean, np.var))
        return (x - mean) / np.sqrt(variance + EPSILON) * affine["scale"] + affine["bias"], {}
    name = f"BatchNorm_{i}"
    batch = {"mean": x.mean((0, 1, 2)), "var": x.var((0, 1, 2))}
    used = batch if train else stats[name]
    running = {moment: MOMENTUM * stats[name][moment] + (1 - MOMENTUM) * batch[moment] for moment in batch}
    normalized = (x - used["mean"]) / np.sqrt(used["var"] + EPSILON)
    return normalized * params[name]["scale"] + params[name]["bias"], {name: running}


def singular_values(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the singular values, largest first, and the right singular vectors as columns."""
    matrix = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])
    _, values, vectors = np.linalg.svd(matrix, full_matrices=False)
    return values, vectors.T


def kernel_and_bias(params: Any, name: str, normalization: Normalization) -> tuple[np.ndarray, Any]:
    kernel = params[name]["kernel"]
    scale = singular_values(kernel)[0][0] if normalization == "spectral" else 1
    return kernel / scale, params[name].get("bias", 0)


def variables_of(network: Any, inputs: np.ndarray) -> dict[str, Any]:
    """Return random variables, because the initial zeros and ones would hide mistakes."""
    shapes = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), jnp.float32(inputs))
    random = np.random.default_rng(0)
    drawn = {"params": partial(random.normal, 0.05, 0.1), "batch_stats": partial(random.uniform, 0.5, 1.5)}
    variables = {
        name: jax.tree.map(lambda leaf, draw=draw: np.float32(draw(leaf.shape)), shapes[name])
        for name, draw in drawn.items()
        if name in shapes
    }
    if "spectral" in shapes:  # The fixed point of the iteration, which has at most 8 vectors.
        kernels = {name.rsplit("_")[-1]: layer["kernel"] for name, layer in variables["params"].items()}
        variables["spectral"] = {
            f"SpectralNorm_{i}": {"U": np.float32(singular_values(kernel)[1][:, :8])} for i, kernel in kernels.items()
        }
    return variables


def apply(variables: dict[str, Any], inputs: Any, train: bool, *networks: Any) -> list[tuple[Any, Any]]:
    """Return the outputs and the updated statistics of networks that have the same variables."""

    @jax.jit
    def compute(variables: dict[str, Any], inputs: Any) -> list[tuple[Any, Any]]:
        mutable = ["batch_stats"] if train else []
        return [network.apply(variables, inputs, train=train, mutable=mutable) for network in networks]

    return compute(variables, np.float32(inputs))


def as_float64(variables: dict[str, Any]) -> tuple[Any, Any]:
    variables = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)
    return variables["params"], variables.get("batch_stats", {})


def assert_close(actual: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@each_case
def test_generator_matches_numpy(shape: tuple[int, int, int], normalization: Normalization, train: bool) -> None:
    network = Generator(shape=shape, width=3, normalization=normalization)
    latents = np.random.default_rng(1).normal(size=(6, 5))
    variables = variables_of(network, latents)
    ((images, updated),) = apply(variables, latents, train, network)

    params, stats = as_float64(variables)
    kernel, bias = kernel_and_bias(params, "ConvTranspose_0", normalization)
    # The cross-correlation of one pixel with full padding is the kernel rotated by 180 degrees.
    x, expected_stats = np.einsum("nc,ijco->nijo", latents, kernel[::-1, ::-1]) + bias, {}
    for i, (rows, columns) in enumerate(SIZES[shape][-2::-1]):
        x, running = normalize(x, normalization, params, stats, i, train)
        expected_stats |= running
        kernel, bias = kernel_and_bias(params, f"ConvTranspose_{i + 1}", normalization)
        x = convolve_up(np.maximum(x, 0), kernel)[:, :rows, :columns] + bias
    assert_close(images, x)
    if train:
        jax.tree.map(assert_close, updated["batch_stats"], expected_stats)
    # Batch normalization subtracts biases, except that of the last layer.
    biases = [name for name in params if "Conv" in name and "bias" in params[name]]
    assert len(biases) == (1 if normalization == "batch" else len(SIZES[shape]))


@each_case
def test_discriminator_matches_numpy(shape: tuple[int, int, int], normalization: Normalization, train: bool) -> None:
    network = Discriminator(width=3, shape=(2,), normalization=normalization)
    images = np.random.default_rng(1).normal(size=(6, *shape))
    variables = variables_of(network, images)
    clones = [network.clone(feature_layer=i + 1) for i in range(len(SIZES[shape]) - 1)]
    (outputs, updated), *of_clones = apply(variables, images, train, network, *clones)

    params, stats = as_float64(variables)
    x, expected_stats = images, {}
    for i in range(len(SIZES[shape]) - 1):
        kernel, bias = kernel_and_bias(params, f"Conv_{i}", normalization)
        x = convolve_down(x, kernel) + bias
        if i > 0:
            x, running = normalize(x, normalization, params, stats, i - 1, train)
            expected_stats |= running
        x = np.where(x > 0, x, LEAK * x)
        (same_outputs, features), _ = of_clones[i]
        assert_close(features, x)
        assert_close(same_outputs, outputs)
    kernel, bias = kernel_and_bias(params, f"Conv_{len(SIZES[shape]) - 1}", normalization)
    assert_close(outputs, np.einsum("nijc,ijco->no", x, kernel) + bias)
    if train:
        jax.tree.map(assert_close, updated["batch_stats"], expected_stats)
    else:
        assert not updated


@pytest.mark.parametrize("feature_layer", [0, 4])
def test_feature_layer_must_be_a_hidden_layer(feature_layer: int) -> None:
    network = Discriminator(width=4, feature_layer=feature_layer)
    with pytest.raises(InputError, match=rf"feature_layer must be from 1 to 3, .* got {feature_layer}\b"):
        jax.eval_shape(partial(network.init, train=False), jax.random.key(0), jnp.zeros((1, 28, 28, 1)))


@pytest.mark.usefixtures("convolutions_by_xla")
def test_numbers_of_parameters_at_64_pixels_are_published_ones() -> None:
    """The DCGAN tutorial of PyTorch has 3,576,704 and 2,765,568 for width 64 and latent_dim 100, without any biases."""
    generator, discriminator = (
        jax.eval_shape(partial(network.init, train=False), jax.random.key(0), jnp.zeros(inputs))
        for network, inputs in (
            (Generator(shape=(64, 64, 3), width=64), (1, 100)),
            (Discriminator(width=64), (1, 64, 64, 3)),
        )
    )
    output_biases = 3
    first_and_last_biases = 64 + 1
    for variables, published in (
        (generator, 3_576_704 + output_biases),
        (discriminator, 2_765_568 + first_and_last_biases),
    ):
        assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == published


def initialize(*networks: tuple[Any, tuple[int, ...]]) -> list[Any]:
    """Return the initial parameters of networks for inputs of the given shapes."""

    @jax.jit
    def compute() -> list[Any]:
        keys = jax.random.split(jax.random.key(0), len(networks))
        return [
            network.init(key, np.zeros(shape, np.float32), train=False)["params"]
            for key, (network, shape) in zip(keys, networks, strict=True)
        ]

    return jax.device_get(compute())


@pytest.mark.usefixtures("convolutions_by_xla")
def test_initial_weights_have_published_distribution() -> None:
    generator, discriminator = Generator(shape=(32, 32, 3), width=32), Discriminator(width=32)
    for params in initialize((generator, (1, 100)), (discriminator, (1, 32, 32, 3))):
        kernels = [layer["kernel"] for name, layer in params.items() if "Conv" in name]
        scales = np.concatenate([layer["scale"] for name, layer in params.items() if "BatchNorm" in name])
        biases = [layer["bias"] for layer in params.values() if "bias" in layer]
        weights = np.concatenate([np.ravel(kernel) for kernel in kernels])
        assert all(kernel.ndim == 4 for kernel in kernels)
        assert abs(weights.mean()) < 4 * 0.02 / np.sqrt(len(weights))
        assert weights.std() == pytest.approx(0.02, rel=0.02)
        assert scales.mean() == pytest.approx(1, abs=4 * 0.02 / np.sqrt(len(scales)))
        assert scales.std() == pytest.approx(0.02, rel=0.25)
        assert all((bias == 0).all() for bias in biases)


@pytest.mark.usefixtures("convolutions_by_xla")
@pytest.mark.parametrize("normalization", ["none", "spectral"])
def test_weight_scale_is_standard_deviation_of_initial_weights(normalization: Normalization) -> None:
    options: dict[str, Any] = {"width": 32, "normalization": normalization, "weight_scale": 0.3}
    networks = (Generator(shape=(8, 8, 3), **options), (1, 100)), (Discriminator(**options), (1, 8, 8, 3))
    for params in initialize(*networks):
        for layer in params.values():
            deviation = 0.3 / np.sqrt(2 * layer["kernel"].size)
            assert float(layer["kernel"].std()) == pytest.approx(0.3, abs=4 * deviation)


@pytest.mark.usefixtures("convolutions_by_xla")
@pytest.mark.parametrize(
    ("normalization", "train", "depends"),
    [
        ("batch", True, True),
        ("batch", False, False),
        ("none", True, False),
        ("layer", True, False),
        ("spectral", True, False),
    ],
)
def test_output_depends_on_other_examples_only_with_batch_normalization_in_training(
    normalization: Normalization, train: bool, depends: bool
) -> None:
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
    batches = np.stack([images, np.concatenate([images[:1], images[1:] + 1])])
    network = Discriminator(width=4, normalization=normalization)
    variables = variables_of(network, images)
    apply = partial(network.apply, train=train, mutable=STATISTICS)
    outputs, _ = jax.device_get(jax.jit(jax.vmap(apply, (None, 0)))(variables, batches))
    assert bool(np.abs(outputs[0, 0] - outputs[1, 0]) > 1e-6) == depends


def test_images_smaller_than_8x8_are_rejected() -> None:
    for network, inputs in (
        (Generator((7, 8, 1), width=4), jnp.zeros((1, 5))),
        (Discriminator(4), jnp.zeros((1, 8, 7, 1))),
    ):
        with pytest.raises(InputError, match="at least 8x8 pixels"):
            network.init(jax.random.key(0), inputs, train=False)
