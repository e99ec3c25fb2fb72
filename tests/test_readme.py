"""The README: its programs run as printed and give the numbers beside them, and its commands are parsed."""

import re
import shlex
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.cli.main import COMMANDS, main
from jaxgen.cli.parse import parse
from jaxgen.game import Player, game
from jaxgen.models import vae
from jaxgen.runs import RunConfig, train

README = Path(__file__).parents[1] / "README.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
BLOCKS = re.findall(r"```\n(.*?)```", README.read_text(), flags=re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if line.startswith("jaxgen ")]


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """A folder with the run that the README's programs load, and what its fragment of a family leaves out."""
    monkeypatch.chdir(tmp_path)

    def loss(key, params, state, batch):
        return sum(jnp.sum(x) for x in params.values()), ({}, {})

    def init_networks(key, batch):
        return {name: {"params": jnp.ones(1)} for name in ("generator", "discriminator")}

    return {
        "discriminator_loss": loss,
        "generator_loss": loss,
        "init_networks": init_networks,
        "adam": optax.adam(1e-3),
        "Player": Player,
        "game": game,
    }


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_programs_run_as_printed_and_give_what_stands_beside_them(number, surroundings):
    program = PROGRAMS[number].replace("steps=3000", "steps=3").replace("3000]", "3]")
    if "load_run" in program:
        config = RunConfig(vae.Config(hidden=(4,), latent_dim=2), data="mnist_small", steps=1, log_every=1)
        train("runs/vae", "vae", config, notify=lambda line: None)
    names = dict(surroundings)
    exec(program, names)
    for line in program.splitlines():
        code, _, comment = line.partition("  # ")
        if shape := re.match(r"\[([\d, ]+)\]", comment):
            assert list(names[code.split(" = ")[0]].shape) == [int(size) for size in shape[1].split(",")]
        elif value := re.match(r"-?[\d.]+", comment):
            np.testing.assert_allclose(eval(code, names), float(value[0]), rtol=1e-5)


@pytest.mark.parametrize("line", LINES)
def test_commands_are_parsed(line, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    command, *arguments = shlex.split(line, comments=True)[1:]
    parsed = []

    def record(*positional, **options):
        parsed.append(parse(*positional, **options))
        sys.exit(0)

    for name in COMMANDS:
        monkeypatch.setattr(f"jaxgen.cli.{name.replace('-', '_')}.parse", record)
    if "--resume" in arguments:  # The run that it resumes.
        config = RunConfig(vae.Config(hidden=(4,), latent_dim=2), steps=1, log_every=1)
        train(arguments[arguments.index("--out") + 1], "vae", config, notify=lambda line: None)
    with pytest.raises(SystemExit) as stop:
        main([command, *arguments])
    assert stop.value.code == 0
    assert parsed


def test_there_are_programs_and_commands():
    assert len(PROGRAMS) >= 3
    assert {shlex.split(line, comments=True)[1] for line in LINES} >= {"train", "sample", "report", "compare", "runs"}
