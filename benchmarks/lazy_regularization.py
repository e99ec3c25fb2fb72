"""Time a training step whose gradient penalty is computed at every k-th step only (lazy regularization).

    python benchmarks/lazy_regularization.py [--quick] [--json FILE]

A WGAN-GP of fully connected networks on the ring of eight Gaussians is trained by `fit`, with one seed and with eight
in one program. The penalty is an update of its own at every 1st, 4th or 16th step, or absent. A step that skips the
penalty costs as much as one without it, so that on average over the steps

    milliseconds(k) = milliseconds(without) + (milliseconds(1) - milliseconds(without)) / k

which is printed beside the measured time. If the penalty were computed at every step and its result only discarded, the
time would not depend on k. The penalty in the loss of the main update, as published, is timed too: it is cheaper than
an update of its own at every step, which generates examples and applies the optimizer again.

On the CPU, seeds of the narrow networks are computed side by side (`vmap`), those of the wide ones one after the other
(`map`), see `jaxgen.training.seeds`. Times are medians over interleaved repeats in one process, each of a multiple of
16 steps: measure on an idle machine.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from output_file import output_file

from jaxgen.benchmark.machine import describe, machine_text
from jaxgen.benchmark.sides import Fit
from jaxgen.benchmark.timing import Side, Times, interleaved
from jaxgen.data.synthetic import ring
from jaxgen.game import Model, game
from jaxgen.models import gan
from jaxgen.training.seeds import has_large_networks, seed_keys
from jaxgen.training.states import abstract_state
from jaxgen.typing import Batch

EVERY = (1, 4, 16)
"""Numbers of steps between two updates with the penalty."""

WITHOUT, IN_LOSS = "without penalty", "in the loss"
WIDTHS = (128, 256)
SEEDS = (1, 8)
BATCH_SIZE = 256
STEPS = 160
"""Steps per repeat of one seed, a multiple of all intervals; a fifth of them for several seeds or `--quick`."""

CONFIG = gan.Config(loss="wasserstein", penalty="gradient", learning_rate=1e-4, b1=0.0, b2=0.9)
"""Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1, with one critic update per step."""


def main() -> None:
    arguments = parse()
    machine = describe()
    print(machine_text(machine) + "\n")
    rows = []
    for width in WIDTHS[:1] if arguments.quick else WIDTHS:
        for seeds in SEEDS:
            rows.append(measure(width, seeds, quick=arguments.quick))
            print_rows(rows[-1])
    if arguments.json:
        report = machine | {"quick": arguments.quick, "lazy_regularization": rows}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="time the narrow networks only, with few and short repeats"
    )
    parser.add_argument("--json", type=output_file(".json"), metavar="FILE", help="also write the numbers to this file")
    return parser.parse_args()


def measure(width: int, seeds: int, *, quick: bool) -> dict[str, Any]:
    """Time the steps of all programs for networks of a width and a number of seeds."""
    data = {"point": np.asarray(ring().sample(jax.random.key(0), 10_000)["point"])}
    programs = models(width, data)
    keys = seed_keys(0, seeds)
    steps, repeats = STEPS // 5 if quick or seeds > 1 else STEPS, 3 if quick else 9
    sides: dict[str, Side] = {
        name: Fit(model, data, key=keys, batch_size=BATCH_SIZE, steps=steps, chunks=repeats + 1)
        for name, model in programs.items()
    }
    times = interleaved(sides, repeats=repeats)
    state = abstract_state(programs[WITHOUT], keys, data)
    in_sequence = jax.default_backend() == "cpu" and has_large_networks(state)
    return {"width": width, "seeds": seeds, "vectorized": seeds > 1 and not in_sequence, "programs": summarize(times)}


def models(width: int, data: Batch) -> dict[str, Model]:
    """Return the models by name. All but `IN_LOSS` have the same losses and optimizers and differ in `every` alone."""
    config = replace(CONFIG, hidden=(width, width), penalty_every=EVERY[-1])
    model = gan.build(config, data)
    critic, generator = model.players
    (penalty,) = critic.regularizers

    def with_regularizers(*regularizers: Any) -> Model:
        players = critic._replace(regularizers=regularizers), generator
        _, step = game(lambda key, batch: {}, players)
        return model._replace(step=step, players=players)

    return {
        WITHOUT: with_regularizers(),
        IN_LOSS: gan.build(replace(config, penalty_every=1), data),
        **{name_of(every): with_regularizers(penalty._replace(every=every)) for every in EVERY},
    }


def name_of(every: int) -> str:
    """Return the name of the program with the penalty at every k-th step."""
    return f"every={every}"


def summarize(times: Mapping[str, Times]) -> list[dict[str, Any]]:
    """Return the time of each program, relative to those without the penalty and with every=1, and its prediction."""
    medians = {name: side.median for name, side in times.items()}
    without, at_every_step = medians[WITHOUT], medians[name_of(1)]
    predicted = {name_of(every): without + (at_every_step - without) / every for every in EVERY}
    return [
        {
            "name": name,
            "ms": ms,
            "spread": times[name].spread,
            "against_without": ms / without,
            "against_every_1": ms / at_every_step,
            "predicted_ms": predicted.get(name),
        }
        for name, ms in medians.items()
    ]


def print_rows(row: Mapping[str, Any]) -> None:
    """Print the times of one width and one number of seeds."""
    order = " side by side" if row["vectorized"] else " one after the other" if row["seeds"] > 1 else ""
    print(f"width {row['width']}, {row['seeds']} seed{'s' * (row['seeds'] > 1)}{order}, batches of {BATCH_SIZE}")
    print(f"  {'':17}{'ms/step':>10}{'spread':>8}{'/ without':>11}{'/ every=1':>11}{'predicted':>11}{'error':>8}")
    for program in row["programs"]:
        print(
            f"  {program['name']:17}{program['ms']:10.3f}{program['spread']:8.0%}{program['against_without']:11.2f}"
            f"{program['against_every_1']:11.2f}{_prediction(program)}"
        )
    print()


def _prediction(program: Mapping[str, Any]) -> str:
    """The predicted time and the relative difference of the measured one; empty for the programs it is made from."""
    predicted = program["predicted_ms"]
    if predicted is None or program["name"] == name_of(1):
        return f"{'-':>11}{'-':>8}"
    return f"{predicted:11.3f}{program['ms'] / predicted - 1:+8.0%}"


if __name__ == "__main__":
    main()
