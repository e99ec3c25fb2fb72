"""The type of a workload."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from jaxgen.game import Model, State
from jaxgen.typing import Array, KeyArray

if TYPE_CHECKING:
    from jaxgen.benchmark.pytorch.twin import Twin

Data = Mapping[str, np.ndarray]
"""Name -> array, as jaxgen expects them; the leading axis is that of the examples."""

Shape = tuple[int, int, int]
"""Height, width and channels of an image."""

FLOAT32, BFLOAT16 = "float32", "bfloat16"

Draw = Callable[[KeyArray, int], tuple[Array, ...]]
"""`(key of the update, number of examples) -> noise`, as a player's loss draws it in jaxgen."""


class BuildTwin(Protocol):
    """Function that builds the PyTorch side of a workload. Only its call imports PyTorch."""

    def __call__(self, state: State, *, compiled: bool) -> "Twin":
        """Return the PyTorch side that starts from this first state, by `torch.compile` or not."""


class Workload(NamedTuple):
    """A training step that is timed in jaxgen and in PyTorch.

    Attributes:
        name: name in the table.
        build: function of the data that builds the jaxgen model.
        data: function that creates the arrays on which jaxgen trains.
        batch_size: number of examples per update.
        noise: player name -> its noise in jaxgen, for players that use any; likewise `player/regularizer` and
            `average/network`. It is passed to the twin when the losses of both sides are compared.
        twin: `(state, compiled=...) -> twin`, the PyTorch side that starts from this first state.
        scaled: `(width=..., batch_size=...) -> workload`, the same with other networks or batches.
        convolutional: whether it contains convolutions.
        seeds: whether eight seeds at once are timed too.
        steps: number of steps per repeat, which take one or two seconds on four cores.
        compile_is_faster: whether PyTorch is faster with `torch.compile` than without.
        comparable_steps: number of steps at which losses in float32 agree closely; see `agreement`.
        precision: precision of the products; everything else is in float32.
        mixed_precision: whether all its products are in bfloat16 in mixed precision; otherwise it has none.
        period: number of steps after which lazy regularizers repeat: a repeat has a multiple of it.
    """

    name: str
    build: Callable[[Data], Model]
    data: Callable[[], dict[str, np.ndarray]]
    batch_size: int
    twin: BuildTwin
    scaled: Callable[..., "Workload"]
    steps: int
    noise: Mapping[str, Draw] = MappingProxyType({})
    convolutional: bool = False
    seeds: bool = False
    compile_is_faster: bool = False
    comparable_steps: int = 3
    precision: str = FLOAT32
    mixed_precision: bool = True
    period: int = 1
