"""What the tests of callbacks share: runs that are not trained, and chunks of them."""

import jax
import numpy as np
import pytest

from jaxgen.training.chunk import Chunk
from tests.small_runs import untrained


@pytest.fixture(scope="session")
def fresh():
    """`fresh(family, seeds=None)`: a run on digits with two-dimensional latents, before its first step."""
    return untrained


@pytest.fixture(scope="session")
def chunk_of():
    """`chunk_of(state, step)`: a chunk of 20 steps that ends with this state, which has an axis of seeds."""

    def chunk(state, step, *, steps=20, diverged=None):
        seeds = len(jax.tree.leaves(state.params)[0])
        return Chunk(step, state, {"player/loss": np.zeros((seeds, steps))}, 0.1, diverged or {})

    return chunk
