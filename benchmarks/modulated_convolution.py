"""Time both forms of the modulated convolution of StyleGAN2: its value and the gradients of all its inputs.

    python benchmarks/modulated_convolution.py [--quick] [--json FILE]

"scaled" multiplies the features before and after one convolution of the batch; "grouped" makes a kernel for each
example and computes a convolution with a group of channels for each (`jaxgen.nn.modulated_convolution`). Both are the
body of a compiled loop, where training spends its time, and their results are the same but for rounding. Times are
medians over interleaved repeats in one process: measure on an idle machine.
"""

import argparse
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import lax
from output_file import output_file

from jaxgen.benchmark.machine import describe, machine_text
from jaxgen.benchmark.timing import Times, interleaved
from jaxgen.nn.modulated_convolution import Form, modulated_convolution
from jaxgen.training import jit
from jaxgen.typing import Array


class Layer(NamedTuple):
    """Shape of a layer with a 3x3 window.

    Attributes:
        batch: number of examples.
        size: height and width of the input.
        channels: number of channels of the input.
        features: number of channels of the output.
        up: factor by which the map is enlarged.
    """

    batch: int
    size: int
    channels: int
    features: int
    up: int = 1

    def __str__(self) -> str:
        """Return the title of a row."""
        enlarged = ", enlarged" if self.up > 1 else ""
        return f"{self.batch} maps of {self.size}x{self.size}x{self.channels} to {self.features}{enlarged}"


LAYERS = (
    Layer(32, 8, 64, 64),
    Layer(32, 16, 64, 64),
    Layer(32, 32, 32, 32),
    Layer(32, 16, 64, 32, up=2),
    Layer(8, 32, 128, 128),
)
"""Layers of `stylegan2-32`, and a wider one with few examples."""

STEPS = 8
"""Iterations of the loop in one repeat."""


class Program:
    """The compiled loop of one form.

    Args:
        form: how the convolution is computed.
        layer: shape of the layer.

    Attributes:
        steps: iterations in one repeat.
    """

    def __init__(self, form: Form, layer: Layer) -> None:
        self.steps = STEPS
        keys = jax.random.split(jax.random.key(0), 3)
        self._inputs = (
            jax.random.normal(keys[0], (layer.batch, layer.size, layer.size, layer.channels)),
            jax.random.normal(keys[1], (3, 3, layer.channels, layer.features)),
            1 + jax.random.normal(keys[2], (layer.batch, layer.channels)),
        )

        def loss(inputs: tuple[Array, Array, Array]) -> Array:
            return jnp.square(modulated_convolution(*inputs, up=layer.up, form=form)).mean()

        def step(inputs: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], Array]:
            """Descend: each iteration depends on the one before, so that none can be optimized away."""
            value, gradients = jax.value_and_grad(loss)(inputs)
            return jax.tree.map(lambda x, gradient: x - 1e-3 * gradient, inputs, gradients), value

        self._run = jit(lambda inputs: lax.scan(step, inputs, length=STEPS))

    def run(self) -> Array:
        """Run the loop, and return the value of each iteration; the first call also compiles."""
        values: Array = jax.block_until_ready(self._run(self._inputs))[1]
        return values


def main() -> None:
    arguments = parse()
    machine = describe()
    print(machine_text(machine) + "\n")
    rows = []
    for layer in LAYERS[:1] if arguments.quick else LAYERS:
        rows.append(measure(layer, repeats=3 if arguments.quick else 9))
        print_row(rows[-1])
    if arguments.json:
        report = machine | {"quick": arguments.quick, "modulated_convolution": rows}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="time the first layer only, with few repeats")
    parser.add_argument("--json", type=output_file(".json"), metavar="FILE", help="also write the numbers to this file")
    return parser.parse_args()


def measure(layer: Layer, *, repeats: int) -> dict[str, Any]:
    """Time both forms for a layer."""
    times = interleaved({form: Program(form, layer) for form in get_args(Form)}, repeats=repeats)
    return {"layer": str(layer), **summarize(times)}


def summarize(times: Mapping[str, Times]) -> dict[str, Any]:
    """Return the time and the spread of each form, and how many times as long "grouped" takes as "scaled"."""
    forms = {form: {"ms": side.median, "spread": side.spread} for form, side in times.items()}
    return {"forms": forms, "grouped_against_scaled": times["grouped"].median / times["scaled"].median}


def print_row(row: Mapping[str, Any]) -> None:
    """Print the times of one layer."""
    times = "".join(f"{form:>10}{side['ms']:10.3f} ms{side['spread']:6.0%}" for form, side in row["forms"].items())
    print(f"{row['layer']:42}{times}{row['grouped_against_scaled']:8.2f} times")


if __name__ == "__main__":
    main()
