"""Section "Gradient norm of the discriminator": between real and generated examples."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np

from jaxgen.averaging import without_averages
from jaxgen.game import State
from jaxgen.plot.points import finite_range
from jaxgen.report.gan_1d import average_note
from jaxgen.report.run_functions import preprocessed, state_of
from jaxgen.report.section import NO_SAMPLES, NotApplicable, ReportInput, Section, offered, png, require_discriminator
from jaxgen.runs.loading import Run
from jaxgen.typing import Array, Batch, Float, KeyArray, Metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 50
"""Number of bins of the histogram."""

COMPARED = 1000
"""Number of real and of generated examples between which gradients are computed."""

Evaluate: TypeAlias = Callable[[KeyArray, State, Batch], Metrics]


def gradient_norms(inputs: ReportInput) -> Section:
    """Compute the norms of the discriminator's gradient with respect to its inputs."""
    require_discriminator(inputs)
    offered(inputs.run.model.sample, NO_SAMPLES)
    evaluate = offered(inputs.run.model.evaluate, "the discriminator is applied to several examples together")
    norms = [_norms(inputs, evaluate, run) for run in inputs.runs]
    units = ", in units of the discriminator's inputs, which are pixel values in [-1, 1]" if inputs.has_images else ""
    caption = (
        f"Norm of the gradient of the discriminator's output at {len(norms[0])} points between real and generated "
        f"examples{units}. With the gradient penalty it should be near 1 (Gulrajani et al. 2017, arXiv:1704.00028, "
        "figure 1), in an mlp with spectral normalization at most 1; the gradient norms of other discriminators are "
        "not constrained." + average_note(inputs)
    )
    metrics = {
        "gradient_norm_mean": [float(of_seed.mean()) for of_seed in norms],
        "gradient_norm_sd": [float(of_seed.std(ddof=1)) if len(of_seed) > 1 else np.nan for of_seed in norms],
    }
    return Section([png("gradient_norm", _figure(norms[inputs.shown]), caption)], metrics)


def _norms(inputs: ReportInput, evaluate: Evaluate, run: Run) -> Float[np.ndarray, " n"]:
    """Norm of the gradient at one random point between each real example and a generated one."""
    real = preprocessed(inputs.training_examples)[:COMPARED]
    label = inputs.training_examples.get("label")
    label = None if label is None else np.asarray(label)[:COMPARED]
    conditions: dict[str, Any] = {"label": label} if "label" in run.model.conditions else {}
    trained_with = run._replace(state=without_averages(run.state))
    fake = np.asarray(trained_with.sample(inputs.key, len(real), **conditions))
    weight = np.asarray(jax.random.uniform(inputs.key, (len(real), *[1] * (real.ndim - 1))))
    points, name = weight * real + (1 - weight) * fake, "image" if inputs.has_images else "point"
    gradients = np.asarray(_gradients(points, evaluate, name, inputs.key, state_of(run), label))
    # The networks' inputs are images in [-1, 1], which is twice the range, or standardized points.
    by = run.standardization
    scale = 0.5 if inputs.has_images else 1.0 if by is None else np.asarray(by.scale, np.float32)
    return np.linalg.norm((scale * gradients).reshape(len(real), -1), axis=1)


def _real_output(
    x: Array, evaluate: Evaluate, name: str, key: KeyArray, state: State, label: Array | None
) -> Float[Array, ""]:
    """Sum of the discriminator's outputs for examples, images in [0, 1], as the metrics of the model have them."""
    batch: Batch = {name: x} | ({} if label is None else {"label": label})
    metrics = evaluate(key, state, batch)
    if "real_output" not in metrics:
        raise NotApplicable("the metrics of the model have no 'real_output' of the discriminator")
    return metrics["real_output"].sum()


_gradients = jax.jit(jax.grad(_real_output), static_argnums=(1, 2))  # Compiled once for all seeds.


def _figure(norms: Float[np.ndarray, " n"]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.5), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel="gradient norm", ylabel="share of the points")
    finite = norms[np.isfinite(norms)]
    edges = np.linspace(*finite_range(norms), BINS + 1).tolist()
    axes.hist(finite, edges, weights=np.full(len(finite), 1 / len(norms)), color="tab:blue")
    axes.axvline(1.0, color="0.35", linestyle=":")
    axes.set_xlim(left=0)
    return figure
