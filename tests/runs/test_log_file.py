"""Reading of logs that are incomplete, edited or long."""

import json

import pytest

from jaxgen.runs.log_file import MAX_LAST_BYTES, last_entries, logged_value, read_log


def test_lines_that_are_no_entries_are_left_out(tmp_path):
    good = [{"step": 10, "loss": 1.5}, {"step": 20, "loss": None}]
    bad = ["5", "null", "[]", '{"loss": 1}', '{"step": "30"}', '{"step": true}', "[" * 100_000, "{", ""]
    lines = [json.dumps(good[0]), *bad, json.dumps(good[1]), '{"step": 3']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert read_log(tmp_path) == good
    assert last_entries(tmp_path) == good


def test_last_lines_of_a_long_log_are_found_at_its_end(tmp_path):
    lines = [json.dumps({"step": step, "text": "x" * 1000}) for step in range(3 * MAX_LAST_BYTES // 1000)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert last_entries(tmp_path)[-1]["step"] == len(lines) - 1


def test_a_run_without_log_has_no_entries(tmp_path):
    assert (read_log(tmp_path), last_entries(tmp_path)) == ([], [])


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1.5, 1.5),
        (2, 2.0),
        (None, None),
        (True, None),
        ("1", None),
        ([1.0], None),
        (10**400, None),
        (float("nan"), None),
    ],
)
def test_values_that_are_no_finite_numbers_are_left_out(value, number):
    entry = {"loss": value, "seeds": {"loss": [0.5, value]}}
    assert (logged_value(entry, "loss"), logged_value(entry, "loss", 1)) == (number, number)
    assert logged_value(entry, "loss", 0) == 0.5


@pytest.mark.parametrize("seeds", [None, 3, [], {}, {"loss": None}, {"loss": {"a": 1}}, {"loss": [1.0]}])
def test_edited_values_of_seeds_are_left_out(seeds):
    assert logged_value({"loss": 1.0, "seeds": seeds}, "loss", 1) is None
