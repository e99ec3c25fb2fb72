"""The pictures of a run: what it generates, what its code keeps of real examples, and its game if it is on the line."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxgen import plot
from jaxgen.callbacks.gan_1d import Gan1D, why_not_gan_1d
from jaxgen.data import Stream, example
from jaxgen.game import Model, State
from jaxgen.models.preprocessing import preprocess
from jaxgen.runs.config import RunConfig
from jaxgen.runs.loading import first_finite
from jaxgen.runs.outputs import write_figure
from jaxgen.training.loop import Chunk, run_keys
from jaxgen.typing import AnyArray, Batch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = 8
"""Rows of pictures in a grid."""

POINTS = 2500
"""Points in a scatter plot."""

CODES = 1000
"""Examples whose codes are shown while a model is trained."""

PAIRS = 16
"""Originals in a row, with their reconstructions below."""


class ImageGrid:
    """A hook of `fit` that draws samples, reconstructions, codes of two dimensions, and the game of a GAN on the line.

    The noise is the same each time, and so are the axes of points, which are those of the data: pictures of different
    steps can be compared. Of several seeds, the first that has not diverged is shown.
    """

    def __init__(self, folder: Path, model: Model, config: RunConfig[Any], data: Batch | Stream) -> None:
        self.folder = folder
        self.several = config.seeds is not None
        self.every = config.image_every
        self.last = config.steps
        shown = example(data)
        self.some = first_examples(data, 2 * PAIRS if "image" in shown else POINTS)
        count, self.columns = layout(model, shown)
        self.sample = jax.jit(lambda key, state: model.sample(key, state, count))
        self.key = run_keys(jax.random.key(config.seed)).images
        self.reconstruct = None if model.reconstruct is None else jax.jit(model.reconstruct)
        self.encode = None
        if model.encode is not None and latent_size(model, shown) == 2:
            self.encode, self.encoded = jax.jit(model.encode), first_examples(data, CODES)
        self.game = None
        if why_not_gan_1d(model, config, shown) is None:
            self.game = Gan1D(model, config, self.some["point"], self.key)

    def __call__(self, chunk: Chunk) -> None:
        """Draw, if it is time to."""
        if not chunk.passes(self.every) and chunk.step != self.last:
            return
        state = chunk.state
        if self.several:
            shown = first_finite(len(state.step), chunk.diverged)
            state = jax.tree.map(lambda x: x[shown], state)
        self.folder.mkdir(exist_ok=True)
        for what, figure in self._figures(state, chunk.step):
            write_figure(self.folder / f"step-{chunk.step:08d}-{what}.png", figure)

    def _figures(self, state: State, step: int) -> Iterator[tuple[str, "Figure"]]:
        yield "samples", draw_samples(self.sample(self.key, state), data=self.some, columns=self.columns)
        if self.reconstruct is not None:
            yield "reconstructions", draw_pairs(preprocess(self.some), self.reconstruct(state, self.some))
        if self.encode is not None:
            yield "codes", plot.scatter_by_label(self.encode(state, self.encoded), label=self.encoded.get("label"))
        if self.game is not None:
            yield "game", self.game.draw([self.game.moment(state, f"step {step}")])


def layout(model: Model, shown: Batch, *, several: bool = False) -> tuple[int, int]:
    """How many samples of each run to show, and in how many columns: one a class where the model is told the class.

    Args:
        model: of any family.
        shown: the smallest batch that shows what its data look like.
        several: whether several runs are shown, each in a row of its own.

    Returns:
        The number of samples and the number of columns.

    Example:
        >>> from jaxgen.models import cvae
        >>> shown = {"image": np.zeros((1, 8, 8, 1), np.uint8), "label": np.array([9])}
        >>> layout(cvae.build(cvae.Config(), shown), shown)
        (80, 10)
    """
    if "image" not in shown:
        return POINTS, 1
    columns = int(shown["label"].max()) + 1 if "label" in model.conditions else ROWS
    return columns if several else ROWS * columns, columns


def latent_size(model: Model, shown: Batch) -> int | None:
    """Dimensions of a model's codes, None if it has none; nothing is computed.

    Args:
        model: of any family.
        shown: the smallest batch that shows what its data look like.

    Returns:
        The number of dimensions.

    Example:
        >>> from jaxgen.models import vae
        >>> shown = {"image": np.zeros((1, 8, 8, 1), np.uint8)}
        >>> latent_size(vae.build(vae.Config(latent_dim=2), shown), shown)
        2
    """
    if model.encode is None:
        return None
    state = jax.eval_shape(model.init, jax.random.key(0), shown)
    return jax.eval_shape(model.encode, state, shown).shape[-1]


def first_examples(data: Batch | Stream, count: int) -> Batch:
    """The first examples of some data, or all where there are fewer.

    Args:
        data: arrays or a stream.
        count: how many.

    Returns:
        A batch.

    Example:
        >>> first_examples({"label": np.arange(9)}, 3)
        {'label': array([0, 1, 2])}
    """
    if isinstance(data, Stream):
        return next(iter(data.in_order(count)))
    return {name: array[:count] for name, array in data.items()}


def draw_samples(
    samples: AnyArray, *, data: Batch | None = None, several: bool = False, columns: int | None = None
) -> "Figure":
    """Show samples: pictures in a grid, points over those of the data.

    Args:
        samples: `[n, *event]`, or `[runs, n, *event]`: each run of pictures gets a row, points are shown together.
        data: examples to show below generated points.
        several: whether there is an axis of runs.
        columns: pictures a row, of a single run; as many as rows where nothing is given.

    Returns:
        A figure.

    Example:
        >>> draw_samples(np.zeros((4, 8, 8, 1))).get_size_inches()
        array([6.16, 6.16])
    """
    samples = np.asarray(samples)
    if samples.ndim - several == 4:
        columns = samples.shape[1] if several else columns
        return plot.image_grid(samples.reshape(-1, *samples.shape[-3:]), columns=columns)
    return plot.scatter(
        samples.reshape(-1, samples.shape[-1]), data=None if data is None else np.asarray(preprocess(data))
    )


def draw_pairs(originals: AnyArray, reconstructions: AnyArray) -> "Figure":
    """Show examples and what is left of them after the way through the code.

    Args:
        originals: `[n, *event]`.
        reconstructions: `[n, *event]`.

    Returns:
        A figure: pictures in rows of originals with their reconstructions below, or points over points.

    Example:
        >>> draw_pairs(np.zeros((16, 8, 8, 1)), np.ones((16, 8, 8, 1))).get_size_inches()
        array([6.48, 0.88])
    """
    originals, reconstructions = np.asarray(originals), np.asarray(reconstructions)
    if originals.ndim != 4:
        return plot.scatter(reconstructions, data=originals)
    columns = min(PAIRS, len(originals))
    # White pictures fill the last row.
    fill = np.ones((-len(originals) % columns, *originals.shape[1:]))
    originals, reconstructions = np.concatenate([originals, fill]), np.concatenate([reconstructions, fill])
    rows = range(0, len(originals), columns)
    pairs = [part[i : i + columns] for i in rows for part in (originals, reconstructions)]
    return plot.image_grid(np.concatenate(pairs), columns=columns)


def draw_styles(originals: AnyArray, styles: AnyArray) -> "Figure":
    """Show examples, and what they look like as members of other classes.

    Args:
        originals: `[n, *event]`.
        styles: `[n, classes, *event]`.

    Returns:
        A figure: a row of pictures for each example, the original first, or points over points.

    Example:
        >>> draw_styles(np.zeros((4, 8, 8, 1)), np.ones((4, 10, 8, 8, 1))).get_size_inches()
        array([6.72, 2.52])
    """
    originals, styles = np.asarray(originals), np.asarray(styles)
    if originals.ndim != 4:
        return plot.scatter(styles.reshape(-1, originals.shape[-1]), data=originals)
    rows = np.concatenate([originals[:, None], styles], axis=1)
    return plot.image_grid(rows.reshape(-1, *originals.shape[1:]), columns=rows.shape[1])
