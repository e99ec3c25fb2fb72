"""Descriptions of runs, as a `config.json` stores them."""

import numpy as np

from jaxgen.models import REGISTRY
from jaxgen.runs import RunConfig, RunDescription

EXAMPLE = {"image": np.zeros((1, 8, 8, 1), np.uint8), "label": np.array([9], np.int32)}


def description(family="vae", **changes):
    options = {name: changes.pop(name) for name in ("latent_dim", "hidden", "learning_rate") if name in changes}
    return RunDescription(family, RunConfig(REGISTRY[family].config(**options), **changes), EXAMPLE)
