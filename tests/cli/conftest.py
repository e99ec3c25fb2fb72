"""What the tests of commands share: a way to run one, and a few small runs."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from jaxgen.cli.main import main
from jaxgen.data import example, load
from jaxgen.models import REGISTRY
from jaxgen.runs.config import RunConfig, RunDescription, write_config
from jaxgen.runs.loading import run_key
from jaxgen.training.checkpoint import save
from jaxgen.training.loop import initial_state


class Said(NamedTuple):
    """What came of a command."""

    status: int
    out: str
    err: str


@pytest.fixture
def jaxgen(capsys):
    """`jaxgen(*arguments)`: exit status, standard output and standard error of a command."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        return Said(stop.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(jaxgen):
    """`refused(*arguments)`: the one sentence with which a command gives up."""

    def run(*arguments):
        said = jaxgen(*arguments)
        assert (said.status, said.out) == (2, "")
        (sentence,) = said.err.splitlines()
        assert sentence.startswith("jaxgen: error: ")
        return sentence.removeprefix("jaxgen: error: ")

    return run


def _untrained(folder, family, seeds=None):
    """A run folder as training leaves it behind, only that nothing has been learnt in its 20 turns."""
    shown = example(load("digits"))
    config = REGISTRY[family].config(hidden=(16,), latent_dim=2)
    config = RunConfig(model_config=config, steps=20, batch_size=32, log_every=10, seeds=seeds)
    model = REGISTRY[family].build(config, shown)
    state = initial_state(model, run_key(config), shown)
    write_config(folder, RunDescription(family, config, shown))
    for step in (10, 20):
        save(folder / "checkpoints", step, state.replace(step=state.step + step))
    return folder


@pytest.fixture(scope="session")
def vae(tmp_path_factory):
    """A run on digits, with codes in the plane."""
    return _untrained(tmp_path_factory.mktemp("vae"), "vae")


@pytest.fixture(scope="session")
def cvae(tmp_path_factory):
    """A run of two seeds that is told labels, with codes in the plane."""
    return _untrained(tmp_path_factory.mktemp("cvae"), "cvae", seeds=2)


@pytest.fixture
def damaged(vae, tmp_path):
    """A copy of the run of which the newest checkpoint is cut."""
    folder = Path(shutil.copytree(vae, tmp_path / "damaged"))
    for path in (folder / "checkpoints" / "20").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return folder
