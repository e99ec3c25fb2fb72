"""Interrupt commands at random moments: `python tests/faults/interrupts.py --interrupts 200 --terminations 50`.

Each command runs in a process of its own, which is sent SIGINT or SIGTERM after a random time. Then its exit status
must be 130 or 143, its output must have no traceback and no message of a crash, and a training must be resumable, with
the bits and the log of one that was not interrupted. The table counts what happened, by command.

The moments are determined by --seed, their effects by the speed of the machine. They begin when the command has
installed its handler, after the start of Python, and end when the command would have ended. Not collected by pytest,
which tests a few chosen moments (`tests/cli/test_interruption.py`).
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[2]

STEPS = 600

TRAIN = ["train", "autoencoder", "--hidden", "16", "--latent-dim", "2", "--steps", str(STEPS), "--batch-size", "64"]
TRAIN += ["--log-every", "150", "--checkpoint-every", "300", "--image-every", str(STEPS)]

LONGEST_EXIT = 0.5
"""Seconds for which a process that has ended, and is removed from memory by the system, seems to be there still."""

BAD = (
    "Traceback",
    "Fatal",
    "Exception ignored",
    "Error:",
    "Aborted",
    "Segmentation",
    "core dumped",
    "terminate called",
)


class Outcome(NamedTuple):
    """What became of one interrupted command."""

    command: str
    number: signal.Signals
    seconds: float
    status: int
    unhandled: float
    answered: float
    printed: str
    problem: str | None


def run(arguments: list[str], **options: object) -> subprocess.Popen[str]:
    """Start a command with its output in pipes."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    # A shell lets the commands that it starts in the background ignore Ctrl-C, and so all that they start.
    receive = (
        "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\nos.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-c", receive, sys.executable, "-m", "jaxgen", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT, **options
    )


def finished(arguments: list[str]) -> float:
    """Run a command to its end and return its seconds."""
    started = time.perf_counter()
    process = run(arguments)
    out, err = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with status {process.returncode}: {out}{err}")
    return time.perf_counter() - started


def interrupted(name: str, arguments: list[str], number: signal.Signals, seconds: float) -> Outcome | None:
    """Interrupt a command and look at how it ends; None if it had ended before, and was complete."""
    started = time.perf_counter()
    process = run(arguments)
    wait_until_handled(process)
    unhandled = time.perf_counter() - started
    time.sleep(max(0, seconds - unhandled))
    if process.poll() is not None:  # Faster than before.
        return None
    sent = time.perf_counter()
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    answered = time.perf_counter() - sent
    if process.returncode == 0 and answered < LONGEST_EXIT and out:
        print(f"0 {name} after {seconds:.3f} s: it was being removed by the system", flush=True)
        return None
    problem = None
    # A process that has done its work is ended by the signal itself, which shells report as 128 + its number.
    status = 128 - process.returncode if process.returncode == -number else process.returncode
    if status != 128 + number:
        problem = f"status {status}"
    elif found := [word for word in BAD if word in out + err]:
        problem = f"printed {found[0]}"
    return Outcome(name, number, seconds, status, unhandled, answered, err, problem)


def wait_until_handled(process: subprocess.Popen[str]) -> None:
    """Wait until a process catches SIGTERM, which Python itself does not."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        caught = re.search(r"SigCgt:\t(\w+)", status.read_text())
        if caught and int(caught[1], 16) >> signal.SIGTERM - 1 & 1:
            return
        time.sleep(0.0005)


def resumed(folder: Path, complete: Path) -> str | None:
    """Resume an interrupted training and compare it with one that was not; a problem, if there is one."""
    new = not (folder / "config.json").exists()
    left = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    process = run([*TRAIN, "--out", str(folder), *([] if new else ["--resume"])])
    out, err = process.communicate()
    if process.returncode or any(word in out + err for word in BAD):
        return f"not resumable (left: {left}): status {process.returncode}: {err}"
    if states(folder) != states(complete):
        return "resumed with other bits"
    if log(folder) != log(complete):
        return "resumed with another log"
    return None


def states(folder: Path) -> dict[str, bytes]:
    """The arrays of the newest checkpoint."""
    sys.path.insert(0, str(ROOT))
    import jax

    from jaxgen import load_run

    trained = load_run(folder)
    leaves = jax.tree_util.tree_flatten_with_path(trained.state)[0]
    return {str(path): np.asarray(leaf).tobytes() for path, leaf in leaves}


def log(folder: Path) -> list[dict[str, object]]:
    """The lines of the log without the time of their steps."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def main() -> None:
    """Run the campaign and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--interrupts", type=int, default=200)
    parser.add_argument("--terminations", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        complete = place / "complete"
        generative = place / "generative"
        # Programs are compiled once, as for later commands.
        finished([*TRAIN, "--out", str(complete)])
        finished(["train", "vae", "--hidden", "16", "--steps", "10", "--out", str(generative)])
        commands = {
            "train": lambda i: [*TRAIN, "--out", str(place / f"run-{i}")],
            "evaluate": lambda i: ["evaluate", str(generative)],
            "sample": lambda i: ["sample", str(generative), "--out", str(place / f"{i}.png")],
        }
        longest = {command: finished(commands[command](0)) for command in commands}
        print("seconds of an uninterrupted command:", {name: round(value, 1) for name, value in longest.items()})
        numbers = [signal.SIGINT] * options.interrupts + [signal.SIGTERM] * options.terminations
        rng.shuffle(numbers)
        plan = []
        for i, number in enumerate(numbers, 1):
            command = ("train", "evaluate", "sample")[i % 3]
            plan.append((i, command, number, rng.uniform(0, longest[command])))

        def one(item: tuple[int, str, signal.Signals, float]) -> Outcome:
            i, command, number, seconds = item
            folder = place / f"run-{i}"
            while (outcome := interrupted(command, commands[command](i), number, seconds)) is None:
                shutil.rmtree(folder, ignore_errors=True)
                seconds *= rng.uniform(0.5, 1.0)
            if command == "train" and outcome.problem is None:
                outcome = outcome._replace(problem=resumed(folder, complete))
            elif command == "sample" and (left := [p.name for p in place.iterdir() if p.name.startswith(f".{i}.png")]):
                outcome = outcome._replace(problem=f"left {left}")
            if outcome.problem is None:
                shutil.rmtree(folder, ignore_errors=True)
            print(f"{outcome.status} {command} after {seconds:.3f} s, in {outcome.answered:.2f} s", flush=True)
            if outcome.problem is not None:
                print(f"{command} after {seconds:.3f} s: {outcome.problem}\n{outcome.printed}", flush=True)
            return outcome

        with ThreadPoolExecutor(options.workers) as pool:
            outcomes = list(pool.map(one, plan))
    print_table(outcomes)
    sys.exit(any(outcome.problem for outcome in outcomes))


def print_table(outcomes: list[Outcome]) -> None:
    """Print what happened, by command and signal."""
    line = "{:10} {:8} {:>9} {:>8} {:>10} {:>14} {:>15} {:>9}".format
    print(line("command", "signal", "processes", "status", "end (mean)", "end (longest)", "handler (mean)", "problems"))
    for key in sorted({(outcome.command, outcome.number.name) for outcome in outcomes}):
        of_key = [outcome for outcome in outcomes if (outcome.command, outcome.number.name) == key]
        status = ", ".join(map(str, sorted({outcome.status for outcome in of_key})))
        answers = [outcome.answered for outcome in of_key]
        mean, longest = f"{np.mean(answers):.2f} s", f"{max(answers):.2f} s"
        unhandled = f"{np.mean([outcome.unhandled for outcome in of_key]):.3f} s"
        print(
            line(
                *key,
                len(of_key),
                status,
                mean,
                longest,
                unhandled,
                sum(outcome.problem is not None for outcome in of_key),
            )
        )


if __name__ == "__main__":
    main()
