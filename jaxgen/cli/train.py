"""`jaxgen train MODEL`."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from jaxgen.cli.early_options import take_option
from jaxgen.cli.options import Metavar, Repeated
from jaxgen.cli.output import notice, print_line, write_figure
from jaxgen.cli.parse import parse
from jaxgen.cli.sweep_table import print_sweep, sweep_figure
from jaxgen.cli.table import print_costs, print_metrics, print_preview
from jaxgen.data.sources import is_path
from jaxgen.errors import InputError, suggest
from jaxgen.models import PRESETS, REGISTRY, Family, family_errors, load_family, published_batch_size, starting_point
from jaxgen.models.family import option_types
from jaxgen.models.optimizer import AdversarialOptimizerConfig, OptimizerConfig
from jaxgen.paths import expand_path
from jaxgen.runs import RunConfig, read_config, train
from jaxgen.runs.config import custom_model_message, format_value, option
from jaxgen.runs.config_file import ConfigFile, apply_options, read_config_file
from jaxgen.runs.outputs import file_name
from jaxgen.runs.preparation import prepare_run
from jaxgen.runs.preview import preview
from jaxgen.runs.step_cost import step_costs
from jaxgen.runs.sweep_runs import parse_axes, read_sweep_config, train_sweep
from jaxgen.runs.training import PROFILE


@dataclass(frozen=True)
class Options:
    """Train a model and store everything in a run folder.

    Example: COMMAND --data digits --steps 3000

    Attributes:
        run: model, data, and duration of the training.
        config: file of options, the config.json of a run or a .yaml file; it names the model too, so that this may be
            left out. By default there is none.
        family: file, module or entry point that defines the model, in place of the name of a model.
        out: run folder; by default runs/MODEL-DATA.
        resume: resume from the newest complete checkpoint; only --steps, --epochs, --patience and --data-dir may
            differ.
        profile: record what the device does during a chunk of steps, in the folder profile of the run.
        sweep: values of a numeric option of the model; may be given for several options. Every combination is trained
            with the same seeds, all in one compiled program, each in a run folder of its own below --out; by default
            there is one run.
        dry_run: print the complete options, the parameters of every network and the shapes, and train nothing.
        cost: with --dry-run, also compile one step of every phase without running it, and print its operations and
            memory.
    """

    run: RunConfig[Any]
    config: Annotated[Path | None, Metavar("FILE")] = None
    family: Annotated[str | None, Metavar("MODULE")] = None
    out: Path | None = None
    resume: bool = False
    profile: bool = False
    sweep: Annotated[tuple[str, ...], Repeated("NAME=VALUE,VALUE,...")] = ()
    dry_run: bool = False
    cost: bool = False


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
    path, arguments = take_option(arguments, "--config")
    file = None if path is None else _config_file(path, arguments)
    choice = _choice(arguments, file)
    name, family = choice.name, choice.family
    options = _parsed(choice, file)
    folder = options.out or _default_folder(name, options.run.data)
    if options.cost and not options.dry_run:
        raise InputError("--cost applies to a training that is not run: give --dry-run as well, or leave it out")
    if options.sweep:
        _sweep(choice, options, folder if options.out else folder.with_name(f"{folder.name}-sweep"))
        return
    if options.resume:
        before = read_config(folder, family=family)
        if before.custom:
            raise InputError(custom_model_message(folder))
        if name in PRESETS:
            _check_preset(name, folder, before.config.model_config, options.run.model_config)
        # What is not given stays as it was; what is given is compared with what it was.
        options = dataclasses.replace(_parsed(choice, None, before.config), resume=True)
        name = before.preset or family.name
    how: dict[str, Any] = {"resume": options.resume, "preset": name if name in PRESETS else None, "notify": notice}
    if options.dry_run:
        prepared = prepare_run(folder, family, options.run, **how)
        print_preview(name, prepared.config, preview(prepared))
        if options.cost:
            print_costs(step_costs(prepared))
        return
    summary = train(folder, family, options.run, **how, profile=options.profile)
    if options.profile:
        print_line(f"profile: {folder / PROFILE}")
    if summary["test"]:
        best = summary.get("best", {}).get("step")
        step = f"step {best}, the best by {options.run.keep_best}" if best else f"step {summary['step']}"
        print_metrics(summary["test"], title=f"{name} on the test split of {options.run.data}, {step}")
    print_line(f"run folder: {folder}")


def _sweep(choice: Choice, options: Options, folder: Path) -> None:
    """Train at all points of a grid, print the table, and write the figures."""
    if options.dry_run or options.profile:
        raise InputError("--dry-run and --profile apply to single runs, not to a sweep: leave them out")
    name, family = choice.name, choice.family
    axes = parse_axes(options.sweep, family)
    for axis in axes:
        if option(axis) in _given(choice):
            raise InputError(f"{option(axis)} is swept, and one value of it is given as well: leave out one of them")
    if options.resume and (before := read_sweep_config(folder, family, axes)) is not None:
        options = dataclasses.replace(_parsed(choice, None, before), resume=True)
    preset = name if name in PRESETS else None
    how: dict[str, Any] = {"resume": options.resume, "preset": preset}
    result = train_sweep(folder, family, options.run, axes, **how, notify=notice)
    print_sweep(result, title=f"{name} on the test split of {options.run.data}, step {options.run.steps}")
    for metric in dict.fromkeys(metric for test in result.tests for metric in test):
        if figure := sweep_figure(result, metric):
            write_figure(folder / f"{file_name(metric)}.png", figure)
    print_line(f"folder of the runs: {folder}")


def _config_file(path: str, arguments: list[str]) -> ConfigFile:
    if not path:
        raise InputError("--config needs a value: the config.json of a run, or a .yaml file of options")
    if "--resume" in arguments:
        raise InputError("--config applies to a new run, and a run that is resumed keeps its own: leave it out")
    return read_config_file(expand_path(path))


def _parsed(choice: Choice, file: ConfigFile | None, before: RunConfig[Any] | None = None) -> Options:
    """The options that the arguments give; others are those of a file, or of the run that is resumed."""
    config: RunConfig[Any] = before or RunConfig(choice.config, batch_size=published_batch_size(choice.name))
    if file is not None:
        config = apply_options(file, choice.family, config)
    given = _given(choice)
    if {"--steps", "--epochs"} <= given:
        raise InputError("--steps and --epochs are two names of the duration: leave out one of them")
    if "--steps" in given:
        config = dataclasses.replace(config, epochs=None)
    with family_errors(choice.family):
        options = parse(
            Options, choice.rest, command=choice.command, default=Options(config), titles=_titles(choice.family)
        )
    if "--metrics" in given and not options.run.metrics:
        raise InputError("--metrics must be followed by at least one name of a metric, got none")
    return options


def _given(choice: Choice) -> set[str]:
    """The options that the arguments name, as in --batch-size."""
    return {argument.partition("=")[0].replace("_", "-") for argument in choice.rest}


def _titles(family: Family) -> dict[type, str]:
    """The titles of the options in the help."""
    optimizers: dict[type, str] = {OptimizerConfig: "optimizer", AdversarialOptimizerConfig: "discriminator"}
    return {RunConfig: "training", family.config: family.name, **optimizers}


def _choice(arguments: list[str], file: ConfigFile | None) -> Choice:
    """The model that the arguments or else the config file name, and the other arguments."""
    family, rest = take_option(arguments, "--family")
    word = rest[0] if rest and not rest[0].startswith("-") else None
    if family is not None:
        if not family:
            raise InputError("--family needs a value: a .py file, a module, or an installed entry point")
        if word is not None:
            raise InputError(
                f"--family takes the place of the model, and '{word}' is given as well: leave out one of them"
            )
        choice = _own(load_family(family), f"--family {family}", rest)
    elif word is not None:
        choice = _named(word, rest[1:])
    elif file is not None:
        return _of_file(file, rest)
    else:
        raise InputError(f"name the model before its options: jaxgen train {' | '.join([*REGISTRY, *PRESETS])}")
    if file is not None and file.model not in (choice.name, choice.family.name):
        raise InputError(f"{file.path} is of the model '{file.model}', not '{choice.name}': leave the model out")
    return choice


def _named(name: str, rest: list[str]) -> Choice:
    """The model of a name, or of the path of a file."""
    if name.endswith(".py"):
        return _own(load_family(name), name, rest)
    if name not in REGISTRY and name not in PRESETS:
        raise InputError(
            f"there is no model '{name}': {suggest(name, [*REGISTRY, *PRESETS])}; a family of your own is the path of "
            "its .py file, or --family MODULE"
        )
    return Choice(name, *starting_point(name), f"jaxgen train {name}", rest)


def _of_file(file: ConfigFile, rest: list[str]) -> Choice:
    """The model that a config file names."""
    if file.model not in REGISTRY and file.model not in PRESETS:
        raise InputError(
            f"{file.path} is of the model '{file.model}', which is not part of jaxgen: "
            f"{suggest(file.model, [*REGISTRY, *PRESETS])}; give a family of your own by --family"
        )
    return Choice(file.model, *starting_point(file.model), f"jaxgen train --config {file.path}", rest)


def _own(family: Family, source: str, rest: list[str]) -> Choice:
    """A family from outside the package; its options must not have the names of those of a run."""
    taken = {"device", *(field.name for kind in (RunConfig, Options) for field in dataclasses.fields(kind))}
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
    # Not resolved: where the path is a link, the user knows the data by the name of the link.
    name = Path(os.path.abspath(expand_path(data))).stem if is_path(data) else data.replace("/", "-")  # noqa: PTH100
    return Path("runs") / f"{model}-{name}"


def _print_models() -> None:
    lines = [f"  {name:<17}  {family.summary}" for name, family in REGISTRY.items()]
    lines += [f"  {name:<17}  {preset.description}" for name, preset in PRESETS.items()]
    lines += [f"  {'FILE.py':<17}  a family of your own, which the file defines; also --family MODULE"]
    models = "\n".join(lines)
    print(
        f"usage: jaxgen train MODEL [OPTIONS]\n       jaxgen train --config FILE [OPTIONS]\n\n{models}\n\n"
        "FILE is the config.json of a run, or a .yaml file of options.\n"
        "jaxgen train MODEL --help shows the options of a model.\n\n"
        "Example: jaxgen train vae --data digits --steps 3000"
    )
