"""States before the first step of a training, the keys of a run, and the check of a state to continue from."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.memory import bytes_of, check_memory
from jaxgen.training.compiler import jit_for_few_calls
from jaxgen.training.leaves import first_difference, named_leaves
from jaxgen.training.seeds import over_seeds
from jaxgen.typing import Array, Batch, Key, KeyArray, PyTree

SMALLER = "give a smaller batch size, smaller networks or fewer seeds"
"""What to do where the device has too little memory."""


class RunKeys(NamedTuple):
    """Independent keys of one run.

    Attributes:
        init: key of the initial state.
        order: key of the order of the examples.
        steps: key of the steps.
    """

    init: KeyArray
    order: KeyArray
    steps: KeyArray


def run_keys(key: KeyArray) -> RunKeys:
    """Split the key of a run into those of its initial state, of the order of its examples and of its steps.

    Args:
        key: key of the run.

    Returns:
        The three keys.

    Example:
        >>> bool(run_keys(jax.random.key(0)).init == run_keys(jax.random.key(0)).order)
        False
    """
    return RunKeys(*jax.random.split(key, 3))


def initial_state(model: Model, keys: Key[Array, " seeds"], example: Batch) -> State:
    """Return the state before the first step.

    Args:
        model: model to initialize.
        keys: keys of the seeds.
        example: smallest batch that shows the shapes of the data.

    Returns:
        A state with a leading axis of seeds.

    Raises:
        InputError: if the device has too little memory for it, or published parameters are not on this machine.
    """
    return with_pretrained(
        model,
        lambda: compute_state(_init(model, example), keys, what="the state of the training", advice=SMALLER),
    )


def with_pretrained(model: Model, initialize: Callable[[], State]) -> State:
    """Return initial states whose pretrained networks have their published parameters, the same for every seed.

    Args:
        model: model of the states.
        initialize: function that computes the states, with a leading axis of seeds; called after files have been read.

    Returns:
        The states; those of `initialize` where the model has no pretrained networks.

    Raises:
        InputError: if the published parameters are not on this machine; the message says how to get them.

    Example:
        >>> init = lambda key, batch: State(jnp.int32(0), {"encoder": jnp.zeros(2)}, {}, {}, {})
        >>> model = Model(init, None, (), pretrained=lambda: {"encoder": jnp.ones(2)})
        >>> initial_state(model, jax.random.split(jax.random.key(0), 1), {}).params["encoder"]
        Array([[1., 1.]], dtype=float32)
    """
    published = {} if model.pretrained is None else model.pretrained()
    state = initialize()

    def for_seeds(own: Array, array: Array) -> Array:
        return jnp.broadcast_to(jnp.asarray(array, own.dtype), own.shape)

    networks = {name: jax.tree.map(for_seeds, state.params[name], arrays) for name, arrays in published.items()}
    replaced: State = state.replace(params={**state.params, **networks})
    return replaced


def compute_state(init: Callable[[Any], State], seeds: PyTree, *, what: str, advice: str) -> State:
    """Compute the states before the first step, unless the device has too little memory for the training.

    Args:
        init: function of the seeds.
        seeds: what it is called with.
        what: what the states are called in the message.
        advice: what to do where they do not fit.

    Returns:
        The states.

    Raises:
        InputError: if the device has too little memory.
    """
    traced = jit_for_few_calls(init).trace(seeds)
    # Twice: a step computes new parameters and optimizer states, or gradients, beside the old ones.
    check_memory(what, 2 * bytes_of(traced.out_info), advice)
    return traced.lower().compile()(seeds)


def abstract_state(model: Model, keys: Key[Array, " seeds"], example: Batch) -> State:
    """Return the shapes and types of `initial_state`; nothing is computed.

    Args:
        model: model to initialize.
        keys: keys of the seeds.
        example: smallest batch that shows the shapes of the data.

    Returns:
        A state of shapes.
    """
    return jax.eval_shape(_init(model, example), keys)


def check_state(model: Model, keys: Key[Array, " seeds"], state: State, example: Batch) -> None:
    """Check that a training can continue from a state.

    Args:
        model: model of the training.
        keys: keys of its seeds.
        state: state with a leading axis of seeds.
        example: smallest batch that shows the shapes of the data.

    Raises:
        InputError: if the state is that of another model or of another number of seeds.
    """
    leaves = named_leaves(state)
    shapes = named_leaves(abstract_state(model, keys, example))
    # The precision is the user's choice, e.g. float64 for a comparison.
    expected = {name: jax.ShapeDtypeStruct(x.shape, jnp.result_type(leaves.get(name, x))) for name, x in shapes.items()}
    if difference := first_difference(leaves, expected):
        raise InputError(f"state must come from the same model and as many keys, {keys.size}, but {difference}")


def _init(model: Model, example: Batch) -> Callable[[Key[Array, " seeds"]], State]:
    def init(key: KeyArray) -> State:
        return model.init(run_keys(key).init, example)

    return over_seeds(init)
