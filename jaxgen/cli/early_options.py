"""Options that are taken out of the arguments before a command is parsed, because they decide how that is done.

`--device` stands before or after any command; `--config` and `--family` of `jaxgen train` decide which options there
are.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from jaxgen.errors import InputError

Device: TypeAlias = Literal["cpu", "gpu", "tpu"]
"""Kind of device on which JAX computes."""

DEVICES = get_args(Device)

DEVICE_HELP = "where to compute; by default on the fastest device that JAX finds"


def take_option(arguments: Sequence[str], name: str) -> tuple[str | None, list[str]]:
    """Take an option out of the arguments, wherever it stands.

    Args:
        arguments: arguments of a command.
        name: name of the option, e.g. `--config`.

    Returns:
        Its value, empty if none follows it, or None if it is not given; and the other arguments.

    Raises:
        InputError: if it is given twice.

    Example:
        >>> take_option(["vae", "--config", "x.yaml", "--steps", "3"], "--config")
        ('x.yaml', ['vae', '--steps', '3'])
    """
    rest, found = list(arguments), []
    for position in reversed(range(len(rest))):
        option, equals, value = rest[position].partition("=")
        if option != name:
            continue
        end = position + 1
        if not equals and end < len(rest) and not rest[end].startswith("-"):
            value, end = rest[end], end + 1
        found.append(value)
        del rest[position:end]
    if len(found) > 1:
        raise InputError(f"{name} must be given once, got it {len(found)} times")
    return (found[0] if found else None), rest


def choose_device(device: str | None) -> None:
    """Let JAX compute on a device.

    Args:
        device: value of `--device`; None for the fastest device that JAX finds.

    Raises:
        InputError: if there is no such device.
    """
    if device is None:
        return
    import jax

    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    elif jax.default_backend() != device:
        raise InputError(
            f"--device {device} needs a JAX that finds one, and this one finds {jax.default_backend()} only: "
            "see 'Install' in the README"
        )
