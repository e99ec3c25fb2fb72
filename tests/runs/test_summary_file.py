"""Reading of summaries: what a training writes, and nothing else."""

import json
import os

import pytest

from jaxgen.callbacks.best_state import Found
from jaxgen.runs.summary_file import MAX_BYTES, Summary, read_summary


def test_summaries_of_trainings_are_read(finished, finished_two_seeds):
    for folder, seeds in ((finished, None), (finished_two_seeds, 2)):
        written = json.loads((folder / "summary.json").read_text())
        assert read_summary(folder, seeds) == Summary(60, False, None, written["test"])
        assert read_summary(folder, 3) is None  # Not the seeds of this run.


def test_the_best_state_is_read(tmp_path):
    best = {"step": 40, "value": -2.5, "evaluations": 3}
    content = {"step": 60, "ended_early": True, "best": best, "test": {"mse": None}}
    (tmp_path / "summary.json").write_text(json.dumps(content))
    assert read_summary(tmp_path, None) == Summary(60, True, Found(40, -2.5, 3), {"mse": None})
    (tmp_path / "summary.json").write_text(json.dumps(content | {"best": {"step": 0, "value": None, "evaluations": 6}}))
    assert read_summary(tmp_path, None).best is None


@pytest.mark.parametrize(
    "metric",
    [
        {"mean": 1.0},
        {"mean": 1.0, "sd": 0.0, "worst": 1.0, "seeds": [1.0]},
        {"mean": 1.0, "sd": 0.0, "worst": 1.0, "seeds": [1.0, "1"]},
        {"mean": 1.0, "sd": 0.0, "worst": [], "seeds": [1.0, 1.0]},
        {"mean": 1.0, "sd": 0.0, "worst": 1.0, "seeds": {"0": 1.0, "1": 1.0}},
        1.0,
    ],
)
def test_metrics_of_two_seeds_have_the_form_of_a_training(metric, tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps({"step": 1, "test": {"mse": metric}}))
    assert read_summary(tmp_path, 2) is None


def test_large_and_special_files_are_not_read(tmp_path):
    with (tmp_path / "summary.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert read_summary(tmp_path, None) is None
    (tmp_path / "summary.json").unlink()
    assert read_summary(tmp_path, None) is None
    os.mkfifo(tmp_path / "summary.json")
    assert read_summary(tmp_path, None) is None
