"""What a workload is."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from jaxgen.game import Model
from jaxgen.typing import Array, KeyArray
from workloads.twin import Batch, Twin

Data = Mapping[str, np.ndarray]
"""Name -> array, as jaxgen takes them; the leading axis counts examples."""

FLOAT32, BFLOAT16 = "float32", "bfloat16"

Draw = Callable[[KeyArray, int], tuple[Array, ...]]
"""`(key of the move, examples) -> noise`, as a player's loss draws it in jaxgen."""


class Workload(NamedTuple):
    """A training step that is timed in jaxgen and in PyTorch.

    Attributes:
        name: in the table.
        build: the jaxgen model for such data.
        data: makes the arrays that jaxgen trains on.
        tensors: the same data as the twin takes them.
        batch_size: examples a move.
        noise: player name -> its noise, for those that need any: by it both sides are given the same noise when their
            losses are compared.
        twin: `(parameters, compiled=...) -> the same in PyTorch`, starting from these weights.
        scaled: `(width=..., batch_size=...) -> the same workload` with other networks or batches.
        convolutional: whether there are convolutions in it.
        seeds: whether eight seeds at once are timed too.
        turns: between two looks at the clock, one or two seconds' worth on four cores.
        compile_is_faster: whether PyTorch is faster with `torch.compile` than without.
        comparable_turns: over how many turns losses in float32 can be held against each other; see `agreement`.
        precision: of the products; everything else is in float32.
    """

    name: str
    build: Callable[[Data], Model]
    data: Callable[[], dict[str, np.ndarray]]
    tensors: Callable[[Data], Batch]
    batch_size: int
    twin: Callable[..., Twin]
    scaled: Callable[..., "Workload"]
    turns: int
    noise: Mapping[str, Draw] = MappingProxyType({})
    convolutional: bool = False
    seeds: bool = False
    compile_is_faster: bool = False
    comparable_turns: int = 3
    precision: str = FLOAT32
