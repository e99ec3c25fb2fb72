"""Fixtures for tests of several folders: clearing of compiled programs, a full disk, and interrupts."""

import contextlib
import resource
import signal

import jax
import pytest

from jaxgen.training import stage_program


@pytest.fixture(autouse=True, scope="module")
def clear_compiled_programs():
    """Clear JAX's caches after each module; otherwise a process stores gigabytes of compiled programs."""
    yield
    jax.clear_caches()


@pytest.fixture
def full_disk():
    """`full_disk(free)`: a context in which files can have at most `free` bytes."""

    @contextlib.contextmanager
    def limit(free):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (free, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture
def interrupt(monkeypatch):
    """`interrupt(steps)`: send SIGINT in the next training while the device computes these steps."""
    compile_stage, expected = stage_program.compile_stage, set()

    def compiled(*arguments):
        program = compile_stage(*arguments)

        def run(keys, state, fetched, first, count):
            for step in expected & set(range(first, first + count)):
                expected.remove(step)
                signal.raise_signal(signal.SIGINT)
            return program(keys, state, fetched, first, count)

        return run

    monkeypatch.setattr(stage_program, "compile_stage", compiled)
    monkeypatch.setattr(stage_program, "SECONDS_PER_BLOCK", 0.0)  # Every step is a block.
    # Processes in the background may ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield expected.update
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def pytest_terminal_summary(terminalreporter):
    """Print for each module the number of functions and references and the largest relative error in float32."""
    checked = {}
    for report in [report for reports in terminalreporter.stats.values() for report in reports]:
        for name, value in getattr(report, "user_properties", ()):
            if name == "reference":
                module, function, reference, error = value
                checked.setdefault(module, []).append((function, reference, error))
    if not checked:
        return
    terminalreporter.section("losses and divergences against references")
    line = "{:28} {:>9} {:>10} {:>13}  {}".format
    terminalreporter.write_line(line("module", "functions", "references", "largest error", "references are"))
    for module, rows in sorted(checked.items()):
        functions, pairs = {row[0] for row in rows}, {row[:2] for row in rows}
        libraries = ", ".join(sorted({row[1] for row in rows}))
        terminalreporter.write_line(
            line(module, len(functions), len(pairs), f"{max(row[2] for row in rows):.1e}", libraries)
        )
