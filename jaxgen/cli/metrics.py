"""`jaxgen metrics compare REAL FAKE`."""

from jaxgen.errors import InputError, suggest

ACTIONS = {"compare": "compare two sets of images: jaxgen metrics compare mnist:test samples.npz"}


def run(arguments: list[str]) -> None:
    """Run the action that the arguments name."""
    if arguments[:1] == ["compare"]:
        from jaxgen.cli.metrics_compare import run as run_compare

        run_compare(arguments[1:])
        return
    raise InputError(f"unknown: {suggest(arguments[0], ACTIONS)}")
