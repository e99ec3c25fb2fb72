"""Checks of what a `Config` was given, each with one sentence that says what would be right."""

import math
from collections.abc import Mapping
from typing import TypeVar

from jaxgen.errors import InputError, nearest

Choice = TypeVar("Choice")


def check_positive(**values: int | float) -> None:
    """Refuse values that are not greater than zero.

    Args:
        values: option name -> its value.

    Raises:
        InputError: naming the first option that is not positive.

    Example:
        >>> check_positive(latent=2, learning_rate=0.0)
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


def choose(table: Mapping[str, Choice], name: str, kind: str) -> Choice:
    """Look a choice up by its name.

    Args:
        table: name -> choice.
        name: what was asked for.
        kind: what the table holds, for the message.

    Returns:
        The choice of that name.

    Raises:
        InputError: if there is none, with the nearest name.

    Example:
        >>> choose({"gaussian": 1}, "gausian", "likelihood")
        Traceback (most recent call last):
        jaxgen.errors.InputError: there is no likelihood 'gausian'; did you mean 'gaussian'?
    """
    if name not in table:
        raise InputError(f"there is no {kind} {name!r}; {nearest(name, table)}")
    return table[name]
