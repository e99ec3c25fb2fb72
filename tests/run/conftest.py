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
        settings = Settings(config=REGISTRY[family].config(hidden=(16,), latent=2), seeds=seeds)
        model = REGISTRY[family].build(settings.config, shown)
        state = initial_state(model, run_key(settings), shown)
        return Run(Path("nowhere"), family, settings, shown, model, state, 0, {}, ())

    return run
