"""Checks and conversions of arguments in all layers: shapes, numbers, keys, values that are known, dtypes, axes."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError, shortened
from jaxgen.typing import AnyArray, Array, Scalar, Shaped

MIDDLE_SAMPLE = 4
"""Largest number of points of each sample from which `centre` computes the median."""


def check_same_shape(**arrays: Shaped[Array, "..."]) -> None:
    """Raise a ValueError with the names and shapes unless all shapes are equal; arrays are never broadcast silently."""
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        listed = " and ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes must be equal, got {listed}")


def check_batch(**arrays: Shaped[Array, "..."]) -> None:
    """Raise a ValueError with the name of the first array that has no axis of examples."""
    for name, array in arrays.items():
        if np.ndim(array) == 0:
            raise ValueError(f"{name} must have a leading axis of examples, got shape ()")


def check_number(
    name: str,
    value: Scalar,
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    below: float = math.inf,
    finite: bool = False,
) -> None:
    """Raise an InputError unless a hyperparameter is one number within its bounds; traced values are not checked."""
    if np.shape(value) != ():
        raise InputError(f"{name} must be one number, got shape {np.shape(value)}")
    if not is_known(value):
        return
    number = np.asarray(value)  # NumPy: under `jit`, a comparison of a JAX array is traced even if its value is known.
    if not any(jnp.issubdtype(number.dtype, kind) for kind in (jnp.floating, jnp.integer)):
        raise InputError(f"{name} must be a number, got {shortened(value)}")
    if not (number > above and number >= at_least and (number < below or (below == math.inf and not finite))):
        bounds = {"above": above, "at least": at_least, "below": below}
        right = ["finite"] * finite + [f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound)]
        raise InputError(f"{name} must be {' and '.join(right) or 'a number'}, got {value}")


def check_unit_interval(name: str, array: Shaped[AnyArray, "..."]) -> None:
    """Raise an InputError unless values are floats in [0, 1]; of traced ones only the dtype is checked."""
    dtype = jnp.result_type(array)
    if not jnp.issubdtype(dtype, jnp.floating):
        advice = scaling_advice(array if hasattr(array, "dtype") else np.asarray(array))
        raise InputError(f"{name} must be floating-point values in [0, 1], got {dtype}; {advice}")
    bounds = known_bounds(array)
    if bounds is None or (bounds[0] >= 0 and bounds[1] <= 1):  # NaN fails both comparisons.
        return
    hint = ""
    if bounds[0] >= 0 and 1 < bounds[1] <= 255:
        hint = "; divide them by 255"
    elif bounds[0] >= -1 and bounds[1] <= 1:
        hint = "; if they are in [-1, 1], give (x + 1) / 2"
    raise InputError(f"{name} must be in [0, 1], got {bounds[0]} to {bounds[1]}{hint}")


def scaling_advice(grey_levels: Shaped[AnyArray, "..."], *, of_bytes: str = "divide bytes by 255") -> str:
    """Return what to do with grey levels that are not floats; where all fit into bytes it is `of_bytes`.

    Larger values, of which none is negative, are those of 16 bits if they fit into these.
    """
    low, high = 0.0, 255.0
    if grey_levels.dtype == np.bool_:
        high = 1
    elif jnp.issubdtype(grey_levels.dtype, jnp.integer):
        low, high = known_bounds(grey_levels) or (0, 65535 if np.dtype(grey_levels.dtype).itemsize == 2 else 255)
    if low < 0:
        return f"scale values from {low} to {high} to [0, 1]"
    if high <= 1:
        return "convert values 0 and 1 by x.astype('float32')"
    return of_bytes if high <= 255 else f"scale values from 0 to {max(high, 65535)} to [0, 1]"


def known_bounds(array: Shaped[AnyArray, "..."]) -> tuple[float, float] | None:
    """Return the smallest and the largest value, NaN and NaN where any value is NaN.

    The result is None where the values are not known, as those of traced or empty arrays.
    """
    if not is_known(array) or not np.size(array):
        return None
    values = array if isinstance(array, jax.Array) else np.asarray(array)
    library: Any = jnp if isinstance(array, jax.Array) else np
    with jax.ensure_compile_time_eval():  # Under `jit`, operations on a constant of JAX are traced otherwise.
        # Extrema ignore NaN in JAX on a CPU, and in NumPy for bfloat16.
        if jnp.issubdtype(values.dtype, jnp.floating) and library.isnan(values).any():
            return math.nan, math.nan
        return values.min().item(), values.max().item()


def check_byte_order(name: str, dtype: Any) -> None:
    """Raise an InputError unless a dtype has the byte order of this machine, the only one that JAX reads."""
    if not getattr(dtype, "isnative", True):
        raise InputError(
            f"{name} must have the byte order of this machine, got {dtype.str}; convert it by "
            "x.astype(x.dtype.newbyteorder('='))"
        )


def check_key(key: Any, *, name: str = "key", several: bool = False) -> None:
    """Raise an InputError unless this is a typed PRNG key, or an array of them where several are allowed."""
    if not (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        old = getattr(key, "dtype", None) == np.uint32
        got = "one of jax.random.PRNGKey, which has no type" if old else f"{type(key).__name__} {shortened(key)}"
        raise InputError(f"{name} must be a typed PRNG key, such as jax.random.key(0), got {got}")
    if key.ndim and not several:
        raise InputError(f"{name} must be one key, got keys of shape {key.shape}")


def check_integers(**values: Any) -> None:
    """Raise an InputError with the name of the first value that is not an integer."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise InputError(f"{name} must be an integer, got {type(value).__name__} {shortened(value)}")


def float_dtype(*arrays: Shaped[Array, "..."]) -> jnp.dtype:
    """Return the floating dtype to which the arrays promote, which is the dtype of the result."""
    dtype = jnp.result_type(*map(jnp.asarray, arrays))
    return dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)


def widen(array: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """Return the array in float32 or wider, the precision in which sums are computed."""
    return jnp.asarray(array, jnp.promote_types(float_dtype(array), jnp.float32))


def flat_events(array: Shaped[Array, " batch *event"]) -> Shaped[Array, "batch size"]:
    """Return every example as one row."""
    array = jnp.asarray(array)
    return array.reshape(array.shape[0], math.prod(array.shape[1:]))


def sum_events(array: Shaped[Array, " batch *event"]) -> Shaped[Array, " batch"]:
    """Return the sum over all axes but the first, the axis of examples."""
    return flat_events(array).sum(axis=1)


def spaced(points: Shaped[Array, " n *event"], most: int) -> Shaped[Array, " few *event"]:
    """Return at most `most` of the points, evenly spaced."""
    return points[:: max(1, math.ceil(points.shape[0] / most))]


def is_known(value: Any) -> bool:
    """Return whether a value is known while a program is traced.

    Example:
        >>> is_known(0.5)
        True
    """
    return not isinstance(value, jax.core.Tracer)


def centre(
    x: Shaped[Array, " n *event"], y: Shaped[Array, " m *event"]
) -> tuple[Shaped[Array, " n *event"], Shaped[Array, " m *event"]]:
    """Return both samples minus the median of a few of their points.

    What depends on differences alone then keeps its digits for points far from the origin: the subtraction itself is
    exact or rounds the difference. The mean is not used: its rounding error may exceed the distances of the points and
    differs between uses where XLA recomputes it, and a single distant, infinite or NaN point would change it.
    """
    if 0 in (x.shape[0], y.shape[0]):
        return x, y
    few = jnp.concatenate([spaced(points, MIDDLE_SAMPLE) for points in (x, y)])
    middle = jax.lax.stop_gradient(jnp.sort(few, axis=0)[few.shape[0] // 2])
    return x - middle, y - middle
