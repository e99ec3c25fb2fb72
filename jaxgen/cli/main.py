"""The command `jaxgen`: run a subcommand, and report an error as one sentence with an exit status.

Exit status 0: success. 1: the training diverged, or the two sides of a benchmark disagree. 2: invalid input, or a file
that cannot be read or written. 130: interrupted. 141: the output is a pipe that was closed.
"""

import os
import sys
from collections.abc import Callable, Sequence

from jaxgen.errors import DivergenceError, InputError, suggest

COMMANDS = {
    "train": "train a model: jaxgen train vae --data digits --steps 3000",
    "sample": "sample new examples from a trained run: jaxgen sample RUN --out samples.png",
    "reconstruct": "encode and decode test examples: jaxgen reconstruct RUN --out pairs.png",
    "encode": "encode test examples: jaxgen encode RUN --out latents.npz (.png: figure of two-dimensional latents)",
    "evaluate": "evaluate a run on the test split: jaxgen evaluate RUN",
    "report": "make every figure and metric of a run, as HTML: jaxgen report RUN",
    "runs": "list the runs below a folder: jaxgen runs FOLDER",
    "compare": "compare runs by their metrics and training curves: jaxgen compare RUN RUN",
    "reproduce": "run a published experiment: jaxgen reproduce pacgan-mixtures --quick",
    "benchmark": "time training steps on this machine: jaxgen benchmark --quick",
    "list": "list the models, their presets and the data sets",
    "data": "prepare a data set: jaxgen data prepare mnist --data-dir DIR",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status.

    Args:
        arguments: arguments after `jaxgen`; None for those of the process.

    Raises:
        SystemExit: always, with the exit status.

    Example:
        >>> main(["--version"])
        Traceback (most recent call last):
        SystemExit: 0
    """
    try:
        _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except InputError as error:
        _fail(str(error), status=2)
    except BrokenPipeError:  # As in `jaxgen list | head -1`.
        # Python flushes stdout again at exit, which would print a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _fail(f"{error.strerror or error}{where}", status=2)
    except DivergenceError as error:
        _fail(str(error), status=1)
    except RuntimeError as error:  # JAX's own type is not imported for commands that do without JAX.
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        first = str(error).partition("\n")[0]
        _fail(f"the device has too little memory: give a smaller batch size or smaller networks ({first})", status=2)
    except KeyboardInterrupt:
        _fail("interrupted", status=130)
    sys.exit(0)


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
    elif arguments[0] == "--version":
        from jaxgen import __version__

        print(f"jaxgen {__version__}")
    else:
        command = _command(arguments[0])
        from jaxgen.cli.compilation_cache import cache_compiled_programs

        cache_compiled_programs()
        command(arguments[1:])


def usage() -> str:
    """Return the text that `jaxgen --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {description}" for name, description in COMMANDS.items()]
    return "\n".join(
        [
            "usage: jaxgen COMMAND ...",
            "",
            "Train, use and evaluate classic deep generative models.",
            "",
            *lines,
            "",
            "jaxgen COMMAND --help shows the options of a command.",
        ]
    )


def _command(name: str) -> Callable[[list[str]], None]:
    """Import one command only: most of them need JAX, which takes a second to import."""
    match name:
        case "train":
            from jaxgen.cli.train import run
        case "sample":
            from jaxgen.cli.sample import run
        case "reconstruct":
            from jaxgen.cli.reconstruct import run
        case "encode":
            from jaxgen.cli.encode import run
        case "evaluate":
            from jaxgen.cli.evaluate import run
        case "report":
            from jaxgen.cli.report import run
        case "runs":
            from jaxgen.cli.runs import run
        case "compare":
            from jaxgen.cli.compare import run
        case "reproduce":
            from jaxgen.cli.reproduce import run
        case "benchmark":
            from jaxgen.cli.benchmark import run
        case "list":
            from jaxgen.cli.list import run
        case "data":
            from jaxgen.cli.data import run
        case _:
            raise InputError(f"there is no command '{name}': {suggest(name, COMMANDS)}")
    return run


def _fail(message: str, *, status: int) -> None:
    print(f"jaxgen: error: {message}", file=sys.stderr)
    sys.exit(status)
