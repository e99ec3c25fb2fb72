"""Figures of a run while it is trained: samples, reconstructions, style transfer, 2-dimensional latents, 1-D GANs."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from jaxgen import plot
from jaxgen.analysis.stylized_images import stylized_pairs
from jaxgen.callbacks.gan_1d_figure import Gan1D, why_not_gan_1d
from jaxgen.callbacks.keys import callback_key
from jaxgen.callbacks.seed_axis import with_seed_axis
from jaxgen.data import Stream, example, first_examples
from jaxgen.game import Model, State
from jaxgen.models.preprocessing import preprocess
from jaxgen.plot.examples import PAIRS
from jaxgen.plot.grid import near_square
from jaxgen.training.chunk import Chunk, find_non_finite_parameters
from jaxgen.training.compiler import jit_for_few_calls
from jaxgen.training.seeds import extract_seed, first_finite
from jaxgen.typing import Batch

ROWS = 8
"""Rows of images in a grid."""

ROWS_OF_SEED = 4
"""Rows of images in the panel of one of several seeds; half of it where each column is a class."""

MAX_COLUMNS = 32
"""Largest number of classes each of which has a column of its own."""

POINTS = 2500
"""Points in a scatter plot."""

STYLES = 6
"""Contents and styles of style transfer."""

LATENTS = 1000
"""Examples whose latents are drawn."""


class ImageGrid:
    """A callback that draws figures at every k-th step and at the last one.

    The latents are the same each time, and so are the axes of points, which are those of the data: figures of different
    steps can be compared. Of several seeds, the first that has not diverged is drawn, with its seed as the title. A
    model that neither samples, nor reconstructs, nor has two-dimensional latents has no figures. Of style transfer, the
    first examples are drawn in the styles of the next ones.

    Args:
        folder: folder of the figures, made when the first one is drawn.
        model: model of the run.
        data_name: name of its data set.
        data: training split.
        every: number of steps between two figures.
        last: last step of the run, at which figures are drawn in any case.
        seed: seed of the run.
        loss: name of its adversarial loss, None where it has none.
        class_names: name of each class in order of the labels; empty where they have none.
    """

    def __init__(
        self,
        folder: Path,
        model: Model,
        data_name: str,
        data: Batch | Stream,
        *,
        every: int,
        last: int,
        seed: int,
        loss: str | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        example_batch = example(data)
        self.folder, self.every, self.last, self.seed, self.class_names = folder, every, last, seed, class_names
        self.key = callback_key(seed, "image_grid")
        self.some = first_examples(data, 2 * PAIRS if "image" in example_batch else POINTS)
        self.count, self.columns = layout(model, example_batch)
        # JAX compiles a function once, also for the grids of several runs.
        self.sample = None if model.sample is None else jit_for_few_calls(model.sample, static_argnums=2)
        self.reconstruct = None if model.reconstruct is None else jit_for_few_calls(model.reconstruct)
        self.stylize = None
        if model.style_transfer is not None:
            self.stylize = jit_for_few_calls(partial(stylized_pairs, model.style_transfer))
        self.encode = None
        if model.encode is not None and latent_size(model, example_batch) == 2:
            self.encode, self.encoded = jit_for_few_calls(model.encode), first_examples(data, LATENTS)
        self.gan_1d = None
        if why_not_gan_1d(model, data=data_name, loss=loss, example=example_batch) is None:
            self.gan_1d = Gan1D(model, data_name, self.some["point"], self.key)

    def __call__(self, chunk: Chunk) -> None:
        """Draw, if it is due."""
        if not chunk.reaches(self.every) and chunk.step != self.last:
            return
        states = with_seed_axis(chunk).state
        seeds = len(jax.tree.leaves(states.params)[0])
        shown = first_finite(seeds, {*chunk.diverged, *find_non_finite_parameters(states)}) if seeds > 1 else 0
        title = f"seed {self.seed + shown}" if seeds > 1 else ""
        for kind, figure in self._figures(extract_seed(states, shown), chunk.step, title):
            self.folder.mkdir(exist_ok=True)
            plot.save(figure, self.folder / f"step-{chunk.step:08d}-{kind}.png")

    def _figures(self, state: State, step: int, title: str) -> Iterator[tuple[str, plot.Drawing]]:
        if self.sample is not None:
            points = None if "image" in self.some else preprocess(self.some)
            samples = self.sample(self.key, state, self.count)
            shown: dict[str, Any] = {"data": points, "columns": self.columns}
            yield "samples", plot.samples(samples[None] if title else samples, titles=[title] if title else (), **shown)
        if self.reconstruct is not None:
            decoded = self.reconstruct(state, self.some)
            yield "reconstructions", plot.reconstructions(preprocess(self.some), decoded, title=title)
        if self.stylize is not None:
            images = preprocess(self.some)
            contents, styles = images[:STYLES], images[-STYLES:]
            yield (
                "style_transfer",
                plot.style_grid(contents, styles, self.stylize(state, contents, styles), title=title),
            )
        if self.encode is not None:
            latents, label = self.encode(state, self.encoded), self.encoded.get("label")
            yield "latents", plot.scatter_by_label(latents, label=label, class_names=self.class_names, title=title)
        if self.gan_1d is not None:
            name = f"{title}, step {step}" if title else f"step {step}"
            yield "gan_1d", self.gan_1d.draw([self.gan_1d.snapshot(state, name)])


def layout(
    model: Model, example_batch: Batch, *, several_seeds: bool = False, count: int | None = None
) -> tuple[int, int | None]:
    """Return how many samples of each seed to draw, and in how many columns, each of one class if conditional.

    Args:
        model: model of any family.
        example_batch: smallest batch that shows the shapes of the data.
        several_seeds: whether several seeds are drawn, each in a panel of its own.
        count: number of samples that is given; None for as many as can be looked at.

    Returns:
        The number of samples and the number of columns; None for a near-square grid.

    Example:
        >>> import numpy as np
        >>> from jaxgen.models import cvae
        >>> example_batch = {"image": np.zeros((1, 8, 8, 1), np.uint8), "label": np.array([9])}
        >>> layout(cvae.build(cvae.Config(), example_batch), example_batch)
        (80, 10)
    """
    if "image" not in example_batch:
        return count or POINTS, None
    classes = int(example_batch["label"].max()) + 1 if "label" in model.conditions else MAX_COLUMNS + 1
    if classes > MAX_COLUMNS:
        return count or (ROWS_OF_SEED**2 if several_seeds else ROWS**2), None
    count = count or (ROWS_OF_SEED // 2 if several_seeds else ROWS) * classes
    height, width, _ = example_batch["image"].shape[1:]
    return count, near_square(count, height=height, width=width, multiple=classes)


def latent_size(model: Model, example_batch: Batch) -> int | None:
    """Return the dimension of a model's latents, None if it has no encoder; nothing is computed.

    Args:
        model: model of any family.
        example_batch: smallest batch that shows the shapes of the data.

    Returns:
        The dimension.

    Example:
        >>> import numpy as np
        >>> from jaxgen.models import vae
        >>> example_batch = {"image": np.zeros((1, 8, 8, 1), np.uint8)}
        >>> latent_size(vae.build(vae.Config(latent_dim=2), example_batch), example_batch)
        2
    """
    if model.encode is None:
        return None
    state = jax.eval_shape(model.init, jax.random.key(0), example_batch)
    return jax.eval_shape(model.encode, state, example_batch).shape[-1]
