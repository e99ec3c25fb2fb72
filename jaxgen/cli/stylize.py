"""`jaxgen stylize RUN`."""

from dataclasses import dataclass
from pathlib import Path

from jaxgen import plot
from jaxgen.cli.options import RunFolder
from jaxgen.cli.output import (
    FIGURE_SUFFIXES,
    check_output,
    load_with_notice,
    notice,
    notice_of_seed,
    select_shown,
    write_figure,
)
from jaxgen.cli.parse import parse
from jaxgen.data import read_image
from jaxgen.errors import InputError
from jaxgen.models.style_transfer import check_alpha
from jaxgen.paths import expand_path
from jaxgen.runs.stylization import stylize


@dataclass(frozen=True)
class Options:
    """Give an image the style of another one, by a run of style_transfer.

    Example: jaxgen stylize runs/style --content photograph.jpg --style artwork.jpg --out styled.png

    Attributes:
        run: run folder.
        content: image file whose content is kept; the result has its size.
        style: image files with the style, of any sizes; of several, a mixture of their styles.
        out: output file, .png, .pdf or .svg.
        alpha: share of the style, from 0 (the content is reconstructed) to 1.
        weights: weight of each style, where there are several; by default equal ones.
        preserve_colours: keep the colours of the content: the style images first get their mean and covariance.
        image_size: pixels to which the shorter side of all images is reduced; by default they keep their sizes.
        run_index: number of the seed to use, for a run of several, counted from 0; by default the first seed that has
            not diverged.
        best: use the state that --keep-best kept in place of the newest one.
        family: file, module or entry point that defines the run's family, if it is not part of jaxgen.
    """

    run: RunFolder
    content: Path | None = None
    style: tuple[Path, ...] = ()
    out: Path = Path("styled.png")
    alpha: float = 1.0
    weights: tuple[float, ...] = ()
    preserve_colours: bool = False
    image_size: int | None = None
    run_index: int | None = None
    best: bool = False
    family: str | None = None


def run(arguments: list[str]) -> None:
    """Stylize an image and write it."""
    options = parse(Options, arguments, command="jaxgen stylize")
    check_output(options.out, FIGURE_SUFFIXES)
    check_alpha(options.alpha, name="--alpha")
    if options.content is None or not options.style:
        missing = "--content" if options.content is None else "--style"
        raise InputError(f"jaxgen stylize needs --content FILE and --style FILE, got no {missing}")
    trained = every = load_with_notice(options.run, options.family, best=options.best)
    trained, _ = select_shown(trained, options.run_index)
    content, *styles = (
        read_image(expand_path(path), shorter_side=options.image_size) for path in (options.content, *options.style)
    )
    if trained.model.style_transfer is not None and trained.example["image"].shape[-1] < content.shape[-1]:
        notice(f"{options.run} was trained on grey images: {options.content} is made grey")
    notice_of_seed(every, options.run_index)
    styled = stylize(
        trained,
        content,
        styles,
        weights=options.weights or None,
        alpha=options.alpha,
        preserve_colours=options.preserve_colours,
    )
    pixels = plot.to_bytes(styled)
    write_figure(options.out, pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
