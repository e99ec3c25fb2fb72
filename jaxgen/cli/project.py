"""`jaxgen project RUN`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from jaxgen import plot
from jaxgen.analysis.image_distances import image_distance
from jaxgen.cli.options import RunFolder
from jaxgen.cli.output import (
    FIGURE_SUFFIXES,
    check_count,
    check_output,
    check_seed,
    load_with_notice,
    notice,
    notice_of_few,
    notice_of_seed,
    select_shown,
    write_arrays,
    write_figure,
)
from jaxgen.cli.parse import parse
from jaxgen.data import count_examples, first_examples, read_image
from jaxgen.errors import InputError
from jaxgen.models.preprocessing import preprocess
from jaxgen.paths import expand_path
from jaxgen.runs import Run
from jaxgen.runs.evaluation import load_test_split, with_data_in
from jaxgen.runs.run_styles import run_styles
from jaxgen.runs.stylization import unit_values
from jaxgen.typing import Float

COUNT = 8
"""Test examples that are projected by default."""


@dataclass(frozen=True)
class Options:
    """Project images into the styles of a generator: find the styles whose images are nearest to them.

    Gradient descent over the styles and over the noise images, as published (Karras et al. 2020, appendix D).

    Example: jaxgen project runs/digits --image photograph.png --out projection.png

    Attributes:
        run: run folder, of a model with styles.
        image: image files; their centres are cut to the shape of the data and reduced to its size. By default test
            examples.
        out: output file: a figure (.png, .pdf, .svg) with the images above what was found, or .npz for the arrays
            `images`, `projections`, their styles `w` and `distances`.
        n: number of test examples, at most those of the test split; by default 8. Not with --image.
        every_layer: find a style for each layer (W+); by default one for all layers (W).
        extractor: network whose features are compared: vgg16 for LPIPS, as published; or mnist_v1 and others as of
            `jaxgen evaluate`, or `pixels` for the mean squared difference of pixels. By default vgg16 where its weights
            are installed and images have at least 16x16 pixels, and else pixels.
        steps: number of steps.
        seed: seed of the noise.
        run_index: number of the seed to use, for a run of several, counted from 0; by default the first seed that has
            not diverged.
        data_dir: folder of the data sets, if it is not that of the training.
        best: use the state that --keep-best kept in place of the newest one.
        family: file, module or entry point that defines the run's family, if it is not part of jaxgen.
    """

    run: RunFolder
    image: tuple[Path, ...] = ()
    out: Path = Path("projection.png")
    n: int | None = None
    every_layer: bool = False
    extractor: str | None = None
    steps: int = 1000
    seed: int = 0
    run_index: int | None = None
    data_dir: str | None = None
    best: bool = False
    family: str | None = None


def run(arguments: list[str]) -> None:
    """Project images and write what was found."""
    options = parse(Options, arguments, command="jaxgen project")
    check_output(options.out)
    check_count(options.n, 1)
    if options.image and options.n is not None:
        raise InputError("--n must be left out with --image: all of the files are projected")
    if options.steps < 1:
        raise InputError(f"--steps must be at least 1, got {options.steps}")
    key = jax.random.key(check_seed(options.seed))
    every = with_data_in(load_with_notice(options.run, options.family, best=options.best), options.data_dir)
    trained, title = select_shown(every, options.run_index)
    styles = run_styles(trained)
    shape = trained.example["image"].shape[1:]
    distance = image_distance(options.extractor, shape)
    images = _read(options.image, shape) if options.image else _test_examples(trained, options.n)
    notice(f"{distance.description}, {options.steps} steps")
    found = styles.project(key, images, distance.function, every_layer=options.every_layer, steps=options.steps)
    projections, distances = styles.images(found.w, found.noise), np.asarray(found.distances)
    nearest, farthest = distances.min(), distances.max()
    notice(f"{distance.description}: {distances.mean():.4g} on average, from {nearest:.4g} to {farthest:.4g}")
    if options.out.suffix not in FIGURE_SUFFIXES:
        arrays = {"images": images, "projections": projections, "w": np.asarray(found.w), "distances": distances}
        write_arrays(options.out, arrays)
        return
    notice_of_seed(every, options.run_index)
    rows = {"image": images, "style of each layer" if options.every_layer else "one style": projections}
    write_figure(options.out, plot.image_rows(rows, title=title))


def _test_examples(trained: Run, given: int | None) -> Float[np.ndarray, "n height width channels"]:
    """The first examples of the test split."""
    test = load_test_split(trained.config, trained.example)
    batch = first_examples(test, check_count(given, COUNT))
    images = np.asarray(preprocess(batch))
    if given is not None:
        notice_of_few(given, len(images), count_examples(test))
    return images


def _read(paths: Sequence[Path], shape: tuple[int, int, int]) -> Float[np.ndarray, "n height width channels"]:
    """Image files in the shape of the data: reduced to cover it, and cut around their centres."""
    return np.stack([_fitted(expand_path(path), shape) for path in paths])


def _fitted(path: Path, shape: tuple[int, int, int]) -> Float[np.ndarray, "height width channels"]:
    height, width, channels = shape
    image = read_image(path)
    if image.shape[:2] != (height, width):
        if height != width:
            size = "x".join(map(str, image.shape[:2]))
            raise InputError(f"{path} must have the size of the data, {height}x{width}, got {size}")
        image = read_image(path, shorter_side=height)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return unit_values(image[top : top + height, left : left + width], channels)
