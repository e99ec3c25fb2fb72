"""`jaxgen train MODEL`."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from jaxgen.cli.output import notice, print_line
from jaxgen.cli.parse import parse
from jaxgen.cli.table import print_metrics
from jaxgen.errors import InputError, suggest
from jaxgen.models import PRESETS, REGISTRY, Family, family_errors, load_family, starting_point
from jaxgen.models.family import option_types
from jaxgen.models.optimizer import OptimizerConfig
from jaxgen.runs import RunConfig, read_config, train
from jaxgen.runs.config import custom_model_message, format_value, option

ModelConfig = TypeVar("ModelConfig")


@dataclass(frozen=True)
class Options(Generic[ModelConfig]):
    """Train a model and store everything in a run folder.

    Attributes:
        config: model, data, and duration of the training.
        out: run folder; by default runs/MODEL-DATA.
        resume: resume from the newest complete checkpoint; only --steps and --data-dir may differ.
    """

    config: RunConfig[ModelConfig]
    out: Path | None = None
    resume: bool = False


class Choice(NamedTuple):
    """The model that the first arguments name.

    Attributes:
        name: name of a family or of a preset.
        family: family of the model.
        config: its options before those that are given.
        command: the command up to the model, for messages.
        rest: the arguments after the model.
    """

    name: str
    family: Family
    config: Any
    command: str
    rest: list[str]


def run(arguments: list[str]) -> None:
    """Train the model that the arguments name."""
    if not arguments or arguments[0] in ("-h", "--help"):
        _print_models()
        return
    name, family, config, command, rest = _choice(arguments)
    options_type: Any = Options[type(config)]  # type: ignore[misc]
    with family_errors(family):
        options = parse(options_type, rest, command=command, default=options_type(RunConfig(config)))
    folder = options.out or _default_folder(name, options.config.data)
    if options.resume:
        # What is not given stays as it was; what is given is compared with what it was.
        before = read_config(folder, family=family)
        if before.custom:
            raise InputError(custom_model_message(folder))
        given = [argument for argument in rest if argument != "--resume"]
        if name in PRESETS:
            _check_preset(name, folder, before.config.model_config, options.config.model_config)
        default = options_type(config=before.config)
        with family_errors(family):
            options = dataclasses.replace(parse(options_type, given, command=command, default=default), resume=True)
    summary = train(folder, family, options.config, resume=options.resume, notify=notice)
    if summary["test"]:
        # A resumed run keeps its own options, whatever preset is named now.
        title = f"{family.name if options.resume else name} on the test split of {options.config.data}"
        print_metrics(summary["test"], title=f"{title}, step {summary['step']}")
    print_line(f"run folder: {folder}")


def _choice(arguments: list[str]) -> Choice:
    """The model that the first arguments name, and the arguments after it."""
    name, equals, value = arguments[0].partition("=")
    if name == "--family":
        if not equals and len(arguments) > 1 and not arguments[1].startswith("-"):
            value, arguments = arguments[1], arguments[1:]
        if not value:
            raise InputError("--family needs a value: a .py file, a module, or an installed entry point")
        return _own(load_family(value), f"--family {value}", arguments[1:])
    if name.startswith("-"):
        raise InputError(f"name the model before its options: jaxgen train {' | '.join([*REGISTRY, *PRESETS])}")
    name, rest = arguments[0], arguments[1:]
    if name.endswith(".py"):
        return _own(load_family(name), name, rest)
    if name not in REGISTRY and name not in PRESETS:
        raise InputError(
            f"there is no model '{name}': {suggest(name, [*REGISTRY, *PRESETS])}; a family of your own is the path of "
            "its .py file, or --family MODULE"
        )
    if any(argument.partition("=")[0] == "--family" for argument in rest):
        raise InputError(f"--family takes the place of the model, and '{name}' is given as well: leave out one of them")
    return Choice(name, *starting_point(name), f"jaxgen train {name}", rest)


def _own(family: Family, source: str, rest: list[str]) -> Choice:
    """A family from outside the package; its options must not have the names of those of a run."""
    taken = {field.name for kind in (RunConfig, Options) for field in dataclasses.fields(kind)}
    for name in option_types(family.config):
        if name in taken:
            raise InputError(
                f"the family '{family.name}' must not have an option '{name}', which is one of the run: rename it"
            )
    return Choice(family.name, family, family.config(), f"jaxgen train {source}", rest)


def _check_preset(name: str, folder: Path, before: Any, now: Any) -> None:
    """Raise an InputError if a run that is resumed has other options than the preset."""
    shared = [f.name for f in dataclasses.fields(OptimizerConfig)]
    own = [f.name for f in dataclasses.fields(before) if f.name not in shared]
    # An option of the model describes the preset better than one of its optimizer.
    for field in [*own, *shared]:
        old, new = getattr(before, field), getattr(now, field)
        if old != new:
            raise InputError(
                f"{folder} was trained with {option(field)} {format_value(old)}, and {name} with these options "
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
    lines += [f"  {'FILE.py':<14}  a family of your own, which the file defines; also --family MODULE"]
    models = "\n".join(lines)
    print(f"usage: jaxgen train MODEL [OPTIONS]\n\n{models}\n\njaxgen train MODEL --help shows the options of a model.")
