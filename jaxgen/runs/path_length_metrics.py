"""Perceptual path length of a run's generator, in the latents z or in the styles w, with its protocol."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen._signatures import checked
from jaxgen.analysis.image_distances import extractor_distance
from jaxgen.analysis.image_features import Progress, no_progress
from jaxgen.errors import InputError, check_known
from jaxgen.game import State
from jaxgen.latent_functions import Styles
from jaxgen.metrics import perceptual_path_length
from jaxgen.metrics.extractors import Extractor
from jaxgen.metrics.protocol import Protocol
from jaxgen.runs.evaluation import summarize_run
from jaxgen.runs.loading import Run
from jaxgen.runs.sample_evaluation import SAMPLES, check_samples
from jaxgen.training.seeds import extract_seed, measure_seeds
from jaxgen.typing import Array, Float, KeyArray

Distance = Callable[[Array, Array], Float[Array, " n"]]


class Paths(NamedTuple):
    """Which paths are measured.

    Attributes:
        space: the latents z, or the styles w of a generator that has styles.
        sampling: steps anywhere on the path, or at its beginning.
    """

    space: Literal["z", "w"]
    sampling: Literal["full", "end"]


PATH_LENGTH_METRICS: dict[str, Paths] = {
    f"ppl_{space}{sampling}": Paths(space, sampling) for space in ("z", "w") for sampling in ("full", "end")
}
"""Name of a metric, as in the authors' program -> its paths."""

EPSILON = 1e-4
"""Length of a step, of Karras et al."""


@checked
def path_length_metrics(
    run: Run,
    key: KeyArray,
    names: Sequence[str],
    extractor: Extractor,
    *,
    count: int = SAMPLES,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Compute the perceptual path length of a run's generator.

    The distance of two images is LPIPS for the extractor `vgg16`, as published; for another one it is the squared
    difference of their features, and its numbers do not compare with published ones. Images are not rounded to bytes.
    Labels of a conditional model are uniform, and noise images are the stored ones.

    Args:
        run: run of a model that generates images from latents.
        key: PRNG key of the latents, labels and positions on the paths.
        names: names of the metrics, of `PATH_LENGTH_METRICS`.
        extractor: network of the distance.
        count: number of steps of each seed.
        progress: called with the number of steps whose distances are computed and that of all steps.

    Returns:
        Protocol, as a text -> value; for a run of several seeds what `summarize` returns for their values.

    Raises:
        InputError: if the model does not generate images from latents, has no styles for a length in w, or the images
            do not fit the extractor.

    Reference:
        Karras et al. 2019, arXiv:1812.04948, section 4.1.
    """
    for name in names:
        check_known("metric of path lengths", name, PATH_LENGTH_METRICS)
    check_paths(run, names)
    distance = extractor_distance(extractor, run.example["image"].shape[1:])
    labels = ("labels=uniform",) if "label" in run.model.conditions else ()

    def of_seed(number: int) -> dict[str, float]:
        state = extract_seed(run.state, number)
        found = {}
        for name in dict.fromkeys(names):
            paths = PATH_LENGTH_METRICS[name]
            length = perceptual_path_length(
                key,
                distance=_with_progress(distance.function, count, progress),
                sampling=paths.sampling,
                epsilon=EPSILON,
                n=count,
                **_functions(run, state, paths),
            )
            choices = (*distance.choices, *paths, f"epsilon={EPSILON:g}", f"n={count}", *labels)
            found[str(Protocol("perceptual_path_length", choices))] = length.mean
        return found

    return summarize_run(run, measure_seeds(of_seed, run.finite, run.config.seeds or 1))


def check_paths(run: Run, names: Sequence[str]) -> None:
    """Raise an InputError unless the model of a run has the paths of the metrics, and a seed has not diverged."""
    check_samples(run)
    if run.model.decode is None or run.model.sample_latent is None:
        raise InputError(f"the model '{run.family}' does not generate images from latents, so it has no path length")
    in_w = [name for name in names if PATH_LENGTH_METRICS[name].space == "w"]
    if in_w and run.model.styles is None:
        raise InputError(
            f"{in_w[0]} must be of a model with styles, such as stylegan2, and '{run.family}' has none: use "
            f"{in_w[0].replace('_w', '_z')}"
        )


def _with_progress(distance: Distance, count: int, progress: Progress) -> Distance:
    """The distance, which reports the number of steps so far."""
    done = 0

    def reporting(images: Array, others: Array) -> Array:
        nonlocal done
        done = min(done + len(images), count)
        found = distance(images, others)
        progress(done, count)
        return found

    return reporting


def _functions(run: Run, state: State, paths: Paths) -> dict[str, Any]:
    """The functions of keys and latents that a path length is computed from."""
    model, classes = run.model, run.classes if "label" in run.model.conditions else 0
    if paths.space == "z":
        generate = partial(_decoded, model.decode, classes, state)
        return {"generate": generate, "sample_latent": model.sample_latent}
    return {
        "generate": lambda key, w: _synthesized(model.styles, state, w),
        "mapping": partial(_mapped, model.styles, classes, state),
        "sample_latent": model.sample_latent,
    }


@partial(jax.jit, static_argnums=(0, 1))
def _decoded(decode: Callable[..., Array], classes: int, state: State, key: KeyArray, z: Array) -> Array:
    return decode(state, z, **_labels(key, len(z), classes))


@partial(jax.jit, static_argnums=(0, 1))
def _mapped(styles: Styles, classes: int, state: State, key: KeyArray, z: Array) -> Array:
    return styles.map(state, z, **_labels(key, len(z), classes))


@partial(jax.jit, static_argnums=0)
def _synthesized(styles: Styles, state: State, w: Array) -> Array:
    repeated = jnp.broadcast_to(w[:, None], (len(w), styles.layers, w.shape[1]))
    return styles.synthesize(state, repeated, styles.noise(state))


def _labels(key: KeyArray, n: int, classes: int) -> dict[str, Array]:
    """Uniform labels of n images; none for a model without classes."""
    return {"label": jax.random.randint(key, (n,), 0, classes)} if classes else {}
