"""The list of runs below a folder."""

import dataclasses
import errno
import json
import os
import shutil

import filelock
import pytest

from jaxgen.errors import InputError
from jaxgen.runs import read_config, write_config
from jaxgen.runs.listing import list_runs
from tests.small_runs import LINEAR, log_lines


def test_complete_run_has_the_metrics_of_its_summary(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "deep" / "er" / "run")
    (run,) = list_runs(tmp_path)
    assert (run.folder, run.model, run.data, run.seeds) == (tmp_path / "deep" / "er" / "run", "linear", "digits", 1)
    assert (run.step, run.steps, run.state) == (60, 60, "complete")
    assert run.metrics == json.loads((finished / "summary.json").read_text())["test"]


def test_metrics_of_several_seeds_are_means(finished_two_seeds):
    (run,) = list_runs(finished_two_seeds)
    summary = json.loads((finished_two_seeds / "summary.json").read_text())["test"]
    assert run.seeds == 2
    assert run.metrics == {name: value["mean"] for name, value in summary.items()}


@pytest.fixture
def stopped(copy):
    """A copy of a run that was stopped after step 40 of 60."""
    (copy / "summary.json").unlink()
    shutil.rmtree(copy / "checkpoints" / "60")
    (copy / "metrics.jsonl").write_text("\n".join((copy / "metrics.jsonl").read_text().splitlines()[:4]))
    return copy


def test_stopped_and_current_runs_have_their_newest_metrics(stopped):
    (run,) = list_runs(stopped)
    assert (run.step, run.steps, run.state) == (40, 60, "stopped")
    assert run.metrics == {"net/loss": log_lines(stopped)[-1]["net/loss"]}
    with filelock.FileLock(stopped / ".lock"):
        assert list_runs(stopped)[0].state == "training"


def test_metrics_of_validation_examples_and_samples_come_first_and_are_the_newest_ones(stopped):
    values = [
        {
            "net/loss": 3.0,
            "net/gradient_norm": 1.0,
            "samples/modes": 5.0,
            "validation/elbo": -4.0,
            "validation/kl": 1.0,
        },
        {"net/loss": 2.0, "net/gradient_norm": 1.0, "validation/elbo": -3.0, "validation/kl": None},
        {"net/loss": 1.0, "net/gradient_norm": 1.0, "odd": 10**400, "text": "a", "true": True, "list": [1.0]},
    ]
    lines = [json.dumps({"step": 10 * (i + 1), "seconds": 0.1, **value}) for i, value in enumerate(values)]
    (stopped / "metrics.jsonl").write_text("\n".join(lines))
    assert list(list_runs(stopped)[0].metrics.items()) == [
        ("validation/elbo", -3.0),
        ("samples/modes", 5.0),
        ("net/loss", 1.0),
    ]


def with_summary(folder, **content):
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | content))


def with_config(folder, **changes):
    description = read_config(folder, family=LINEAR)
    config = dataclasses.replace(description.config, validation_fraction=0.1, keep_best="mse", **changes)
    write_config(folder, description._replace(config=config))


def test_a_run_that_was_continued_is_not_what_its_old_summary_says(copy):
    best = {"step": 40, "value": 0.5, "evaluations": 2}
    with_config(copy, steps=100, patience=2)
    with_summary(copy, step=60, ended_early=True, best=best)
    assert (list_runs(copy)[0].state, list_runs(copy)[0].step) == ("complete", 60)
    with_config(copy, steps=100, patience=3)  # As a resumed training writes it.
    assert list_runs(copy)[0].state == "stopped"
    with_config(copy, steps=100, patience=2)
    (copy / "checkpoints" / "60").rename(copy / "checkpoints" / "80")  # Trained on, and stopped before the next line.
    assert (list_runs(copy)[0].state, list_runs(copy)[0].step) == ("stopped", 80)


def test_metrics_of_the_best_state_are_marked(copy):
    with_config(copy)
    assert list_runs(copy)[0].best is None
    with_summary(copy, best={"step": 40, "value": 0.5, "evaluations": 2})
    (run,) = list_runs(copy)
    assert (run.state, run.step, run.best) == ("complete", 60, 40)


def test_presets_are_named(copy):
    write_config(copy, read_config(copy, family=LINEAR)._replace(preset="wgan-gp"))
    assert list_runs(copy)[0].model == "wgan-gp"


def test_a_changed_config_is_the_state_of_its_run(copy):
    path = copy / "config.json"
    path.write_text(path.read_text().replace('"steps": 60', '"steps": 61'))
    (run,) = list_runs(copy)
    assert "config.json was changed or damaged" in run.state


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"config": 3}', '{"family": "vae", "config": {"steps": "x"}}', "[" * 100_000]
)
def test_damaged_runs_are_listed_with_the_reason_beside_the_others(content, copy):
    other = copy.parent / "other"
    other.mkdir()
    (other / "config.json").write_text(content)
    good, bad = list_runs(copy.parent)
    assert good.state == "complete"
    assert (bad.folder, bad.model) == (other, "")
    assert bad.state
    assert "\n" not in bad.state


DAMAGED_SUMMARIES = {
    "empty": "",
    "a list": "[]",
    "null": "null",
    "a number": "5",
    "deep": "[" * 100_000,
    "no metrics": '{"step": 60}',
    "metrics of another type": '{"step": 60, "test": 5}',
    "a metric of another type": '{"step": 60, "test": {"mse": "0.1"}}',
    "a metric too large for float": f'{{"step": 60, "test": {{"mse": 1{400 * "0"}}}}}',
    "a metric that is not finite": '{"step": 60, "test": {"mse": NaN}}',
    "metrics of several seeds": '{"step": 60, "test": {"mse": {"mean": 1.0, "sd": 1.0, "worst": 1.0, "seeds": [1.0]}}}',
    "a step of another type": '{"step": [60], "test": {"mse": 1.0}}',
    "a best state of another type": '{"step": 60, "test": {"mse": 1.0}, "best": [3]}',
    "an end of another type": '{"step": 60, "test": {"mse": 1.0}, "ended_early": 1}',
}


@pytest.mark.parametrize("content", DAMAGED_SUMMARIES.values(), ids=DAMAGED_SUMMARIES)
def test_damaged_summaries_hide_neither_their_run_nor_the_others(content, copy):
    shutil.copytree(copy, copy.parent / "other")
    (copy / "summary.json").write_text(content)
    damaged, other = list_runs(copy.parent)
    assert (damaged.state, damaged.step, list(damaged.metrics)) == (
        "stopped",
        60,
        ["samples/sliced_wasserstein", "net/loss"],
    )
    assert other.state == "complete"


@pytest.mark.parametrize("function", ["fcntl.flock", "jaxgen.runs.listing.completed"])
def test_folders_that_may_not_be_written_or_read_do_not_hide_the_others(function, copy, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    (copy / ".lock").touch()
    monkeypatch.setattr(function, refuse)
    (run,) = list_runs(copy)
    assert run.state in ("complete", "PermissionError: [Errno 13] Permission denied")


def test_links_to_runs_are_followed_once(finished, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(finished)
    (tmp_path / "runs" / "cycle").symlink_to(tmp_path / "runs")
    assert [run.folder for run in list_runs(tmp_path / "runs")] == [tmp_path / "runs" / "linked"]
    shutil.copytree(finished, tmp_path / "runs" / "real")
    (tmp_path / "runs" / "a link").symlink_to(tmp_path / "runs" / "real")
    assert [run.folder.name for run in list_runs(tmp_path / "runs")] == ["linked", "real"]
    assert [run.folder.name for run in list_runs(tmp_path / "runs" / "linked")] == ["linked"]


def test_folders_outside_the_given_one_are_not_searched(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "disk" / "deep" / "run")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "everything").symlink_to(tmp_path / "disk")
    (tmp_path / "runs" / "nowhere").symlink_to(tmp_path / "absent")
    assert list_runs(tmp_path / "runs") == []


@pytest.fixture
def read_only_disk(monkeypatch):
    """Refuse to open files for writing, as a disk that is mounted read-only does, also to root."""
    opened = os.open

    def refuse(path, flags, *arguments, **options):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return opened(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)


def test_runs_that_cannot_be_written_are_listed_as_they_are(stopped, finished, request):
    shutil.copytree(finished, stopped.parent / "other")
    with filelock.FileLock(stopped / ".lock"):
        request.getfixturevalue("read_only_disk")
        assert sorted(run.state for run in list_runs(stopped.parent)) == ["complete", "training"]


def test_locks_that_are_links_lock_nothing_and_are_not_followed(copy):
    (copy / ".lock").unlink(missing_ok=True)
    (copy / ".lock").symlink_to(copy.parent / "absent")
    assert list_runs(copy)[0].state == "complete"
    with filelock.FileLock(copy.parent / "absent"):
        assert list_runs(copy)[0].state == "complete"


def test_special_files_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    (run,) = list_runs(tmp_path)
    assert "config.json must be a regular file" in run.state


def test_absent_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        list_runs(tmp_path / "absent")
