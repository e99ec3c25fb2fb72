"""What the tests of runs share: runs that cost no training."""

import functools
from pathlib import Path

import pytest

from jaxgen.data import example, load
from jaxgen.models import REGISTRY
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.loading import run_key
from jaxgen.training.loop import initial_state


@pytest.fixture(scope="session")
def fresh():
    """`fresh(family, seeds=None)`: a run on digits, with codes in the plane, that has not played its first turn."""

    @functools.cache
    def run(family, seeds=None):
        shown = example(load("digits"))
        narrow = {"width": 4} if family == "gan" else {"hidden": (16,)}
        config = RunConfig(model_config=REGISTRY[family].config(latent_dim=2, **narrow), seeds=seeds)
        model = REGISTRY[family].build(config.model_config, shown)
        state = initial_state(model, run_key(config), shown)
        return Run(Path("nowhere"), family, config, shown, model, state, 0, {}, ())

    return run
