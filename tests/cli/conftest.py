"""Fixtures of the tests of commands: running a command, and small runs."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from jaxgen.cli.main import main
from jaxgen.data import example, load
from jaxgen.models import REGISTRY
from jaxgen.runs.config import RunConfig
from jaxgen.runs.config_json import RunDescription, read_config, write_config
from jaxgen.training.checkpoint import save
from jaxgen.training.states import initial_state


class Result(NamedTuple):
    """Exit status and output of a command."""

    status: int
    out: str
    err: str


@pytest.fixture
def jaxgen(capsys):
    """`jaxgen(*arguments)`: exit status, standard output and standard error of a command."""

    def run(*arguments):
        capsys.readouterr()  # Output from before the command.
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        return Result(stop.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(jaxgen):
    """`refused(*arguments)`: the one sentence with which a command ends with status 2."""

    def run(*arguments):
        result = jaxgen(*arguments)
        assert (result.status, result.out) == (2, "")
        (sentence,) = result.err.splitlines()
        assert sentence.startswith("jaxgen: error: ")
        return sentence.removeprefix("jaxgen: error: ")

    return run


@pytest.fixture(scope="session")
def untrained():
    """`untrained(folder, family, model_config, **options)`: a run of 20 steps that changed no parameter."""

    def write(folder, family, model_config, **options):
        config = RunConfig(model_config, steps=20, batch_size=32, log_every=10, **options)
        shown = example(load(config.data))
        model = family.build(model_config, shown)
        state = initial_state(model, config.keys, shown)
        folder.mkdir(exist_ok=True)
        write_config(folder, RunDescription(family.name, config, shown))
        for step in (10, 20):
            save(folder / "checkpoints", step, state.replace(step=state.step + step))
        return folder

    return write


@pytest.fixture(scope="session")
def vae(tmp_path_factory, untrained):
    """A run on digits with two-dimensional latents."""
    config = REGISTRY["vae"].config(hidden=(16,), latent_dim=2)
    return untrained(tmp_path_factory.mktemp("vae"), REGISTRY["vae"], config)


@pytest.fixture(scope="session")
def cvae(tmp_path_factory, untrained):
    """A run of two seeds that is conditioned on labels, with two-dimensional latents."""
    config = REGISTRY["cvae"].config(hidden=(16,), latent_dim=2)
    return untrained(tmp_path_factory.mktemp("cvae"), REGISTRY["cvae"], config, seeds=2)


NAMES = ("nought", "2", "two", *(f"number {i}" for i in range(3, 9)), "all")
"""Names of ten classes, of which one is the number of another."""


@pytest.fixture(scope="session")
def named(tmp_path_factory, cvae):
    """The conditional run, with names of its classes."""
    folder = tmp_path_factory.mktemp("named") / "run"
    shutil.copytree(cvae, folder)
    write_config(folder, read_config(folder)._replace(class_names=NAMES))
    return folder


@pytest.fixture(scope="session")
def classifier(tmp_path_factory, untrained):
    """A run of a classifier of digits."""
    config = REGISTRY["classifier"].config(architecture="mlp", hidden=(16,))
    return untrained(tmp_path_factory.mktemp("classifier"), REGISTRY["classifier"], config)


@pytest.fixture
def damaged(vae, tmp_path):
    """A copy of the run whose newest checkpoint is truncated."""
    folder = Path(shutil.copytree(vae, tmp_path / "damaged"))
    for path in (folder / "checkpoints" / "20").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return folder
