"""Options that have an effect only beside others: where these are off, a training in which they are given is refused.

Only new trainings are: a run of an older version may have such options, and is loaded and resumed all the same.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple


class Dependence(NamedTuple):
    """Options that have an effect only in some cases.

    Attributes:
        options: names of the options.
        applies: whether they have an effect.
        to: what they apply to.
        advice: what to give for it.
    """

    options: Sequence[str]
    applies: bool
    to: str
    advice: str


def without_effect(config: Any, dependences: Sequence[Dependence], presets: Sequence[Any] = ()) -> dict[str, str]:
    """Return the options that are given and have no effect: they are neither the default ones nor those of a preset.

    With a preset, options of it may have no effect beside those that are given, e.g. decays of another optimizer.

    Args:
        config: options of a model.
        dependences: which of them have an effect.
        presets: options of the presets of the family.

    Returns:
        Option -> a sentence that refuses it.

    Example:
        >>> @dataclasses.dataclass
        ... class Config:
        ...     penalty: bool = False
        ...     every: int = 1
        >>> of_penalty = Dependence(["every"], applies=False, to="the penalty", advice="penalty=True (--penalty)")
        >>> without_effect(Config(every=1), [of_penalty])
        {}
        >>> without_effect(Config(every=4), [of_penalty])
        {'every': 'every applies to the penalty: leave it out, or give penalty=True (--penalty)'}
    """
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    return {
        name: f"{name} applies to {dependence.to}: leave it out, or give {dependence.advice}"
        for dependence in dependences
        if not dependence.applies
        for name in dependence.options
        if getattr(config, name) not in [defaults[name], *(getattr(preset, name) for preset in presets)]
    }


OPTIMIZERS: dict[str, tuple[str, ...]] = {
    "b1": ("adam", "adamw"),
    "b2": ("adam", "adamw", "rmsprop"),
    "eps": ("adam", "adamw", "rmsprop"),
    "momentum": ("sgd",),
}
"""Option -> the optimizers that use it, if not all."""


def of_optimizers(prefix: str, *optimizers: str) -> tuple[Dependence, ...]:
    """Return which options of optimizers have an effect.

    Args:
        prefix: beginning of the names of the options, such as "discriminator_".
        *optimizers: names of the optimizers that have these options.

    Returns:
        The dependences.

    Example:
        >>> [each.options for each in of_optimizers("", "sgd") if not each.applies]
        [('b1',), ('b2',), ('eps',)]
    """
    return tuple(
        Dependence(
            (prefix + name,),
            not set(users).isdisjoint(optimizers),
            f"the optimizer{'s' if len(users) > 1 else ''} {', '.join(users)}",
            f"{prefix}optimizer='{users[0]}'",
        )
        for name, users in OPTIMIZERS.items()
    )


def of_architectures(architecture: str, **options: Sequence[str]) -> list[Dependence]:
    """Return which options of networks have an effect for an architecture.

    Args:
        architecture: the architecture.
        **options: option -> the architectures to which it applies.

    Returns:
        The dependences.

    Example:
        >>> [(each.options, each.applies) for each in of_architectures("mlp", hidden=["mlp"], width=["conv"])]
        [(('hidden',), True), (('width',), False)]
    """
    return [
        Dependence(
            (name,), architecture in known, f"the architecture {' and '.join(known)}", f"architecture={known[0]!r}"
        )
        for name, known in options.items()
    ]


def of_mapping_width(layers: int) -> Dependence:
    """Return whether the width within a mapping network of so many layers has an effect.

    Args:
        layers: number of layers.

    Returns:
        The dependence of `mapping_width`.

    Example:
        >>> of_mapping_width(1).applies
        False
    """
    return Dependence(("mapping_width",), layers > 1, "mapping networks of several layers", "mapping_layers above 1")
