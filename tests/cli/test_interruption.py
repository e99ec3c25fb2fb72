"""Commands that are interrupted: how they end, and what is left; `tests/faults/interrupts.py` does it at random."""

import dataclasses
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxgen.models import autoencoder
from jaxgen.runs import RunConfig, load_run, train
from tests.small_runs import assert_same_state, log_lines, untimed

CONFIG = RunConfig(autoencoder.Config(hidden=(8,), latent_dim=1), batch_size=32, log_every=150, image_every=10**6)
OPTIONS = ["--hidden", "8", "--latent-dim", "1", "--steps", f"{10**6}", "--batch-size", "32", "--log-every", "150"]
OPTIONS += ["--image-every", f"{10**6}"]


def start(*arguments):
    command = [sys.executable, "-m", "jaxgen", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", RECEIVE_INTERRUPTS, *command], **pipes, text=True)


RECEIVE_INTERRUPTS = (
    "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\nos.execv(sys.argv[1], sys.argv[1:])"
)
"""A shell lets the commands that it starts in the background ignore Ctrl-C, and so all that they start, as tests."""


def closed(process):
    """Its status, when its output has been read."""
    process.stdout.close()
    process.stderr.close()
    return process.wait()


def wait_until_handled(process):
    """Wait until a process has imported what handles its signals: Python itself does not catch SIGTERM."""
    status = Path(f"/proc/{process.pid}/status")
    while not int(re.search(r"SigCgt:\t(\w+)", status.read_text())[1], 16) >> signal.SIGTERM - 1 & 1:
        assert process.poll() is None
        time.sleep(0.001)


def read_until(process, word):
    """Read stderr up to a line with a word; return the lines."""
    lines = []
    while not lines or word not in lines[-1]:
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    return lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_a_command_starts_it_ends_at_once_and_leaves_nothing(number, tmp_path):
    commands = [["train", "autoencoder", *OPTIONS], ["evaluate", tmp_path], ["sample", tmp_path], ["report", tmp_path]]
    processes = [start(*command, *["--out", tmp_path / "run"] * (i == 0)) for i, command in enumerate(commands)]
    for process in processes:
        wait_until_handled(process)
    for process, delay in zip(processes, (0.0, 0.1, 0.2, 0.3), strict=True):  # Of the seconds that imports take.
        time.sleep(delay)
        process.send_signal(number)
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out, err) == (128 + number, "", "jaxgen: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_training_saves_and_names_the_command_that_resumes_it(tmp_path):
    process = start("train", "autoencoder", *OPTIONS, "--out", tmp_path / "run")
    read_until(process, f"/{10**6}")
    process.send_signal(signal.SIGINT)
    acknowledged, saved = process.stderr.read().splitlines()[-2:]
    assert process.stdout.read() == ""
    assert closed(process) == 130
    assert acknowledged.startswith("jaxgen: interrupted: the running steps are completed first")
    assert saved.startswith("jaxgen: interrupted: step ")
    command = shlex.split(saved.partition("; resume by: ")[2])
    assert command[:3] == ["python", "-m", "jaxgen"]
    assert command[-1] == "--resume"
    step = load_run(tmp_path / "run").step
    assert f" step {step} is saved" in saved
    config = dataclasses.replace(CONFIG, steps=step + 100)
    train(tmp_path / "run", "autoencoder", config, resume=True)
    train(tmp_path / "complete", "autoencoder", config)
    assert_same_state(load_run(tmp_path / "run"), load_run(tmp_path / "complete"))
    assert untimed(log_lines(tmp_path / "run")) == untimed(log_lines(tmp_path / "complete"))
