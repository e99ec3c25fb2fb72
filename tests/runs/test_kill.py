"""A run that is killed at any moment and resumed ends with the bits of one without an interruption."""

import os
import random
import signal
import subprocess
import sys
import time

from jaxgen.models import vae
from jaxgen.runs import RunConfig, load_run, train
from tests.small_runs import assert_same_state, log_lines, untimed

KILLS, STEPS = 3, 3000

CONFIG = RunConfig(
    vae.Config(hidden=(16,), latent_dim=4),
    steps=STEPS,
    batch_size=64,
    log_every=50,
    checkpoint_every=100,
    image_every=STEPS,
)


def kill(folder, delay, *, resume):
    """Start the run by the command line, kill it after its next checkpoint and a delay, and return whether it ran.

    As for a user, each process but the first reads the compiled programs of the processes before it.
    """
    every = ["--log-every", "50", "--checkpoint-every", "100", "--image-every", f"{STEPS}"]
    options = ["--hidden", "16", "--latent-dim", "4", "--steps", f"{STEPS}", "--batch-size", "64", *every]
    command = [sys.executable, "-m", "jaxgen", "train", "vae", *options, "--out", str(folder), *["--resume"] * resume]
    environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "true"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    before = newest(folder)
    while process.poll() is None and newest(folder) == before:
        time.sleep(0.01)
    time.sleep(delay)
    process.kill()
    return process.wait() == -signal.SIGKILL


def newest(folder):
    """Step of the newest checkpoint, also of one that is not complete."""
    if not (folder / "checkpoints").is_dir():
        return 0
    return max((int(path.name) for path in (folder / "checkpoints").iterdir() if path.name.isdecimal()), default=0)


def test_a_run_killed_three_times_and_resumed_has_the_same_bits(tmp_path):
    """The runs without a kill are computed in this process, which also compares the command line with the function."""
    moments = random.Random(0)
    train(tmp_path / "complete", "vae", CONFIG)
    killed = [kill(tmp_path / "killed", moments.uniform(0, 0.2), resume=number > 0) for number in range(KILLS)]
    assert all(killed), "the run ended before it could be killed three times"
    train(tmp_path / "killed", "vae", CONFIG, resume=True)
    complete, resumed = load_run(tmp_path / "complete"), load_run(tmp_path / "killed")
    assert resumed.step == STEPS
    assert_same_state(resumed, complete)
    lines = [log_lines(tmp_path / name) for name in ("complete", "killed")]
    assert len(lines[0]) == STEPS // 50
    assert untimed(lines[0]) == untimed(lines[1])
