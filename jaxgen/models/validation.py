"""Checks of the values of options, each with a message that states the valid range.

Traced values are not known and not checked: a sweep checks all of its values before it traces them.
"""

import math

from jaxgen._arrays import is_known
from jaxgen.errors import InputError


def check_positive(**values: int | float) -> None:
    """Check that values are positive and finite.

    Args:
        **values: option name -> value.

    Raises:
        InputError: if a value is not positive or not finite; the message names the first such option.

    Example:
        >>> check_positive(latent_dim=2, learning_rate=0.0)
        Traceback (most recent call last):
        jaxgen.errors.InputError: learning_rate must be positive and finite, got 0.0
    """
    for name, value in values.items():
        if is_known(value) and not 0 < value < math.inf:
            raise InputError(f"{name} must be positive and finite, got {value}")
        _check_size(name, value)


def check_not_negative(**values: int | float) -> None:
    """Check that values are finite and not negative.

    Args:
        **values: option name -> value.

    Raises:
        InputError: if a value is negative or not finite; the message names the first such option.

    Example:
        >>> check_not_negative(beta=-1.0)
        Traceback (most recent call last):
        jaxgen.errors.InputError: beta must be finite and not negative, got -1.0
    """
    for name, value in values.items():
        if is_known(value) and not 0 <= value < math.inf:
            raise InputError(f"{name} must be finite and not negative, got {value}")
        _check_size(name, value)


def _check_size(name: str, value: int | float) -> None:
    """Refuse integers that JAX cannot hold in 32 bits."""
    if isinstance(value, int) and value >= 2**31:
        raise InputError(f"{name} must be below 2^31, got {value}")
