"""`jaxgen sample RUN`."""

from dataclasses import dataclass
from pathlib import Path

import jax

from jaxgen import plot
from jaxgen.callbacks.image_grid import layout
from jaxgen.cli.options import RunFolder
from jaxgen.cli.output import (
    FIGURE_SUFFIXES,
    check_count,
    check_output,
    check_seed,
    load_with_notice,
    write_arrays,
    write_figure,
)
from jaxgen.cli.parse import parse


@dataclass(frozen=True)
class Options:
    """Sample new examples from a trained run.

    Attributes:
        run: run folder.
        out: output file: a figure (.png, .pdf, .svg), or .npz for the arrays, under `samples`, with a leading axis of
            seeds for a run of several.
        n: number of samples; by default as many as fill a grid of images, or 2500 points.
        seed: seed of the samples.
        label: class of the samples, for conditional models.
        family: file, module or entry point that defines the run's family, if it is not part of jaxgen.
    """

    run: RunFolder
    out: Path = Path("samples.png")
    n: int | None = None
    seed: int = 0
    label: int | None = None
    family: str | None = None


def run(arguments: list[str]) -> None:
    """Sample and write the samples."""
    options = parse(Options, arguments, command="jaxgen sample")
    check_output(options.out)
    trained = load_with_notice(options.run, options.family)
    several_seeds = trained.config.seeds is not None
    conditions = {} if options.label is None else {"label": options.label}
    default, columns = layout(trained.model, trained.example, several_seeds=several_seeds)
    count = check_count(options.n, default)
    samples = trained.sample(jax.random.key(check_seed(options.seed)), count, **conditions)
    if options.out.suffix in FIGURE_SUFFIXES:
        columns_drawn = None if conditions else columns
        write_figure(options.out, plot.samples(samples, several_seeds=several_seeds, columns=columns_drawn))
    else:
        write_arrays(options.out, {"samples": samples})
