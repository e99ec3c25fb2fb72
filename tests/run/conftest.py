"""What the tests of runs share: runs that cost no training."""

import functools
from pathlib import Path

import pytest

from jaxgen.data import example, load
from jaxgen.models import REGISTRY
from jaxgen.run import Run, Settings
from jaxgen.run.trained import run_key
from jaxgen.training.loop import initial_state


@pytest.fixture(scope="session")
def fresh():
    """`fresh(family, seeds=None)`: a run on digits, with codes in the plane, that has not played its first turn."""

    @functools.cache
    def run(family, seeds=None):
        shown = example(load("digits"))
        narrow = {"width": 4} if family == "gan" else {"hidden": (16,)}
        settings = Settings(config=REGISTRY[family].config(latent=2, **narrow), seeds=seeds)
        model = REGISTRY[family].build(settings.config, shown)
        state = initial_state(model, run_key(settings), shown)
        return Run(Path("nowhere"), family, settings, shown, model, state, 0, {}, ())

    return run
