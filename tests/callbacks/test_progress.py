"""The progress of a training on stderr: a bar on a terminal, and lines elsewhere."""

import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from jaxgen.callbacks import progress as module
from jaxgen.callbacks.progress import Progress
from jaxgen.training.chunk import Chunk, Divergence

DIVERGED = Divergence(3, "vae", "loss")


def chunk(step, *, steps=10, seconds=0.5, diverged=None, **metrics):
    """A chunk whose metrics are constants, or the arrays that are given."""
    arrays = {
        name.replace("_", "/", 1): np.full((1, steps), value) if np.isscalar(value) else np.atleast_2d(value)
        for name, value in metrics.items()
    }
    return Chunk(step, None, arrays, seconds, diverged or {})


@pytest.fixture
def show(monkeypatch):
    """`show(events)`: what is written for chunks, and for numbers, which are seconds of a compilation."""

    def written(events, *, terminal=False, total=1000, first_step=0, width=100, **choices):
        clock = SimpleNamespace(now=100.0)
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=terminal, width=width)
        with Progress(total, first_step, console=console, **choices) as progress:
            for event in events:
                compilation = isinstance(event, float)
                clock.now += event if compilation else event.seconds
                (progress.compiled if compilation else progress)(event)
        return stream.getvalue()

    return written


def test_lines_appear_every_few_seconds_and_at_the_end(show):
    chunks = [chunk(step, seconds=2.0, gan_loss=step, critic_loss=-0.5, gan_other=7) for step in range(10, 110, 10)]
    assert show(chunks, total=100).splitlines() == [
        "10/100  gan 10  critic -0.5  5 step/s  0:18 left",
        "60/100  gan 60  critic -0.5  5 step/s  0:08 left",
        "100/100  gan 100  critic -0.5  5 step/s  0:00 left",
    ]


def test_the_speed_of_a_resumed_run_is_that_of_its_own_steps(show):
    written = show([chunk(510, seconds=1.0, vae_loss=1)], total=100_000, first_step=500)
    assert written == "510/100000  vae 1  10 step/s  2:45:49 left\n"


def test_losses_are_means_over_the_finite_seeds(show):
    seeds = chunk(10, seconds=1.0, vae_loss=[[1, 1], [3, 3], [np.nan, np.nan]], diverged={2: DIVERGED})
    assert show([seeds]).splitlines()[-1].startswith("10/1000  vae 2  (1 diverged)  10 step/s")
    assert show([chunk(10, seconds=1.0, vae_loss=[np.nan])]).startswith("10/1000  vae -  10 step/s")


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    ("choices", "name"),
    [({}, "number 2"), ({"names": ["seed 40", "seed 41", "seed 42"]}, "seed 42")],
    ids=["numbers", "seeds"],
)
def test_a_divergence_is_reported_once_when_it_happens(choices, name, terminal, show):
    losses = [[1] * 10, [3] * 10, [np.nan] * 10]
    where = Divergence(35, "[vae]", "gradient_norm")
    steps = (20, 30, 40, 50)
    chunks = [chunk(n, seconds=20.0, vae_loss=losses, diverged={2: where} if n >= 35 else {}) for n in steps]
    sentence = f"the run with {name} diverged: {where}; it is left out"
    written = show(chunks, terminal=terminal, **choices)
    assert written.count("it is left out") == 1
    assert sentence in written
    if not terminal:
        first_words = [line.split()[0] for line in written.splitlines()]
        assert first_words == ["20/1000", "30/1000", "the", "40/1000", "50/1000"]
    # It is not reported again when the run is resumed later.
    assert "left out" not in show(chunks[-1:], terminal=terminal, first_step=40, **choices)


def test_a_terminal_shows_a_bar(show):
    written = show([chunk(500, seconds=2.0, vae_loss=104.25)], terminal=True)
    assert "━" in written
    assert "500/1000" in written
    assert "250 step/s  0:02 left  vae 104.2" in written


@pytest.mark.parametrize("width", [20, 30, 45, 60, 80])
def test_a_narrow_terminal_cuts_the_losses_first_and_keeps_the_bar_and_the_steps(width, show):
    losses = {f"{name}_loss": 1 for name in ("discriminator", "generator", "encoder", "decoder")}
    written = show([chunk(123_400, seconds=300.0, **losses)], terminal=True, total=200_000, width=width)
    (line,) = {line for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written).splitlines() if "123400" in line}
    assert re.match(r"━[━╸╺ ]+ 123400/200000 .*…$", line.strip())
    assert len(line) <= width
    assert ("411 step/s  3:06 left" in line) == (width >= 45)
    assert ("discriminator 1" in line) == (width >= 80)


@pytest.mark.parametrize("terminal", [False, True])
def test_names_neither_control_the_terminal_nor_are_markup(terminal, show):
    chunks = [chunk(20, steps=10, seconds=20.0, **{"[red]a\x1b]0;title\x07_loss": 1})]
    written = show(chunks, terminal=terminal)
    assert r"[red]a\x1b]0;title\x07 1" in written
    assert "\x1b]0;" not in written


@pytest.mark.parametrize("terminal", [False, True])
def test_compilation_has_its_own_line_and_does_not_count_in_the_speed(terminal, show):
    written = show([60.04, chunk(500, seconds=2.0, vae_loss=1)], terminal=terminal)
    assert "compiled in 60.0 s\n" in written
    assert ("250 step/s  0:02 left  vae 1" if terminal else "vae 1  250 step/s  0:02 left") in written
    if not terminal:
        assert len(written.splitlines()) == 2


def test_compilation_of_later_phases_does_not_count_in_the_speed(show):
    events = [10.0, chunk(100, seconds=20.0, vae_loss=1), 50.0, chunk(200, seconds=20.0, vae_loss=1)]
    assert show(events).splitlines() == [
        "compiled in 10.0 s",
        "100/1000  vae 1  5 step/s  3:00 left",
        "compiled in 50.0 s",
        "200/1000  vae 1  5 step/s  2:40 left",
    ]


def test_progress_is_written_to_stderr(capsys):
    with Progress(10) as progress:
        progress(chunk(10, vae_loss=1))
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("10/10  vae 1")
