"""Section "Latents by class": latents of test examples in the plane, coloured by class."""

from collections.abc import Callable

import jax
import numpy as np

from jaxgen import plot
from jaxgen.report.run_functions import posterior_latents
from jaxgen.report.section import NO_ENCODER, ReportInput, Section, offered, png, require_finite
from jaxgen.runs.loading import Run
from jaxgen.typing import AnyArray, Array, Batch, Float, KeyArray

POINTS = 2000
"""Largest number of latents in a scatter plot, and in the estimate of the MMD."""


def latents(inputs: ReportInput) -> Section:
    """Plot the latents of test examples by class."""
    offered(inputs.run.model.encode, NO_ENCODER)
    encoded = require_finite(encoded_examples(inputs, inputs.shown_run), "latents of the examples")
    label = latent_batch(inputs).get("label")
    figure = plot.scatter_by_label(
        principal_plane(encoded)(encoded),
        label=None if label is None else np.asarray(label),
        class_names=inputs.run.class_names,
    )
    caption = (
        f"Latents of {len(encoded)} test examples, in the plane of their largest variance, coloured by class. Classes "
        "are separated if the latents represent them; the latents of a model that is conditional on the class should "
        "not represent it. Where the encoder gives a distribution q(z|x), the latent of an example is one draw from it."
    )
    return Section([png("latents_by_class", figure, caption)])


def latent_batch(inputs: ReportInput) -> Batch:
    """Return the test examples whose latents are drawn."""
    return {name: array[:POINTS] for name, array in inputs.test_examples.items()}


def latent_keys(inputs: ReportInput) -> tuple[KeyArray, KeyArray, KeyArray]:
    """Return independent keys of the latents of examples, of latents of the prior, and of the MMD.

    With one key, a posterior that has become the prior would draw the latents with which it is compared.
    """
    encoded_key, prior_key, mmd_key = jax.random.split(inputs.key, 3)
    return encoded_key, prior_key, mmd_key


def encoded_examples(inputs: ReportInput, run: Run) -> Float[Array, "n latent"]:
    """Return one draw from q(z|x) for each example of `latent_batch`, for a run of a single seed."""
    return posterior_latents(run, latent_keys(inputs)[0], latent_batch(inputs))


def principal_plane(latents: Float[np.ndarray, "n dim"]) -> Callable[[AnyArray], Float[np.ndarray, "n 2"]]:
    """Return the projection to the plane in which latents have the largest variance.

    Args:
        latents: latents [n, dim].

    Returns:
        A function from latents [m, dim] to [m, 2]: in two dimensions the identity, in one dimension 0 is appended.

    Example:
        >>> project = principal_plane(np.array([[0.0, 0.0, -3.0], [0.0, 1.0, 3.0], [0.0, -1.0, 0.0]]))
        >>> project(np.array([[7.0, 0.0, 0.0]])).round(6) + 0.0
        array([[0., 0.]])
    """
    if latents.shape[1] == 2:
        return np.asarray
    if latents.shape[1] == 1:
        return lambda x: np.concatenate([np.asarray(x), np.zeros_like(x)], axis=1)
    # A single latent has no directions of its own: the full matrix has some.
    axes = np.linalg.svd(latents - latents.mean(axis=0), full_matrices=len(latents) < 2)[2][:2]
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    return lambda x: np.asarray(x) @ axes.T
