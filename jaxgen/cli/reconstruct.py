"""`jaxgen reconstruct RUN`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from jaxgen import plot
from jaxgen.callbacks.image_grid import POINTS, ROWS
from jaxgen.cli.options import Metavar, RunFolder
from jaxgen.cli.output import (
    FIGURE_SUFFIXES,
    check_count,
    check_output,
    label_of,
    load_with_notice,
    notice_of_few,
    notice_of_seed,
    select_shown,
    write_arrays,
    write_figure,
)
from jaxgen.cli.parse import parse
from jaxgen.data import count_examples, first_examples
from jaxgen.models.preprocessing import preprocess
from jaxgen.plot.examples import PAIRS
from jaxgen.runs.evaluation import load_test_split, with_data_in


@dataclass(frozen=True)
class Options:
    """Encode and decode test examples by a trained run.

    Example: jaxgen reconstruct runs/vae-digits --out pairs.png

    Attributes:
        run: run folder.
        out: output file: a figure (.png, .pdf, .svg), or .npz for the arrays, under `originals` and `reconstructions`,
            the latter with a leading axis of seeds for a run of several.
        n: number of examples, at most those of the test split; by default 32 images, 8 with --label all, or 2500
            points.
        label: class whose label the decoder receives in place of the example's own, for conditional models: its name,
            or its number, counted from 0; `all` decodes each example with the label of every class.
        run_index: number of the seed to use, for a run of several, counted from 0; by default a figure shows the first
            seed that has not diverged, and arrays have all.
        data_dir: folder of the data sets, if it is not that of the training.
        best: use the state that --keep-best kept in place of the newest one.
        family: file, module or entry point that defines the run's family, if it is not part of jaxgen.
    """

    run: RunFolder
    out: Path = Path("reconstructions.png")
    n: int | None = None
    label: Annotated[str | None, Metavar("CLASS|all")] = None
    run_index: int | None = None
    data_dir: str | None = None
    best: bool = False
    family: str | None = None


def run(arguments: list[str]) -> None:
    """Reconstruct test examples and write them."""
    options = parse(Options, arguments, command="jaxgen reconstruct")
    check_output(options.out)
    check_count(options.n, 1)
    trained = every = with_data_in(load_with_notice(options.run, options.family, best=options.best), options.data_dir)
    figure, title = options.out.suffix in FIGURE_SUFFIXES, ""
    if figure or options.run_index is not None:
        trained, title = select_shown(trained, options.run_index)
    label = None if options.label in (None, "all") else label_of(trained, options.label)
    images = ROWS if options.label == "all" else 2 * PAIRS
    count = check_count(options.n, POINTS if "point" in trained.example else images)
    test = load_test_split(trained.config, trained.example)
    batch = first_examples(test, count)
    if options.label == "all":
        decoded = trained.restyle(batch)
    else:
        decoded = trained.reconstruct(batch, **({} if label is None else {"label": label}))
    if options.n is not None:
        notice_of_few(options.n, count, count_examples(test))
    if not figure:
        write_arrays(options.out, {"originals": preprocess(batch), "reconstructions": decoded})
        return
    notice_of_seed(every, options.run_index)
    originals = preprocess(batch)
    if options.label == "all":
        drawing = plot.styles(originals, decoded, class_names=trained.class_names, title=title)
    else:
        drawing = plot.reconstructions(originals, decoded, title=title)
    write_figure(options.out, drawing)
