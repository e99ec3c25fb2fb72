"""Several independent seeds in one compiled program.

Inside `fit` every state has a leading axis of seeds, also that of a single seed; for a single key it is removed before
callbacks and the caller receive the state. Only the step counter has no such axis: all seeds are at the same step, so
that what happens at every k-th step remains a branch of the program and is not computed for nothing.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, Literal, TypeAlias

import jax
import numpy as np

from jaxgen._signatures import checked
from jaxgen.game import State
from jaxgen.memory import check_memory
from jaxgen.typing import AnyArray, Array, Float, Key, PyTree, Shaped


@checked
def seed_keys(seed: int, seeds: int) -> Key[Array, " seeds"]:
    """Return the keys of consecutive seeds; number i is the key of a single run with seed `seed + i`.

    Args:
        seed: the first seed.
        seeds: number of seeds.

    Returns:
        `[seeds]` typed keys.

    Raises:
        InputError: if the device has too little memory for so many.

    Example:
        >>> bool(seed_keys(7, 3)[2] == jax.random.key(9))
        True
    """
    # Numbers and keys, and temporary copies of both.
    check_memory("the keys of the seeds", 32 * seeds, "give fewer seeds")
    return _keys(np.arange(seed, seed + seeds))


_keys = jax.jit(jax.vmap(jax.random.key))


def add_seed_axis(tree: PyTree) -> PyTree:
    """Return the tree with a leading axis of one seed on every array but the step counter of a state.

    Args:
        tree: pytree of arrays and states of one seed.

    Returns:
        The same pytree for one seed along a leading axis.

    Example:
        >>> add_seed_axis({"a": np.ones(3)})["a"].shape
        (1, 3)
    """
    return _map_but_step(lambda x: x[None], tree)


def select_seed(tree: PyTree, number: int | Array) -> PyTree:
    """Return one seed of a tree with a leading axis of seeds.

    Args:
        tree: pytree of arrays and states with a leading axis of seeds.
        number: number of the seed, counted from 0.

    Returns:
        The same pytree without that axis.

    Example:
        >>> select_seed({"a": np.array([[1, 2], [3, 4]])}, 1)
        {'a': array([3, 4])}
    """
    return _map_but_step(lambda x: x[number], tree)


extract_seed = jax.jit(select_seed)
"""`select_seed` outside of compiled functions, where each array that is sliced would be a program of its own."""


@partial(jax.jit, static_argnums=2)  # Otherwise each array and each position would be a program of its own.
def extract_seeds(tree: PyTree, first: int, count: int) -> PyTree:
    """Return consecutive seeds of a tree with a leading axis of seeds.

    Args:
        tree: pytree of arrays and states with a leading axis of seeds.
        first: number of the first seed, counted from 0.
        count: number of seeds.

    Returns:
        The same pytree with `count` seeds.

    Example:
        >>> extract_seeds({"a": np.array([[1, 2], [3, 4], [5, 6]])}, 1, 2)["a"].tolist()
        [[3, 4], [5, 6]]
    """
    return _map_but_step(lambda x: jax.lax.dynamic_slice_in_dim(x, first, count), tree)


def over_seeds(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Apply a function of one seed to all seeds, which are stacked along a leading axis.

    On accelerators, and for small networks everywhere, the seeds are computed side by side (`vmap`). On the CPU, seeds
    of large networks are computed one after the other (`map`), still inside one program: three DCGANs of width 32
    needed 376 MiB side by side and 148 MiB one after the other, which was also 1 to 17 % faster; XLA's batched matrix
    product is slower there than as many separate products if the matrices are large. A single seed needs neither.

    Args:
        function: function of the pytree of one seed.

    Returns:
        The function of the pytree of all seeds. States that it returns have a step counter without an axis of seeds.

    Example:
        >>> over_seeds(lambda seed: seed["a"] + seed["b"].sum())({"a": np.array([1, 2]), "b": np.ones((2, 3))})
        Array([4., 5.], dtype=float32)
    """

    def of_all(seeds: PyTree) -> PyTree:
        if _count(seeds) == 1:
            return add_seed_axis(function(select_seed(seeds, 0)))
        steps = [node.step for node in _states(seeds)]
        stacked = _with_steps(seeds, [None] * len(steps))

        def of_one(seed: PyTree) -> PyTree:
            return function(_with_steps(seed, steps))

        in_sequence = jax.default_backend() == "cpu" and has_large_networks(seeds)
        result = jax.lax.map(of_one, stacked) if in_sequence else jax.vmap(of_one)(stacked)
        return _with_steps(result, [node.step[0] for node in _states(result)])

    return of_all


LARGE = 2**16
"""Number of elements of one parameter from which on seeds are computed one after the other on the CPU: eight seeds of a
network with 784x128 took 7 % less time in sequence, with 128x128 4 % less side by side (batches of 128 to 256)."""


def has_large_networks(tree: PyTree) -> bool:
    """Return whether a state of several seeds has a convolution or a parameter of at least `LARGE` elements.

    The kernel of a convolution has axes for the window beside those for its input and output channels, which are all
    that the kernel of a fully connected layer has.

    Args:
        tree: pytree that contains states of several seeds, or their shapes.

    Returns:
        True if there is one.

    Example:
        >>> def state(*shape):
        ...     return State(np.zeros(()), {"net": {"kernel": np.zeros((3, *shape))}}, {}, {}, {})
        >>> [has_large_networks([state(*shape)]) for shape in ((64, 64), (784, 400), (4, 4, 1, 32))]
        [False, True, True]
    """
    shapes = [leaf.shape[1:] for state in _states(tree) for leaf in jax.tree.leaves(state.params)]
    return any(len(shape) > 2 or math.prod(shape) >= LARGE for shape in shapes)


def first_finite(seeds: int, diverged: Collection[int]) -> int:
    """Return the number of the first seed that has not diverged.

    Args:
        seeds: number of seeds.
        diverged: numbers of those that have diverged.

    Returns:
        The number, counted from 0; 0 if all have diverged.

    Example:
        >>> first_finite(3, {0})
        1
    """
    return next((seed for seed in range(seeds) if seed not in diverged), 0)


def measure_seeds(
    of_seed: Callable[[int], Mapping[str, float]], numbers: Iterable[int], seeds: int
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Measure some of several seeds, one after the other.

    Args:
        of_seed: function from the number of a seed to its metrics.
        numbers: numbers of the seeds to measure, e.g. of those that have not diverged.
        seeds: number of all seeds.

    Returns:
        Metric name -> value of each seed, NaN for those that are not measured.

    Example:
        >>> measure_seeds(lambda number: {"double": 2.0 * number}, [0, 2], 3)
        {'double': array([ 0., nan,  4.])}
    """
    values: dict[str, np.ndarray] = {}
    for number in numbers:
        for name, value in of_seed(number).items():
            values.setdefault(name, np.full(seeds, np.nan))[number] = value
    return values


Better: TypeAlias = Literal["larger", "smaller"]
"""Which of two values of a metric is better."""


@checked
def summarize(
    values: Shaped[AnyArray, " seeds"], *, better: Better | None = None, left_out: Collection[int] = ()
) -> dict[str, Any]:
    """Summarize a metric over seeds.

    Args:
        values: value of each seed.
        better: which values are better, None for a metric of which none is, e.g. the output of a discriminator.
        left_out: numbers of the seeds that are not counted, because they diverged.

    Returns:
        `mean`; `sd`, the sample standard deviation (divisor n - 1), None for fewer than two seeds; `worst`, None for a
        metric without a better value; and `seeds`, the values, None for those that are left out or not finite. All are
        None if no seed is left.

    Example:
        >>> summarize(np.array([-90.0, -92.0, np.nan]), better="larger", left_out={2})
        {'mean': -91.0, 'sd': 1.414214, 'worst': -92.0, 'seeds': [-90.0, -92.0, None]}
    """
    seeds = [None if i in left_out else rounded(value) for i, value in enumerate(np.asarray(values, np.float64))]
    counted = [value for value in seeds if value is not None]
    if not counted:
        return {"mean": None, "sd": None, "worst": None, "seeds": seeds}
    return {
        "mean": rounded(float(np.mean(counted))),
        "sd": rounded(float(np.std(counted, ddof=1))) if len(counted) > 1 else None,
        "worst": None if better is None else min(counted) if better == "larger" else max(counted),
        "seeds": seeds,
    }


def rounded(value: float, *, digits: int = 7) -> float | None:
    """Return a number with the digits that float32 has; None, which JSON can hold, where it is not finite.

    Args:
        value: any number.
        digits: number of significant digits.

    Returns:
        The rounded number or None.

    Example:
        >>> rounded(1 / 3), rounded(math.inf)
        (0.3333333, None)
    """
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def _is_state(node: PyTree) -> bool:
    return isinstance(node, State)


def _states(tree: PyTree) -> list[State]:
    return [node for node in jax.tree.leaves(tree, is_leaf=_is_state) if _is_state(node)]


def _with_steps(tree: PyTree, steps: list[Any]) -> PyTree:
    """The tree with other step counters in its states, in the order of its leaves."""
    remaining = iter(steps)
    return jax.tree.map(
        lambda node: node.replace(step=next(remaining)) if _is_state(node) else node, tree, is_leaf=_is_state
    )


def _map_but_step(function: Callable[[Array], Array], tree: PyTree) -> PyTree:
    steps = [node.step for node in _states(tree)]
    return _with_steps(jax.tree.map(function, _with_steps(tree, [None] * len(steps))), steps)


def _count(tree: PyTree) -> int:
    stacked = _with_steps(tree, [None] * len(_states(tree)))
    return len(jax.tree.leaves(stacked)[0])
