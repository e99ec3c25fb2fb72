"""`jaxgen sample RUN`."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import plot
from jaxgen.analysis import interpolate
from jaxgen.callbacks.image_grid import MAX_COLUMNS, ROWS_OF_SEED, layout
from jaxgen.cli.options import Metavar, RunFolder
from jaxgen.cli.output import (
    FIGURE_SUFFIXES,
    check_count,
    check_output,
    check_run_index,
    check_seed,
    label_of,
    load_with_notice,
    print_line,
    write_figure,
)
from jaxgen.cli.parse import parse
from jaxgen.errors import InputError
from jaxgen.models.checked_model import check_truncation
from jaxgen.models.labels import check_labels
from jaxgen.models.preprocessing import is_image
from jaxgen.paths import expand_path
from jaxgen.runs import Run
from jaxgen.runs.loading import single
from jaxgen.runs.outputs import check_new_folder, new_folder, write_array_parts
from jaxgen.typing import Array, Float, KeyArray, Shaped

ANIMATIONS = (".gif", ".mp4")

STOPS = 5
"""Latents on the path of an interpolation, which returns to the first one."""

FRAMES = 12
"""Frames from one of these latents to the next."""

SECONDS = 0.1
"""Duration of a frame."""

LARGEST_FRAME = 2**21
"""Largest number of pixels of a frame: all frames are in memory."""


@dataclass(frozen=True)
class Options:
    """Sample new examples from a trained run.

    Example: jaxgen sample runs/vae-digits --out samples.png

    Attributes:
        run: run folder.
        out: output file or folder. A figure (.png, .pdf, .svg) shows images in a grid, or points, in a panel for each
            of several seeds. An .npz file has the arrays, under `samples`, with a leading axis of seeds for a run of
            several. In a folder (a name without suffix, or one that ends in /) each image is a PNG file of its own.
            With --interpolate: .gif or .mp4.
        n: number of samples of each seed; by default as many as fill a grid of images, or 2500 points. With
            --interpolate, number of images that change.
        seed: seed of the samples.
        label: class of the samples, for conditional models: its name, or its number, counted from 0.
        truncation: largest absolute value of the coordinates of the latents, for GANs with normal latents: larger ones
            are drawn again. For models with styles, from 0 to 1, the share of the deviation from the average style that
            is kept. A small number gives samples of higher quality and less variety.
        every_layer: draw a style of its own for each layer (W+), for models with styles; by default all layers of an
            image have the same style (W).
        run_index: number of the seed to sample from, for a run of several, counted from 0; by default all.
        interpolate: draw samples that change into each other: an animation along a path through several latents.
        best: use the state that --keep-best kept in place of the newest one.
        family: file, module or entry point that defines the run's family, if it is not part of jaxgen.
    """

    run: RunFolder
    out: Annotated[str, Metavar("PATH")] = "samples.png"
    n: int | None = None
    seed: int = 0
    label: Annotated[str | None, Metavar("CLASS")] = None
    truncation: float | None = None
    every_layer: bool = False
    run_index: int | None = None
    interpolate: bool = False
    best: bool = False
    family: str | None = None


def run(arguments: list[str]) -> None:
    """Sample and write the samples."""
    options = parse(Options, arguments, command="jaxgen sample")
    out = expand_path(options.out)
    folder = _is_folder(options.out, out)
    _check_out(out, folder=folder, animated=options.interpolate)
    check_count(options.n, 1)
    if options.every_layer and options.interpolate:
        raise InputError("--every-layer must be left out with --interpolate, whose images have one latent each")
    key = jax.random.key(check_seed(options.seed))
    trained = load_with_notice(options.run, options.family, best=options.best)
    samplers = _Samplers.of(trained, options.run_index)
    label = None if options.label is None else label_of(trained, options.label)
    truncation = {} if options.truncation is None else {"truncation": options.truncation}
    if truncation:
        check_truncation(trained.model, options.truncation)
    conditions: dict[str, Any] = {**truncation} if label is None else {"label": label, **truncation}
    if options.interpolate:
        frames = _interpolation(samplers, key, options.n, label, truncation)
        plot.animate(frames, out, seconds=SECONDS, loop=True)
        print_line(out)
        return
    if options.every_layer:
        conditions["every_layer"] = True
    if folder:
        _write_files(out, samplers, key, _count(samplers, options.n), conditions)
    elif out.suffix in FIGURE_SUFFIXES:
        figure = _figure(samplers, key, _count(samplers, options.n), conditions)
        write_figure(out, figure)
    else:
        _write_arrays(out, samplers.run, key, _count(samplers, options.n), conditions)


class _Samplers:
    """The run whose samples are written, and the seeds of it that are drawn.

    Attributes:
        run: the run, or one seed of it.
        shown: numbers of its seeds that have not diverged.
        titles: title of each; none for a run of a single seed.
    """

    def __init__(self, run: Run, shown: Sequence[int], titles: Sequence[str]) -> None:
        self.run, self.shown, self.titles = run, list(shown), list(titles)

    @classmethod
    def of(cls, trained: Run, index: int | None) -> "_Samplers":
        number = check_run_index(trained, index)
        if trained.config.seeds is None:
            return cls(trained, [0], [])
        if number is not None:
            return cls(single(trained, number), [0], [trained.seed_title(number)])
        return cls(trained, trained.finite, [trained.seed_title(i) for i in trained.finite])

    def parts(self, key: KeyArray, count: int, conditions: Mapping[str, Any]) -> Iterator[Shaped[np.ndarray, "..."]]:
        """Samples part by part, `[panels, n, *event]`, or `[n, *event]` without titles."""
        for part in self.run.sample_parts(key, count, **conditions):
            values = np.asarray(part)[self.shown]
            yield values if self.titles else values[0]


def _is_folder(given: str, out: Path) -> bool:
    return given.endswith("/") or out.is_dir() or not out.suffix


def _check_out(out: Path, *, folder: bool, animated: bool) -> None:
    """Refuse an output that cannot be written, before any work is done."""
    if animated:
        if folder:
            raise InputError(f"--interpolate writes an animation: --out must end in .gif or .mp4, got '{out}'")
        check_output(out, ANIMATIONS)
        if out.suffix == ".mp4":
            plot.find_ffmpeg()
    elif out.suffix in ANIMATIONS and not folder:
        raise InputError(f"an animation shows an interpolation: add --interpolate, or give another suffix than '{out}'")
    elif folder:
        check_new_folder(out)
    else:
        check_output(out, (*FIGURE_SUFFIXES, ".npz"), further=", or of a folder, without suffix")


def _count(samplers: _Samplers, given: int | None) -> int:
    default, _ = layout(samplers.run.model, samplers.run.example, several_seeds=len(samplers.shown) > 1)
    return check_count(given, default)


def _figure(samplers: _Samplers, key: KeyArray, count: int, conditions: Mapping[str, Any]) -> plot.Drawing:
    """A grid of images, drawn part by part, or a plot of points."""
    run = samplers.run
    if not is_image(run.example):
        plot.check_points(count * len(samplers.shown))
    parts = samplers.parts(key, count, conditions)
    if not is_image(run.example):
        points = np.concatenate(list(parts), axis=1 if samplers.titles else 0)
        return plot.samples(points, titles=samplers.titles)
    columns = None if "label" in conditions else layout(run.model, run.example, count=count)[1]
    first = next(parts)
    grid = plot.Grid(count, first.shape[-3:], columns=columns, titles=samplers.titles)
    grid.add(first)
    for part in parts:
        grid.add(part)
    return grid.pixels


def _write_arrays(out: Path, run: Run, key: KeyArray, count: int, conditions: Mapping[str, Any]) -> None:
    """Write all samples of all seeds, part by part."""
    parts = run.sample_parts(key, count, **conditions)
    first = np.asarray(next(parts))
    needed, free = first.nbytes // first.shape[1] * count, shutil.disk_usage(out.parent).free
    if needed > free:
        raise InputError(
            f"{count} samples are {needed:,} bytes, and the disk of '{out}' has {free:,} left: give a smaller --n"
        )

    def every() -> Iterator[Array | np.ndarray]:
        yield first
        yield from parts

    if run.config.seeds is None:
        write_array_parts(out, "samples", (part[0] for part in every()), count=count)
    else:
        write_array_parts(out, "samples", every(), count=count, axis=1)
    print_line(out)


def _write_files(out: Path, samplers: _Samplers, key: KeyArray, count: int, conditions: Mapping[str, Any]) -> None:
    """Write each image to a PNG file of its own, whose name has its number and, if conditional, its class."""
    run = samplers.run
    if not is_image(run.example):
        raise InputError(f"a folder of PNG files is of images, and the run generates points: give --out {out}.npz")
    digits = max(6, len(str(count - 1)))

    def name(number: int) -> str:
        if "label" not in run.model.conditions:
            return f"{number:0{digits}}.png"
        return f"{number:0{digits}}-class-{conditions.get('label', number % run.classes)}.png"

    with new_folder(out) as folder:
        panels = [folder / title.replace(" ", "-") for title in samplers.titles] or [folder]
        for panel in panels:
            panel.mkdir(exist_ok=True)
        done = 0
        for part in samplers.parts(key, count, conditions):
            images = plot.to_bytes(part if samplers.titles else part[None])
            for panel, of_panel in zip(panels, images, strict=True):
                for number, image in enumerate(of_panel, done):
                    plot.save(image[..., 0] if image.shape[-1] == 1 else image, panel / name(number))
            done += images.shape[1]
    print_line(out)


def _interpolation(
    samplers: _Samplers, key: KeyArray, count: int | None, label: int | None, truncation: Mapping[str, float]
) -> list[Shaped[np.ndarray, "..."]]:
    """Frames of images whose latents go along closed paths through several latents of the prior."""
    run = samplers.run
    draw = run.model.sample_latent
    if draw is None or run.model.decode is None or not is_image(run.example):
        lacks = (
            "does not generate images" if not is_image(run.example) else "has no latents that it samples and decodes"
        )
        raise InputError(f"--interpolate is for models of images with latents, and the model '{run.family}' {lacks}")
    conditional = "label" in run.model.conditions
    if label is not None and not conditional:
        raise InputError(f"the model '{run.family}' cannot be conditioned on label")
    if label is not None:
        check_labels(label, run.classes)
    paths = count or _default_paths(run, conditional=conditional and label is None)
    # Refused here, before anything is computed, if there are too many.
    plot.Grid(paths, run.example["image"].shape[1:], titles=samplers.titles, limit=LARGEST_FRAME)
    of_latents = truncation if "truncation" in run.model.latent_options else {}
    conditions: Mapping[str, Any] = truncation if "truncation" in run.model.conditions else {}
    stops = np.asarray(draw(key, STOPS * paths, **of_latents)).reshape(STOPS, paths, -1)
    # On arcs, except in the cube of a uniform prior, which they would leave.
    spherical = getattr(run.config.model_config, "latent_distribution", "normal") != "uniform"
    if conditional:
        conditions = {**conditions, "label": np.arange(paths) % run.classes if label is None else np.full(paths, label)}
    frames = []
    for start, end in zip(stops, np.roll(stops, -1, axis=0), strict=True):
        path = interpolate(jnp.asarray(start), jnp.asarray(end), FRAMES + 1, spherical=spherical)
        frames += [_frame(samplers, np.asarray(path[:, i]), conditions) for i in range(FRAMES)]
    return frames


def _default_paths(run: Run, *, conditional: bool) -> int:
    """As many as fit into a frame, one for each class if conditional, at most 16."""
    height, width, _ = run.example["image"].shape[1:]
    wanted = run.classes if conditional and run.classes <= MAX_COLUMNS else ROWS_OF_SEED**2
    return max(1, min(wanted, LARGEST_FRAME // ((height + plot.GAP) * (width + plot.GAP))))


def _frame(
    samplers: _Samplers, latents: Float[np.ndarray, "paths latent"], conditions: Mapping[str, Any]
) -> Shaped[np.ndarray, "..."]:
    run = samplers.run
    decoded = np.asarray(run.decode(latents, **conditions))
    images = (decoded if run.config.seeds is not None else decoded[None])[samplers.shown]
    grid = plot.Grid(len(latents), images.shape[-3:], titles=samplers.titles, limit=LARGEST_FRAME)
    grid.add(images if samplers.titles else images[0])
    return grid.pixels
