"""Signals within and outside of the contexts that defer them; `tests/cli/test_interruption.py` tests commands."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import jaxgen
from jaxgen.interruption import deferred


@pytest.fixture(autouse=True)
def default_handler():
    """Processes in the background may ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


class TestElsewhere:
    """In a process that is not a command: notebooks, scripts, tests."""

    def test_ctrl_c_is_raised_when_the_context_has_ended(self, capsys):
        found = []

        def work():
            with deferred("the file is completed first") as interrupted:
                found.append(interrupted())
                signal.raise_signal(signal.SIGINT)
                found.append(interrupted())

        with pytest.raises(KeyboardInterrupt):
            work()
        assert found == [False, True]
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("interrupted: the file is completed first")

    def test_another_error_of_the_context_is_raised_instead(self):
        def work():
            with deferred("first"):
                signal.raise_signal(signal.SIGINT)
                raise ValueError("other")

        with pytest.raises(ValueError, match="other"):
            work()

    def test_a_second_one_is_raised_at_once(self):
        steps = []

        def work():
            with deferred("first"):
                for step in range(3):
                    signal.raise_signal(signal.SIGINT)
                    steps.append(step)

        with pytest.raises(KeyboardInterrupt):
            work()
        assert steps == [0]

    def test_an_inner_context_hands_it_to_the_outer_one(self):
        found = []

        def work():
            with deferred("outer") as outer:
                with deferred("inner") as inner:
                    signal.raise_signal(signal.SIGINT)
                    found.append(inner())
                found.append(outer())

        with pytest.raises(KeyboardInterrupt):
            work()
        assert found == [True, True]

    def test_other_threads_are_not_interrupted(self):
        found = []

        def work():
            with deferred("first") as interrupted:
                found.append(interrupted())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert found == [False]


ROOT = Path(jaxgen.__file__).parents[1]

COMMAND = """
import os, signal, sys, threading, time
sys.path.insert(0, sys.argv[1])
from jaxgen.interruption import *
handle_signals("the command again")

def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)

def sleep():
    time.sleep(60)

"""
"""A process that handles signals as commands do."""


def process(program):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", COMMAND + program, ROOT],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("interrupt(); sleep()", (130, "", "jaxgen: interrupted\n")),
        ("interrupt(signal.SIGTERM); sleep()", (143, "", "jaxgen: interrupted\n")),
        ("interrupt(signal.SIGHUP); sleep()", (129, "", "jaxgen: interrupted\n")),
        # The main thread is in compiled code, to which it does not return.
        ("interrupt(); [signal.sigwait([signal.SIGUSR1])]", (130, "", "jaxgen: interrupted\n")),
        # Where an exception would be printed and lost.
        (
            "class D:\n def __del__(self): interrupt(); sleep()\nd = D()\ndel d",
            (130, "", "jaxgen: interrupted\n"),
        ),
        ("try:\n 1 / 0\nfinally:\n interrupt(); sleep()", (130, "", "jaxgen: interrupted\n")),
        (
            "with on_leaving(lambda: print('deleted', flush=True)): interrupt(); sleep()",
            (130, "deleted\n", "jaxgen: interrupted\n"),
        ),
        (
            "with on_leaving(lambda: True): interrupt(); sleep()",
            (130, "", "jaxgen: interrupted; resume by: the command again\n"),
        ),
        ("with on_leaving(lambda: 1 / 0): interrupt(); sleep()", (130, "", None)),
        # The work of a deferring context continues, and a second signal ends it.
        (
            "try:\n with deferred('work'): interrupt(); time.sleep(0.3); print('done')\n"
            "except KeyboardInterrupt: sys.exit(exit_status())",
            (130, "done\n", "jaxgen: interrupted: work; a second signal ends the process at once\n"),
        ),
        (
            "try:\n with deferred('work'): interrupt(signal.SIGTERM); time.sleep(0.3); print('done')\n"
            "except KeyboardInterrupt: sys.exit(exit_status())",
            (143, "done\n", "jaxgen: interrupted: work; a second signal ends the process at once\n"),
        ),
        ("with deferred('work'): interrupt(); time.sleep(0.3); interrupt(); sleep()", (130, "", None)),
        # What another thread does is not saved, so nothing is deferred.
        (
            "def work():\n with deferred('work'): interrupt(); sleep()\n"
            "thread = threading.Thread(target=work)\nthread.start()\nthread.join()",
            (130, "", "jaxgen: interrupted\n"),
        ),
        # Closed outputs are no reason to go on.
        ("os.close(2); interrupt(); sleep()", (130, "", "")),
        ("end_by_signals(); interrupt(); sleep()", (-signal.SIGINT, "", "")),
        # The thread that receives it has no time before the process ends.
        ("with on_leaving(sleep): interrupt(); end_by_signals(); os._exit(0)", (-signal.SIGINT, "", "")),
    ],
)
def test_a_command_ends_with_a_line_and_its_status_wherever_it_is(program, expected):
    status, out, err = process(program)
    assert (status, out) == expected[:2]
    assert expected[2] is None or err == expected[2]


def test_ignored_signals_remain_ignored():
    """As those of a process in the background of a script, or under nohup."""
    program = COMMAND + "interrupt(); interrupt(signal.SIGTERM); interrupt(signal.SIGHUP); print('went on')"
    ignoring = ["sh", "-c", "trap '' INT TERM HUP; exec \"$@\"", "sh", sys.executable, "-c", program, str(ROOT)]
    done = subprocess.run(ignoring, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


def test_a_blocked_output_does_not_delay_the_end():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writing, True)
    command = [sys.executable, "-c", COMMAND + "interrupt(); sleep()", ROOT]
    assert subprocess.run(command, stderr=writing, timeout=60, check=False).returncode == 130
    os.close(reading)
    os.close(writing)
