"""The model card of an exported run: what it is, how it was made, and what was measured, as Markdown."""

import dataclasses
import json
import shlex
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

from jaxgen.errors import printable
from jaxgen.models import REGISTRY, published_batch_size, starting_point
from jaxgen.runs.config import RunConfig, option
from jaxgen.runs.config_json import RunDescription, to_json
from jaxgen.runs.exported_file import shared_config
from jaxgen.runs.loading import Run
from jaxgen.runs.measured_file import read_measured
from jaxgen.runs.summary_file import read_summary
from jaxgen.training.leaves import describe_sizes

COMPLETE = (
    "The file has all that the model needs to sample, encode and evaluate. It has no states of optimizers, so the",
    "training cannot be resumed; a new one can start from the weights: `jaxgen train MODEL --init-from RUN`.",
)
ONLY_SAMPLES = (
    "The file has only what samples depend on: networks such as a discriminator are left out, and those with a moving",
    "average have its weights. An imported run has random weights in place of what is left out.",
)
"""What the file is good for."""


def model_card(run: Run, file: str, *, run_index: int | None = None, samples_only: bool = False) -> str:
    """Return the model card of an exported run.

    Args:
        run: run that is exported, with all of its seeds.
        file: name of the file that has its weights.
        run_index: number of the seed that is exported; None for all.
        samples_only: whether the file has only what samples depend on.

    Returns:
        The text of a README.md.

    Example:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> config = RunConfig(REGISTRY["vae"].config(latent_dim=2), steps=10)
        >>> shown = {"image": np.zeros((1, 8, 8, 1), np.uint8)}
        >>> run = Run(Path("absent"), "vae", config, shown, None, None, 10, {}, ())
        >>> [line.strip() for line in model_card(run, "vae.safetensors").splitlines() if "train vae" in line]
        ['jaxgen train vae --steps 10 --latent-dim 2']
    """
    config = shared_config(run.config)
    description = run.description._replace(config=config)
    seeds = "" if config.seeds is None else f", seeds {config.seed} to {config.seed + config.seeds - 1}"
    if run_index is not None or config.seeds == 1:
        seeds = f", seed {config.seed + (run_index or 0)}"
    family = REGISTRY.get(run.family)
    lines = [
        "---",
        "library_name: jaxgen",
        f"tags: [jaxgen, {run.family}]",
        "---",
        "",
        f"# {_text(run.name)} on {_text(config.data)}",
        "",
        f"{'A family from outside jaxgen' if family is None else family.summary[0].upper() + family.summary[1:]}.",
        f"Step {run.step}{seeds}; {describe_sizes(getattr(run.state, 'params', None), seeds=config.seeds)}.",
        "",
        "## Use",
        "",
        f"    jaxgen import-weights jaxgen {shlex.quote(printable(file))} --out RUN",
        "    jaxgen sample RUN --out samples.png",
        "",
        *(ONLY_SAMPLES if samples_only else COMPLETE),
        "",
        "## Origin",
        "",
        *_origin(description),
        "",
        "## Data",
        "",
        *_data(description),
        "",
        "## Metrics",
        "",
        *_metrics(run, run_index),
        "",
        "## Config",
        "",
        f"Written by jaxgen {metadata.version('jaxgen')}; paths are shortened to their last parts.",
        "",
        "```json",
        json.dumps(to_json(description), indent=2),
        "```",
    ]
    return "\n".join(lines) + "\n"


def training_command(description: RunDescription) -> str:
    """Return the command that trains a run, with the options that differ from those of its model.

    Args:
        description: description of a run.

    Returns:
        A line for a shell.

    Example:
        >>> config = RunConfig(REGISTRY["gan"].config(hidden=(64, 64), loss="hinge"), data="ring", flip=True)
        >>> training_command(RunDescription("gan", config, {}))
        'jaxgen train gan --data ring --flip --hidden 64 64 --loss hinge'
    """
    config, name = description.config, description.preset or description.family
    known = description.family in REGISTRY
    options = starting_point(name)[1] if known else None
    usual = RunConfig(config.model_config, batch_size=published_batch_size(name))
    words = ["jaxgen", "train", name]
    for field in dataclasses.fields(config)[1:]:
        if field.name == "steps" and config.epochs is not None:
            continue  # Two names of the duration.
        words += _option(field.name, getattr(config, field.name), getattr(usual, field.name))
    if dataclasses.is_dataclass(config.model_config):
        for field in dataclasses.fields(config.model_config):
            default = field.default if options is None else getattr(options, field.name)
            words += _option(field.name, getattr(config.model_config, field.name), default)
    return shlex.join(words)


def _option(name: str, value: Any, default: Any) -> Iterator[str]:
    """The words of an option; none where its value is the default."""
    if value == default:
        return
    if isinstance(value, bool):
        yield option(name) if value else f"--no-{option(name)[2:]}"
        return
    yield option(name)
    yield from map(str, value if isinstance(value, tuple) else [value])


def _origin(description: RunDescription) -> list[str]:
    if description.imported not in (None, "jaxgen"):
        return [f"Weights of the authors' program of {_text(description.imported)}, imported; the options are those of",
                "their networks, and the options of the training are not known."]  # fmt: skip
    if description.custom:
        return ["Trained from Python, with modules or functions that a config does not describe."]
    return [f"    {printable(training_command(description))}"]


def _data(description: RunDescription) -> list[str]:
    example = to_json(description)["example"]
    shapes = [f"{name}s of the shape {tuple(entry['shape'])}" for name, entry in example.items() if "shape" in entry]
    classes = f", {example['label']['classes']} classes" if "label" in example else ""
    names = ": " + ", ".join(map(_text, description.class_names)) if description.class_names else ""
    return [f"{_text(description.config.data)}: {', '.join(shapes)}{classes}{names}."]


def _metrics(run: Run, run_index: int | None) -> list[str]:
    """A table of the metrics that the folder has of this state, with their protocols."""
    seeds, rows = run.config.seeds, []
    summary = read_summary(run.folder, seeds)
    if summary is not None and run.step == (summary.step if summary.best is None else summary.best.step):
        rows += [(name, value, "test split, at the end of the training") for name, value in summary.test.items()]
    for line in read_measured(run.folder, seeds):
        if line.step == run.step:
            command = f"jaxgen {line.command} --seed {line.seed}"
            rows += [(name, value, command) for name, value in line.metrics.items()]
    if not rows:
        return ["None was measured of this state."]
    head = ["| metric and its protocol | value | measured by |", "| --- | --- | --- |"]
    return head + [f"| {_text(name)} | {_value(value, run_index)} | {_text(how)} |" for name, value, how in rows]


def _value(value: Any, run_index: int | None) -> str:
    """A metric as text: of several seeds that of the exported one, or mean and standard deviation."""
    if isinstance(value, Mapping):
        if run_index is None:
            # One seed has no standard deviation.
            spread = "" if value["sd"] is None else f" ± {_value(value['sd'], None)} over seeds"
            return f"{_value(value['mean'], None)}{spread}"
        value = value["seeds"][run_index]
    return "not finite" if value is None else f"{value:.6g}"


def _text(text: Any) -> str:
    """A text within a line or a cell of a table."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in printable(text))
