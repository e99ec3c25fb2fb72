"""The log: its lines and events, and what is left of them when a run is killed and resumed."""

import json
import os
import signal
import struct
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from jaxgen.callbacks import log
from jaxgen.callbacks.log import MetricsLog, log_entry
from jaxgen.errors import InputError
from jaxgen.training.chunk import Chunk, Divergence

DIVERGED = Divergence(3, "vae", "loss")


def chunk(step, *, steps=10, seconds=0.5, diverged=None, **metrics):
    """A chunk with an axis of seeds, whose metrics are constants of one seed, or the arrays that are given."""
    arrays = {
        name.replace("_", "/", 1): np.full((1, steps), value, np.float32) if np.isscalar(value) else value
        for name, value in metrics.items()
    }
    arrays = {name: np.ma.atleast_2d(np.ma.asarray(values, np.float32)) for name, values in arrays.items()}
    arrays = {name: x if np.ma.getmaskarray(x).any() else np.asarray(x) for name, x in arrays.items()}
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


def masked_crc32c(data):
    """Bit by bit, with the reversed polynomial of Castagnoli 1993, and masked as in TensorFlow's record format."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def curve(folder, tag):
    """What TensorBoard shows of a tag: it discards the steps from the start of a later session on."""
    points = {}
    for event in events(folder):
        if event.session_log.status == SessionLog.START:
            points = {step: value for step, value in points.items() if step < event.step}
        for value in event.summary.value:
            if value.tag == tag:
                points[event.step] = value.simple_value
    return points


class TestEntry:
    def test_metrics_are_means_over_the_steps(self):
        values = np.random.default_rng(0).uniform(90, 110, 1000).astype(np.float32)
        entry = log_entry(chunk(1000, vae_loss=values, vae_kl=3), several_seeds=False)
        assert entry == {
            "step": 1000,
            "seconds": 0.5,
            "vae/loss": pytest.approx(sum(values.tolist()) / 1000, rel=1e-6),
            "vae/kl": 3.0,
        }

    def test_numbers_have_the_digits_of_float32(self):
        assert json.dumps(log_entry(chunk(1, seconds=1 / 3, vae_loss=0.1), several_seeds=False)) == (
            '{"step": 1, "seconds": 0.3333, "vae/loss": 0.1}'
        )

    def test_the_mean_over_seeds_leaves_out_diverged_ones(self):
        losses = [[1, 3], [5, 7], [100, 100]]
        entry = log_entry(chunk(2, gan_loss=losses, diverged={2: DIVERGED}), several_seeds=True)
        assert entry["gan/loss"] == 4.0
        assert entry["seeds"] == {"gan/loss": [2.0, 6.0, None]}

    def test_a_run_of_one_of_several_seeds_has_a_list_of_one(self):
        assert log_entry(chunk(2, gan_loss=[[1, 3]]), several_seeds=True)["seeds"] == {"gan/loss": [2.0]}
        assert "seeds" not in log_entry(chunk(2, gan_loss=[[1, 3]]), several_seeds=False)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_values_that_are_not_finite_are_null(self, bad):
        assert log_entry(chunk(2, vae_loss=[1, bad]), several_seeds=False)["vae/loss"] is None
        assert log_entry(chunk(2, vae_loss=[np.inf, -np.inf]), several_seeds=False)["vae/loss"] is None
        entry = log_entry(chunk(2, vae_loss=[[1, bad], [3, 5]]), several_seeds=True)
        assert (entry["vae/loss"], entry["seeds"]["vae/loss"]) == (4.0, [None, 4.0])
        assert log_entry(chunk(2, vae_loss=[[bad, 1]]), several_seeds=True)["vae/loss"] is None

    def test_metrics_that_no_step_computed_are_left_out(self):
        skipped = np.ma.masked_all((2, 3))
        some = np.ma.array([[1.0, 9.0, 3.0], [5.0, 9.0, 7.0]], mask=[[False, True, False]] * 2)
        metrics = {"gan_r1/loss": skipped, "gan_r2/loss": some, "gan_loss": np.ones((2, 3))}
        entry = log_entry(chunk(3, **metrics), several_seeds=True)
        assert set(entry) == {"step", "seconds", "seeds", "gan/loss", "gan/r2/loss"}
        assert set(entry["seeds"]) == {"gan/loss", "gan/r2/loss"}
        assert (entry["gan/r2/loss"], entry["seeds"]["gan/r2/loss"]) == (4.0, [2.0, 6.0])


class TestMetricsLog:
    def test_every_chunk_has_a_line_and_events(self, tmp_path):
        with MetricsLog(tmp_path / "run") as metrics_log:
            metrics_log(chunk(10, vae_loss=8, vae_kl=2))
            assert lines(tmp_path / "run") == [{"step": 10, "seconds": 0.5, "vae/loss": 8.0, "vae/kl": 2.0}]
            metrics_log(chunk(20, vae_loss=np.nan, vae_kl=1))
        assert [line["vae/loss"] for line in lines(tmp_path / "run")] == [8.0, None]
        assert curve(tmp_path / "run", "vae/loss") == {10: 8.0}
        assert curve(tmp_path / "run", "vae/kl") == {10: 2.0, 20: 1.0}
        assert curve(tmp_path / "run", "seconds") == {}

    def test_a_killed_and_resumed_run_has_the_lines_of_one_without_an_interruption(self, tmp_path):
        with MetricsLog(tmp_path / "complete", several_seeds=True) as complete:
            for step in range(10, 60, 10):
                complete(chunk(step, vae_loss=[[step, 1], [2, 3]]))
        with MetricsLog(tmp_path / "killed", several_seeds=True) as killed:
            for step in range(10, 50, 10):
                killed(chunk(step, vae_loss=[[step, 1], [2, 3]] if step <= 20 else [[0, 0], [0, 0]]))
        path = tmp_path / "killed" / "metrics.jsonl"
        for cut in (b'{"step": 50, "sec', b'{"step": 50}', b"\xff\xfe", b"[]\n", b'{"step": "x"}\n'):
            path.write_bytes(path.read_bytes() + cut)
            with MetricsLog(tmp_path / "killed", first_step=20, several_seeds=True) as resumed:
                assert [line["step"] for line in lines(tmp_path / "killed")] == [10, 20]
                for step in range(30, 60, 10):
                    resumed(chunk(step, vae_loss=[[step, 1], [2, 3]]))
            assert path.read_bytes() == (tmp_path / "complete" / "metrics.jsonl").read_bytes()
        assert lines(tmp_path / "killed")[-1]["seeds"] == {"vae/loss": [25.5, 2.5]}
        assert curve(tmp_path / "killed", "vae/loss") == curve(tmp_path / "complete", "vae/loss")
        assert sorted(p.name for p in path.parent.iterdir()) == ["metrics.jsonl", "tensorboard"]

    @pytest.mark.parametrize("first_step", [0, 20])
    def test_the_events_of_a_killed_and_resumed_run_are_the_points_of_its_log(self, first_step, tmp_path):
        """Whatever of them had reached the disk, and also when the run starts from the beginning again."""
        with MetricsLog(tmp_path) as killed:
            for step in (10, 20, 30, 40):
                killed(chunk(step, vae_loss=step / 7, vae_kl=np.nan if step == 20 else 1))
        for path in (tmp_path / "tensorboard").iterdir():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
        with MetricsLog(tmp_path, first_step=first_step) as resumed:
            assert (resumed.recomputed, resumed.incomplete) == ((40 - first_step) // 10, 0)
            for step in range(first_step + 10, 60, 10):
                resumed(chunk(step, vae_loss=step / 7, vae_kl=1))
        points = [
            (event.step, value.tag, np.float32(value.simple_value))
            for event in events(tmp_path)
            for value in event.summary.value
        ]
        assert points == [
            (line["step"], name, np.float32(value))
            for line in lines(tmp_path)
            for name, value in line.items()
            if name not in ("step", "seconds") and value is not None
        ]
        assert [line["step"] for line in lines(tmp_path)] == [10, 20, 30, 40, 50]
        times = [event.wall_time for event in events(tmp_path) if event.summary.value]
        assert times == sorted(times)

    def test_a_pipe_in_place_of_the_log_is_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "metrics.jsonl")
        with pytest.raises(InputError, match=r"metrics\.jsonl must be a regular file"):
            MetricsLog(tmp_path, first_step=10)

    def test_a_line_of_gigabytes_is_not_read_at_once(self, tmp_path, monkeypatch):
        monkeypatch.setattr(log, "LONGEST_LINE", 100)
        (tmp_path / "metrics.jsonl").write_text('{"step": 10}\n' + "x" * 1000 + '\n{"step": 20}\n')
        with MetricsLog(tmp_path, first_step=20) as metrics_log:
            assert metrics_log.incomplete == 11
        assert [line["step"] for line in lines(tmp_path)] == [10, 20]

    def test_a_complete_last_line_without_a_line_break_is_kept(self, tmp_path):
        (tmp_path / "metrics.jsonl").write_text('{"step": 10}\n{"step": 20}')
        with MetricsLog(tmp_path, first_step=20) as metrics_log:
            metrics_log(chunk(30, vae_loss=1))
        assert [line["step"] for line in lines(tmp_path)] == [10, 20, 30]

    def test_a_new_run_starts_a_new_log(self, tmp_path):
        for _ in range(2):
            with MetricsLog(tmp_path) as metrics_log:
                metrics_log(chunk(10, vae_loss=1))
        assert [line["step"] for line in lines(tmp_path)] == [10]

    def test_the_events_of_a_killed_process_are_those_of_its_log(self, tmp_path):
        """So they are never behind a checkpoint, which follows the line of its step."""
        program = """
import os, signal, sys
import numpy as np
from jaxgen.callbacks.log import MetricsLog
from jaxgen.training.chunk import Chunk
log = MetricsLog(sys.argv[1])
for step in (10, 20, 30):
    log(Chunk(step, None, {"vae/loss": np.full((1, 10), step, np.float32)}, 0.5, {}))
os.kill(os.getpid(), signal.SIGKILL)
"""
        done = subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
        assert done.returncode == -signal.SIGKILL
        assert [line["step"] for line in lines(tmp_path)] == [10, 20, 30]
        assert curve(tmp_path, "vae/loss") == {10: 10, 20: 20, 30: 30}

    def test_events_have_the_checksums_of_records_of_tensorflow(self, tmp_path):
        """CRC-32C, rotated and shifted; the name of the folder is not the address of a cloud store."""
        with MetricsLog(tmp_path / "s3:run") as metrics_log:
            metrics_log(chunk(10, vae_loss=8))
        [path] = (tmp_path / "s3:run" / "tensorboard").iterdir()
        content, types = path.read_bytes(), []
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            data = content[12 : 12 + length]
            assert struct.unpack("<I", content[8:12]) == (masked_crc32c(content[:8]),)
            assert struct.unpack("<I", content[12 + length : 16 + length]) == (masked_crc32c(data),)
            types.append(Event.FromString(data).WhichOneof("what"))
            content = content[16 + length :]
        assert types == ["file_version", "session_log", "summary"]

    def test_a_folder_that_cannot_be_written_is_refused(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match=r"the log .*metrics.jsonl could not be written"):
            MetricsLog(tmp_path / "file" / "run")

    def test_a_full_disk_ends_the_process_with_one_sentence(self, tmp_path):
        program = """
import resource, sys
import numpy as np
from jaxgen.callbacks.log import MetricsLog
from jaxgen.errors import InputError
from jaxgen.training.chunk import Chunk
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
try:
    with MetricsLog(sys.argv[1]) as metrics_log:
        for step in range(10, 10000, 10):
            metrics_log(Chunk(step, None, {"vae/loss": np.full((1, 10), 1.5)}, 0.5, {}))
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
