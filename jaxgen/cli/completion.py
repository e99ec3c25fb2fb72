"""`jaxgen completion SHELL`."""

import contextlib
import dataclasses
import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from jaxgen.cli.options import Positional, options_of, summary
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
        tyro.cli(subcommands(commands()), prog="jaxgen", args=arguments, config=config)


def commands() -> dict[str, Any]:
    """Return name of a command -> class from which tyro makes its parser, or a mapping of such commands below it."""
    from jaxgen.cli import compare, data, encode, evaluate, reconstruct, report, reproduce, runs, sample, train
    from jaxgen.cli import list as list_command
    from jaxgen.models import PRESETS, REGISTRY, starting_point
    from jaxgen.recipes import RECIPES
    from jaxgen.runs import RunConfig

    plain = {
        "sample": sample,
        "reconstruct": reconstruct,
        "encode": encode,
        "evaluate": evaluate,
        "report": report,
        "runs": runs,
        "compare": compare,
        "list": list_command,
    }
    models = {
        name: _parser(train.Options, train.Options(RunConfig(starting_point(name)[1])))
        for name in (*REGISTRY, *PRESETS)
    }
    return {
        "train": models,
        **{name: _parser(module.Options) for name, module in plain.items()},
        "reproduce": {name: _parser(reproduce.Options) for name in RECIPES},
        "data": _parser(data.Options),
        "completion": _parser(Options),
    }


def subcommands(entries: Mapping[str, Any]) -> Any:
    """Return a type from which tyro makes a parser with subcommands.

    Args:
        entries: name of a subcommand -> its class, or a mapping of subcommands below it; at least two.

    Returns:
        The union of the classes, each under its name.
    """
    members = []
    for name, entry in entries.items():
        if isinstance(entry, Mapping):
            below = dataclasses.make_dataclass(f"Below_{name.replace('-', '_')}", [("chosen", subcommands(entry))])
            below.__doc__ = ""
            entry = below
        members.append(Annotated[entry, tyro.conf.subcommand(name)])
    return functools.reduce(operator.or_, members)


def _parser(options: type, default: Any = None) -> Any:
    return parser_class(options_of(options, default), summary(options))
