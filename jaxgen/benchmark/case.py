"""A workload that is ready to be measured."""

from typing import NamedTuple

import jax

from jaxgen.benchmark.workloads.workload import Data, Workload
from jaxgen.game import Model, State
from jaxgen.training.seeds import extract_seed
from jaxgen.training.states import initial_state

KEY = jax.random.key(0)
"""Key of the run that both sides begin."""

COMPARED_STEPS = 3
"""Number of compared steps. The first compares the losses, the others also the gradients and the optimizers."""


class Case(NamedTuple):
    """A workload with its data and its model; `state` is the state before the first step."""

    workload: Workload
    data: Data
    model: Model
    state: State
    quick: bool

    @property
    def repeats(self) -> int:
        """Number of repeats of every side."""
        return 3 if self.quick else 9

    @property
    def steps(self) -> int:
        """Number of steps per repeat, fewer for `--quick`; a multiple of the period of lazy regularizers.

        The first step of a repeat runs in newly allocated pages of memory, on both sides. The fewer steps follow it,
        the longer they appear to be: with `--quick`, those of large networks by up to a fifth.
        """
        fewest = max(2, self.workload.steps // 4) if self.quick else self.workload.steps
        return -(-fewest // self.workload.period) * self.workload.period

    @property
    def first_chunks(self) -> int:
        """Number of chunks of whose steps the losses are compared."""
        return 1 if self.quick else -(-COMPARED_STEPS // self.steps)


def prepare(workload: Workload, *, quick: bool) -> Case:
    """Create the data, the model and its first state."""
    data = workload.data()
    model = workload.build(data)
    states = initial_state(model, KEY[None], {name: array[:1] for name, array in data.items()})
    return Case(workload, data, model, extract_seed(states, 0), quick)
