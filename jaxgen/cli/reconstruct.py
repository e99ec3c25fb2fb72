"""`jaxgen reconstruct RUN`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from jaxgen.callbacks.image_grid import PAIRS, POINTS, ROWS, draw_pairs, draw_styles, first_examples
from jaxgen.cli.output import FIGURE_SUFFIXES, check_count, check_output, load_with_notice, write_arrays, write_figure
from jaxgen.cli.parse import RunFolder, parse
from jaxgen.models.preprocessing import preprocess
from jaxgen.runs.evaluation import load_test_split, with_data_in


@dataclass(frozen=True)
class Options:
    """Send test examples through the code of a trained run and back.

    Attributes:
        run: the run folder.
        out: where they go: a picture (.png, .pdf, .svg), or .npz for the arrays, under `originals` and
            `reconstructions`, the latter with a leading axis of seeds for a run of several.
        n: how many; 32 pictures, 8 with --label all, or 2500 points where nothing is given.
        label: class as a member of which they are drawn, in their own style, for models that are conditioned on it;
            `all` draws each as a member of every class.
        data_dir: where data sets are kept, if not where they were at the time of the training.
    """

    run: RunFolder
    out: Path = Path("reconstructions.png")
    n: int | None = None
    label: int | Literal["all"] | None = None
    data_dir: str | None = None


def run(arguments: list[str]) -> None:
    """Reconstruct test examples and write them."""
    options = parse(Options, arguments, command="jaxgen reconstruct")
    check_output(options.out)
    trained = with_data_in(load_with_notice(options.run), options.data_dir)
    images = ROWS if options.label == "all" else 2 * PAIRS
    count = check_count(options.n, POINTS if "point" in trained.example else images)
    batch = first_examples(load_test_split(trained.config, trained.example), count)
    if options.label == "all":
        reconstructions = trained.restyle(batch)
    else:
        reconstructions = trained.reconstruct(batch, **({} if options.label is None else {"label": options.label}))
    if options.out.suffix not in FIGURE_SUFFIXES:
        write_arrays(options.out, {"originals": preprocess(batch), "reconstructions": reconstructions})
        return
    first = np.asarray(reconstructions if trained.config.seeds is None else reconstructions[trained.first_run])
    draw = draw_styles if options.label == "all" else draw_pairs
    write_figure(options.out, draw(preprocess(batch), first))
