"""Killed at any moment and resumed, a run ends with the bits of one that was left alone."""

import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np

from jaxgen.runs import load_run

KILLS = 5


def command(folder, *more):
    every = ["--log-every", "50", "--checkpoint-every", "200", "--image-every", "6000"]
    config = ["--hidden", "64", "--latent-dim", "4", "--steps", "6000", "--batch-size", "64", *every]
    return [sys.executable, "-m", "jaxgen", "train", "vae", *config, "--out", str(folder), *more]


def finish(folder, *more):
    done = subprocess.run(command(folder, *more), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def kill(folder, delay, *more):
    """Kill the run some time after it has made progress; whether it was still running."""
    process = subprocess.Popen(command(folder, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before = newest(folder)
    while process.poll() is None and newest(folder) == before:
        time.sleep(0.01)
    time.sleep(delay)
    process.kill()
    return process.wait() == -signal.SIGKILL


def newest(folder):
    if not (folder / "checkpoints").is_dir():
        return 0
    return max((int(path.name) for path in (folder / "checkpoints").iterdir() if path.name.isdecimal()), default=0)


def test_killed_five_times_and_resumed_gives_the_same_bits(tmp_path):
    moments = random.Random(0)
    finish(tmp_path / "whole")
    killed = [kill(tmp_path / "killed", moments.uniform(0, 0.2), *["--resume"] * (i > 0)) for i in range(KILLS)]
    assert all(killed), "the run was over before it could be killed five times"
    finish(tmp_path / "killed", "--resume")
    whole, resumed = load_run(tmp_path / "whole"), load_run(tmp_path / "killed")
    assert whole.step == resumed.step == 6000
    for x, y in zip(jax.tree.leaves(whole.state), jax.tree.leaves(resumed.state), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))
    lines = [(tmp_path / name / "metrics.jsonl").read_text().count("\n") for name in ("whole", "killed")]
    assert lines[0] == lines[1] == 6000 // 50
