"""The random numbers of the operators of adaptive discriminator augmentation, and where an operator is applied.

An operator is a function of its numbers, and there is a neutral number at which it changes nothing. So an operator that
is not applied to an image is one that is given the neutral number.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxgen.typing import Array, Float, KeyArray, Scalar


class Operator(NamedTuple):
    """What an operator draws for every image.

    Attributes:
        distribution: of its numbers: uniform on [0, 1), or standard normal.
        size: how many numbers.
        neutral: number at which the operator changes nothing.
        gates: how many independent decisions whether it is applied: one for all numbers, or one for each.
    """

    distribution: Literal["uniform", "normal"]
    size: int
    neutral: float
    gates: int = 1


OPERATORS = {
    "xflip": Operator("uniform", 1, 0.0),
    "rotate90": Operator("uniform", 1, 0.0),
    "xint": Operator("uniform", 2, 0.5),
    "scale": Operator("normal", 1, 0.0),
    "rotate": Operator("uniform", 2, 0.5, gates=2),
    "aniso": Operator("normal", 1, 0.0),
    "xfrac": Operator("normal", 2, 0.0),
    "brightness": Operator("normal", 1, 0.0),
    "contrast": Operator("normal", 1, 0.0),
    "lumaflip": Operator("uniform", 1, 0.0),
    "hue": Operator("uniform", 1, 0.5),
    "saturation": Operator("normal", 1, 0.0),
    "imgfilter": Operator("normal", 4, 0.0, gates=4),
    "noise": Operator("normal", 1, 0.0),
    "cutout": Operator("uniform", 2, -jnp.inf),
}
"""Operator -> what it draws, in the order in which operators are applied."""


class Draw(NamedTuple):
    """The random numbers of an operator for a batch of n images.

    Attributes:
        gates: uniform numbers, [n, gates]; the operator is applied where they are below its probability.
        values: numbers that determine what the operator does, [n, size].
    """

    gates: Float[Array, "n gates"]
    values: Float[Array, "n size"]


def draw(key: KeyArray, n: int, *, dtype: DTypeLike = jnp.float32) -> dict[str, Draw]:
    """Draw the numbers of all operators, so that those of one do not depend on which others are used.

    Args:
        key: PRNG key.
        n: number of images.
        dtype: dtype of the numbers.

    Returns:
        Operator -> its numbers.

    Example:
        >>> draws = draw(jax.random.key(0), 2)
        >>> draws["rotate"].gates.shape, draws["xfrac"].values.shape
        ((2, 2), (2, 2))
    """
    counts = {"uniform": 0, "normal": 0}
    places = {}
    for name, operator in OPERATORS.items():
        gates = counts["uniform"]
        counts["uniform"] += operator.gates
        places[name] = (gates, counts[operator.distribution])
        counts[operator.distribution] += operator.size
    uniform_key, normal_key = jax.random.split(key)
    numbers = {
        "uniform": jax.random.uniform(uniform_key, (n, counts["uniform"]), dtype),
        "normal": jax.random.normal(normal_key, (n, counts["normal"]), dtype),
    }
    return {
        name: Draw(
            numbers["uniform"][:, gate : gate + operator.gates],
            numbers[operator.distribution][:, value : value + operator.size],
        )
        for (name, operator), (gate, value) in zip(OPERATORS.items(), places.values(), strict=True)
    }


def applied(
    draws: Mapping[str, Draw], p: Scalar, multipliers: Mapping[str, float]
) -> dict[str, Float[Array, "n size"]]:
    """Replace the numbers of operators that are not applied by the neutral ones.

        P(applied) = multiplier p

    Of the two rotations, before and after the anisotropic scaling, each has the probability `1 - sqrt(1 - multiplier
    p)`, so that at least one of them has `multiplier p`.

    Args:
        draws: operator -> its numbers, by `draw`.
        p: probability of an operator with the multiplier 1; numbers above 1 count as 1.
        multipliers: operator -> factor of its probability, for those that are used.

    Returns:
        Operator -> its numbers, for those that are used.
    """
    numbers = {}
    for name in OPERATORS:
        if name not in multipliers:
            continue
        gates, values = draws[name]
        probability = jnp.asarray(multipliers[name] * p, gates.dtype)
        if name == "rotate":
            probability = 1 - jnp.sqrt(jnp.clip(1 - probability, 0, 1))
        numbers[name] = jnp.where(gates < probability, values, OPERATORS[name].neutral)
    return numbers
