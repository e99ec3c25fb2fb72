"""`jaxgen train MODEL`."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from jaxgen.cli.output import notice
from jaxgen.cli.parse import parse
from jaxgen.cli.table import print_metrics
from jaxgen.errors import InputError, suggest
from jaxgen.models import PRESETS, REGISTRY, Family, load_family, starting_point
from jaxgen.runs import RunConfig, read_config, train
from jaxgen.runs.config import format_value, option

ModelConfig = TypeVar("ModelConfig")


@dataclass(frozen=True)
class Options(Generic[ModelConfig]):
    """Train a model and store everything in a run folder.

    Attributes:
        config: model, data, and duration of the training.
        out: run folder; by default runs/MODEL-DATA.
        resume: resume from the newest complete checkpoint; --steps may be larger than before.
    """

    config: RunConfig[ModelConfig]
    out: Path | None = None
    resume: bool = False


def run(arguments: list[str]) -> None:
    """Train the model that the arguments name."""
    if not arguments or arguments[0] in ("-h", "--help"):
        _print_models()
        return
    name, family, config, arguments = _named_model(arguments)
    options_type: Any = Options[type(config)]  # type: ignore[misc]
    command = f"jaxgen train {name}"
    options = parse(options_type, arguments, command=command, default=options_type(RunConfig(config)))
    folder = options.out or _default_folder(family.name if name.endswith(".py") else name, options.config.data)
    if options.resume:
        # What is not given stays as it was; what is given is compared with what it was.
        before = read_config(folder, family=_for_resume(family, folder))
        given = [argument for argument in arguments if argument != "--resume"]
        if name in PRESETS:
            _check_preset(name, folder, before.config.model_config, options.config.model_config)
        default = options_type(config=before.config)
        options = dataclasses.replace(parse(options_type, given, command=command, default=default), resume=True)
    summary = train(folder, family, options.config, resume=options.resume, notify=notice)
    if summary["test"]:
        # A resumed run keeps its own options, whatever preset is named now.
        title = f"{family.name if options.resume else name} on the test split of {options.config.data}"
        print_metrics(summary["test"], title=f"{title}, step {summary['step']}")
    print(f"run folder: {folder}")


def _named_model(arguments: list[str]) -> tuple[str, Family, Any, list[str]]:
    """The name, the family and the options of the model, and the arguments after it."""
    if arguments[0] == "--family" or arguments[0].startswith("--family="):
        name, rest = arguments[0].partition("=")[2], arguments[1:]
        if not name:
            if len(arguments) < 2:
                raise InputError("--family needs a value: a .py file, a module, or an installed entry point")
            name, rest = arguments[1], arguments[2:]
        family = load_family(name)
        return name, family, family.config(), rest
    if arguments[0].startswith("-"):
        raise InputError(f"name the model before its options: jaxgen train {' | '.join([*REGISTRY, *PRESETS])}")
    name, rest = arguments[0], arguments[1:]
    if name.endswith(".py"):
        family = load_family(name)
        return name, family, family.config(), rest
    if name not in REGISTRY and name not in PRESETS:
        raise InputError(
            f"there is no model '{name}': {suggest(name, [*REGISTRY, *PRESETS])}; a family of your own is the path of "
            "its .py file, or --family MODULE"
        )
    family, config = starting_point(name)
    return name, family, config, rest


def _for_resume(family: Family, folder: Path) -> Family | None:
    """The family to read a config with, unless the run is of another one, which is reported by its name."""
    before = read_config(folder).family if family.name in REGISTRY else family.name
    if before != family.name:
        raise InputError(f"{folder} holds a run of the model '{before}', not '{family.name}'")
    return family


def _check_preset(name: str, folder: Path, before: Any, now: Any) -> None:
    """Refuse to resume a run that has other options than the preset."""
    for field in dataclasses.fields(before):
        old, new = getattr(before, field.name), getattr(now, field.name)
        if old != new:
            raise InputError(
                f"{folder} was trained with {option(field.name)} {format_value(old)}, and {name} with these options "
                f"has {format_value(new)}: give the run's own options, or resume it as a {PRESETS[name].family}"
            )


def _default_folder(model: str, data: str) -> Path:
    """A folder named after the model and the data, whose path may be as short as `..`."""
    place = Path(data).expanduser()
    # Not resolved: where the path is a link, the user knows the data by the name of the link.
    name = Path(os.path.abspath(place)).stem if place.exists() else data.replace("/", "-")  # noqa: PTH100
    return Path("runs") / f"{model}-{name}"


def _print_models() -> None:
    lines = [f"  {name:<14}  {family.summary}" for name, family in REGISTRY.items()]
    lines += [f"  {name:<14}  {preset.description}" for name, preset in PRESETS.items()]
    lines += [f"  {'FILE.py':<14}  a family of your own, see the documentation"]
    models = "\n".join(lines)
    print(f"usage: jaxgen train MODEL [OPTIONS]\n\n{models}\n\njaxgen train MODEL --help shows the options of a model.")
