"""`jaxgen encode RUN`."""

from dataclasses import dataclass
from pathlib import Path

from jaxgen import plot
from jaxgen.callbacks.image_grid import first_examples, latent_size
from jaxgen.cli.output import FIGURE_SUFFIXES, check_count, check_output, load_with_notice, write_arrays, write_figure
from jaxgen.cli.parse import RunFolder, parse
from jaxgen.errors import InputError
from jaxgen.runs.evaluation import load_test_split, with_data_in

CODES = 10_000
"""Examples that are encoded where nothing is given."""


@dataclass(frozen=True)
class Options:
    """Find the codes that a trained run gives to test examples.

    Attributes:
        run: the run folder.
        out: where they go: a picture (.png, .pdf, .svg) of the plane, each code in the colour of its label, for codes
            of 2 dimensions; or .npz for the arrays, under `codes`, with a leading axis of seeds for a run of several,
            and `label` if the data have labels.
        n: how many; the whole test split, but at most 10000, where nothing is given.
        data_dir: where data sets are kept, if not where they were at the time of the training.
    """

    run: RunFolder
    out: Path = Path("codes.png")
    n: int | None = None
    data_dir: str | None = None


def run(arguments: list[str]) -> None:
    """Encode test examples and write their codes."""
    options = parse(Options, arguments, command="jaxgen encode")
    check_output(options.out)
    count = check_count(options.n, CODES)
    trained = with_data_in(load_with_notice(options.run), options.data_dir)
    image = options.out.suffix in FIGURE_SUFFIXES
    if image and (size := latent_size(trained.model, trained.example)) not in (2, None):
        raise InputError(f"a picture shows codes of 2 dimensions, and these have {size}: give --out codes.npz")
    batch = first_examples(load_test_split(trained.config, trained.example), count)
    codes = trained.encode(batch)
    if image:
        first = codes if trained.config.seeds is None else codes[trained.first_run]
        write_figure(options.out, plot.scatter_by_label(first, label=batch.get("label")))
    else:
        write_arrays(options.out, {"codes": codes} | {name: batch[name] for name in ("label",) if name in batch})
