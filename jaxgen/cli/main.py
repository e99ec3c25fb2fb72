"""The command `jaxgen`: run a subcommand, and report an error as one sentence with an exit status.

Exit status 0: success. 1: the training diverged, or the two sides of a benchmark disagree. 2: invalid input, or a file
that cannot be read or written. 130: interrupted. 141: the output is a pipe that was closed. 143: ended by SIGTERM. 129:
ended by SIGHUP.

Until `main` runs, Ctrl-C prints a traceback: this file imports little.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from jaxgen.cli.early_options import DEVICES, choose_device, take_option
from jaxgen.errors import DivergenceError, InputError, printable, suggest

COMMANDS = {
    "train": "train a model: jaxgen train vae --data digits --steps 3000",
    "sample": "sample new examples from a trained run: jaxgen sample RUN --out samples.png",
    "reconstruct": "encode and decode test examples: jaxgen reconstruct RUN --out pairs.png",
    "stylize": "give an image the style of another: jaxgen stylize RUN --content FILE --style FILE --out styled.png",
    "project": "find styles whose images are near given ones: jaxgen project RUN --image FILE --out projection.png",
    "encode": "encode test examples: jaxgen encode RUN --out latents.npz (.png: figure of two-dimensional latents)",
    "evaluate": "evaluate a run on the test split: jaxgen evaluate RUN",
    "report": "make every figure and metric of a run, as HTML: jaxgen report RUN",
    "export": "write a run to one file, with a model card: jaxgen export RUN --to model.safetensors",
    "import-weights": "make a run of an exported file or of published weights: jaxgen import-weights jaxgen FILE",
    "runs": "list the runs below a folder: jaxgen runs FOLDER",
    "compare": "compare runs by their metrics and training curves: jaxgen compare RUN RUN",
    "reproduce": "run a published experiment: jaxgen reproduce pacgan-mixtures --quick",
    "benchmark": "time training steps on this machine: jaxgen benchmark --quick",
    "list": "list the models, their presets and the data sets",
    "completion": "print a script for completion by the shell: jaxgen completion bash",
    "metrics": "compare sets of images by their features: jaxgen metrics compare mnist:test samples.npz",
    "data": "prepare a data set: jaxgen data prepare mnist --source FOLDER",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status.

    Args:
        arguments: arguments after `jaxgen`; None for those of the process, which then handles signals as
            `jaxgen.interruption` describes.

    Raises:
        SystemExit: always, with the exit status.

    Example:
        >>> main(["--version"])
        Traceback (most recent call last):
        SystemExit: 0
    """
    try:
        if arguments is None:
            from jaxgen.cli.freed_memory import keep_freed_memory
            from jaxgen.interruption import handle_signals

            keep_freed_memory()
            handle_signals(_resuming_command(sys.argv))
        status = _status(list(sys.argv[1:] if arguments is None else arguments))
        if arguments is None and status:
            _exit_at_once(status)
        sys.exit(status)
    except KeyboardInterrupt as interruption:
        _end_interrupted(interruption)
    finally:
        if arguments is None:
            from jaxgen.interruption import end_by_signals

            end_by_signals()


def _status(arguments: list[str]) -> int:
    """Run a command, print its error as one sentence, and return the exit status."""
    try:
        _run(arguments)
        sys.stdout.flush()
    except InputError as error:
        return _fail(str(error), status=2)
    except BrokenPipeError:  # As in `jaxgen list | head -1`.
        # Python flushes stdout again at exit, which would print a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}", status=2)
    except DivergenceError as error:
        return _fail(str(error), status=1)
    # JAX's own type, a RuntimeError, is not imported for commands that do without JAX.
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        first = str(error).partition("\n")[0]
        return _fail(
            f"the device has too little memory: give a smaller batch size or smaller networks ({first})", status=2
        )
    return 0


def _run(arguments: list[str]) -> None:
    device, arguments = take_option(arguments, "--device")
    if device is not None and device not in DEVICES:
        raise InputError(f"--device must be one of {', '.join(DEVICES)}, got '{device}'")
    if arguments[:1] == ["help"]:  # As `git help COMMAND`.
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
    elif arguments[0] == "--version":
        from jaxgen import __version__

        print(f"jaxgen {__version__}")
    else:
        command = _command(arguments[0])
        from jaxgen.cli.compilation_cache import cache_compiled_programs

        cache_compiled_programs()
        from jaxgen.cli.light_imports import import_without, without

        if arguments[0] in ("train", "reproduce"):
            # Where PyTorch is installed, its import takes seconds, and the events of a log do not need it.
            import_without("tensorboardX", unused="torch")
        with without("uvloop"):  # Its import takes a sixth of a second, and Orbax does without it.
            choose_device(device)
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                command(arguments[1:])


def _show_warning(message: Warning | str, *place: object, **further: object) -> None:
    """Print a warning as a notice, without the line of the program that it is of."""
    from jaxgen.cli.output import notice

    notice(str(message))


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
            "jaxgen COMMAND --help shows the options of a command, with an example.",
            f"--device {'|'.join(DEVICES)}, before or after any command: where to compute; by default on the fastest",
            "device that JAX finds. JAX_PLATFORMS has the same effect.",
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
        case "stylize":
            from jaxgen.cli.stylize import run
        case "project":
            from jaxgen.cli.project import run
        case "encode":
            from jaxgen.cli.encode import run
        case "evaluate":
            from jaxgen.cli.evaluate import run
        case "report":
            from jaxgen.cli.report import run
        case "export":
            from jaxgen.cli.export import run
        case "import-weights":
            from jaxgen.cli.import_weights import run
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
        case "completion":
            from jaxgen.cli.completion import run
        case "metrics":
            from jaxgen.cli.metrics import run
        case "data":
            from jaxgen.cli.data import run
        case _:
            raise InputError(f"there is no command '{name}': {suggest(name, COMMANDS)}")
    return run


def _fail(message: str, *, status: int) -> int:
    print(f"jaxgen: error: {printable(message)}", file=sys.stderr)
    return status


def _resuming_command(argv: list[str]) -> str | None:
    """The command that resumes what a command does; None for commands that cannot be resumed."""
    if argv[1:2] not in (["train"], ["reproduce"]):
        return None
    import shlex

    program = ["python", "-m", "jaxgen"] if os.path.basename(argv[0]) == "__main__.py" else ["jaxgen"]  # noqa: PTH119
    resume = ["--resume"] if argv[1] == "train" and "--resume" not in argv else []
    return shlex.join([*program, *argv[1:], *resume])


def _end_interrupted(interruption: KeyboardInterrupt) -> None:
    """End an interrupted command, whose training has been saved if it had completed a step."""
    from jaxgen.interruption import acknowledge, exit_status, handles_signals, resuming_command

    saved = str(interruption)
    command = resuming_command() if saved else None
    message = f"{saved or 'interrupted'}{f'; resume by: {command}' if command else ''}"
    if handles_signals():
        acknowledge(message)
        _exit_at_once(exit_status())
    sys.exit(_fail(message, status=exit_status()))


def _exit_at_once(status: int) -> None:
    """End the process without the end of Python, which waits for threads of libraries, and at which they can crash."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # Closed.
            stream.flush()
    os._exit(status)
