"""Functions of a run that several sections use: its checkpoints, examples, latents of both, and decoded latents."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxgen.data.large_arrays import map_batches
from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.models.labels import each_label
from jaxgen.models.preprocessing import preprocess
from jaxgen.report.section import NO_DECODER, NO_ENCODER, ReportInput, offered, require_images
from jaxgen.runs.loading import Run, abstract_state, single
from jaxgen.runs.run_styles import RunStyles, run_styles
from jaxgen.training.checkpoint import completed, restore
from jaxgen.training.seeds import extract_seed, select_seed
from jaxgen.training.states import initial_state
from jaxgen.typing import AnyArray, Array, Batch, Float, Int, KeyArray, Shaped


def state_of(run: Run) -> State:
    """Return the state of a run of a single seed, without the axis of seeds.

    Args:
        run: run of a single seed.

    Returns:
        The state that the model's functions take.
    """
    return extract_seed(run.state, 0)


def styles_of(inputs: ReportInput, run: Run | None = None) -> RunStyles:
    """Return the styles of a run of a single seed.

    Args:
        inputs: input of a section.
        run: the run; None for the one that figures show.

    Returns:
        The functions.

    Raises:
        NotApplicable: if the generator has no styles.
    """
    offered(inputs.run.model.styles, "the model has no generator with styles")
    require_images(inputs)
    return run_styles(inputs.shown_run if run is None else run)


def checkpointed_runs(run: Run, number: int = 0) -> list[tuple[int, Run]]:
    """Return one seed before training and at every checkpoint.

    Args:
        run: run of one seed or of several.
        number: number of the seed.

    Returns:
        The number of completed steps, and the run of a single seed with its state at that step.
    """
    like = abstract_state(run.model, run.config, run.example)
    states = {0: initial_state(run.model, run.config.keys, run.example)}
    for step in completed(run.folder / "checkpoints"):
        # Instead of a damaged checkpoint the one before it is restored again, if there is one.
        with contextlib.suppress(InputError):
            restored = restore(run.folder / "checkpoints", like, until=step)
            states[restored.step] = restored.state
    return [(step, single(run._replace(state=state), number)) for step, state in states.items()]


def preprocessed(batch: Batch) -> Float[np.ndarray, " n *event"]:
    """Return the examples of a batch as floats: images in [0, 1], points unchanged.

    Args:
        batch: batch of images or points.

    Returns:
        The examples as a NumPy array.

    Example:
        >>> preprocessed({"point": np.array([[0.5, 2.0]], np.float32)})
        array([[0.5, 2. ]], dtype=float32)
    """
    return np.asarray(preprocess(batch))


def select_examples(batch: Batch, indices: Sequence[int] | Int[np.ndarray, " n"]) -> Batch:
    """Return the examples with the given indices.

    Args:
        batch: batch of examples.
        indices: indices of the examples.

    Returns:
        A batch of these examples in this order.

    Example:
        >>> select_examples({"label": np.array([4, 5, 6])}, [2, 0])
        {'label': array([6, 4])}
    """
    return {name: np.asarray(array)[np.asarray(indices)] for name, array in batch.items()}


def indices_over_classes(batch: Batch, count: int) -> Int[np.ndarray, " count"]:
    """Return indices of examples that cycle through the classes: successive examples have different labels.

    Args:
        batch: batch of examples; without labels, the first examples are chosen.
        count: number of indices.

    Returns:
        The indices; some repeat where there are fewer examples.

    Example:
        >>> batch = {"point": np.zeros((5, 2)), "label": np.array([0, 0, 0, 1, 1])}
        >>> indices_over_classes(batch, 4).tolist()
        [0, 3, 1, 4]
    """
    if "label" not in batch:
        return np.arange(count) % len(preprocessed(batch))
    label = np.asarray(batch["label"])
    by_class = [np.flatnonzero(label == k) for k in np.unique(label)]
    chosen = [by_class[i % len(by_class)] for i in range(count)]
    return np.array([indices[i // len(by_class) % len(indices)] for i, indices in enumerate(chosen)])


def prior_latents(run: Run, key: KeyArray, n: int) -> Float[Array, "n latent"]:
    """Draw latents from the distribution from which the model draws them to sample.

    Args:
        run: run of one seed or of several; the distribution is the same for all.
        key: PRNG key of the latents.
        n: number of latents.

    Returns:
        `[n, latent_dim]`.

    Raises:
        NotApplicable: if the model does not sample latents.
    """
    return offered(run.model.sample_latent, "the model does not sample latents")(key, n)


def posterior_latents(run: Run, key: KeyArray, batch: Batch) -> Float[Array, "n latent"]:
    """Draw one latent from q(z|x) for each example.

    Args:
        run: run of a single seed.
        key: PRNG key of the draws.
        batch: any number of examples.

    Returns:
        `[n, latent_dim]`; the latents of `encode` where the encoder gives no distribution.

    Raises:
        NotApplicable: if the model has no encoder.
    """
    offered(run.model.encode, NO_ENCODER)
    draw = run.model.sample_posterior
    if draw is None:
        return run.encode(batch)

    def of_batch(part: dict[str, Any]) -> Array:
        numbers = part.pop("number")
        return _drawn(draw, jax.random.fold_in(key, int(numbers[0])), run.state, part)

    return map_batches(of_batch, {"number": np.arange(len(preprocessed(batch))), **batch})


def decode(
    run: Run, latents: Float[AnyArray, "n latent"], label: AnyArray | int | None = None
) -> Shaped[np.ndarray, " n *event"]:
    """Decode any number of latents.

    Args:
        run: run of a single seed.
        latents: latents [n, latent_dim].
        label: condition of a model that is conditional on labels, one for all or one for each; None to cycle through
            the classes. Other models do not use it.

    Returns:
        `[n, *event]`.

    Raises:
        NotApplicable: if the model has no decoder.
    """
    offered(run.model.decode, NO_DECODER)
    conditions = {}
    if "label" in run.model.conditions:
        conditions["label"] = np.asarray(each_label(label, len(latents), run.classes))
    return np.asarray(run.decode(latents, **conditions))


def label_note(run: Run) -> str:
    """Return the sentence of a caption for latents that are all decoded with label 0; empty if unconditional."""
    return " All latents are decoded with label 0." if "label" in run.model.conditions else ""


# Compiled once for all seeds, sections and batches of the same size.


@partial(jax.jit, static_argnums=0)
def _drawn(draw: Callable[..., Array], key: KeyArray, state: State, batch: Batch) -> Array:
    return draw(key, select_seed(state, 0), batch)
