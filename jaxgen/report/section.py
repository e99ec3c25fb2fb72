"""What a section of the report is, what it receives, and functions that several sections use.

A section is a function `(inputs) -> Section`. It computes the figures and metrics of one question about a run, or
raises `NotApplicable` with the reason why the question does not apply. `jaxgen.report.SECTIONS` lists all sections.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxgen import plot
from jaxgen.data import Stream, random_examples
from jaxgen.data.large_arrays import map_batches
from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.models.labels import each_label
from jaxgen.models.preprocessing import is_image, preprocess
from jaxgen.runs.evaluation import load_test_split, with_data_in
from jaxgen.runs.loading import Run, abstract_state, single
from jaxgen.runs.log_file import logged_value, read_log
from jaxgen.training.checkpoint import completed, restore
from jaxgen.training.seeds import extract_seed, select_seed
from jaxgen.training.states import initial_state
from jaxgen.typing import AnyArray, Array, Batch, Float, Int, KeyArray, Shaped

Function = TypeVar("Function")

EXAMPLES = 5000
"""Largest number of examples of each split that sections use."""

MAX_CURVES = 24
"""Largest number of metrics in a figure."""

NO_SAMPLES = "the model does not sample"
NO_ENCODER = "the model has no encoder"
NO_DECODER = "the model has no decoder"


class NotApplicable(Exception):  # noqa: N818  It is not an error.
    """Raised by a section that does not apply to a run; the message is the reason, as a clause."""


class FigureFile(NamedTuple):
    """A figure as the content of a file.

    Attributes:
        name: name of the file.
        content: content of the file, PNG or GIF.
        caption: what the figure shows, what is expected, and the reference.
    """

    name: str
    content: bytes
    caption: str


class Section(NamedTuple):
    """Result of a section.

    Attributes:
        figures: figures in the order of the report.
        metrics: metric name -> its value for each seed that has not diverged.
    """

    figures: Sequence[FigureFile] = ()
    metrics: Mapping[str, Sequence[float]] = {}


SectionFunction = Callable[["ReportInput"], Section]


@dataclasses.dataclass(frozen=True)
class ReportInput:
    """What a section receives: a run and its data.

    Attributes:
        run: the run with all of its seeds.
        seed: seed of everything that sections draw.
        training_examples: random examples of the training split, at most `EXAMPLES`.
        test_split: the complete test split.
        test_examples: random examples of the test split, at most `EXAMPLES`.
        run_index: number of the seed that figures of one seed show; None for the first that has not diverged.
    """

    run: Run
    seed: int
    training_examples: Batch
    test_split: Batch | Stream
    test_examples: Batch
    run_index: int | None = None

    @property
    def key(self) -> KeyArray:
        """PRNG key of everything that sections draw."""
        return jax.random.key(self.seed)

    @property
    def finite(self) -> list[int]:
        """Numbers of the seeds that have not diverged."""
        return self.run.finite

    @cached_property
    def runs(self) -> list[Run]:
        """One run of a single seed for each seed that has not diverged."""
        return [single(self.run, i) for i in self.finite]

    @property
    def shown_number(self) -> int:
        """Number of the seed that figures of one seed show."""
        return self.run.first_finite if self.run_index is None else self.run_index

    @property
    def shown(self) -> int:
        """Position of that seed in `finite` and in `runs`."""
        return self.finite.index(self.shown_number)

    @property
    def shown_run(self) -> Run:
        """The run of that seed."""
        return self.runs[self.shown]

    @property
    def has_images(self) -> bool:
        """Whether the data are images; otherwise they are points."""
        return is_image(self.run.example)

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The complete lines of `metrics.jsonl`, without those that are no lines of a log."""
        try:
            return read_log(self.run.folder)
        except InputError as error:
            raise NotApplicable(str(error)) from None

    def history(
        self, *names: str, complete: bool = True
    ) -> tuple[Int[np.ndarray, " steps"], list[Float[np.ndarray, "seeds steps"]]]:
        """Return the logged values of some metrics, for the seeds that have not diverged.

        Args:
            *names: names of the metrics.
            complete: whether to return only the steps at which all of the metrics were logged; otherwise those at which
                any of them was.

        Returns:
            The steps, and the values of each metric; NaN where a value is not finite or was not logged.

        Raises:
            NotApplicable: if there are no such steps.
        """
        needed = all if complete else any
        lines = [line for line in self.log if needed(name in line for name in names)]
        if not lines:
            raise NotApplicable(f"the log has no {' beside '.join(names)}")
        single = self.run.config.seeds is None
        values = [
            [[logged_value(line, name, None if single else i) for line in lines] for i in self.finite] for name in names
        ]
        return np.array([line["step"] for line in lines]), [np.array(value, float) for value in values]


def load_input(run: Run, *, seed: int, data_dir: str | None = None, run_index: int | None = None) -> ReportInput:
    """Load the data of a run for its report.

    Args:
        run: run to report on.
        seed: seed of everything that sections draw.
        data_dir: folder of the data sets, if it is not that of the training.
        run_index: number of the seed that figures of one seed show; None for the first that has not diverged.

    Returns:
        The input of all sections.

    Raises:
        InputError: if the data cannot be loaded, or their shapes differ from those of the training.
    """
    run, key = with_data_in(run, data_dir), jax.random.key(seed)
    open_split = run.config.source.splits()
    test, training = load_test_split(run.config, run.example, open_split), open_split("train").data
    return ReportInput(
        run=run,
        seed=seed,
        training_examples=random_examples(key, training, EXAMPLES),
        test_split=test,
        test_examples=random_examples(key, test, EXAMPLES),
        run_index=run_index,
    )


def state_of(run: Run) -> State:
    """Return the state of a run of a single seed, without the axis of seeds.

    Args:
        run: run of a single seed.

    Returns:
        The state that the model's functions take.
    """
    return extract_seed(run.state, 0)


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


def png(name: str, figure: plot.Drawing, caption: str) -> FigureFile:
    """Render a figure as a PNG file of the report.

    Args:
        name: name of the file without its suffix.
        figure: figure to render.
        caption: caption in the report.

    Returns:
        The file.

    Example:
        >>> from matplotlib.figure import Figure
        >>> png("empty", Figure(figsize=(1, 1)), "An empty figure.").name
        'empty.png'
    """
    return FigureFile(f"{name}.png", plot.render(figure, "png"), caption)


def gif(name: str, frames: Sequence[Any], caption: str, *, seconds: float = 0.3) -> FigureFile:
    """Render figures as an animated GIF file of the report.

    Args:
        name: name of the file without its suffix.
        frames: figures, or images as `plot.render_animation` takes them.
        caption: caption in the report.
        seconds: duration of a frame in seconds.

    Returns:
        The file.

    Example:
        >>> gif("black", [np.zeros((8, 8, 3), np.uint8)], "A black image.").name
        'black.gif'
    """
    return FigureFile(f"{name}.gif", plot.render_animation(frames, seconds=seconds), caption)


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


def offered(function: Function | None, reason: str) -> Function:
    """Return a function of a model that a section needs.

    Args:
        function: the function, None if the model does not offer it.
        reason: why the section does not apply then.

    Returns:
        The function.

    Raises:
        NotApplicable: if the model does not offer it.

    Example:
        >>> offered(None, "the model does not sample")
        Traceback (most recent call last):
        jaxgen.report.section.NotApplicable: the model does not sample
    """
    if function is None:
        raise NotApplicable(reason)
    return function


def check_curves(names: Sequence[str]) -> None:
    """Raise `NotApplicable` if a log, which may have been edited, has more metrics than a figure can show."""
    if len(names) > MAX_CURVES:
        raise NotApplicable(f"a figure shows at most {MAX_CURVES} metrics, and the log has {len(names)}")


def require_finite(values: AnyArray, name: str) -> np.ndarray:
    """Return values as a NumPy array.

    Args:
        values: numbers that a figure is made of.
        name: what they are, in the plural.

    Raises:
        NotApplicable: if one is NaN or infinite, as those of a network whose training has failed.

    Example:
        >>> require_finite(np.array([1.0, np.nan]), "latents")
        Traceback (most recent call last):
        jaxgen.report.section.NotApplicable: the latents are not finite
    """
    array = np.asarray(values)
    if not np.isfinite(array).all():
        raise NotApplicable(f"the {name} are not finite")
    return array


def require_discriminator(inputs: ReportInput) -> None:
    """Raise `NotApplicable` unless one player is named `discriminator`."""
    if not any(player.name == "discriminator" for player in inputs.run.model.players):
        raise NotApplicable("the model has no discriminator")


def require_images(inputs: ReportInput) -> None:
    """Raise `NotApplicable` unless the data are images."""
    if not inputs.has_images:
        raise NotApplicable("the data are points, not images")


# Compiled once for all seeds, sections and batches of the same size.


@partial(jax.jit, static_argnums=0)
def _drawn(draw: Callable[..., Array], key: KeyArray, state: State, batch: Batch) -> Array:
    return draw(key, select_seed(state, 0), batch)
