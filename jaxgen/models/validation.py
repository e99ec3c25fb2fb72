"""Checks of what a `Config` was given, each with one sentence that says what would be right."""

import math

from jaxgen.errors import InputError


def check_positive(**values: int | float) -> None:
    """Refuse values that are not greater than zero.

    Args:
        values: option name -> its value.

    Raises:
        InputError: naming the first option that is not positive.

    Example:
        >>> check_positive(latent_dim=2, learning_rate=0.0)
        Traceback (most recent call last):
        jaxgen.errors.InputError: learning_rate must be positive and finite, got 0.0
    """
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise InputError(f"{name} must be positive and finite, got {value}")


def check_not_negative(**values: int | float) -> None:
    """Refuse values below zero.

    Args:
        values: option name -> its value.

    Raises:
        InputError: naming the first option that is negative.

    Example:
        >>> check_not_negative(beta=-1.0)
        Traceback (most recent call last):
        jaxgen.errors.InputError: beta must be finite and not negative, got -1.0
    """
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise InputError(f"{name} must be finite and not negative, got {value}")
