"""How a test says what a public function of arrays is: its `Case`, from which `test_contract.py` derives its tests.

A case names the arguments of a function, the domain that each is drawn from, and independent references: the same
function of float64 NumPy arrays, by another library or written from the formula. The cases of `jaxgen/losses/boxes.py`
are in `cases/boxes.py`; what no table can say is tested in `losses/test_boxes.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import strategies as st

Shape = tuple[int, ...]


class Domain(NamedTuple):
    """Where the values of an argument lie.

    Attributes:
        strategy: shape -> arrays as hypothesis seeks them, edges of the domain, ties and zeros included.
        sample: (generator, shape) -> an array of generic values, away from kinks, where gradients are compared.
    """

    strategy: Callable[[Shape], st.SearchStrategy[np.ndarray]]
    sample: Callable[[np.random.Generator, Shape], np.ndarray]


@dataclass(frozen=True)
class Case:
    """What one public function is held against.

    Attributes:
        name: of the function as users import it from jaxgen, `losses.huber`.
        function: the function of its arrays alone; its other arguments are fixed here. It returns one array.
        arguments: argument name -> domain, in order. Whole numbers stay as they are; all else is float.
        shapes: one shape for all arguments, or one for each; every entry of the sequence is tried.
        references: who says so ("SciPy", "POT", "PyTorch", "formula") -> the same function of float64 NumPy arrays.
        rtol: largest relative error in float32, of every element of the result. More than 1e-5 is stated and explained
            in the function's docstring.
        floor: errors of results smaller than this are taken relative to this.
        rtol_double: largest relative error in float64.
        differentiable: whether gradients are compared with finite differences.
        equal: names of the arguments that must have equal shapes. None: all, where they are given one shape.
        finite_at: arguments where value and gradient must be finite: kinks, ties, the ends of the domain.
        rtol_bfloat16: how far the result for bfloat16 may be from that in float32 for the same arguments; half a unit
            in the last place where only the result is rounded.
        label: tells cases of one function apart.
    """

    name: str
    function: Callable
    arguments: dict[str, Domain]
    shapes: Sequence[Shape | tuple[Shape, ...]]
    references: dict[str, Callable[..., np.ndarray]]
    rtol: float = 1e-5
    floor: float = 1e-30
    rtol_double: float = 1e-9
    differentiable: bool = True
    equal: tuple[str, ...] | None = None
    finite_at: Sequence[tuple] = field(default_factory=tuple)
    rtol_bfloat16: float = 2**-8
    label: str = ""

    def __str__(self) -> str:
        return f"{self.name}({self.label})" if self.label else self.name

    @property
    def all_shapes(self) -> list[tuple[Shape, ...]]:
        """One shape for each argument, as often as shapes are given."""
        return [s if s and isinstance(s[0], tuple) else (s,) * len(self.arguments) for s in self.shapes]

    @property
    def names_of_equal_shape(self) -> tuple[str, ...]:
        if self.equal is not None:
            return self.equal
        one_shape = all(len(set(shapes)) == 1 for shapes in self.all_shapes)
        return tuple(self.arguments) if one_shape and len(self.arguments) > 1 else ()

    def drawn(self) -> st.SearchStrategy[tuple[np.ndarray, ...]]:
        """Arguments of any of the shapes, edges included."""
        domains = self.arguments.values()
        return st.one_of(
            [
                st.tuples(*(domain.strategy(shape) for domain, shape in zip(domains, shapes, strict=True)))
                for shapes in self.all_shapes
            ]
        )

    def sampled(self, seed: int = 0, which: int = -1) -> tuple[np.ndarray, ...]:
        """Generic arguments of one of the shapes, by default the last."""
        generator = np.random.default_rng(seed)
        shapes = self.all_shapes[which]
        return tuple(d.sample(generator, s) for d, s in zip(self.arguments.values(), shapes, strict=True))


def relative_error(got: np.ndarray, want: np.ndarray, floor: float) -> float:
    """Largest of `|got - want| / max(|want|, floor)`; equal infinities agree, and NaN with nothing."""
    got, want = np.broadcast_arrays(np.asarray(got, np.float64), np.asarray(want, np.float64))
    agree = got == want
    with np.errstate(invalid="ignore"):
        error = np.abs(got - want) / np.maximum(np.abs(want), floor)
    error = np.where(agree, 0.0, np.where(np.isfinite(error), error, np.inf))
    return float(error.max(initial=0.0))


def real(scale: float = 10.0) -> Domain:
    """Numbers of both signs up to `scale`; sampled, normal with a deviation of 1."""
    elements = st.floats(-scale, scale, width=32, allow_subnormal=False).map(_without_dust)
    return Domain(
        lambda shape: hnp.arrays(np.float64, shape, elements=elements), lambda rng, shape: rng.normal(size=shape)
    )


def uniform(low: float = 0.0, high: float = 1.0) -> Domain:
    """Numbers between two bounds, bounds included; sampled, not nearer to a bound than a tenth of the range."""
    elements = st.floats(low, high, width=32, allow_subnormal=False).map(_without_dust)
    margin = 0.1 * (high - low)
    return Domain(
        lambda shape: hnp.arrays(np.float64, shape, elements=elements),
        lambda rng, shape: rng.uniform(low + margin, high - margin, size=shape),
    )


def whole(high: int) -> Domain:
    """Whole numbers from 0 to below `high`, such as labels."""
    return Domain(
        lambda shape: hnp.arrays(np.int32, shape, elements=st.integers(0, high - 1)),
        lambda rng, shape: rng.integers(high, size=shape, dtype=np.int32),
    )


def simplex() -> Domain:
    """Probabilities along the last axis, zeros included; sampled, none very small."""

    def normalized(weights: np.ndarray) -> np.ndarray:
        weights = weights + (weights.sum(axis=-1, keepdims=True) == 0)
        return weights / weights.sum(axis=-1, keepdims=True)

    elements = st.integers(0, 1000).map(float)
    return Domain(
        # Rounded to single precision, so that float32 is given what the reference is given.
        lambda shape: hnp.arrays(np.float64, shape, elements=elements).map(normalized).map(np.float32).map(np.float64),
        lambda rng, shape: normalized(rng.exponential(size=shape) + 0.1),
    )


def _without_dust(x: float) -> float:
    """Zero in place of numbers whose squares underflow in single precision."""
    return 0.0 if abs(x) < 1e-12 else x
