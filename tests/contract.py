"""The `Case` of a public function of arrays, its specification from which `test_contract.py` derives its tests.

A case names the arguments of a function, the domain of each, and independent references: the same function of float64
NumPy arrays, from another library or written from the formula. The cases of `jaxgen/losses/boxes.py` are in
`cases/boxes.py`; properties that a case cannot express are tested in `losses/test_boxes.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import strategies as st

Shape = tuple[int, ...]


class Domain(NamedTuple):
    """Domain of the values of an argument.

    Attributes:
        strategy: function from a shape to a hypothesis strategy of arrays that include edges of the domain, ties and
            zeros.
        sample: function from a generator and a shape to an array of generic values, away from kinks, for gradient
            checks.
    """

    strategy: Callable[[Shape], st.SearchStrategy[np.ndarray]]
    sample: Callable[[np.random.Generator, Shape], np.ndarray]


@dataclass(frozen=True)
class Case:
    """Specification of one public function.

    Attributes:
        name: name of the function as users import it from jaxgen, such as `losses.huber`.
        function: function of the arrays alone, with its other arguments fixed. It returns one array.
        arguments: domain of each argument by name, in order. Integers keep their dtype; all other arguments are floats.
        shapes: shapes that are tested: each entry is one shape for all arguments, or one shape per argument.
        references: reference function of float64 NumPy arrays by source ("SciPy", "POT", "PyTorch", "formula").
        rtol: largest relative error of each element in float32. A value above 1e-5 is stated and explained in the
            function's docstring.
        floor: smallest magnitude to which errors are relative.
        rtol_double: largest relative error in float64.
        differentiable: whether gradients are compared with finite differences.
        equal: names of the arguments that must have equal shapes. None: all, if they are given one shape.
        finite_at: arguments at which value and gradient must be finite: kinks, ties, ends of the domain.
        rtol_bfloat16: largest relative difference between the result in bfloat16 and that in float32 of the same
            arguments; half a unit in the last place if only the result is rounded.
        label: distinguishes several cases of one function.
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
        """One shape for each argument, for every entry of `shapes`."""
        return [s if s and isinstance(s[0], tuple) else (s,) * len(self.arguments) for s in self.shapes]

    @property
    def names_of_equal_shape(self) -> tuple[str, ...]:
        if self.equal is not None:
            return self.equal
        one_shape = all(len(set(shapes)) == 1 for shapes in self.all_shapes)
        return tuple(self.arguments) if one_shape and len(self.arguments) > 1 else ()

    def drawn(self) -> st.SearchStrategy[tuple[np.ndarray, ...]]:
        """Return a strategy of arguments of any of the shapes, including edges of the domains."""
        domains = self.arguments.values()
        return st.one_of(
            [
                st.tuples(*(domain.strategy(shape) for domain, shape in zip(domains, shapes, strict=True)))
                for shapes in self.all_shapes
            ]
        )

    def sampled(self, seed: int = 0, which: int = -1) -> tuple[np.ndarray, ...]:
        """Return generic arguments of one of the shapes, by default the last."""
        generator = np.random.default_rng(seed)
        shapes = self.all_shapes[which]
        return tuple(d.sample(generator, s) for d, s in zip(self.arguments.values(), shapes, strict=True))


def relative_error(got: np.ndarray, want: np.ndarray, floor: float) -> float:
    """Return the largest `|got - want| / max(|want|, floor)`; equal infinities have error 0, NaN has infinite error."""
    got, want = np.broadcast_arrays(np.asarray(got, np.float64), np.asarray(want, np.float64))
    agree = got == want
    with np.errstate(invalid="ignore"):
        error = np.abs(got - want) / np.maximum(np.abs(want), floor)
    error = np.where(agree, 0.0, np.where(np.isfinite(error), error, np.inf))
    return float(error.max(initial=0.0))


def real(scale: float = 10.0) -> Domain:
    """Return the domain of numbers of both signs up to `scale`; samples are standard normal."""
    elements = st.floats(-scale, scale, width=32, allow_subnormal=False).map(_flushed)
    return Domain(
        lambda shape: hnp.arrays(np.float64, shape, elements=elements), lambda rng, shape: rng.normal(size=shape)
    )


def uniform(low: float = 0.0, high: float = 1.0) -> Domain:
    """Return the domain of numbers in a closed interval; samples keep a tenth of its length from the ends."""
    elements = st.floats(low, high, width=32, allow_subnormal=False).map(_flushed)
    margin = 0.1 * (high - low)
    return Domain(
        lambda shape: hnp.arrays(np.float64, shape, elements=elements),
        lambda rng, shape: rng.uniform(low + margin, high - margin, size=shape),
    )


def integers(high: int) -> Domain:
    """Return the domain of integers from 0 to below `high`, such as labels."""
    return Domain(
        lambda shape: hnp.arrays(np.int32, shape, elements=st.integers(0, high - 1)),
        lambda rng, shape: rng.integers(high, size=shape, dtype=np.int32),
    )


def simplex() -> Domain:
    """Return the domain of probabilities along the last axis, zeros included; samples have no very small ones."""

    def normalized(weights: np.ndarray) -> np.ndarray:
        weights = weights + (weights.sum(axis=-1, keepdims=True) == 0)
        return weights / weights.sum(axis=-1, keepdims=True)

    elements = st.integers(0, 1000).map(float)
    return Domain(
        # Rounded to single precision, so that float32 and the reference have the same arguments.
        lambda shape: hnp.arrays(np.float64, shape, elements=elements).map(normalized).map(np.float32).map(np.float64),
        lambda rng, shape: normalized(rng.exponential(size=shape) + 0.1),
    )


def _flushed(x: float) -> float:
    """Replace numbers whose squares underflow in single precision by 0."""
    return 0.0 if abs(x) < 1e-12 else x
