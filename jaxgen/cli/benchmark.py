"""`jaxgen benchmark`."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax

from jaxgen.benchmark.case import prepare
from jaxgen.benchmark.growth import growth_text, measure_growth
from jaxgen.benchmark.machine import PyTorch, describe, device_line, find_pytorch, machine_text
from jaxgen.benchmark.step_chart import draw
from jaxgen.benchmark.step_report import DISAGREES, row_text, summary_text, targets
from jaxgen.benchmark.train_step import FORMAT, measure, summarize
from jaxgen.benchmark.workloads import WORKLOADS
from jaxgen.benchmark.workloads.workload import BFLOAT16, FLOAT32, Workload
from jaxgen.benchmark.workloads.workload_precision import describe_precision, in_precision
from jaxgen.cli.options import Repeated
from jaxgen.cli.output import FIGURE_SUFFIXES, check_output, notice, print_line, write_figure
from jaxgen.cli.parse import parse
from jaxgen.errors import InputError, check_known
from jaxgen.runs import outputs


@dataclass(frozen=True)
class Options:
    """Time training steps on this machine, beside the same steps in PyTorch where that is installed.

    Both sides train the same networks on the same data, and their losses must agree before they are timed. Times are
    medians of interleaved repeats; other processes slow both sides down, but not equally: measure on an idle machine.
    "of GEMM" is the number of operations per second divided by that of a large matrix product.

    Example: jaxgen benchmark --quick --only "MLP VAE" --json step.json

    Attributes:
        quick: use few and short repeats and compile fewer programs; the memory of large steps is not measured.
        only: name of a workload to measure, in quotes; may be repeated: MLP AE, MLP VAE, conv VAE 28, conv VAE 32,
            ring GAN, DCGAN 28, DCGAN 64, WGAN-GP 28, VAE/GAN 28, ResNet, StyleGAN2 32, BigGAN 28,
            PGGAN 32. By default all are measured.
        bfloat16: compute products in bfloat16 instead of float32, on both sides; not of StyleGAN2.
        targets: also print which of the limits that the developers of jaxgen aim at are met on this machine.
        growth: time three workloads with batches of 16 to 1,024 examples and networks of width 16 to 256 instead.
        json: file for the numbers (.json).
        chart: file for a bar chart of the ratios (.png, .pdf, .svg).
    """

    quick: bool = False
    only: Annotated[tuple[str, ...], Repeated("NAME")] = ()
    bfloat16: bool = False
    targets: bool = False
    growth: bool = False
    json: Path | None = None
    chart: Path | None = None


def run(arguments: list[str]) -> None:
    """Measure, print the tables, and write the files."""
    options = parse(Options, arguments, command="jaxgen benchmark")
    _check(options)
    # The time of a compilation is measured, and a program that is read from the cache takes none.
    jax.config.update("jax_enable_compilation_cache", False)
    precision = BFLOAT16 if options.bfloat16 else FLOAT32
    chosen = [workload for workload in WORKLOADS if workload.name in options.only or not options.only]
    workloads = [in_precision(workload, precision) for workload in chosen if _has_precision(workload, precision)]
    machine, pytorch = describe(), find_pytorch()
    if options.chart is not None and pytorch.problem is not None:
        raise InputError(f"--chart shows ratios to PyTorch, and {pytorch.problem}: leave it out, or install PyTorch")
    machine["torch"] = pytorch.version
    print(f"{machine_text(machine)}\n{describe_precision(precision)}")
    if pytorch.problem is not None:
        print(f"{pytorch.problem}: only jaxgen is timed")
    print(flush=True)
    report = {"format": FORMAT, **machine, "device": device_line(machine), "precision": precision}
    if options.growth:
        rows = _printed(measure_growth(workloads, pytorch), growth_text)
        _write_json(options.json, report | {"growth": rows})
        return
    report |= {"quick": options.quick} | _measured(workloads, pytorch, quick=options.quick)
    print(summary_text(report))
    if options.targets:
        print("", *targets(report["workloads"]), sep="\n")
    _write_json(options.json, report)
    if options.chart is not None:
        _draw_chart(options.chart, report)
    _exit_if_sides_disagree(report["workloads"])


def _check(options: Options) -> None:
    """Raise an InputError for options that do not go together, before any work is done."""
    for name in options.only:
        check_known("workload", name, [workload.name for workload in WORKLOADS])
    for workload in WORKLOADS:
        if options.bfloat16 and workload.name in options.only and not workload.mixed_precision:
            raise InputError(
                f"{workload.name} has no mixed precision, as not all of its products can be in bfloat16: leave out "
                f"--bfloat16, or choose other workloads"
            )
    if options.growth and (options.quick or options.only or options.chart or options.targets):
        raise InputError(
            "--growth has workloads and repeats of its own, and no chart or targets: leave out --quick, --only, "
            "--chart and --targets"
        )
    if options.json is not None:
        check_output(options.json, (".json",))
    if options.chart is not None:
        check_output(options.chart, FIGURE_SUFFIXES)


def _has_precision(workload: Workload, precision: str) -> bool:
    return precision == FLOAT32 or workload.mixed_precision


def _measured(workloads: Sequence[Workload], pytorch: PyTorch, *, quick: bool) -> dict[str, Any]:
    if quick:
        print(
            "quick: few and short repeats, PyTorch in the mode known to be faster, no single steps and seeds of large\n"
            "workloads; where steps are long, only the losses of the first repeat are compared\n",
            flush=True,
        )
    return summarize(_printed((measure(prepare(workload, quick=quick), pytorch) for workload in workloads), row_text))


def _printed(rows: Iterable[dict[str, Any]], text: Callable[[Mapping[str, Any]], str]) -> list[dict[str, Any]]:
    """The rows, each of which is printed as soon as it is measured."""
    measured = []
    for row in rows:
        measured.append(row)
        print(text(row), flush=True)
    return measured


def _write_json(path: Path | None, report: Mapping[str, Any]) -> None:
    if path is not None:
        outputs.write_json(path, report)
        print_line(path)


def _draw_chart(path: Path, report: Mapping[str, Any]) -> None:
    if report["geomean_ratio"] is None:
        notice("there is no chart, because no workload was timed in PyTorch")
        return
    write_figure(path, draw(report))


def _exit_if_sides_disagree(rows: Sequence[Mapping[str, Any]]) -> None:
    """Exit with status 1 if a mode of PyTorch was left out because it computes something else."""
    names = [row["name"] for row in rows if any(DISAGREES in reason for reason in row["left_out"].values())]
    if names:
        notice(f"error: the losses of jaxgen and PyTorch must agree, and do not in {', '.join(names)}")
        sys.exit(1)
