"""Time the methods of computing a convolution on the CPU, and compare the fastest with the one that jaxgen chooses.

    python benchmarks/convolution.py [--quick] [--markdown FILE]

Each number is the time in ms of a convolution's value and both gradients, as the body of a compiled loop, where
training spends its time; for XLA's own convolution also outside of a loop. The filtered method is also timed where
jaxgen would not choose it. `benchmarks/convolution.md` contains a table. Batches of 64, medians of interleaved repeats.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from output_file import output_file

from jaxgen.benchmark.machine import available_cores, processor
from jaxgen.nn import convolution
from jaxgen.nn.cpu_convolution import products, winograd
from jaxgen.nn.cpu_convolution.windows import Geometry
from jaxgen.training import jit
from jaxgen.typing import Array

BATCH = 64
XLA, XLA_NO_LOOP, CHOSEN, FILTERED = "XLA", "XLA, no loop", "chosen", "filtered"
LIMIT = 2.0
"""Seconds of one call above which it is not repeated."""


class Shape(NamedTuple):
    """Shape of a layer with padding "SAME".

    Attributes:
        pixels: height and width of the input.
        channels: number of channels of the input.
        features: number of channels of the output.
        window: height and width of the window.
        stride: stride of the window.
        transposed: whether the convolution is transposed.
    """

    pixels: int
    channels: int
    features: int
    window: int
    stride: int
    transposed: bool = False

    @property
    def gigaflop(self) -> float:
        """GFLOP of the value and both gradients."""
        positions = self.pixels if self.transposed else -(-self.pixels // self.stride)
        return 6e-9 * BATCH * positions**2 * self.window**2 * self.channels * self.features

    def __str__(self) -> str:
        """Return the title of a row."""
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
    methods = [CHOSEN, "gathered", "interleaved", "scattered", FILTERED, XLA, XLA_NO_LOOP]
    lines = [
        f"{processor()}, {available_cores()} cores, jax {jax.__version__}; ms of the value and both gradients",
        "",
        "| layer, batches of 64 | GFLOP | " + " | ".join(methods) + " | chosen / fastest |",
        "| --- |" + " ---: |" * (len(methods) + 2),
    ]
    print("\n".join(lines), flush=True)
    for shape in SHAPES[:: 6 if arguments.quick else 1]:
        times = measure(shape, repeats=2 if arguments.quick else 5)
        fastest = min(times[name] for name in times if name not in (CHOSEN, XLA_NO_LOOP))
        cells = " | ".join(f"{times[name]:.2f}" if name in times else "" for name in methods)
        lines.append(f"| {shape} | {shape.gigaflop:.2f} | {cells} | {times[CHOSEN] / fastest:.2f} |")
        print(lines[-1], flush=True)
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(lines) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="time every sixth layer, with 2 repeats instead of 5")
    parser.add_argument("--markdown", type=output_file(".md"), metavar="FILE", help="also write the table to this file")
    return parser.parse_args()


def measure(shape: Shape, *, repeats: int) -> dict[str, float]:
    """Return the milliseconds by name of the method."""
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (BATCH, shape.pixels, shape.pixels, shape.channels))
    kernel = 0.1 * jax.random.normal(keys[1], (shape.window, shape.window, shape.channels, shape.features))
    methods = methods_of(shape)
    output = jax.eval_shape(methods[XLA], x, kernel)
    given = (x, kernel, jax.random.normal(keys[2], output.shape))
    programs = {}
    for name, conv in methods.items():
        with filtering_of(name):
            programs[name] = looped(conv, given)
    no_loop = jax.jit(value_and_gradients(methods[XLA])).lower(*given).compile()
    programs[XLA_NO_LOOP] = lambda: no_loop(*given)
    times: dict[str, list[float]] = {name: [] for name in programs}
    iterations = dict.fromkeys(methods, LOOPS) | {XLA_NO_LOOP: 1}
    slow = {name for name, program in programs.items() if seconds(program) > LIMIT}
    for _ in range(repeats):
        for name, program in programs.items():
            if name not in slow or not times[name]:
                times[name].append(seconds(program) / iterations[name] * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


LOOPS = 3
"""Iterations of the loop in one call."""


def methods_of(shape: Shape) -> dict[str, Conv]:
    """Return the methods that apply to a layer."""
    strides = (shape.stride, shape.stride)
    numbers = ("NHWC", "HWIO", "NHWC")
    if shape.transposed:
        low_high = convolution._transpose_padding(shape.window, shape.stride, "SAME")
        geometry = Geometry((1, 1), (low_high, low_high), strides, None)
        methods: dict[str, Conv] = {
            CHOSEN: lambda x, w: convolution.convolve_transpose(x, w, strides, "SAME"),
            XLA: lambda x, w: lax.conv_transpose(x, w, strides, "SAME", dimension_numbers=numbers),
            "interleaved": partial(products.gather_interleaved, geometry=geometry),
        }
    else:
        pads = lax.padtype_to_pads((shape.pixels,) * 2, (shape.window,) * 2, strides, "SAME")
        geometry = Geometry(strides, tuple(pads), (1, 1), None)
        methods = {
            CHOSEN: lambda x, w: convolution.convolve(x, w, strides, "SAME"),
            XLA: lambda x, w: lax.conv_general_dilated(x, w, strides, "SAME", dimension_numbers=numbers),
            "gathered": partial(products.gather, geometry=geometry),
        }
    if shape.stride == 1 or shape.transposed:
        methods["scattered"] = partial(products.scatter, geometry=geometry)
    if 1 < -(-shape.window // shape.stride) < 4:
        methods[FILTERED] = methods["scattered" if shape.transposed else "gathered"]
    return methods


@contextmanager
def filtering_of(method: str) -> Iterator[None]:
    """Filter wherever possible for the filtered method, by jaxgen's rule for the chosen one, otherwise nowhere."""
    # The constants are read while a method is traced. JAX caches a trace of the chosen method only.
    rule = winograd.SAVING, winograd.NARROW
    winograd.SAVING, winograd.NARROW = {FILTERED: (0, 0), CHOSEN: rule}.get(method, (math.inf, 0))
    try:
        yield
    finally:
        winograd.SAVING, winograd.NARROW = rule


def value_and_gradients(conv: Conv) -> Callable[..., tuple[Array, ...]]:
    """Return `(inputs, kernel, output gradient) -> (outputs, input gradient, kernel gradient)`."""

    def both(x: Array, kernel: Array, gradient: Array) -> tuple[Array, ...]:
        outputs, pullback = jax.vjp(conv, x, kernel)
        return outputs, *pullback(gradient)

    return both


def looped(conv: Conv, given: tuple[Array, Array, Array]) -> Callable[[], object]:
    """Return a compiled loop in which every iteration depends on the one before, so that none can be optimized away."""
    compute = value_and_gradients(conv)

    def run(x: Array, kernel: Array, gradient: Array) -> tuple[Array, ...]:
        def iterate(_: Array, results: tuple[Array, ...]) -> tuple[Array, ...]:
            return compute(x + 1e-30 * results[0].ravel()[0], kernel, gradient)

        results = tuple(jnp.zeros(part.shape, part.dtype) for part in jax.eval_shape(compute, *given))
        return lax.fori_loop(0, LOOPS, iterate, results)

    program = jit(run).lower(*given).compile()
    return lambda: program(*given)


def seconds(program: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    started = time.perf_counter()
    jax.block_until_ready(program())
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
