"""Time complete commands: the training of a VAE beside pythae, and the start-up of commands.

    python benchmarks/end_to_end.py --source FOLDER [--pythae PYTHON] [--repeats N] [--json FILE]

FOLDER has the original files of MNIST (`train-images-idx3-ubyte.gz`, ...). PYTHON is the interpreter of an environment
in which pythae is installed (`pip install 'jaxgen[end-to-end]'`); without it only jaxgen is timed. Both sides train the
network 784-400-20 with batches of 128 for three epochs and save it. jaxgen is run with an empty cache of compiled
programs and again with that which this has filled. It reads the data set that `jaxgen data prepare` and a first load
have written, pythae the original files; neither preparation is timed. The commands alternate, so that other load on the
machine affects all of them, and times are medians: measure on an idle machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from output_file import output_file

from jaxgen.benchmark.machine import describe, machine_text
from jaxgen.runs.outputs import write_json

PYTHAE, COLD, WARM = "pythae", "jaxgen, cold cache", "jaxgen, warm cache"
TARGETS = {COLD: 0.65, WARM: 0.5}
"""Name of the command -> largest time, as a part of that of pythae."""

EPOCHS, BATCH_SIZE, EXAMPLES = 3, 128, 60_000
STEPS = EPOCHS * -(-EXAMPLES // BATCH_SIZE)
JAXGEN = (sys.executable, "-m", "jaxgen")
PEER = Path(__file__).parent / "peers" / "pythae_vae.py"


class Command(NamedTuple):
    """A command to time.

    Attributes:
        arguments: the command.
        cache: folder of its compiled programs.
    """

    arguments: Sequence[str]
    cache: Path

    def seconds(self) -> float:
        """Run the command and return its duration."""
        environment = os.environ | {"XDG_CACHE_HOME": str(self.cache)}
        started = time.perf_counter()
        done = subprocess.run(self.arguments, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(
                f"{' '.join(self.arguments)} must end with status 0, got {done.returncode}:\n{done.stderr}"
            )
        return seconds


def main() -> None:
    arguments = parse()
    machine = describe()
    print(machine_text(machine) + "\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        training = measure_training(arguments, Path(folder))
        print_training(training)
        starts = measure_starts(Path(folder), repeats=arguments.repeats)
        print_starts(starts)
    if arguments.json:
        write_json(arguments.json, machine | {"training": training, "starts": starts})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="folder with the original files of MNIST")
    parser.add_argument("--pythae", help="interpreter of the environment with pythae")
    parser.add_argument("--repeats", type=int, default=3, help="number of runs of each command")
    parser.add_argument("--json", type=output_file(".json"), metavar="FILE", help="also write the numbers to this file")
    arguments = parser.parse_args()
    if not (arguments.source / "train-images-idx3-ubyte.gz").is_file():
        parser.error(f"--source must have the original files of MNIST, got {arguments.source}")
    if arguments.repeats < 1:
        parser.error(f"--repeats must be at least 1, got {arguments.repeats}")
    return arguments


def measure_training(arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, object]]:
    """Return seconds and ratios of the training by name of the command."""
    data = folder / "data"
    unused = folder / "unused"
    source = ["--data-dir", str(data), "--source", str(arguments.source)]
    Command([*JAXGEN, "data", "prepare", "mnist", *source], unused).seconds()
    Command([*train_mnist(data, folder / "first"), "--steps", "1"], unused).seconds()
    seconds: dict[str, list[float]] = {}
    loads: dict[str, list[float]] = {}
    for repeat in range(arguments.repeats):
        cache = folder / f"cache-{repeat}"
        commands = {
            name: Command([*train_mnist(data, folder / f"{kind}-{repeat}"), "--steps", str(STEPS)], cache)
            for name, kind in ((COLD, "cold"), (WARM, "warm"))
        }
        if arguments.pythae:
            peer = [arguments.pythae, str(PEER), str(arguments.source), str(folder / f"pythae-{repeat}")]
            commands = {PYTHAE: Command([*peer, str(EPOCHS), str(BATCH_SIZE)], unused), **commands}
        for name, command in commands.items():
            loads.setdefault(name, []).append(os.getloadavg()[0])
            seconds.setdefault(name, []).append(command.seconds())
    return with_ratios(seconds, loads)


def with_ratios(seconds: Mapping[str, list[float]], loads: Mapping[str, list[float]]) -> dict[str, dict[str, object]]:
    """Return medians, and their ratios to pythae's: medians of the ratios in each repeat, in which commands follow."""
    rows: dict[str, dict[str, object]] = {}
    for name, values in seconds.items():
        ratio = None
        if name in TARGETS and PYTHAE in seconds:
            ratio = statistics.median(ours / peer for ours, peer in zip(values, seconds[PYTHAE], strict=True))
        rows[name] = {"seconds": values, "median": statistics.median(values), "ratio": ratio, "load": loads[name]}
    return rows


def train_mnist(data: Path, out: Path) -> list[str]:
    """Return the command that trains the network of the comparison, without the number of steps."""
    network = ["--architecture", "mlp", "--hidden", "400", "--latent-dim", "20", "--learning-rate", "1e-3"]
    options = ["--data", "mnist", "--data-dir", str(data), "--batch-size", str(BATCH_SIZE), "--out", str(out)]
    return [*JAXGEN, "train", "vae", *network, *options]


def measure_starts(folder: Path, *, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of short commands by name, with a cache that an earlier run of each has filled."""
    run, cache = folder / "digits", folder / "cache-digits"
    Command([*JAXGEN, "train", "vae", "--steps", "100", "--out", str(run)], cache).seconds()
    seconds: dict[str, list[float]] = {}
    for repeat in range(repeats + 1):
        commands = {
            "jaxgen --help": ["--help"],
            "jaxgen train vae --steps 100": [
                "train",
                "vae",
                "--steps",
                "100",
                "--out",
                str(folder / f"short-{repeat}"),
            ],
            "jaxgen evaluate RUN": ["evaluate", str(run)],
            "jaxgen sample RUN": ["sample", str(run), "--out", str(folder / "samples.png")],
        }
        for name, options in commands.items():
            seconds.setdefault(name, []).append(Command([*JAXGEN, *options], cache).seconds())
    return {name: values[1:] for name, values in seconds.items()}


def print_training(rows: Mapping[str, Mapping[str, object]]) -> None:
    print(f"MNIST, MLP 784-400-20, batches of {BATCH_SIZE}, {EPOCHS} epochs: the complete command")
    print(f"  {'':20}{'seconds':>9}{'/ pythae':>10}   load before each run")
    for name, row in rows.items():
        ratio = f"{row['ratio']:10.2f}" if row["ratio"] is not None else f"{'-':>10}"
        print(f"  {name:20}{row['median']:9.1f}{ratio}   {', '.join(f'{load:.1f}' for load in row['load'])}")
    for name, limit in TARGETS.items():
        if (ratio := rows[name]["ratio"]) is not None:
            print(f"{'holds' if ratio <= limit else 'MISSED'}: {name} / pythae, at most {limit:.2f}: {ratio:.2f}")
    print(flush=True)


def print_starts(starts: Mapping[str, list[float]]) -> None:
    print("start-up, on the bundled digits, with a warm cache")
    for name, seconds in starts.items():
        print(f"  {name:32}{statistics.median(seconds):7.2f} s")


if __name__ == "__main__":
    main()
