"""Complete checkpoints, and what may happen to them: damage, a full disk, a kill at any moment."""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from orbax import checkpoint as orbax

from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.training.checkpoint import completed, restore, save, steps


def state_of(step, width=60):
    """A state with all kinds of leaves: nested optax states, empty ones, integers, statistics."""
    rng = np.random.default_rng(step)
    params = {"net": {"Dense_0": {"kernel": rng.standard_normal((50, width), np.float32), "bias": np.zeros(width)}}}
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    return State(jnp.int32(step), params, {"net": {"mean": jnp.ones(3) * step}}, {"player": tx.init(params)}, params)


LIKE = jax.eval_shape(lambda: state_of(0))


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    for step in (100, 200):
        save(folder, step, state_of(step), meta={"of": step})
    return folder


@pytest.fixture
def copy(two, tmp_path):
    return Path(shutil.copytree(two, tmp_path / "copy"))


class TestInterrupted:
    def test_an_interrupt_is_delayed_until_the_checkpoint_is_complete(self, tmp_path, monkeypatch):
        """Ctrl-C while a checkpoint is written ends the process after the checkpoint is complete."""
        monkeypatch.setattr(
            "jaxgen.training.checkpoint._reserve", lambda folder, leaves: signal.raise_signal(signal.SIGINT)
        )
        # Processes in the background may ignore Ctrl-C.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                save(tmp_path, 7, state_of(7))
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        finally:
            signal.signal(signal.SIGINT, before)
        restored = restore(tmp_path, LIKE)
        assert (restored.step, restored.skipped) == (7, ())
        assert_same(restored.state, state_of(7))

    def test_other_threads_can_save(self, tmp_path):
        thread = threading.Thread(target=save, args=(tmp_path, 7, state_of(7)))
        thread.start()
        thread.join()
        assert restore(tmp_path, LIKE).step == 7


class TestComplete:
    def test_state_step_and_metadata_are_restored(self, two):
        before = files(two)
        restored = restore(two, LIKE)
        assert (restored.step, restored.meta, restored.skipped) == (200, {"of": 200}, ())
        assert_same(restored.state, state_of(200))
        assert files(two) == before

    def test_an_earlier_checkpoint_can_be_restored(self, two):
        for until, found in ((100, 100), (199, 100), (200, 200), (10**9, 200)):
            restored = restore(two, LIKE, until=until)
            assert restored.step == found
            assert_same(restored.state, state_of(found))
        with pytest.raises(InputError, match="there is no checkpoint in"):
            restore(two, LIKE, until=99)

    def test_only_the_newest_checkpoints_are_kept(self, tmp_path):
        for step in (5, 10, 20, 100):
            save(tmp_path / "new" / "folder", step, state_of(step), keep=2)
        assert steps(tmp_path / "new" / "folder") == [20, 100]
        assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["100", "20"]

    def test_metadata_are_restored_as_json_returns_them(self, tmp_path):
        save(tmp_path, 1, state_of(1), meta={"diverged": {10: (1, None), 2: "ü"}})
        assert restore(tmp_path, LIKE).meta == {"diverged": {"10": [1, None], "2": "ü"}}

    def test_metadata_that_are_not_json_are_refused_before_anything_is_written(self, copy):
        before = files(copy)
        with pytest.raises(TypeError, match="not JSON serializable"):
            save(copy, 100, state_of(100), meta={"key": jax.random.key(0)})
        assert files(copy) == before

    def test_checkpoints_of_later_steps_are_deleted(self, copy):
        shutil.rmtree(copy / "200" / "state")
        save(copy, 150, state_of(150))
        assert steps(copy) == [100, 150]
        other = state_of(151).replace(step=jnp.int32(150))
        save(copy, 150, other)
        assert_same(restore(copy, LIKE).state, other)

    def test_there_is_a_complete_checkpoint_at_every_moment(self, copy, monkeypatch):
        """Also while the only checkpoint is replaced by another one of the same step."""
        shutil.rmtree(copy / "100")
        replace, rmtree, moments = Path.replace, shutil.rmtree, []

        def watched(change):
            def call(*arguments, **choices):
                moments.append(completed(copy))
                change(*arguments, **choices)
                moments.append(completed(copy))

            return call

        monkeypatch.setattr(Path, "replace", watched(replace))
        monkeypatch.setattr(shutil, "rmtree", watched(rmtree))
        save(copy, 200, state_of(200), keep=1)
        save(copy, 300, state_of(300), keep=1)
        assert len(moments) > 8
        assert all(moments)
        assert [path.name for path in copy.iterdir()] == ["300"]

    def test_a_checkpoint_whose_process_was_killed_between_two_renames_is_used(self, copy):
        (copy / "200").rename(copy / ".200.new")
        (copy / ".100.new").mkdir()  # Incomplete.
        shutil.copytree(copy / "100", copy / ".50.old")
        before = files(copy)
        restored = restore(copy, LIKE)
        assert (restored.step, restored.skipped) == (200, ())
        assert files(copy) == before
        assert (steps(copy), completed(copy)) == ([100, 200], [100, 200])
        save(copy, 300, state_of(300))
        assert sorted(path.name for path in copy.iterdir()) == ["100", "200", "300"]

    def test_checksums_have_the_format_of_sha256sum(self, two):
        sums = dict(line.split("  ")[::-1] for line in (two / "200" / "SHA256SUMS").read_text().splitlines())
        contents = {str(name): content for name, content in files(two / "200").items() if str(name) != "SHA256SUMS"}
        assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}

    def test_no_thread_remains(self, tmp_path):
        before = threading.active_count()
        save(tmp_path, 1, state_of(1))
        restore(tmp_path, LIKE)
        deadline = time.monotonic() + 20
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threading.active_count() <= before


def write_sums(checkpoint):
    """Write the checksums of a checkpoint that was edited."""
    names = sorted(name for name in files(checkpoint) if name.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256((checkpoint / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (checkpoint / "SHA256SUMS").write_text("".join(sums))


def truncated(content):
    return content[: len(content) // 2]


def flipped(content):
    place = random.Random(len(content)).randrange(len(content))
    return content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]


def emptied(content):
    return b""


class TestDamage:
    @pytest.mark.parametrize(
        "damage", [truncated, flipped, emptied, None], ids=["truncated", "flipped", "empty", "deleted"]
    )
    def test_damage_to_any_file_is_found_and_the_checkpoint_before_is_restored(self, damage, copy, capfd):
        before = files(copy / "200")
        assert len(before) > 8
        for name, content in before.items():
            path = copy / "200" / name
            if damage is None:
                path.unlink()
            else:
                path.write_bytes(damage(content))
            restored = restore(copy, LIKE)
            assert (restored.step, restored.meta) == (100, {"of": 100}), name
            assert_same(restored.state, state_of(100))
            (skipped,) = restored.skipped
            assert skipped.step == 200
            # A changed checksum is reported as damage to its file; without checksums the checkpoint is incomplete.
            if name.name != "SHA256SUMS" or damage in (truncated, emptied):
                assert str(skipped) == f"the checkpoint of step 200 is damaged: its {name} changed after it was written"
            path.write_bytes(content)
        assert restore(copy, LIKE).step == 200
        # Damaged files are not read: the libraries that read them would print tracebacks.
        assert capfd.readouterr().err == ""

    def test_an_additional_file_is_damage(self, copy):
        (copy / "200" / "state" / "additional").write_text("x")
        assert "its state/additional changed" in str(restore(copy, LIKE).skipped[0])

    def test_a_checkpoint_under_the_name_of_another_step_is_damage(self, copy):
        (copy / "200").rename(copy / "350")
        restored = restore(copy, LIKE)
        assert restored.step == 100
        assert str(restored.skipped[0]) == "the checkpoint of step 350 is damaged: its state is of step 200"

    @pytest.mark.parametrize("metadata", ["[]", '"x"', "3", "null"])
    def test_metadata_that_are_not_a_mapping_are_damage(self, metadata, copy):
        (copy / "200" / "meta" / "metadata").write_text(metadata)
        write_sums(copy / "200")
        assert "is damaged: its metadata must be a mapping" in str(restore(copy, LIKE).skipped[0])

    @pytest.mark.parametrize("name", ["state/pipe", "meta/metadata", "SHA256SUMS"])
    def test_a_pipe_is_damage_and_not_waited_for(self, name, copy):
        (copy / "200" / name).unlink(missing_ok=True)
        os.mkfifo(copy / "200" / name)
        assert f"its {name} is not a regular file" in str(restore(copy, LIKE).skipped[0])

    def test_a_link_to_something_else_is_damage(self, copy):
        (copy / "200" / "meta" / "metadata").unlink()
        (copy / "200" / "meta" / "metadata").symlink_to("/dev/zero")
        assert "its meta/metadata is not a regular file" in str(restore(copy, LIKE).skipped[0])

    @pytest.mark.parametrize("name", ["state/_METADATA", "meta/metadata", "SHA256SUMS"])
    def test_a_file_larger_than_the_state_is_not_read(self, name, copy):
        """Ten gigabytes that take no space on the disk."""
        os.truncate(copy / "200" / name, 10 * 2**30)
        reason = str(restore(copy, LIKE).skipped[0])
        assert re.fullmatch(
            r"the checkpoint of step 200 is damaged: its files have 107\d+ bytes, .* at most 67\d+", reason
        )

    def test_arrays_of_other_shapes_are_not_read(self, copy, monkeypatch):
        """Compressed, an array may be a thousand times smaller than in memory."""
        save(copy, 300, state_of(300, width=61))
        handler, restored = orbax.StandardCheckpointHandler, []
        monkeypatch.setattr(handler, "restore", lambda *_, **__: restored.append(1))
        with pytest.raises(InputError, match="step 300 is of another model: its params/net/Dense_0/bias is"):
            restore(copy, jax.eval_shape(lambda: state_of(0, width=62)))
        assert not restored

    def test_an_error_lists_all_checkpoints_when_none_is_complete(self, copy):
        for step in ("100", "200"):
            shutil.rmtree(copy / step / "meta")
        with pytest.raises(InputError, match=r"can be used: the checkpoint of step 200 .*; the checkpoint of step 100"):
            restore(copy, LIKE)

    def test_a_missing_folder_has_no_checkpoint(self, tmp_path):
        assert steps(tmp_path / "none") == []
        with pytest.raises(InputError, match="there is no checkpoint in"):
            restore(tmp_path / "none", LIKE)

    def test_other_files_in_the_folder_are_not_changed(self, copy):
        (copy / "notes").mkdir()
        (copy / "notes.txt").write_text("mine")
        assert restore(copy, LIKE).step == 200
        save(copy, 300, state_of(300), keep=1)
        assert sorted(path.name for path in copy.iterdir()) == ["300", "notes", "notes.txt"]


class TestOtherModel:
    @pytest.mark.parametrize(
        ("like", "message"),
        [
            (lambda: state_of(0, width=61), r"params/net/Dense_0/bias is float32 \(60,\), not float32 \(61,\)"),
            (lambda: state_of(0).replace(step=jnp.float32(0)), r"its step is int32 \(\), not float32 \(\)"),
            (lambda: state_of(0).replace(stats={}), "it has stats/net/mean, which this model does not have"),
            (lambda: state_of(0).replace(stats={"net": {"mean": jnp.ones(3), "sd": 1}}), "it has no stats/net/sd"),
        ],
    )
    def test_the_first_difference_is_named(self, like, message, two):
        with pytest.raises(InputError, match=f"the checkpoint of step 200 is of another model: .*{message}"):
            restore(two, jax.eval_shape(like))

    def test_an_earlier_checkpoint_of_this_model_is_restored(self, copy):
        save(copy, 300, state_of(300, width=61))
        restored = restore(copy, LIKE)
        assert restored.step == 200
        assert restored.skipped[0].reason.startswith("is of another model")


def python(program, *arguments):
    """Arguments that run a program with the names of this module."""
    setup = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from test_checkpoint import *\n"
    return [sys.executable, "-W", "error", "-c", setup + program, *map(str, arguments)]


FULL_DISK = """
import resource
from jaxgen.training import checkpoint
if sys.argv[2] == "while writing":
    checkpoint._reserve = lambda folder, leaves: None
# Less than one kernel (12,000 bytes): how Orbax divides the leaves into files differs between runs.
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
try:
    save(sys.argv[1], 300, state_of(300), keep=1)
except InputError as error:
    print(error)
assert restore(sys.argv[1], LIKE).step == 200
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
save(sys.argv[1], 300, state_of(300), keep=2)
assert_same(restore(sys.argv[1], LIKE).state, state_of(300))
"""


@pytest.mark.parametrize("moment", ["before writing", "while writing"])
def test_a_full_disk_is_reported_and_earlier_checkpoints_are_kept(moment, copy):
    done = subprocess.run(python(FULL_DISK, copy, moment), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (sentence,) = done.stdout.splitlines()
    assert sentence.startswith(f"the checkpoint of step 300 could not be written to {copy} (")
    assert "File too large" in sentence
    assert steps(copy) == [200, 300]
    assert sorted(path.name for path in copy.iterdir()) == ["200", "300"]
    if moment == "before writing":  # Threads of Orbax may print an error later.
        assert done.stderr == ""


def test_a_disk_that_can_hold_no_more_files_is_reported(copy, monkeypatch, capfd):
    free = os.statvfs(copy)
    full = SimpleNamespace(f_files=1000, f_favail=7)
    monkeypatch.setattr(os, "statvfs", lambda path: full if Path(path) == copy else free)
    before = files(copy)
    with pytest.raises(
        InputError, match=r"step 300 could not be .* \(the disk has room for 7 more files, and \d+ may be"
    ):
        save(copy, 300, state_of(300))
    assert files(copy) == before
    assert capfd.readouterr().err == ""


SAVE_ENDLESSLY = """
import itertools
input()
for step in itertools.count(300):
    save(sys.argv[1], step, state_of(step), meta={"of": step}, keep=1)
    print(step, flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_complete_checkpoint(copy):
    rng, program = random.Random(0), python(SAVE_ENDLESSLY, copy)
    # All are started at once, because starting takes longest, and wait for their input.
    killed = [subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in killed:
        process.stdin.write("go\n")
        process.stdin.flush()
        first = process.stdout.readline()
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0]
        done = int((first + rest).split()[-1])
        restored = restore(copy, LIKE)
        assert restored.step in (done, done + 1)
        assert_same(restored.state, state_of(restored.step))
        assert restored.meta == {"of": restored.step}
    save(copy, restored.step + 1, state_of(1), keep=1)
    assert [path.name for path in copy.iterdir()] == [str(restored.step + 1)]
