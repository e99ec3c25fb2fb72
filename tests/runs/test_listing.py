"""The list of runs below a folder."""

import json
import os
import shutil

import filelock
import pytest

from jaxgen.errors import InputError
from jaxgen.runs import read_config, write_config
from jaxgen.runs.listing import list_runs
from tests.small_runs import LINEAR


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


def test_stopped_and_current_runs_have_the_metrics_of_their_last_line(copy):
    (copy / "summary.json").unlink()
    log = (copy / "metrics.jsonl").read_text().splitlines()[:3]
    (copy / "metrics.jsonl").write_text("\n".join(log))
    last = json.loads(log[-1])
    (run,) = list_runs(copy)
    assert (run.step, run.steps, run.state) == (30, 60, "stopped")
    assert run.metrics == {name: value for name, value in last.items() if name not in ("step", "seconds")}
    with filelock.FileLock(copy / ".lock"):
        assert list_runs(copy)[0].state == "training"


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


def test_damaged_summaries_do_not_hide_a_run(copy):
    (copy / "summary.json").write_text('{"step": 60, "test": 5}')
    assert list_runs(copy)[0].metrics == {}


def test_links_to_folders_are_followed_once(finished, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(finished)
    (tmp_path / "runs" / "cycle").symlink_to(tmp_path / "runs")
    assert [run.folder for run in list_runs(tmp_path / "runs")] == [tmp_path / "runs" / "linked"]
    shutil.copytree(finished, tmp_path / "runs" / "real")
    (tmp_path / "runs" / "a link").symlink_to(tmp_path / "runs" / "real")
    assert [run.folder.name for run in list_runs(tmp_path / "runs")] == ["linked", "real"]


def test_special_files_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    (run,) = list_runs(tmp_path)
    assert "config.json must be a regular file" in run.state


def test_absent_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        list_runs(tmp_path / "absent")
