"""Ctrl-C, SIGTERM and SIGHUP: acknowledged at once, and acted on where nothing is lost.

By itself, Python raises KeyboardInterrupt between any two instructions of the main thread: within an import, a
destructor, or a function that compiled code calls, where it is printed and lost or ends in a crash; and never while the
main thread is in compiled code. So the commands call `handle_signals` before anything else. From then on a thread
receives the signals, at any time, and ends the process at once, unless the main thread is within `deferred`: then it
only acknowledges the first signal, and the main thread ends its work at the next suitable place.

In all other programs, such as notebooks, only `deferred` has an effect: within it, Ctrl-C does not raise an exception.
"""

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
"""Signals after which a process ends: Ctrl-C, what `kill` and batch systems send, and the end of a terminal."""


class _Process:
    """What the main thread and the thread that receives the signals share."""

    handled = False  # Whether `handle_signals` was called.
    command: str | None = None
    received: int | None = None
    messages: list[str]  # Of the contexts `deferred` that the main thread is in.
    pending: list[int]  # All that were received.
    leaving: list[Callable[[], bool]]

    def __init__(self) -> None:
        self.messages, self.pending, self.leaving = [], [], []


_process = _Process()


def handle_signals(command: str | None) -> None:
    """Let the signals end this process as described above; those that are ignored, as under nohup, remain so.

    Args:
        command: command that resumes what the process does, for messages; None where it cannot be resumed.
    """
    _process.handled, _process.command = True, command
    received, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    threading.Thread(target=_receive, args=(received,), name="signals", daemon=True).start()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: _process.pending.append(number))  # The pipe is what is acted on.


def handles_signals() -> bool:
    """Return whether `handle_signals` was called."""
    return _process.handled


def end_by_signals() -> None:
    """Let signals end the process in the way of the operating system: what it had to do is done."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if _process.pending:  # The thread has not had the time to act on it.
        signal.raise_signal(_process.pending[0])


def exit_status() -> int:
    """Return the exit status of an interrupted process: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + (_process.received or signal.SIGINT)


def resuming_command() -> str | None:
    """Return the command that resumes what the process does, if there is one."""
    return _process.command


def deferred(message: str) -> contextlib.AbstractContextManager[Callable[[], bool]]:
    """Defer signals in this context; a second one ends the process, or raises KeyboardInterrupt, at once.

    In other threads than the main one, of whose work nothing is saved, the context has no effect. Outside of the
    commands it applies to Ctrl-C only.

    Args:
        message: what happens next, for the acknowledgement.

    Returns:
        A context manager that gives a function: whether a signal was received, after which the work should end soon.

    Raises:
        KeyboardInterrupt: when the context ends without another exception and a signal was received in it.

    Example:
        >>> with deferred("the file is complete first") as interrupted:
        ...     interrupted()
        False
    """
    if threading.current_thread() is not threading.main_thread():
        return contextlib.nullcontext(lambda: False)
    return _deferred_in_command(message) if _process.handled else _deferred_elsewhere(message)


@contextlib.contextmanager
def on_leaving(function: Callable[[], bool]) -> Iterator[None]:
    """Call a function when a signal ends the process at once within this context.

    Args:
        function: function that deletes what is incomplete, and returns whether something is left to be resumed.

    Example:
        >>> with on_leaving(lambda: False):
        ...     pass
    """
    _process.leaving.append(function)
    try:
        yield
    finally:
        _process.leaving.remove(function)


def acknowledge(message: str) -> None:
    """Print a line to stderr from any thread, past the buffers of Python, unless that would block.

    Args:
        message: the line.
    """
    # A closed, full or suspended output is no reason to go on.
    with contextlib.suppress(OSError, ValueError):
        output = sys.__stderr__.fileno() if sys.__stderr__ else -1
        if select.select([], [output], [], 0)[1]:
            # On a terminal, the line takes the place of a progress bar, which has hidden the cursor.
            before = "\r\x1b[2K\x1b[?25h" if os.isatty(output) else ""
            os.write(output, f"{before}jaxgen: {message}\n".encode())


def _receive(pipe: int) -> None:
    """Act on every signal, in a thread of its own."""
    while True:
        for number in os.read(pipe, 1):
            if number not in SIGNALS:
                continue
            first, _process.received = _process.received is None, _process.received or number
            if first and _process.messages:
                acknowledge(f"interrupted: {_process.messages[-1]}; a second signal ends the process at once")
            else:
                _leave()


def _leave() -> None:
    """End the process: files that it writes are deleted, or are complete (`jaxgen.atomic_write`)."""
    try:
        resumable = [function() for function in reversed(_process.leaving)]
        command = f"; resume by: {_process.command}" if any(resumable) and _process.command else ""
        acknowledge(f"interrupted{command}")
    finally:  # Not by an exception in the main thread, and without the threads of libraries, which can crash then.
        os._exit(exit_status())


@contextlib.contextmanager
def _deferred_in_command(message: str) -> Iterator[Callable[[], bool]]:
    before = _process.received
    _process.messages.append(message)
    try:
        yield lambda: _process.received is not None
    finally:
        _process.messages.pop()
    # The thread looks first for messages and then for signals; here it is the other way round: none is lost.
    if not _process.messages and _process.received != before:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _deferred_elsewhere(message: str) -> Iterator[Callable[[], bool]]:
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        yield lambda: False
        return
    received: list[int] = []

    def defer(number: int, _: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # Within another write to stderr, or closed.
            print(f"interrupted: {message}; a second Ctrl-C ends it at once", file=sys.stderr)

    signal.signal(signal.SIGINT, defer)
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGINT, before)
    if received:
        signal.raise_signal(signal.SIGINT)
