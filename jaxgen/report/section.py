"""What the laboratory has found out about a run, topic by topic, and what it looks at.

A topic is a function `(subject) -> section`: it makes the figures and numbers of one question, or raises `NotApplicable`
with the reason why this run does not pose it. `jaxgen.report.report` lists them all.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import plot
from jaxgen.callbacks.sample_metrics import some_examples
from jaxgen.data import Stream, load
from jaxgen.models.labels import each_label
from jaxgen.models.preprocessing import is_image, preprocess
from jaxgen.runs.evaluation import load_test_split, with_data_in
from jaxgen.runs.loading import LARGEST_BATCH, Run
from jaxgen.typing import AnyArray, Array, Batch, Float, KeyArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES = 5000
"""Examples of either split that are looked at, at most."""


class NotApplicable(Exception):  # noqa: N818  It is no error.
    """Why a topic has nothing to say about a run, as a clause."""


class FigureFile(NamedTuple):
    """A figure as the content of a file.

    Attributes:
        name: of the file.
        content: of the file, PNG or GIF.
        caption: what is seen, what it should look like, and who says so.
    """

    name: str
    content: bytes
    caption: str


class Section(NamedTuple):
    """What one topic has found.

    Attributes:
        images: in the order in which they are shown.
        numbers: name -> the value for each run that has not diverged.
    """

    images: Sequence[FigureFile] = ()
    numbers: Mapping[str, Sequence[float]] = {}


Topic = Callable[["ReportInput"], Section]


@dataclasses.dataclass(frozen=True)
class ReportInput:
    """A run to be analyzed, and the data that it was trained on.

    Attributes:
        run: with all of its seeds.
        seed: of all draws.
        training: examples of the training split.
        test: the whole test split, for averages over it.
        some: examples of the test split.
    """

    run: Run
    seed: int
    training: Batch
    test: Batch | Stream
    some: Batch

    @property
    def key(self) -> KeyArray:
        """The key of all draws."""
        return jax.random.key(self.seed)

    @property
    def sound(self) -> list[int]:
        """Numbers of the seeds that have not diverged."""
        return [i for i in range(self.run.config.seeds or 1) if i not in self.run.diverged]

    @cached_property
    def runs(self) -> list[Run]:
        """Each seed that has not diverged, as a run of its own."""
        return [single(self.run, i) for i in self.sound]

    @property
    def shown(self) -> Run:
        """The run of which pictures are shown, where only one can be shown."""
        return self.runs[0]

    @property
    def images(self) -> bool:
        """Whether the data are pictures, not points."""
        return is_image(self.run.example)

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` that are whole."""
        path, lines = self.run.folder / "metrics.jsonl", []
        for line in path.read_text(errors="replace").splitlines() if path.is_file() else ():
            try:
                lines.append(dict(json.loads(line)))
            except ValueError:
                continue  # Of a run that is still going on, or was killed.
        return lines

    def history(self, *names: str) -> tuple[np.ndarray, list[np.ndarray]]:
        """What the log says of some metrics: the steps where all of them are, and the values `[runs, steps]` of each.

        Raises:
            NotApplicable: if no line has them.
        """
        lines = [line for line in self.log if all(name in line for name in names)]
        if not lines:
            raise NotApplicable(f"the log has no {' beside '.join(names)}")
        steps = np.array([line["step"] for line in lines])
        several = self.run.config.seeds is not None
        values = [
            [[line["runs"][name][i] if several else line[name] for line in lines] for i in self.sound] for name in names
        ]
        return steps, [np.array(value, float) for value in values]  # None becomes NaN.


def subject_of(run: Run, *, seed: int, data_dir: str | None = None) -> ReportInput:
    """Load what a run was trained on, and what it was not.

    Args:
        run: to be analyzed.
        seed: of all draws.
        data_dir: where data sets are kept, if not where they were at the time of the training.

    Returns:
        What topics are asked of.

    Raises:
        InputError: if the data cannot be loaded, or do not look like those of the training.
    """
    run, key = with_data_in(run, data_dir), jax.random.key(seed)
    config = run.config
    test = load_test_split(config, run.example)
    training = load(config.data, split="train", data_dir=config.data_dir, image_size=config.image_size)
    return ReportInput(run, seed, some_examples(key, training, EXAMPLES), test, some_examples(key, test, EXAMPLES))


def single(run: Run, number: int) -> Run:
    """One of the runs that were trained together, as if it had been trained alone.

    Args:
        run: of one seed or of several.
        number: of the seed, counted from 0.

    Returns:
        A run without an axis of runs in its state.
    """
    if run.config.seeds is None:
        return run
    config = dataclasses.replace(run.config, seeds=None, seed=run.config.seed + number)
    return run._replace(config=config, state=jax.tree.map(lambda x: x[number], run.state), diverged={})


def png(name: str, figure: "Figure", caption: str) -> FigureFile:
    """A figure as a picture of the page.

    Args:
        name: of the file, without its ending.
        figure: to draw.
        caption: as `FigureFile` has it.

    Returns:
        The picture.

    Example:
        >>> from matplotlib.figure import Figure
        >>> png("nothing", Figure(figsize=(1, 1)), "Nothing at all.").name
        'nothing.png'
    """
    return FigureFile(f"{name}.png", plot.render(figure, "png"), caption)


def gif(name: str, frames: Sequence[Any], caption: str, *, seconds: float = 0.3) -> FigureFile:
    """Figures one after the other as a picture of the page.

    Args:
        name: of the file, without its ending.
        frames: figures, or pictures as `plot.render_animation` takes them.
        caption: as `FigureFile` has it.
        seconds: that a frame is shown.

    Returns:
        The picture.

    Example:
        >>> gif("nothing", [np.zeros((8, 8, 3), np.uint8)], "Nothing at all.").name
        'nothing.gif'
    """
    return FigureFile(f"{name}.gif", plot.render_animation(frames, seconds=seconds), caption)


def values(batch: Batch) -> Float[np.ndarray, " n *event"]:
    """The examples of a batch as floats: pictures from 0 to 1, points as they are.

    Args:
        batch: of pictures or points.

    Returns:
        An array of NumPy.

    Example:
        >>> values({"point": np.array([[0.5, 2.0]], np.float32)})
        array([[0.5, 2. ]], dtype=float32)
    """
    return np.asarray(preprocess(batch))


def prior_latents(run: Run, key: KeyArray, n: int) -> Float[Array, "n latent"]:
    """Codes as the model itself draws them to sample.

    Args:
        run: of one seed or of several, which all draw the same.
        key: of the draw.
        n: how many.

    Returns:
        One code a row.

    Raises:
        NotApplicable: if it samples without any.
    """
    if run.model.prior is None:
        raise NotApplicable("the model draws no codes")
    return run.model.prior(key, n)


def posterior_latents(run: Run, key: KeyArray, batch: Batch) -> Float[Array, "n latent"]:
    """Draw a code for each example from what the encoder says of it, as many at once as fit into memory.

    Args:
        run: a single one.
        key: of the draws.
        batch: the examples.

    Returns:
        One code a row: a draw from q(z|x), or the code itself where the encoder gives no distribution.

    Raises:
        NotApplicable: if the model has no encoder.
    """
    if run.model.posterior is None:
        raise NotApplicable("no codes: the model has no encoder")
    compiled = jax.jit(run.model.posterior)
    parts = []
    for first in range(0, len(values(batch)), LARGEST_BATCH):
        part = {name: array[first : first + LARGEST_BATCH] for name, array in batch.items()}
        parts.append(compiled(jax.random.fold_in(key, first), run.state, part))
    return jnp.concatenate(parts)


def decode(run: Run, codes: Float[AnyArray, "n latent"], label: AnyArray | int | None = None) -> np.ndarray:
    """Decode codes, as many at once as fit into memory.

    Args:
        run: a single one.
        codes: one a row.
        label: what a conditional model is told, one for all or one for each; it goes through the classes if nothing is
            given. A model that is not conditional is told nothing.

    Returns:
        `[n, *event]`.

    Raises:
        NotApplicable: if the model has no decoder.
    """
    if run.model.decode is None:
        raise NotApplicable("the model has no decoder")
    compiled, n = jax.jit(run.model.decode), len(codes)
    told = {"label": each_label(label, n, run.classes)} if "label" in run.model.conditions else {}
    parts = [slice(first, first + LARGEST_BATCH) for first in range(0, n, LARGEST_BATCH)]
    decoded = [
        compiled(run.state, codes[part], **{name: array[part] for name, array in told.items()}) for part in parts
    ]
    return np.concatenate([np.asarray(part) for part in decoded])


def need_latents(subject: ReportInput) -> None:
    """Stop unless the model has an encoder and a decoder.

    Raises:
        NotApplicable: if it lacks one.
    """
    if subject.run.model.encode is None or subject.run.model.decode is None:
        raise NotApplicable("no codes: the model has no encoder")


def need_discriminator(subject: ReportInput) -> None:
    """Stop unless there is a player called so.

    Raises:
        NotApplicable: if there is none.
    """
    if not any(player.name == "discriminator" for player in subject.run.model.players):
        raise NotApplicable("the model has no discriminator")


def need_images(subject: ReportInput) -> None:
    """Stop unless the data are pictures.

    Raises:
        NotApplicable: if they are not.
    """
    if not subject.images:
        raise NotApplicable("the data are points, not pictures")


def need_no_condition(subject: ReportInput) -> None:
    """Stop if the model is told the class of its examples.

    Raises:
        NotApplicable: if it is.
    """
    if subject.run.model.conditions:
        raise NotApplicable("the model is told the class, so its codes do not hold it")
