"""`jaxgen train MODEL`."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from jaxgen.cli.output import notice
from jaxgen.cli.parse import parse
from jaxgen.cli.table import print_metrics
from jaxgen.errors import InputError
from jaxgen.models import PRESETS, REGISTRY, starting_point
from jaxgen.runs import RunConfig, read_config, train
from jaxgen.runs.config import option, shown

Config = TypeVar("Config")


@dataclass(frozen=True)
class Options(Generic[Config]):
    """Train a model and keep everything in a run folder.

    Attributes:
        config: what to train, on what, and for how long.
        out: the run folder; runs/MODEL-DATA where nothing is given.
        resume: go on from the newest whole checkpoint, with more --steps if asked.
    """

    config: RunConfig[Config]
    out: Path | None = None
    resume: bool = False


def run(arguments: list[str]) -> None:
    """Train the model that the arguments name."""
    if not arguments or arguments[0].startswith("-"):
        _without_model(arguments)
        return
    name = arguments[0]
    family, config = starting_point(name)
    options_type: Any = Options[type(config)]  # type: ignore[misc]
    command = f"jaxgen train {name}"
    options = parse(options_type, arguments[1:], command=command, default=options_type(RunConfig(config)))
    folder = options.out or _usual_folder(name, options.config.data)
    if options.resume:
        # What is not given is as it was; what is given is compared with what it was.
        before = read_config(folder)
        if before.family != family:
            raise InputError(f"{folder} holds a run of the model '{before.family}', not '{family}'")
        given = [argument for argument in arguments[1:] if argument != "--resume"]
        if name in PRESETS:
            _check_preset(name, folder, before.config.model_config, options.config.model_config)
        default = options_type(config=before.config)
        options = dataclasses.replace(parse(options_type, given, command=command, default=default), resume=True)
    summary = train(folder, family, options.config, resume=options.resume, say=notice)
    if summary["test"]:
        # A run that goes on is what it was, whatever preset is named now.
        title = f"{family if options.resume else name} on the test split of {options.config.data}"
        print_metrics(summary["test"], title=f"{title}, step {summary['step']}")
    print(f"run folder: {folder}")


def _check_preset(name: str, folder: Path, was: Any, asked: Any) -> None:
    """Refuse to go on under the name of a preset with a run that has other choices."""
    for field in dataclasses.fields(was):
        before, now = getattr(was, field.name), getattr(asked, field.name)
        if before != now:
            raise InputError(
                f"{folder} was trained with {option(field.name)} {shown(before)}, and {name} with these options has "
                f"{shown(now)}: give the run's own options, or go on with it as a {PRESETS[name].family}"
            )


def _usual_folder(model: str, data: str) -> Path:
    """A folder named after the model and the data, whose path may be as short as `..`."""
    place = Path(data).expanduser()
    # Not resolved: what the user calls the data is the name of the link, if it is one.
    name = Path(os.path.abspath(place)).stem if place.exists() else data.replace("/", "-")  # noqa: PTH100
    return Path("runs") / f"{model}-{name}"


def _without_model(arguments: list[str]) -> None:
    models = "\n".join(f"  {name:<12}  {entry.description}" for name, entry in (REGISTRY | PRESETS).items())
    if arguments and arguments[0] not in ("-h", "--help"):
        raise InputError(f"name the model before its options: jaxgen train {' | '.join([*REGISTRY, *PRESETS])}")
    print(f"usage: jaxgen train MODEL [OPTIONS]\n\n{models}\n\njaxgen train MODEL --help shows the options of a model.")
