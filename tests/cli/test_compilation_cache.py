"""The cache of compiled programs: its folder, its bits, incomplete files and files that cannot be written."""

import json
import os
import subprocess
import sys
import warnings

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from jaxgen.cli.compilation_cache import OPTIONS, cache_compiled_programs
from jaxgen.runs import load_run

DIRECTORY = "jax_compilation_cache_dir"
ENABLE = "jax_enable_compilation_cache"


def environment(cache_home, **variables):
    """The environment of a user: that of the tests disables the cache and optimizations of the compiler."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    return others | {"XDG_CACHE_HOME": str(cache_home)} | variables


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    """Folder of cached programs, with JAX's default options, which are restored afterwards."""
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
    """Name of a program's file -> its inode and time, which differ if it is written again."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*-cache")}


def test_second_run_compiles_nothing_and_has_the_bits_of_the_first(tmp_path):
    folder = tmp_path / "cache" / "jaxgen" / "programs"
    everything = environment(tmp_path / "cache", JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0")

    def train(name):
        model = ["classifier", "--architecture", "mlp", "--hidden", "16"]
        command = ["train", *model, "--steps", "20", "--log-every", "10", "--out", tmp_path / name]
        done = subprocess.run(
            [sys.executable, "-m", "jaxgen", *command], env=everything, capture_output=True, text=True, check=True
        )
        # No other lines, such as XLA's remarks about a program in the cache.
        assert [line.split()[0] for line in done.stderr.splitlines()] == ["compiled", "10/20", "20/20"]
        return load_run(tmp_path / name), json.loads((tmp_path / name / "summary.json").read_text())["test"]

    first, first_test = train("first")
    compiled = programs(folder)
    assert any(name.startswith("jit_run_all") for name in compiled)
    second, second_test = train("second")
    assert programs(folder) == compiled
    for x, y in zip(jax.tree.leaves(first.state), jax.tree.leaves(second.state), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))
    assert first_test == second_test


SHOW = f"""
import jax, jaxgen.cli.main, jaxgen.cli.compilation_cache as cache, jaxgen.runs
def show(): print(*(getattr(jax.config, name) for name in ({DIRECTORY!r}, *cache.OPTIONS)), sep=",")
show()
cache.cache_compiled_programs()
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
def test_only_commands_enable_the_cache_and_environment_variables_override_it(variables, before, after, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment(tmp_path, **variables), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [before, after.replace("CACHE", str(tmp_path))]
    assert (tmp_path / "jaxgen").exists() == after.startswith("CACHE")


def test_default_folder_is_in_home_and_relative_xdg_path_is_ignored(cache_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    cache_compiled_programs()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "home" / ".cache" / "jaxgen" / "programs")


def test_folder_that_cannot_be_written_gives_one_notice(cache_folder, jaxgen):
    cache_folder.parent.write_text("a file in place of the folder")
    result = jaxgen("list")
    assert result.status == 0
    assert result.out.startswith("models")
    (line,) = result.err.splitlines()
    assert line.startswith("jaxgen: compiled programs are not cached for later commands: ")
    assert str(cache_folder) in line
    assert jax.config.jax_compilation_cache_dir is None


def test_incomplete_program_is_replaced_and_others_are_kept(cache_folder):
    """As of a process that was killed. JAX alone would never replace the incomplete file."""
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    double, triple = (jax.jit(lambda x, n=n: n * x) for n in (2, 3))

    def compile_again(function):
        compilation_cache.reset_cache()
        jax.clear_caches()
        jax.config.update(DIRECTORY, None)
        cache_compiled_programs()
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        assert function(np.float32(7)) == function.__wrapped__(7)

    compile_again(double)
    complete = programs(cache_folder)
    compile_again(triple)
    (killed,) = programs(cache_folder).keys() - complete.keys()
    path = cache_folder / killed
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2])
    path.with_name(path.name.removesuffix("-cache") + "-atime").unlink()
    compile_again(triple)
    compile_again(double)
    assert programs(cache_folder).items() > complete.items()
    assert path.stat().st_size == pytest.approx(size, rel=0.1)


def test_unbounded_cache_keeps_all_programs(cache_folder, monkeypatch):
    """Without a bound JAX writes no `KEY-atime`."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_MAX_SIZE", "-1")
    cache_compiled_programs()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    assert jax.jit(lambda x: 11 * x)(np.float32(7)) == 77
    complete = programs(cache_folder)
    assert complete
    jax.config.update(DIRECTORY, None)
    cache_compiled_programs()
    assert programs(cache_folder) == complete


def test_full_disk_does_not_fail_a_compilation(cache_folder, full_disk):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Tests ignore the warning elsewhere.
        cache_compiled_programs()
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        with full_disk(free=100):
            assert jax.jit(lambda x: 5 * x)(np.float32(7)) == 35
