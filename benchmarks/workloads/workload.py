"""What a workload is."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxgen.game import Model
from jaxgen.models import REGISTRY
from jaxgen.typing import Array, KeyArray
from workloads.twin import Twin


class Workload(NamedTuple):
    """A training step that is timed in jaxgen and in PyTorch.

    Attributes:
        name: in the table.
        family: of the model, a name in jaxgen's registry.
        config: of the model.
        data: the arrays that jaxgen trains on.
        observed: the arrays as the float array that PyTorch trains on.
        batch_size: examples a move.
        noise: player name -> `(key of the move, examples) -> noise`, as the player's loss draws it: by it both sides
            are given the same noise when their losses are compared.
        twin: `(parameters, compiled=...) -> the same in PyTorch`.
        turns: turns between two looks at the clock, a multiple of 100; about a second's worth.
        bar: the ratio, PyTorch's time over jaxgen's, below which something is wrong.
    """

    name: str
    family: str
    config: Any
    data: Callable[[], dict[str, np.ndarray]]
    observed: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    batch_size: int
    noise: Mapping[str, Callable[[KeyArray, int], Array]]
    twin: Callable[..., Twin]
    turns: int
    bar: float

    def build(self, data: Mapping[str, np.ndarray]) -> Model:
        """The jaxgen model for these data."""
        return REGISTRY[self.family].build(self.config, data)
