"""The file of metrics that were measured after a training: nothing is lost, and damaged lines are left out."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from jaxgen.errors import InputError
from jaxgen.runs.measured_file import FILE, Measured, add_measured, metrics_at, read_measured

FID = "frechet_distance[digits_v1, none, n=1437/200, split=digits:train]"
SUMMARY = {"mean": 1.5, "sd": 0.5, "worst": 2.0, "seeds": [1.0, 2.0]}


def measured(value, *, step=60, command="evaluate --metrics fid"):
    return Measured(step, command, 0, {FID: value})


def test_the_last_value_of_a_metric_of_the_same_state_is_read(tmp_path):
    for line in (measured(3.0), measured(2.0), measured(9.0, step=40)):
        add_measured(tmp_path, line)
    add_measured(tmp_path, Measured(60, "evaluate --metrics rate", 7, {"rate[k=1]": None}))
    assert metrics_at(tmp_path, None, 60) == {FID: 2.0, "rate[k=1]": None}
    assert metrics_at(tmp_path, None, 40) == {FID: 9.0}
    assert metrics_at(tmp_path, None, 50) == {}
    assert [line.seed for line in read_measured(tmp_path, None)] == [0, 0, 0, 7]


def test_a_folder_without_the_file_has_no_metrics(tmp_path):
    assert read_measured(tmp_path, None) == []


def test_a_run_of_several_seeds_has_a_summary_of_as_many(tmp_path):
    add_measured(tmp_path, measured(SUMMARY))
    assert metrics_at(tmp_path, 2, 60) == {FID: SUMMARY}
    assert metrics_at(tmp_path, 3, 60) == metrics_at(tmp_path, None, 60) == {}


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 60, "command": "evaluate", "seed": 0, "met',
        '{"step": 60, "command": "evaluate", "seed": 0}',
        '{"step": true, "command": "evaluate", "seed": 0, "metrics": {"fid": 1.0}}',
        '{"step": 60, "command": "evaluate", "seed": 0, "metrics": {"fid": NaN}}',
        '{"step": 60, "command": "evaluate", "seed": 0, "metrics": {"fid": "1"}}',
        '{"step": 60, "command": "evaluate", "seed": 0, "metrics": {"fid": 1e300}}',
        '{"step": 60, "command": "evaluate", "seed": 0, "metrics": ["fid"]}',
        "[60]",
        "null",
        "[" * 100_000,
        "\x00\xff",
    ],
)
def test_a_damaged_line_is_left_out_and_costs_no_other(tmp_path, line):
    add_measured(tmp_path, measured(3.0))
    with (tmp_path / FILE).open("a") as file:
        file.write(line)  # Without the end of the line, as a process that was killed leaves it.
    add_measured(tmp_path, Measured(60, "evaluate --metrics rate", 0, {"rate": 1.0}))
    assert metrics_at(tmp_path, None, 60) == {FID: 3.0, "rate": 1.0}


def test_lines_of_processes_that_measure_at_once_are_all_kept(tmp_path):
    lines = [Measured(60, "evaluate", number, {f"metric {number}": float(number)}) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda line: add_measured(tmp_path, line), lines))
    assert len(metrics_at(tmp_path, None, 60)) == 200


def test_a_link_is_not_written_through_and_a_pipe_is_not_waited_for(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("kept")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / FILE).symlink_to(outside)
    with pytest.raises(InputError, match=r"measured.jsonl could not be written"):
        add_measured(tmp_path / "linked", measured(1.0))
    assert outside.read_text() == "kept"
    (tmp_path / "piped").mkdir()
    os.mkfifo(tmp_path / "piped" / FILE)
    with pytest.raises(InputError, match=r"measured.jsonl"):
        add_measured(tmp_path / "piped", measured(1.0))
    assert read_measured(tmp_path / "piped", None) == []


def test_a_file_that_is_no_text_has_no_metrics(tmp_path):
    (tmp_path / FILE).write_bytes(bytes(range(256)) * 10)
    assert read_measured(tmp_path, None) == []
    add_measured(tmp_path, measured(1.0))
    assert metrics_at(tmp_path, None, 60) == {FID: 1.0}


def test_values_that_are_no_json_are_refused_before_the_file_is_opened(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        add_measured(tmp_path, measured(float("nan")))
    assert not (tmp_path / FILE).exists()
