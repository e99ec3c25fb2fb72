"""Initialization of a run by the parameters of another."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.data import Stream, example
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.models import Family
from jaxgen.runs.config import RunConfig
from jaxgen.runs.config_json import family_for
from jaxgen.runs.loading import Run, load_run
from jaxgen.training.checkpoint import completed
from jaxgen.training.leaves import first_difference, named_leaves
from jaxgen.training.states import initial_state
from jaxgen.typing import Batch


class Initial(NamedTuple):
    """The start of a run from another one.

    Attributes:
        state: state before the first step, with a leading axis of seeds.
        names: names of the networks that are taken from the other run.
        other: the other run, with the state that is taken: the best one, where it keeps one, or else the newest.
    """

    state: State
    names: list[str]
    other: Run


def initial_state_from(
    folder: Path, family: Family, model: Model, config: RunConfig[Any], data: Batch | Stream
) -> Initial:
    """Return the state before the first step, with the parameters and statistics of another run where it has them.

    Args:
        folder: folder of the other run, of any family.
        family: family of the new run, which the other may share if it is not part of the package.
        model: model of the new run.
        config: config of the new run.
        data: training examples of the new run.

    Returns:
        The start. Every seed starts from the same seed of a run of as many, or from the only one.

    Raises:
        InputError: if the run cannot be loaded, has another number of seeds, no network of the same name, or one of
            other shapes.
    """
    other = load_run(folder, family=family_for(folder, family), best=_keeps_best(folder))
    seeds = config.seeds or 1
    if other.config.seeds not in (None, 1, config.seeds):
        raise InputError(f"{folder} has {other.config.seeds} seeds: give as many seeds, or a run of one, got {seeds}")
    state = initial_state(model, config.keys, example(data))
    names = [name for name in state.params if name in other.state.params]
    if not names:
        raise InputError(
            f"{folder} has the networks {', '.join(other.state.params)}, and this model {', '.join(state.params)}: "
            "give a run with a network of the same name"
        )
    for name in names:
        for kind in ("params", "stats"):
            own, its = getattr(state, kind).get(name, {}), getattr(other.state, kind).get(name, {})
            if difference := first_difference(_shapes(its), _shapes(own)):
                raise InputError(
                    f"the network '{name}' of {folder} must have the shapes of this model, but {difference}"
                )

    def taken(kind: str) -> dict[str, Any]:
        own, its = getattr(state, kind), getattr(other.state, kind)
        return {**own, **{name: _for_seeds(its[name], seeds, other) for name in names if name in own and name in its}}

    ema = _averages(state, other, names, seeds)
    return Initial(state.replace(params=taken("params"), stats=taken("stats"), ema=ema), names, other)


def state_text(other: Run) -> str:
    """Return which state of a run is taken, as in "step 40, the best by elbo"."""
    best = f", the best by {other.config.keep_best}" if _keeps_best(other.folder) else ""
    return f"step {other.step}{best}"


def _keeps_best(folder: Path) -> bool:
    return bool(completed(folder / "best"))


def _averages(state: State, other: Run, names: list[str], seeds: int) -> Mapping[str, Any]:
    """Averages of the networks: those of the other run, or its parameters where it has none."""
    averages = {}
    for name, own in state.ema.items():
        its = other.state.ema.get(name)
        if its is None and name in names:
            stats = other.state.stats.get(name, {})
            its = {kind: other.state.params[name] if kind == "params" else stats.get(kind, own[kind]) for kind in own}
        averages[name] = own if its is None else _for_seeds(its, seeds, other)
    return averages


def _for_seeds(arrays: Any, seeds: int, other: Run) -> Any:
    if (other.config.seeds or 1) == seeds:
        return jax.tree.map(jnp.asarray, arrays)
    return jax.tree.map(lambda x: jnp.repeat(jnp.asarray(x)[:1], seeds, axis=0), arrays)


def _shapes(arrays: Any) -> dict[str, Any]:
    """Name -> shape and dtype for one seed."""
    return {name: jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for name, x in named_leaves(arrays).items()}
