"""What a section of the report is, what it receives, and functions that several sections use.

A section is a function `(inputs) -> Section`. It computes the figures and metrics of one question about a run, or
raises `NotApplicable` with the reason why the question does not apply. `jaxgen.report.SECTIONS` lists all sections.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxgen import plot
from jaxgen.data import Stream, random_examples
from jaxgen.errors import InputError
from jaxgen.models.preprocessing import is_image
from jaxgen.runs.evaluation import load_test_split, with_data_in
from jaxgen.runs.loading import Run, single
from jaxgen.runs.log_file import logged_value, read_log
from jaxgen.runs.preparation import divided
from jaxgen.typing import AnyArray, Batch, Float, Int, KeyArray

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
    test = load_test_split(run.config, run.example, open_split)
    training = divided(open_split("train").data, run.config).data
    return ReportInput(
        run=run,
        seed=seed,
        training_examples=random_examples(key, training, EXAMPLES),
        test_split=test,
        test_examples=random_examples(key, test, EXAMPLES),
        run_index=run_index,
    )


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
