"""Checkpoints that are whole, and everything that can happen to them: damage, a full disk, a kill at any moment."""

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.training.checkpoint import restore, save, steps


def state_of(step, width=60):
    """A state with the kinds of leaves that there are: nested optax states, empty ones, integers, statistics."""
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
    def test_an_interrupt_waits_for_the_checkpoint(self, tmp_path, monkeypatch):
        """Whenever Ctrl-C is pressed: one that comes in the midst of writing ends the process after it, not in it."""
        monkeypatch.setattr(
            "jaxgen.training.checkpoint._reserve", lambda folder, size: signal.raise_signal(signal.SIGINT)
        )
        # Whoever runs the tests in the background may have told all processes to take no notice of Ctrl-C.
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


class TestWhole:
    def test_everything_comes_back(self, two):
        before = files(two)
        restored = restore(two, LIKE)
        assert (restored.step, restored.meta, restored.skipped) == (200, {"of": 200}, ())
        assert_same(restored.state, state_of(200))
        assert files(two) == before

    def test_an_earlier_one_comes_back_if_asked_for(self, two):
        for until, found in ((100, 100), (199, 100), (200, 200), (10**9, 200)):
            restored = restore(two, LIKE, until=until)
            assert restored.step == found
            assert_same(restored.state, state_of(found))
        with pytest.raises(InputError, match="there is no checkpoint in"):
            restore(two, LIKE, until=99)

    def test_the_newest_few_are_kept(self, tmp_path):
        for step in (5, 10, 20, 100):
            save(tmp_path / "new" / "folder", step, state_of(step), keep=2)
        assert steps(tmp_path / "new" / "folder") == [20, 100]
        assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["100", "20"]

    def test_meta_comes_back_as_json_has_it(self, tmp_path):
        save(tmp_path, 1, state_of(1), meta={"diverged": {10: (1, None), 2: "ü"}})
        assert restore(tmp_path, LIKE).meta == {"diverged": {"10": [1, None], "2": "ü"}}

    def test_meta_that_is_not_json_is_refused_before_anything_is_written(self, copy):
        before = files(copy)
        with pytest.raises(TypeError, match="not JSON serializable"):
            save(copy, 100, state_of(100), meta={"key": jax.random.key(0)})
        assert files(copy) == before

    def test_a_run_that_went_back_leaves_its_former_future(self, copy):
        shutil.rmtree(copy / "200" / "state")
        save(copy, 150, state_of(150))
        assert steps(copy) == [100, 150]
        save(copy, 150, state_of(151))
        assert_same(restore(copy, LIKE).state, state_of(151))

    def test_the_sums_are_as_the_tool_of_that_name_writes_them(self, two):
        sums = dict(line.split("  ")[::-1] for line in (two / "200" / "SHA256SUMS").read_text().splitlines())
        contents = {str(name): content for name, content in files(two / "200").items() if str(name) != "SHA256SUMS"}
        assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}

    def test_nothing_keeps_running(self, tmp_path):
        before = threading.active_count()
        save(tmp_path, 1, state_of(1))
        restore(tmp_path, LIKE)
        deadline = time.monotonic() + 20
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threading.active_count() <= before


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    place = random.Random(len(content)).randrange(len(content))
    return content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]


def emptied(content):
    return b""


class TestDamage:
    @pytest.mark.parametrize("damage", [cut, flip, emptied, None], ids=["cut", "flipped", "empty", "gone"])
    def test_any_damage_to_any_file_leads_back_to_the_one_before(self, damage, copy, capfd):
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
            # A flipped letter of the sums looks like damage to the file of its line; without sums there was no end.
            if name.name != "SHA256SUMS" or damage in (cut, emptied):
                assert str(skipped) == f"the checkpoint of step 200 is damaged: its {name} changed after it was written"
            path.write_bytes(content)
        assert restore(copy, LIKE).step == 200
        # The libraries that read the files would have said more, in tracebacks.
        assert capfd.readouterr().err == ""

    def test_a_file_too_many(self, copy):
        (copy / "200" / "state" / "stray").write_text("x")
        assert "its state/stray changed" in str(restore(copy, LIKE).skipped[0])

    def test_no_checkpoint_is_whole(self, copy):
        for step in ("100", "200"):
            shutil.rmtree(copy / step / "meta")
        with pytest.raises(InputError, match=r"can be used: the checkpoint of step 200 .*; the checkpoint of step 100"):
            restore(copy, LIKE)

    def test_there_is_none(self, tmp_path):
        assert steps(tmp_path / "none") == []
        with pytest.raises(InputError, match="there is no checkpoint in"):
            restore(tmp_path / "none", LIKE)

    def test_strangers_in_the_folder_are_left_alone(self, copy):
        (copy / "notes").mkdir()
        (copy / "notes.txt").write_text("mine")
        assert restore(copy, LIKE).step == 200
        save(copy, 300, state_of(300), keep=1)
        assert sorted(path.name for path in copy.iterdir()) == ["300", "notes", "notes.txt"]


class TestAnotherModel:
    @pytest.mark.parametrize(
        ("like", "said"),
        [
            (lambda: state_of(0, width=61), r"params/net/Dense_0/bias is float32 \(60,\), not float32 \(61,\)"),
            (lambda: state_of(0).replace(step=jnp.float32(0)), r"its step is int32 \(\), not float32 \(\)"),
            (lambda: state_of(0).replace(stats={}), "it has stats/net/mean, which this one has not"),
            (lambda: state_of(0).replace(stats={"net": {"mean": jnp.ones(3), "sd": 1}}), "it has no stats/net/sd"),
        ],
    )
    def test_what_is_different_is_named(self, like, said, two):
        with pytest.raises(InputError, match=f"the checkpoint of step 200 is of another model: .*{said}"):
            restore(two, jax.eval_shape(like))

    def test_one_of_this_model_before_it_is_found(self, copy):
        save(copy, 300, state_of(300, width=61))
        restored = restore(copy, LIKE)
        assert restored.step == 200
        assert restored.skipped[0].reason.startswith("is of another model")


def python(program, *arguments):
    """Run a program that sees the names of this module."""
    setup = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from test_checkpoint import *\n"
    return [sys.executable, "-W", "error", "-c", setup + program, *map(str, arguments)]


FULL_DISK = """
import resource
from jaxgen.training import checkpoint
if sys.argv[2] == "unforeseen":
    checkpoint._reserve = lambda folder, size: None
# Less than one kernel (12,000 bytes): how Orbax divides the leaves into files is a matter of chance.
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


@pytest.mark.parametrize("moment", ["foreseen", "unforeseen"])
def test_a_full_disk(moment, copy):
    done = subprocess.run(python(FULL_DISK, copy, moment), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (sentence,) = done.stdout.splitlines()
    assert sentence.startswith(f"the checkpoint of step 300 could not be written to {copy} (")
    assert "File too large" in sentence
    assert steps(copy) == [200, 300]
    assert sorted(path.name for path in copy.iterdir()) == ["200", "300"]
    if moment == "foreseen":
        assert done.stderr == ""


SAVE_WITHOUT_END = """
import itertools
input()
for step in itertools.count(300):
    save(sys.argv[1], step, state_of(step), meta={"of": step}, keep=1)
    print(step, flush=True)
"""


def test_a_kill_at_any_moment(copy):
    rng, program = random.Random(0), python(SAVE_WITHOUT_END, copy)
    # All are started at once, which takes them longest, and wait for their turn.
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
