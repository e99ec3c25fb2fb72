"""Compiled programs are kept between commands: where the user wants it, with the same bits, and never at a price."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from jaxgen.cli.compilation_cache import OPTIONS, keep_compiled_programs
from jaxgen.runs import load_run

DIRECTORY = "jax_compilation_cache_dir"
ENABLE = "jax_enable_compilation_cache"


def environment(cache_home, **variables):
    """That of a user: the tests' own keep nothing, and compile quickly to slow programs."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    return others | {"XDG_CACHE_HOME": str(cache_home)} | variables


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder of programs of a user for whom JAX is as it comes; afterwards it is as it was."""
    before = {name: getattr(jax.config, name) for name in (DIRECTORY, ENABLE, *OPTIONS)}
    for name in (DIRECTORY, *OPTIONS):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compilation_cache.reset_cache()
    jax.config.update(DIRECTORY, None)
    jax.config.update(ENABLE, True)
    yield tmp_path / "jaxgen" / "programs"
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def programs(folder):
    """Name of a program's file -> what tells it from one that was written anew."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*-cache")}


def test_the_second_run_compiles_nothing_and_has_the_bits_of_the_first(tmp_path):
    folder = tmp_path / "cache" / "jaxgen" / "programs"
    everything = environment(tmp_path / "cache", JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0")

    def train(name):
        model = ["--hidden", "16", "--latent-dim", "3"]
        command = ["train", "vae", *model, "--steps", "20", "--log-every", "10", "--out", tmp_path / name]
        done = subprocess.run(
            [sys.executable, "-m", "jaxgen", *command], env=everything, capture_output=True, text=True, check=True
        )
        # Nothing but what training says, whatever XLA thinks of a program that it finds.
        assert [line.split()[0] for line in done.stderr.splitlines()] == ["compiled", "10/20", "20/20"]
        return load_run(tmp_path / name), json.loads((tmp_path / name / "summary.json").read_text())["test"]

    first, first_test = train("first")
    compiled = programs(folder)
    assert any(name.startswith("jit_play") for name in compiled)  # The turns.
    second, second_test = train("second")
    assert programs(folder) == compiled
    for x, y in zip(jax.tree.leaves(first.state), jax.tree.leaves(second.state), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))
    assert first_test == second_test


SHOW = f"""
import jax, jaxgen.cli.main, jaxgen.cli.compilation_cache, jaxgen.runs
def show(): print(*(getattr(jax.config, name) for name in ({DIRECTORY!r}, *jaxgen.cli.compilation_cache.OPTIONS)), sep=",")
show()
jaxgen.cli.compilation_cache.keep_compiled_programs()
show()
"""


@pytest.mark.parametrize(
    ("variables", "before", "after"),
    [
        ({}, "None,1.0,-1", "CACHE/jaxgen/programs,0.1,268435456"),
        ({"JAX_COMPILATION_CACHE_MAX_SIZE": "7"}, "None,1.0,7", "CACHE/jaxgen/programs,0.1,7"),
        ({"JAX_COMPILATION_CACHE_DIR": "/mine"}, "/mine,1.0,-1", "/mine,1.0,-1"),
        ({"JAX_ENABLE_COMPILATION_CACHE": "false"}, "None,1.0,-1", "None,1.0,-1"),
    ],
)
def test_commands_switch_it_on_and_imports_do_not_and_the_user_decides(variables, before, after, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment(tmp_path, **variables), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [before, after.replace("CACHE", str(tmp_path))]
    assert (tmp_path / "jaxgen").exists() == after.startswith("CACHE")


def test_without_a_cache_folder_of_the_users_choice_it_is_the_usual_one(kept, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    keep_compiled_programs()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "home" / ".cache" / "jaxgen" / "programs")


def test_a_folder_that_cannot_be_written_costs_one_line(kept, jaxgen):
    kept.parent.write_text("a file where the folder should be")
    said = jaxgen("list")
    assert said.status == 0
    assert said.out.startswith("models")
    (line,) = said.err.splitlines()
    assert line.startswith("jaxgen: compiled programs are not kept for later commands: ")
    assert str(kept) in line
    assert jax.config.jax_compilation_cache_dir is None


def test_what_was_not_written_to_its_end_is_replaced_and_the_rest_is_kept(kept):
    """As of a process that was killed. JAX alone would go on with a damaged file for ever."""
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    double, triple = (jax.jit(lambda x, n=n: n * x) for n in (2, 3))

    def compile_again(function):
        compilation_cache.reset_cache()
        jax.clear_caches()
        jax.config.update(DIRECTORY, None)
        keep_compiled_programs()
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        assert function(np.float32(7)) == function.__wrapped__(7)

    compile_again(double)
    whole = programs(kept)
    compile_again(triple)
    (killed,) = programs(kept).keys() - whole.keys()
    path = kept / killed
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2])
    path.with_name(path.name.removesuffix("-cache") + "-atime").unlink()
    compile_again(triple)
    compile_again(double)
    assert programs(kept).items() > whole.items()
    assert path.stat().st_size == pytest.approx(size, rel=0.1)


def test_programs_of_a_user_who_wants_no_bound_are_all_kept(kept, monkeypatch):
    """Without a bound JAX writes no file beside a program's."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_MAX_SIZE", "-1")
    keep_compiled_programs()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    assert jax.jit(lambda x: 11 * x)(np.float32(7)) == 77
    whole = programs(kept)
    assert whole
    jax.config.update(DIRECTORY, None)
    keep_compiled_programs()
    assert programs(kept) == whole


def test_a_disk_that_fills_up_costs_nothing_but_the_compilation(kept, full_disk):
    keep_compiled_programs()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    with full_disk(free=100):
        assert jax.jit(lambda x: 5 * x)(np.float32(7)) == 35
