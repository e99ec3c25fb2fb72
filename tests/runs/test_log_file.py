"""Reading of logs that are incomplete, edited or long."""

import json

from jaxgen.runs.log_file import MAX_LAST_BYTES, last_entry, read_log


def test_lines_that_are_no_entries_are_left_out(tmp_path):
    good = [{"step": 10, "loss": 1.5}, {"step": 20, "loss": None}]
    bad = ["5", "null", "[]", '{"loss": 1}', '{"step": "30"}', '{"step": true}', "[" * 100_000, "{", ""]
    lines = [json.dumps(good[0]), *bad, json.dumps(good[1]), '{"step": 3']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert read_log(tmp_path) == good
    assert last_entry(tmp_path) == good[-1]


def test_last_line_of_a_long_log_is_found_at_its_end(tmp_path):
    lines = [json.dumps({"step": step, "text": "x" * 1000}) for step in range(3 * MAX_LAST_BYTES // 1000)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert last_entry(tmp_path)["step"] == len(lines) - 1


def test_a_run_without_log_has_no_entries(tmp_path):
    assert (read_log(tmp_path), last_entry(tmp_path)) == ([], None)
