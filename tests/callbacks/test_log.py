"""Progress and logs: what they say, and what is left of them when a run is killed and resumed."""

import io
import json
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tensorboardX.proto.event_pb2 import Event, SessionLog

from jaxgen.callbacks.log import MetricsLog, Progress, log_entry, summarize
from jaxgen.errors import InputError
from jaxgen.training import log
from jaxgen.training.loop import Chunk, Divergence

GONE = Divergence(3, "vae", "loss")


def chunk(step, *, turns=10, seconds=0.5, diverged=None, **metrics):
    """A chunk whose metrics are a constant, or arrays that are given."""
    arrays = {
        name.replace("_", "/", 1): np.full(turns, value, np.float32) if np.isscalar(value) else np.float32(value)
        for name, value in metrics.items()
    }
    return Chunk(step, None, arrays, seconds, diverged or {})


def lines(folder):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def events(folder):
    """The records of all event files: length, checksum, event, checksum."""
    for path in sorted((folder / "tensorboard").iterdir(), key=lambda path: path.stat().st_ctime_ns):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            yield Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


def curve(folder, tag):
    """What TensorBoard shows of a tag: a start of a session makes it forget the steps from there on."""
    points = {}
    for event in events(folder):
        if event.session_log.status == SessionLog.START:
            points = {step: value for step, value in points.items() if step < event.step}
        for value in event.summary.value:
            if value.tag == tag:
                points[event.step] = value.simple_value
    return points


class TestEntry:
    def test_metrics_are_means_over_the_turns(self):
        values = np.random.default_rng(0).uniform(90, 110, 1000).astype(np.float32)
        entry = log_entry(chunk(1000, vae_loss=values, vae_kl=3))
        assert entry == {
            "step": 1000,
            "seconds": 0.5,
            "vae/loss": pytest.approx(sum(values.tolist()) / 1000, rel=1e-6),
            "vae/kl": 3.0,
        }

    def test_a_float32_is_written_as_short_as_it_is(self):
        assert json.dumps(log_entry(chunk(1, seconds=1 / 3, vae_loss=0.1))) == (
            '{"step": 1, "seconds": 0.3333, "vae/loss": 0.1}'
        )

    def test_the_mean_over_runs_leaves_out_the_diverged(self):
        losses = [[1, 3], [5, 7], [100, 100]]
        entry = log_entry(chunk(2, gan_loss=losses, diverged={2: GONE}))
        assert entry["gan/loss"] == 4.0
        assert entry["runs"] == {"gan/loss": [2.0, 6.0, None]}

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_null(self, bad):
        assert log_entry(chunk(2, vae_loss=[1, bad]))["vae/loss"] is None
        assert log_entry(chunk(2, vae_loss=[np.inf, -np.inf]))["vae/loss"] is None
        entry = log_entry(chunk(2, vae_loss=[[1, bad], [3, 5]]))
        assert (entry["vae/loss"], entry["runs"]["vae/loss"]) == (4.0, [None, 4.0])
        assert log_entry(chunk(2, vae_loss=[[bad, 1]]))["vae/loss"] is None


class TestMetricsLog:
    def test_a_line_and_events_for_every_chunk(self, tmp_path):
        with MetricsLog(tmp_path / "run") as metrics_log:
            metrics_log(chunk(10, vae_loss=8, vae_kl=2))
            assert lines(tmp_path / "run") == [{"step": 10, "seconds": 0.5, "vae/loss": 8.0, "vae/kl": 2.0}]
            metrics_log(chunk(20, vae_loss=np.nan, vae_kl=1))
        assert [line["vae/loss"] for line in lines(tmp_path / "run")] == [8.0, None]
        assert curve(tmp_path / "run", "vae/loss") == {10: 8.0}
        assert curve(tmp_path / "run", "vae/kl") == {10: 2.0, 20: 1.0}
        assert curve(tmp_path / "run", "seconds") == {}

    def test_a_run_that_was_killed_and_resumed_has_the_lines_of_one_that_never_stopped(self, tmp_path):
        with MetricsLog(tmp_path / "whole") as whole:
            for step in range(10, 60, 10):
                whole(chunk(step, vae_loss=[[step, 1], [2, 3]]))
        with MetricsLog(tmp_path / "killed") as killed:
            for step in range(10, 50, 10):
                killed(chunk(step, vae_loss=[[step, 1], [2, 3]] if step <= 20 else [[0, 0], [0, 0]]))
        path = tmp_path / "killed" / "metrics.jsonl"
        for cut in (b'{"step": 50, "sec', b'{"step": 50}', b"\xff\xfe", b"[]\n", b'{"step": "x"}\n'):
            path.write_bytes(path.read_bytes() + cut)
            with MetricsLog(tmp_path / "killed", first_step=20) as resumed:
                assert [line["step"] for line in lines(tmp_path / "killed")] == [10, 20]
                for step in range(30, 60, 10):
                    resumed(chunk(step, vae_loss=[[step, 1], [2, 3]]))
            assert path.read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
        assert curve(tmp_path / "killed", "vae/loss") == curve(tmp_path / "whole", "vae/loss")
        assert sorted(p.name for p in path.parent.iterdir()) == ["metrics.jsonl", "tensorboard"]

    def test_a_last_line_without_its_end_is_kept_if_it_is_whole(self, tmp_path):
        (tmp_path / "metrics.jsonl").write_text('{"step": 10}\n{"step": 20}')
        with MetricsLog(tmp_path, first_step=20) as metrics_log:
            metrics_log(chunk(30, vae_loss=1))
        assert [line["step"] for line in lines(tmp_path)] == [10, 20, 30]

    def test_a_new_run_starts_a_new_log(self, tmp_path):
        for _ in range(2):
            with MetricsLog(tmp_path) as metrics_log:
                metrics_log(chunk(10, vae_loss=1))
        assert [line["step"] for line in lines(tmp_path)] == [10]

    def test_events_reach_the_disk_while_the_run_goes_on(self, tmp_path, monkeypatch):
        monkeypatch.setattr(log, "SECONDS_BETWEEN_FLUSHES", 0.0)
        with MetricsLog(tmp_path) as metrics_log:
            for step in (10, 20):
                metrics_log(chunk(step, vae_loss=step))
                assert curve(tmp_path, "vae/loss")[step] == step

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match=r"the log .*metrics.jsonl could not be written"):
            MetricsLog(tmp_path / "file" / "run")

    def test_a_full_disk_ends_the_run_with_a_sentence(self, tmp_path):
        program = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_log import *
from jaxgen.training import log
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
try:
    with MetricsLog(sys.argv[1]) as metrics_log:
        for step in range(10, 10000, 10):
            metrics_log(chunk(step, vae_loss=1.5))
except InputError as error:
    print(error)
"""
        done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert "could not be written" in done.stdout
        assert "File too large" in done.stdout
        with MetricsLog(tmp_path, first_step=10**6):
            kept = [line["step"] for line in lines(tmp_path)]
        assert len(kept) > 10
        assert {b - a for a, b in pairwise(kept)} == {10}


class TestProgress:
    def say(self, chunks, monkeypatch, *, terminal=False, total=1000, first_step=0, **choices):
        clock = [100.0]
        monkeypatch.setattr(log.time, "perf_counter", lambda: clock[0])
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=terminal, width=100)
        with Progress(total, first_step, console=console, **choices) as progress:
            for one in chunks:
                clock[0] += one.seconds
                progress(one)
        return stream.getvalue()

    def test_plain_lines_now_and_then_and_at_the_end(self, monkeypatch):
        chunks = [chunk(step, seconds=2.0, gan_loss=step, critic_loss=-0.5, gan_other=7) for step in range(10, 110, 10)]
        said = self.say(chunks, monkeypatch, total=100).splitlines()
        assert said == [
            "10/100  gan 10  critic -0.5  5 steps/s  0:18 left",
            "60/100  gan 60  critic -0.5  5 steps/s  0:08 left",
            "100/100  gan 100  critic -0.5  5 steps/s  0:00 left",
        ]

    def test_a_resumed_run_counts_its_own_turns_for_the_speed(self, monkeypatch):
        said = self.say([chunk(510, seconds=1.0, vae_loss=1)], monkeypatch, total=100_000, first_step=500)
        assert said == "510/100000  vae 1  10 steps/s  2:45:49 left\n"

    def test_several_runs(self, monkeypatch):
        runs = chunk(10, seconds=1.0, vae_loss=[[1, 1], [3, 3], [np.nan, np.nan]], diverged={2: GONE})
        assert self.say([runs], monkeypatch).startswith("10/1000  vae 2  (1 diverged)  10 steps/s")
        lost = chunk(10, seconds=1.0, vae_loss=[np.nan])
        assert self.say([lost], monkeypatch).startswith("10/1000  vae -  10 steps/s")

    @pytest.mark.parametrize("terminal", [False, True])
    @pytest.mark.parametrize(
        ("choices", "name"), [({}, "number 2"), ({"first_seed": 40}, "seed 42")], ids=["numbers", "seeds"]
    )
    def test_a_run_that_diverges_is_told_when_it_happens_and_once(self, choices, name, terminal, monkeypatch):
        losses = [[1] * 10, [3] * 10, [np.nan] * 10]
        where = Divergence(35, "[vae]", "gradient_norm")
        steps = (20, 30, 40, 50)
        chunks = [chunk(n, seconds=20.0, vae_loss=losses, diverged={2: where} if n >= 35 else {}) for n in steps]
        sentence = f"the run with {name} diverged: {where}; it is left out"
        said = self.say(chunks, monkeypatch, terminal=terminal, **choices)
        assert said.count("it is left out") == 1
        assert sentence in said
        if not terminal:
            first_words = [line.split()[0] for line in said.splitlines()]
            assert first_words == ["20/1000", "30/1000", "the", "40/1000", "50/1000"]
        # A run that is resumed after it has seen this already.
        assert "left out" not in self.say(chunks[-1:], monkeypatch, terminal=terminal, first_step=40, **choices)

    def test_a_terminal_gets_a_bar(self, monkeypatch):
        said = self.say([chunk(500, seconds=2.0, vae_loss=104.25)], monkeypatch, terminal=True)
        assert "━" in said
        assert "500/1000" in said
        assert "vae 104.2  250 steps/s  0:02 left" in said

    @pytest.mark.parametrize("terminal", [False, True])
    def test_the_compiler_has_a_line_of_its_own_and_no_part_in_the_speed(self, terminal, monkeypatch):
        clock = [100.0]
        monkeypatch.setattr(log.time, "perf_counter", lambda: clock[0])
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=terminal, width=100)
        with Progress(1000, console=console) as progress:
            clock[0] += 60.04
            progress.compiled(60.04)
            clock[0] += 2.0
            progress(chunk(500, seconds=2.0, vae_loss=1))
        said = stream.getvalue()
        assert "compiled in 60.0 s\n" in said
        assert "vae 1  250 steps/s  0:02 left" in said
        if not terminal:
            assert len(said.splitlines()) == 2

    def test_it_goes_to_stderr(self, capsys):
        with Progress(10) as progress:
            progress(chunk(10, vae_loss=1))
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("10/10  vae 1")


class TestSummarize:
    def test_mean_sd_and_worst(self):
        values = np.random.default_rng(0).normal(100, 5, 10)
        summary = summarize(values, larger_is_better=False)
        assert summary["mean"] == pytest.approx(sum(values) / 10, rel=1e-6)
        assert summary["sd"] == pytest.approx((sum((v - sum(values) / 10) ** 2 for v in values) / 9) ** 0.5, rel=1e-6)
        assert summary["worst"] == pytest.approx(sorted(values)[-1], rel=1e-6)

    def test_the_worst_is_the_smallest_where_larger_is_better(self):
        assert summarize(np.array([3.0, 1.0, 2.0]), larger_is_better=True)["worst"] == 1.0

    def test_diverged_runs_count_for_nothing(self):
        summary = summarize(np.array([1.0, 900.0, np.nan, 3.0]), larger_is_better=False, left_out={1: GONE})
        assert summary == {"mean": 2.0, "sd": 1.414214, "worst": 3.0, "runs": [1.0, None, None, 3.0]}

    def test_one_run_has_no_sd_and_none_has_nothing(self):
        one = summarize(np.array([2.0]), larger_is_better=False)
        assert one == {"mean": 2.0, "sd": None, "worst": 2.0, "runs": [2.0]}
        nothing = {"mean": None, "sd": None, "worst": None, "runs": [None]}
        assert summarize(np.array([2.0]), larger_is_better=False, left_out=[0]) == nothing

    def test_it_is_json(self):
        json.dumps(summarize(np.array([8, 7], np.int32), larger_is_better=True), allow_nan=False)
