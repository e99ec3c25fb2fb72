"""Time the ways to compute a convolution on the CPU, and compare the fastest with the one that jaxgen chooses.

    python benchmarks/convolution.py [--quick] [--markdown FILE]

Each entry is a convolution's value and both gradients, in ms, as the body of a compiled loop, since that is where
training spends its time; for XLA's own convolution also outside of a loop. The filtered one is timed also where jaxgen
would not choose it. `benchmarks/convolution.md` keeps a table. Batches of 64, medians of interleaved repeats.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from machine import available_cores, processor

from jaxgen.nn import _products, _winograd, convolution
from jaxgen.nn.cpu_convolution.windows import Geometry
from jaxgen.training import jit
from jaxgen.typing import Array

BATCH = 64
XLA, XLA_ALONE, CHOSEN, FILTERED = "XLA", "XLA, no loop", "chosen", "filtered"
LIMIT = 2.0
"""Seconds of one call beyond which it is not repeated."""


class Shape(NamedTuple):
    """A layer: of a picture with so many pixels a side, by a square window, with padding "SAME"."""

    pixels: int
    channels: int
    features: int
    window: int
    stride: int
    transposed: bool = False

    @property
    def gigaflop(self) -> float:
        """Of the value and both gradients."""
        positions = self.pixels if self.transposed else -(-self.pixels // self.stride)
        return 6e-9 * BATCH * positions**2 * self.window**2 * self.channels * self.features

    def __str__(self) -> str:
        """One row's title."""
        kind = "transposed, " if self.transposed else ""
        return (
            f"{kind}{self.pixels}x{self.pixels}x{self.channels} to {self.features}, window {self.window}, "
            f"stride {self.stride}"
        )


SHAPES = (
    Shape(28, 1, 64, 4, 2),
    Shape(64, 3, 64, 4, 2),
    Shape(32, 64, 128, 4, 2),
    Shape(16, 128, 256, 4, 2),
    Shape(14, 64, 128, 4, 2),
    Shape(8, 256, 512, 4, 2),
    Shape(7, 128, 256, 4, 2),
    Shape(28, 32, 64, 5, 2),
    Shape(32, 16, 32, 3, 2),
    Shape(28, 1, 32, 5, 1),
    Shape(64, 16, 16, 3, 1),
    Shape(32, 16, 16, 3, 1),
    Shape(16, 32, 32, 3, 1),
    Shape(8, 64, 64, 3, 1),
    Shape(8, 512, 512, 3, 1),
    Shape(16, 128, 16, 3, 1),
    Shape(32, 64, 64, 1, 1),
    Shape(16, 256, 64, 1, 1),
    Shape(32, 64, 3, 4, 2, transposed=True),
    Shape(16, 128, 64, 4, 2, transposed=True),
    Shape(8, 256, 128, 4, 2, transposed=True),
    Shape(14, 64, 1, 4, 2, transposed=True),
    Shape(7, 128, 64, 4, 2, transposed=True),
    Shape(4, 256, 128, 4, 2, transposed=True),
    Shape(14, 64, 32, 5, 2, transposed=True),
    Shape(16, 64, 64, 3, 2, transposed=True),
    Shape(4, 512, 256, 2, 2, transposed=True),
)

Conv = Callable[[Array, Array], Array]


def main() -> None:
    arguments = parse()
    forms = [CHOSEN, "gathered", "interleaved", "scattered", FILTERED, XLA, XLA_ALONE]
    lines = [
        f"{processor()}, {available_cores()} cores, jax {jax.__version__}; ms of the value and both gradients",
        "",
        "| layer, batches of 64 | GFLOP | " + " | ".join(forms) + " | chosen / fastest |",
        "| --- |" + " ---: |" * (len(forms) + 2),
    ]
    print("\n".join(lines), flush=True)
    for shape in SHAPES[:: 6 if arguments.quick else 1]:
        times = measure(shape, repeats=2 if arguments.quick else 5)
        fastest = min(times[name] for name in times if name not in (CHOSEN, XLA_ALONE))
        cells = " | ".join(f"{times[name]:.2f}" if name in times else "" for name in forms)
        lines.append(f"| {shape} | {shape.gigaflop:.2f} | {cells} | {times[CHOSEN] / fastest:.2f} |")
        print(lines[-1], flush=True)
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(lines) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="every sixth layer, 2 repeats in place of 5")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table to a file as well")
    return parser.parse_args()


def measure(shape: Shape, *, repeats: int) -> dict[str, float]:
    """Name of the form -> milliseconds."""
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (BATCH, shape.pixels, shape.pixels, shape.channels))
    kernel = 0.1 * jax.random.normal(keys[1], (shape.window, shape.window, shape.channels, shape.features))
    forms = forms_of(shape)
    output = jax.eval_shape(forms[XLA], x, kernel)
    given = (x, kernel, jax.random.normal(keys[2], output.shape))
    programs = {}
    for name, conv in forms.items():
        with filtering_as(name):
            programs[name] = looped(conv, given)
    alone = jax.jit(value_and_gradients(forms[XLA])).lower(*given).compile()
    programs[XLA_ALONE] = lambda: alone(*given)
    times: dict[str, list[float]] = {name: [] for name in programs}
    turns = dict.fromkeys(forms, LOOPS) | {XLA_ALONE: 1}
    slow = {name for name, program in programs.items() if seconds(program) > LIMIT}
    for _ in range(repeats):
        for name, program in programs.items():
            if name not in slow or not times[name]:
                times[name].append(seconds(program) / turns[name] * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


LOOPS = 3
"""Turns of the loop in one call."""


def forms_of(shape: Shape) -> dict[str, Conv]:
    """The ways that there are for a layer."""
    strides = (shape.stride, shape.stride)
    numbers = ("NHWC", "HWIO", "NHWC")
    if shape.transposed:
        low_high = convolution._transpose_padding(shape.window, shape.stride, "SAME")
        geometry = Geometry((1, 1), (low_high, low_high), strides, None)
        forms: dict[str, Conv] = {
            CHOSEN: lambda x, w: convolution.convolve_transpose(x, w, strides, "SAME"),
            XLA: lambda x, w: lax.conv_transpose(x, w, strides, "SAME", dimension_numbers=numbers),
            "interleaved": partial(_products.gather_interleaved, geometry=geometry),
        }
    else:
        pads = lax.padtype_to_pads((shape.pixels,) * 2, (shape.window,) * 2, strides, "SAME")
        geometry = Geometry(strides, tuple(pads), (1, 1), None)
        forms = {
            CHOSEN: lambda x, w: convolution.convolve(x, w, strides, "SAME"),
            XLA: lambda x, w: lax.conv_general_dilated(x, w, strides, "SAME", dimension_numbers=numbers),
            "gathered": partial(_products.gather, geometry=geometry),
        }
    if shape.stride == 1 or shape.transposed:
        forms["scattered"] = partial(_products.scatter, geometry=geometry)
    if 1 < -(-shape.window // shape.stride) < 4:
        forms[FILTERED] = forms["scattered" if shape.transposed else "gathered"]
    return forms


@contextmanager
def filtering_as(form: str) -> Iterator[None]:
    """Filter wherever possible for the filtered form, by jaxgen's own rule for the chosen one, else nowhere."""
    # The numbers are looked up while a form is traced; of these forms only the chosen one is kept by JAX once traced.
    rule = _winograd.SAVING, _winograd.NARROW
    _winograd.SAVING, _winograd.NARROW = {FILTERED: (0, 0), CHOSEN: rule}.get(form, (math.inf, 0))
    try:
        yield
    finally:
        _winograd.SAVING, _winograd.NARROW = rule


def value_and_gradients(conv: Conv) -> Callable[..., tuple[Array, ...]]:
    """`(inputs, kernel, gradient of the outputs) -> (outputs, gradient of the inputs, gradient of the kernel)`."""

    def both(x: Array, kernel: Array, gradient: Array) -> tuple[Array, ...]:
        outputs, pullback = jax.vjp(conv, x, kernel)
        return outputs, *pullback(gradient)

    return both


def looped(conv: Conv, given: tuple[Array, Array, Array]) -> Callable[[], object]:
    """A compiled loop whose every turn needs the one before, so that none can be left out."""
    compute = value_and_gradients(conv)

    def run(x: Array, kernel: Array, gradient: Array) -> tuple[Array, ...]:
        def turn(_: Array, results: tuple[Array, ...]) -> tuple[Array, ...]:
            return compute(x + 1e-30 * results[0].ravel()[0], kernel, gradient)

        results = tuple(jnp.zeros(part.shape, part.dtype) for part in jax.eval_shape(compute, *given))
        return lax.fori_loop(0, LOOPS, turn, results)

    program = jit(run).lower(*given).compile()
    return lambda: program(*given)


def seconds(program: Callable[[], object]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    jax.block_until_ready(program())
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
