"""Resumed runs end with the bits and the log of runs without an interruption."""

import dataclasses
import shutil

import pytest

from jaxgen.runs import load_run, train
from jaxgen.training import checkpoint
from tests.small_runs import LINEAR, LinearConfig, assert_same_state, log_lines, untimed

CHANGE = 6
"""Last step of the first of two phases: the second chunk of four steps is cut there."""


@pytest.fixture
def interrupt(monkeypatch):
    """`interrupt(step, saved=True)`: interrupt the next training before or after it has saved a checkpoint."""

    def at(step, *, saved=True):
        def save(folder, at, state, **meta):
            if at == step and not saved:
                raise KeyboardInterrupt
            checkpoint.save(folder, at, state, **meta)
            if at == step:
                raise KeyboardInterrupt

        monkeypatch.setattr("jaxgen.callbacks.checkpoints.save", save)

    return at


def test_more_steps_give_the_bits_of_one_long_run(finished, tmp_path, linear_config):
    train(tmp_path / "run", LINEAR, dataclasses.replace(linear_config, steps=30))
    train(tmp_path / "run", LINEAR, linear_config, resume=True)
    assert_same_state(load_run(tmp_path / "run", family=LINEAR), load_run(finished, family=LINEAR))
    assert [line["step"] for line in log_lines(tmp_path / "run")] == [10, 20, 30, 40, 50, 60]


def test_a_finished_run_may_be_resumed(copy, finished, linear_config):
    summary = (copy / "summary.json").read_text()
    train(copy, LINEAR, linear_config, resume=True)
    assert_same_state(load_run(copy, family=LINEAR), load_run(finished, family=LINEAR))
    assert (copy / "summary.json").read_text() == summary


def test_the_newest_complete_checkpoint_is_used_instead_of_a_damaged_one(copy, finished, linear_config):
    for path in (copy / "checkpoints" / "60").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run = load_run(copy, family=LINEAR)
    assert run.step == 40
    assert "60" in run.skipped[0]
    notices = []
    train(copy, LINEAR, linear_config, resume=True, notify=notices.append)
    assert any("60" in line for line in notices)
    assert "resuming at step 40" in notices
    assert_same_state(load_run(copy, family=LINEAR), load_run(finished, family=LINEAR))


def test_a_run_killed_in_its_first_checkpoint_starts_from_the_beginning(copy, finished, linear_config):
    for folder in (copy / "checkpoints").iterdir():
        if folder.name != "20":
            shutil.rmtree(folder)
    # Orbax has renamed the folder, and the process was killed before the sums of its files were written.
    (copy / "checkpoints" / "20" / "SHA256SUMS").unlink()
    notices = []
    train(copy, LINEAR, linear_config, resume=True, notify=notices.append)
    assert any("starting from the beginning" in line for line in notices)
    assert_same_state(load_run(copy, family=LINEAR), load_run(finished, family=LINEAR))
    assert untimed(log_lines(copy)) == untimed(log_lines(finished))


@pytest.mark.parametrize("seeds", [None, 2], ids=["one seed", "two seeds"])
def test_a_run_interrupted_around_the_change_of_its_phase_has_the_same_bits(seeds, tmp_path, linear_config, interrupt):
    """Both phases have regularizers, at steps 0, 4 and 6, 9; the second one has another batch size and two updates."""
    config = dataclasses.replace(
        linear_config,
        model_config=LinearConfig(samples=False, change=CHANGE, regularizer_every=4),
        steps=12,
        log_every=4,
        checkpoint_every=1,
        seeds=seeds,
    )
    train(tmp_path / "complete", LINEAR, config)
    complete = load_run(tmp_path / "complete", family=LINEAR)
    assert [line["step"] for line in log_lines(tmp_path / "complete")] == [4, 6, 8, 12]
    assert int(complete.state.opt["net"][0].count[0]) == 2 * (12 - CHANGE) + 2  # Reset at the change.

    # The first of them leaves a line of the log for the steps after its checkpoint.
    for number, (step, saved, newest) in enumerate([(CHANGE, False, 4), (CHANGE, True, CHANGE), (8, True, 8)]):
        interrupt(step, saved=saved)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "run", LINEAR, config, resume=number > 0)
        assert load_run(tmp_path / "run", family=LINEAR).step == newest
    interrupt(None)
    summary = train(tmp_path / "run", LINEAR, config, resume=True)
    resumed = load_run(tmp_path / "run", family=LINEAR)
    assert_same_state(resumed, complete)
    assert untimed(log_lines(tmp_path / "run")) == untimed(log_lines(tmp_path / "complete"))
    assert summary["step"] == 12
