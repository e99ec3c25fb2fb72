import functools
from typing import Any

import jax
import numpy as np
import pytest
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.models.autoencoder import Config, build
from jaxgen.training.loop import fit
from jaxgen.typing import Batch
from tests.models.random_states import random_state


@functools.lru_cache
def pixels(split: str) -> np.ndarray:
    """Return the digits as float64 vectors with values in [0, 1]."""
    return load("digits", split=split)["image"].reshape(-1, 64) / 255.0


def principal_components(latent_dim: int, examples: int | None = None) -> tuple[PCA, float]:
    """Return the principal components of the first training digits, and their error per pixel on the test digits."""
    pca = PCA(latent_dim).fit(pixels("train")[:examples])
    test = pixels("test")
    return pca, float(np.mean((pca.inverse_transform(pca.transform(test)) - test) ** 2))


def mse(model: Model, state: State) -> float:
    metrics = jax.jit(model.evaluate)(jax.random.key(0), state, load("digits", split="test"))
    return float(metrics["mse"].mean())


def linear_model(data: Batch, **options: Any) -> tuple[Model, State, dict[str, np.ndarray]]:
    """Return a linear autoencoder with random weights and biases, and its weights in float64."""
    model = build(Config(architecture="linear", **options), data)
    state = random_state(model, data, scale=0.3, seed=0)
    weights = {
        f"{network}_{name}": np.asarray(value, np.float64)
        for network in ("encoder", "decoder")
        for name, value in state.params[network]["Dense_0"].items()
    }
    return model, state, weights


def test_linear_autoencoder_finds_principal_components() -> None:
    digits = {"image": load("digits")["image"][:300]}
    model = build(Config(architecture="linear", latent_dim=4, learning_rate=1e-2), digits)
    # Every batch has all digits: without the noise of small batches Adam converges at a constant learning rate.
    state = fit(model, digits, key=jax.random.key(0), steps=1500, batch_size=300).state
    pca, best = principal_components(4, examples=300)
    assert mse(model, state) == pytest.approx(best, rel=0.005)
    decoded = np.float64(jax.jit(model.decode)(state, np.eye(5, 4, dtype=np.float32)))
    axes = decoded[:4] - decoded[4]
    angles = np.degrees(subspace_angles(axes.reshape(4, 64).T, pca.components_.T))
    assert angles.max() < 2.0


@pytest.mark.parametrize(
    ("options", "steps"), [({"hidden": (128, 64)}, 300), ({"architecture": "conv", "width": 16}, 600)]
)
def test_nonlinear_autoencoder_has_lower_test_error_than_principal_components(
    options: dict[str, Any], steps: int
) -> None:
    digits = load("digits")
    model = build(Config(latent_dim=2, learning_rate=5e-3, **options), digits)
    state = fit(model, digits, key=jax.random.key(0), steps=steps, batch_size=128).state
    assert mse(model, state) < 0.95 * principal_components(2)[1]


def test_linear_denoising_autoencoder_learns_wiener_filter() -> None:
    x = np.random.default_rng(0).normal(size=(1000, 2)) * [2.0, 0.5] + [3.0, -1.0]
    data = {"point": x.astype(np.float32)}
    model = build(
        Config(architecture="linear", latent_dim=2, corruption="gaussian", corruption_level=1.0, learning_rate=3e-3),
        data,
    )
    state = fit(model, data, key=jax.random.key(0), steps=2000, batch_size=1000).state
    covariance = np.cov(x.T)
    # The best affine estimate of x from x with noise of variance 1.
    gain = np.linalg.solve(covariance + np.eye(2), covariance)
    noisy = np.array([[0.0, 0.0], [3.0, -1.0], [5.0, 1.0]], np.float32)
    expected = x.mean(axis=0) + (noisy - x.mean(axis=0)) @ gain
    np.testing.assert_allclose(model.reconstruct(state, {"point": noisy}), expected, atol=0.1)


def test_loss_metrics_and_evaluation_match_numpy() -> None:
    rng = np.random.default_rng(0)
    data = {"image": rng.integers(0, 256, (7, 8, 8, 1), np.uint8)}
    model, state, w = linear_model(data, latent_dim=3, l1=0.7, l2=0.3)
    x = data["image"].reshape(7, 64) / 255.0
    latent = x @ w["encoder_kernel"] + w["encoder_bias"]
    reconstruction = latent @ w["decoder_kernel"] + w["decoder_bias"]
    error = ((reconstruction - x) ** 2).sum(axis=1)
    penalty = 0.7 * np.abs(latent).sum(axis=1) + 0.3 * (latent**2).sum(axis=1)

    @jax.jit
    def compute() -> Any:
        key = jax.random.key(0)
        loss, (_, metrics) = model.players[0].loss(key, state.params, state, data)
        return (
            loss,
            metrics,
            model.encode(state, data),
            model.reconstruct(state, data),
            model.evaluate(key, state, data),
        )

    loss, metrics, encoded, reconstructed, errors = compute()
    assert float(loss) == pytest.approx(np.mean(error + penalty), rel=1e-5)
    assert float(metrics["squared_error"]) == pytest.approx(error.mean(), rel=1e-5)
    assert float(metrics["penalty"]) == pytest.approx(penalty.mean(), rel=1e-5)
    np.testing.assert_allclose(encoded, latent, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(reconstructed.reshape(7, 64), reconstruction, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(errors["squared_error"], error, rtol=1e-5)
    np.testing.assert_allclose(errors["mse"], error / 64, rtol=1e-5)


def test_samples_are_decoded_standard_normal_latents() -> None:
    model, state, w = linear_model({"point": np.zeros((1, 3), np.float32)}, latent_dim=2)
    samples = np.float64(jax.jit(lambda: model.sample(jax.random.key(0), state, 100_000))())
    np.testing.assert_allclose(samples.mean(axis=0), w["decoder_bias"], atol=0.02)
    np.testing.assert_allclose(np.cov(samples.T), w["decoder_kernel"].T @ w["decoder_kernel"], rtol=0.03, atol=0.01)


def test_corruption_applies_to_training_only() -> None:
    digits = {"image": load("digits", split="test")["image"][:20]}
    plain, noisy = (build(Config(corruption=corruption, hidden=(8,)), digits) for corruption in ("none", "masking"))
    state = random_state(plain, digits, scale=0.3, seed=0)

    @jax.jit
    def compute() -> Any:
        losses = [
            [model.players[0].loss(jax.random.key(i), state.params, state, digits)[0] for i in (0, 1)]
            for model in (plain, noisy)
        ]
        return losses, plain.reconstruct(state, digits), noisy.reconstruct(state, digits)

    losses, of_plain, of_noisy = compute()
    np.testing.assert_array_equal(of_plain, of_noisy)
    for (first, second), same in zip(losses, (True, False), strict=True):
        assert bool(first == second) == same


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "latent_dim must be positive and finite, got 0"),
        ({"hidden": (400, 0)}, "hidden must be positive and finite, got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        ({"l1": -0.1}, "l1 must be finite and not negative"),
        (
            {"corruption": "masking", "corruption_level": 1.5},
            "corruption_level must be a probability, at most 1, for masking, got 1.5",
        ),
        ({"corruption": "gausian"}, "no corruption 'gausian': did you mean 'gaussian'"),
        ({"architecture": "convolutional"}, "no architecture 'convolutional'"),
        ({"architecture": "conv"}, r"shape must be \(height, width, channels\) .* got \(2,\)"),
        ({"corruption": "salt_and_pepper"}, "salt and pepper are black and white"),
    ],
)
def test_invalid_options_raise_input_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Config(**options), {"point": np.zeros((1, 2), np.float32)})


def test_images_too_small_for_convolutions_raise_input_error_on_build() -> None:
    with pytest.raises(InputError, match="at least 8x8 pixels for a convolutional network, got 5x9"):
        build(Config(architecture="conv"), {"image": np.zeros((1, 5, 9, 1), np.uint8)})


def test_sample_posterior_returns_latent_of_deterministic_encoder() -> None:
    data = {"point": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)}
    model, state, weights = linear_model(data, latent_dim=2)
    latent = data["point"] @ weights["encoder_kernel"] + weights["encoder_bias"]
    draw = jax.jit(model.sample_posterior)
    for seed in range(2):
        np.testing.assert_allclose(draw(jax.random.key(seed), state, data), latent, rtol=1e-5, atol=1e-6)
