"""`jaxgen completion SHELL`."""

import contextlib
import dataclasses
import functools
import importlib
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from jaxgen.cli.main import COMMANDS
from jaxgen.cli.options import Option, Positional, options_of
from jaxgen.cli.parse import MARKERS, parse, parser_class


@dataclass(frozen=True)
class Options:
    """Print a script that lets a shell complete commands, models and options.

    Example: jaxgen completion bash > ~/.local/share/bash-completion/completions/jaxgen

    Attributes:
        shell: bash, zsh or fish.
    """

    shell: Annotated[Literal["bash", "zsh", "fish"], Positional("SHELL")]


def run(arguments: list[str]) -> None:
    """Print the script."""
    options = parse(Options, arguments, command="jaxgen completion")
    arguments = ["--tyro-print-completion", options.shell]
    config = (*MARKERS, tyro.conf.OmitSubcommandPrefixes)
    with contextlib.suppress(SystemExit):  # As after every successful command of tyro.
        tyro.cli(program(), prog="jaxgen", args=arguments, config=config)


def program() -> Any:
    """Return the class from which tyro makes the parser of all commands: those of `jaxgen --help`, and `help`."""
    version = Option(("version",), bool, False, "print the version", group="", mark=None)
    helped = {name: parser_class([], "") for name in COMMANDS}
    return _group({**{name: _command(name) for name in COMMANDS}, "help": _group(helped)}, [version])


def _command(name: str) -> Any:
    """The class from which tyro makes the parser of a command."""
    options = importlib.import_module(f"jaxgen.cli.{name.replace('-', '_')}").Options
    if name == "train":
        from jaxgen.models import PRESETS, REGISTRY, starting_point
        from jaxgen.runs import RunConfig

        def of_model(config: Any) -> list[Option]:
            return options_of(options, options(RunConfig(config)))

        models = {model: parser_class(of_model(starting_point(model)[1]), "") for model in (*REGISTRY, *PRESETS)}
        # --config and --family stand in place of the model.
        return _group(models, [option for option in of_model(None) if option.path[0] != "run"])
    if name == "reproduce":
        from jaxgen.recipes import RECIPES

        return _group({recipe: parser_class(options_of(options), "") for recipe in RECIPES})
    if name == "import-weights":
        from jaxgen.cli.import_weights import EXPORTED
        from jaxgen.runs.import_published import known_models

        without_model = parser_class(options_of(options)[1:], "")
        return _group(dict.fromkeys([EXPORTED, *known_models()], without_model))
    if name == "metrics":
        from jaxgen.cli.metrics import ACTIONS

        return _group({action: _of_options(kind) for action, (kind, _) in ACTIONS.items()})
    return _of_options(options)


def _of_options(options: type) -> Any:
    """The class from which tyro makes the parser of a command with these options."""
    known = options_of(options)
    if known and isinstance(known[0].mark, Positional) and known[0].expected.choices:
        # tyro completes the names of subcommands, and not the choices of a positional argument.
        return _group({choice: parser_class(known[1:], "") for choice in known[0].expected.choices})
    return parser_class(known, "")


def _group(entries: Mapping[str, Any], options: Iterable[Option] = ()) -> Any:
    """A class from which tyro makes a parser with subcommands.

    Args:
        entries: name of a subcommand -> its class.
        options: options that may stand before the subcommand.

    Returns:
        The class.
    """
    members = [Annotated[entry, tyro.conf.subcommand(name)] for name, entry in entries.items()]
    if len(entries) == 1:  # tyro makes subcommands of at least two types.
        members.append(Annotated[parser_class([], ""), tyro.conf.Suppress])
    chosen = functools.reduce(operator.or_, members)
    return dataclasses.make_dataclass(
        "Group", [("chosen", chosen)], bases=(parser_class([*options], ""),), kw_only=True
    )
