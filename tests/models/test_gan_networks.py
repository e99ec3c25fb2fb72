"""Conditions, packing and latents of GANs against NumPy."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from scipy.stats import kstest, truncnorm

from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.models.gan import Config, build
from tests.models.gan_reference import (
    IMAGES,
    LABELLED,
    MLP,
    POINTS,
    discriminator_latent,
    first_step,
    generated,
    generator_latent,
    leaky_relu,
    logits,
    mlp,
    outputs,
    softplus,
    trained,
)
from tests.models.random_states import random_state


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(4)[labels]


def conditional(condition: Any) -> tuple[State, dict[str, float], np.ndarray, np.ndarray]:
    """Return initial state, metrics of the first step, and the real and generated points of the discriminator."""
    key = jax.random.key(5)
    start, metrics = first_step(build(replace(MLP, condition=condition), LABELLED), LABELLED, key)
    z = np.concatenate([discriminator_latent(key, 0, (40, 3)), one_hot(LABELLED["label"])], axis=1)
    return start, metrics, LABELLED["point"], generated(start, z)


def test_concatenation_appends_the_class_to_the_inputs_of_both_networks() -> None:
    start, metrics, real, fake = conditional("concatenation")
    columns = one_hot(LABELLED["label"])
    r, f = (logits(start, np.concatenate([x, columns], axis=1)) for x in (real, fake))
    assert metrics["discriminator/loss"] == pytest.approx((softplus(-r) + softplus(f)).mean(), rel=1e-5)


def test_projection_adds_inner_product_of_class_and_features() -> None:
    """D(x, y) = psi(phi(x)) + v_y' phi(x), phi being the last hidden layer; the bias of psi depends on the class."""
    start, metrics, real, fake = conditional("projection")
    layers = start.params["discriminator"]
    hidden = {"Dense_0": layers["Dense_0"]}
    kernel, bias = (np.float64(layers["Dense_1"][name]) for name in ("kernel", "bias"))

    def output(x: np.ndarray) -> np.ndarray:
        phi = leaky_relu(mlp(hidden, x, leaky_relu))
        psi, v = phi @ kernel[:, 0] + bias[0], kernel[:, 1:].T[LABELLED["label"]]
        return psi + (v * phi).sum(axis=1) + bias[1:][LABELLED["label"]]

    r, f = output(real), output(fake)
    assert metrics["discriminator/loss"] == pytest.approx((softplus(-r) + softplus(f)).mean(), rel=1e-5)


def test_auxiliary_classifier_adds_cross_entropy_of_the_class() -> None:
    start, metrics, real, fake = conditional("auxiliary_classifier")

    def class_nll(values: np.ndarray) -> float:
        class_logits = values[:, 1:]
        of_label = class_logits[np.arange(40), LABELLED["label"]]
        return float((np.log(np.exp(class_logits).sum(axis=1)) - of_label).mean())

    r, f = outputs(start, real), outputs(start, fake)
    adversarial = (softplus(-r[:, 0]) + softplus(f[:, 0])).mean()
    assert metrics["discriminator/class_nll"] == pytest.approx(class_nll(r) + class_nll(f), rel=1e-5)
    assert metrics["discriminator/loss"] == pytest.approx(adversarial + class_nll(r) + class_nll(f), rel=1e-5)
    z = np.concatenate([generator_latent(jax.random.key(5), 40), one_hot(LABELLED["label"])], axis=1)
    of_generator = outputs(start, generated(start, z))
    expected = softplus(-of_generator[:, 0]).mean() + class_nll(of_generator)
    assert metrics["generator/loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("condition", "penalty", "weight"),
    [("none", "r1", 3.0), ("auxiliary_classifier", "none", None), ("auxiliary_classifier", "r1", 3.0)],
)
def test_adversarial_loss_is_the_loss_without_penalty_and_class_terms(
    condition: Any, penalty: Any, weight: float | None
) -> None:
    key = jax.random.key(5)
    config = replace(MLP, condition=condition, penalty=penalty, penalty_weight=weight)
    start, metrics = first_step(build(config, LABELLED), LABELLED, key)
    columns = one_hot(LABELLED["label"])[:, : 0 if condition == "none" else 4]
    z = np.concatenate([discriminator_latent(key, 0, (40, 3)), columns], axis=1)
    r, f = logits(start, LABELLED["point"]), logits(start, generated(start, z))
    adversarial = (softplus(-r) + softplus(f)).mean()
    assert metrics["discriminator/adversarial_loss"] == pytest.approx(adversarial, rel=1e-5)
    penalized = (weight or 0.0) * metrics.get("discriminator/penalty", 0.0)
    rest = penalized + metrics.get("discriminator/class_nll", 0.0)
    assert rest > 0.01
    assert metrics["discriminator/loss"] == pytest.approx(adversarial + rest, rel=1e-5)


@pytest.mark.parametrize("condition", ["concatenation", "projection", "auxiliary_classifier"])
def test_conditional_gan_learns_where_each_class_is(condition: Any) -> None:
    """Four classes at the corners of a square: samples of a class are at its own corner."""
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], np.float32)
    label = np.arange(256) % 4
    points = corners[label] + 0.1 * np.random.default_rng(0).normal(size=(256, 2)).astype(np.float32)
    batch = {"point": points, "label": label}
    model = build(Config(hidden=(32, 32), condition=condition, penalty="r1", penalty_weight=0.1), batch)
    assert model.conditions == ("label",)
    state = trained(model, batch, steps=400)
    sample = jax.jit(lambda label: model.sample(jax.random.key(0), state, 200, label=label))
    for i, corner in enumerate(corners):
        assert np.mean(np.sign(sample(np.full(200, i))) == corner) > 0.95, corner


def test_packed_discriminator_is_applied_to_several_examples_together() -> None:
    key = jax.random.key(5)
    start, metrics = first_step(build(replace(MLP, packing=4), POINTS), POINTS, key)
    packs = POINTS["point"].reshape(10, 8)
    fake = generated(start, discriminator_latent(key, 0, (40, 3))).reshape(10, 8)
    expected = (softplus(-logits(start, packs)) + softplus(logits(start, fake))).mean()
    assert metrics["discriminator/loss"] == pytest.approx(expected, rel=1e-5)


def test_packed_images_are_joined_along_channels() -> None:
    model = build(Config(width=4, packing=2, latent_dim=4), IMAGES)
    state = jax.eval_shape(model.init, jax.random.key(0), IMAGES)
    assert state.params["discriminator"]["Conv_0"]["kernel"].shape[2] == 2
    samples = jax.eval_shape(lambda state: model.sample(jax.random.key(0), state, 3), state)
    assert samples.shape == (3, 8, 8, 1)


def test_packing_that_does_not_divide_the_batch_raises_input_error() -> None:
    model = build(Config(packing=3), POINTS)
    with pytest.raises(InputError, match="batch size must divide by the packing of 3, got 40 examples"):
        jax.eval_shape(model.step, jax.random.key(0), jax.eval_shape(model.init, jax.random.key(0), POINTS), POINTS)


def test_uniform_latents_are_uniform_between_minus_one_and_one() -> None:
    model = build(Config(hidden=(), latent_dim=2, latent_distribution="uniform"), POINTS)
    state = random_state(model, POINTS)
    layer = {"kernel": np.eye(2, dtype=np.float32), "bias": np.zeros(2, np.float32)}
    z = model.sample(jax.random.key(1), state.replace(params=state.params | {"generator": {"Dense_0": layer}}), 2000)
    assert kstest(np.ravel(z), "uniform", (-1, 2)).pvalue > 0.01


def test_label_of_unconditional_model_and_unknown_label_raise_input_error() -> None:
    plain, conditioned = (build(Config(hidden=(4,), condition=c), LABELLED) for c in ("none", "projection"))
    states = [jax.eval_shape(model.init, jax.random.key(0), LABELLED) for model in (plain, conditioned)]
    with pytest.raises(InputError, match="this model is not conditioned on labels"):
        plain.sample(jax.random.key(0), states[0], 3, label=1)
    with pytest.raises(InputError, match="label must be from 0 to 3, as there are 4 classes, got 4"):
        conditioned.sample(jax.random.key(0), states[1], 3, label=4)


@pytest.mark.parametrize("bound", [0.02, 0.5, 2.0])
def test_truncated_latents_are_those_of_a_truncated_normal_distribution(bound):
    """Coordinates beyond the bound are drawn again, not clipped to it, nor is the distribution scaled."""
    model = build(MLP, POINTS)
    latents = np.asarray(model.sample_latent(jax.random.key(0), 5000, truncation=bound), np.float64)
    assert np.abs(latents).max() <= bound
    assert kstest(latents.ravel(), truncnorm(-bound, bound).cdf).pvalue > 0.01


def test_samples_are_those_of_the_truncated_latents_also_where_the_bound_is_traced():
    model, key = build(MLP, POINTS), jax.random.key(1)
    state = random_state(model, POINTS)
    expected = model.decode(state, model.sample_latent(key, 7, truncation=0.3))
    np.testing.assert_array_equal(model.sample(key, state, 7, truncation=0.3), expected)
    traced = jax.jit(lambda bound: model.sample(key, state, 7, truncation=bound))(0.3)
    np.testing.assert_allclose(traced, expected, rtol=1e-5, atol=1e-6)


def test_truncation_of_latents_with_bounds_of_their_own_is_refused():
    model = build(replace(MLP, latent_distribution="uniform"), POINTS)
    with pytest.raises(InputError, match="truncation must be left out: this model has none"):
        model.sample_latent(jax.random.key(0), 3, truncation=0.5)
    with pytest.raises(InputError, match="the latents of this model have no option psi"):
        model.sample_latent(jax.random.key(0), 3, psi=0.5)


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan"), float("inf"), True, [0.5, 0.5], "1"])
def test_a_bound_of_latents_that_is_no_positive_number_is_refused(bound):
    model = build(MLP, POINTS)
    with pytest.raises(InputError, match="truncation must be"):
        model.sample_latent(jax.random.key(0), 3, truncation=bound)
