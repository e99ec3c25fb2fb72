"""Comparison of the configs of one run: as it was, and as it is resumed or used."""

import dataclasses
from pathlib import Path
from typing import Any

from jaxgen.data import describe
from jaxgen.errors import InputError, printable
from jaxgen.models import Family
from jaxgen.runs.config import custom_model_message, format_value, option
from jaxgen.runs.config_json import RunDescription, from_json

MAY_CHANGE = ("steps", "epochs", "patience", "data_dir")
"""Options in which a resumed run may differ."""

MAY_CHANGE_TEXT = "--steps, --epochs, --patience and --data-dir"


def check_trained_with(stored: Any, now: RunDescription, checkpoint: Path, *, family: Family | None) -> None:
    """Check that the `config.json` of a run is the one with which the state of a checkpoint was trained.

    Args:
        stored: description that is stored beside the state, as `to_json` returns it; None where none is stored.
        now: description that was read from the `config.json`.
        checkpoint: folder of the checkpoint, as `RUN/checkpoints/60`.
        family: family of the run, needed where it is not part of the package.

    Raises:
        InputError: with the name of what differs.
    """
    if stored is None:
        return
    before = from_json(stored, checkpoint, family=family)
    if change := _change(before, now):
        raise InputError(
            f"{checkpoint.parents[1] / 'config.json'} was changed after {checkpoint} was written, which is of a run "
            f"{change}: put back what it was"
        )


def check_unchanged(before: RunDescription, now: RunDescription, folder: Path) -> None:
    """Check that a resumed run differs only in the number of its steps and in the folder of its data.

    Args:
        before: description of the run.
        now: description with which it is resumed.
        folder: folder of the run.

    Raises:
        InputError: with the name of what differs.

    Example:
        >>> from jaxgen.models import vae
        >>> from jaxgen.runs import RunConfig
        >>> before, now = (RunDescription("vae", RunConfig(vae.Config(), seed=seed), {}) for seed in (0, 1))
        >>> check_unchanged(before, now, Path("runs/x"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: runs/x was trained with --seed 0, not 1: a resumed run may differ only in --steps,
        --epochs, --patience and --data-dir
    """
    if before.family != now.family:
        raise InputError(f"{folder} holds a run of the model '{before.family}', not '{now.family}'")
    if before.custom and not now.custom:
        raise InputError(custom_model_message(folder))
    if now.custom and not before.custom:
        raise InputError(f"{folder} was trained with the model that its family builds: resume it without another model")
    if describe(before.example) != describe(now.example):
        raise InputError(
            f"{folder} was trained on data with {describe(before.example)}, not {describe(now.example)}: resume it "
            f"with the same data"
        )
    if before.class_names != now.class_names:
        raise InputError(
            f"{folder} was trained on data with the classes {', '.join(map(printable, before.class_names))}, not "
            f"{', '.join(map(printable, now.class_names))}: resume it with the same data"
        )
    if change := _change(before, now):
        raise InputError(f"{folder} was trained {change}: a resumed run may differ only in {MAY_CHANGE_TEXT}")


def _change(before: RunDescription, now: RunDescription) -> str | None:
    """A clause with the first difference of two descriptions; None where a run may be resumed."""
    if (before.family, before.custom) != (now.family, now.custom):
        return f"of the model '{before.family}', not '{now.family}'"
    if describe(before.example) != describe(now.example):
        return f"on data with {describe(before.example)}, not {describe(now.example)}"
    old, new = dataclasses.asdict(before.config), dataclasses.asdict(now.config)
    options = old.pop("model_config") or {}, new.pop("model_config") or {}
    old |= {name: new[name] for name in MAY_CHANGE}
    for was, given in (options, (old, new)):
        for name in was:
            if was[name] != given.get(name):
                return f"with {option(name)} {format_value(was[name])}, not {format_value(given.get(name))}"
    return None
