"""`jaxgen sample RUN`."""

from dataclasses import dataclass
from pathlib import Path

import jax

from jaxgen.callbacks.image_grid import draw_samples, layout
from jaxgen.cli.output import (
    FIGURE_SUFFIXES,
    check_count,
    check_output,
    check_seed,
    load_with_notice,
    write_arrays,
    write_figure,
)
from jaxgen.cli.parse import RunFolder, parse


@dataclass(frozen=True)
class Options:
    """Draw new examples from a trained run.

    Attributes:
        run: the run folder.
        out: where they go: a picture (.png, .pdf, .svg), or .npz for the arrays, under `samples`, with a leading axis
            of seeds for a run of several.
        n: how many; a grid of pictures or 2500 points where nothing is given.
        seed: of the draw.
        label: class of the examples, for models that are conditioned on it.
    """

    run: RunFolder
    out: Path = Path("samples.png")
    n: int | None = None
    seed: int = 0
    label: int | None = None


def run(arguments: list[str]) -> None:
    """Draw samples and write them."""
    options = parse(Options, arguments, command="jaxgen sample")
    check_output(options.out)
    trained = load_with_notice(options.run)
    several = trained.config.seeds is not None
    conditions = {} if options.label is None else {"label": options.label}
    usual, columns = layout(trained.model, trained.example, several=several)
    count = check_count(options.n, usual)
    samples = trained.sample(jax.random.key(check_seed(options.seed)), count, **conditions)
    if options.out.suffix in FIGURE_SUFFIXES:
        write_figure(options.out, draw_samples(samples, several=several, columns=None if conditions else columns))
    else:
        write_arrays(options.out, {"samples": samples})
