"""Checks of the values of options, each with a message that states the valid range.

Traced values are not known and not checked: a sweep checks all of its values before it traces them.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import jax
import numpy as np

from jaxgen._arrays import is_known
from jaxgen.errors import InputError, shortened
from jaxgen.models.family import fits, option_types


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
        _check_number(name, value)
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
        _check_number(name, value)
        if is_known(value) and not 0 <= value < math.inf:
            raise InputError(f"{name} must be finite and not negative, got {value}")
        _check_size(name, value)


def check_widths(**values: Any) -> None:
    """Check that values are sequences of positive widths, one for each layer.

    Args:
        **values: option name -> widths.

    Raises:
        InputError: if a value is no sequence, or a width is not positive.

    Example:
        >>> check_widths(hidden=256)
        Traceback (most recent call last):
        jaxgen.errors.InputError: hidden must be a tuple of widths, one for each layer, as (256, 128), got 256
    """
    for name, widths in values.items():
        if not isinstance(widths, tuple | list):
            raise InputError(
                f"{name} must be a tuple of widths, one for each layer, as (256, 128), got {shortened(widths)}"
            )
        for width in widths:
            check_positive(**{name: width})


def check_build(config: Any, kind: type, example: Any) -> None:
    """Check the types of what a model is built from.

    Args:
        config: must be an instance of `kind` whose options are of their types. Arrays are accepted as numbers.
        kind: dataclass of the options.
        example: must be a mapping with an array `image` of four axes, or `point` of two.

    Raises:
        InputError: if it is not so; the message names the option or the array.

    Example:
        >>> from jaxgen.models import vae
        >>> check_build(vae.Config(latent_dim=2.5), vae.Config, {})
        Traceback (most recent call last):
        jaxgen.errors.InputError: latent_dim must be of the type int, got 2.5
    """
    if not isinstance(config, kind):
        raise InputError(f"config must be a {kind.__module__}.{kind.__name__}, got {type(config).__name__}")
    for name, hint in option_types(kind).items():
        value = getattr(config, name)
        value = tuple(value) if isinstance(value, list) else value
        # Names that are not known are left to the families, which suggest similar ones.
        is_name = isinstance(value, str) and any(get_origin(option) is Literal for option in (hint, *get_args(hint)))
        if not is_name and not isinstance(value, jax.Array | np.generic) and not fits(value, hint):
            raise InputError(f"{name} must be of the type {getattr(hint, '__name__', hint)}, got {shortened(value)}")
    if not isinstance(example, Mapping):
        raise InputError(f"the example must be a mapping of arrays, such as the data, got {type(example).__name__}")
    for name, axes in (("image", "[n, height, width, channels]"), ("point", "[n, dim]")):
        if name in example and np.ndim(example[name]) != axes.count(",") + 1:
            raise InputError(f"{name} must be {axes}, got shape {np.shape(example[name])}")


def _check_number(name: str, value: Any) -> None:
    """Refuse what cannot be compared with a number, such as text."""
    if not isinstance(value, int | float | np.generic | jax.Array):
        raise InputError(f"{name} must be a number, got {shortened(value)}")


def _check_size(name: str, value: int | float) -> None:
    """Refuse integers that JAX cannot hold in 32 bits."""
    if isinstance(value, int) and value >= 2**31:
        raise InputError(f"{name} must be below 2^31, got {value}")
