"""Runs of recipes: trained to their end, resumed where they were interrupted, and shortened."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxgen.runs import RunConfig, train
from jaxgen.runs.config import with_absolute_paths
from jaxgen.runs.config_json import read_config
from jaxgen.runs.summary_file import read_summary


def complete_run(folder: Path, family: str, config: RunConfig[Any], notify: Callable[[str], None]) -> Mapping[str, Any]:
    """Return the stored metrics of a complete run, or train the run to its end and return the new ones.

    Args:
        folder: folder of the run.
        family: name of the model's family.
        config: config of the run.
        notify: function that is called with each line of progress.

    Returns:
        Metrics of the test split, as `jaxgen.runs.evaluate_run` returns them.

    Raises:
        DivergenceError: if every seed diverges.
        InputError: if the folder holds another run, or data are missing.
    """
    begun = (folder / "config.json").is_file()
    if begun and read_config(folder)[:2] == (family, with_absolute_paths(config)):
        summary = read_summary(folder, config.seeds)  # A missing or damaged one is computed again.
        if summary is not None and summary.step == config.steps:
            return summary.test
    test: Mapping[str, Any] = train(folder, family, config, resume=begun, notify=notify)["test"]
    return test


def with_steps(config: RunConfig[Any], steps: int) -> RunConfig[Any]:
    """Return a config with another number of steps, and log, checkpoint and image intervals in proportion.

    Args:
        config: config of a run.
        steps: number of training steps.

    Returns:
        The changed config.

    Example:
        >>> from jaxgen.models import vae
        >>> config = with_steps(RunConfig(vae.Config(), steps=1000, log_every=50), 100)
        >>> config.steps, config.log_every
        (100, 5)
    """
    intervals = {
        name: max(1, getattr(config, name) * steps // config.steps)
        for name in ("log_every", "checkpoint_every", "image_every")
    }
    return dataclasses.replace(config, steps=steps, **intervals)
