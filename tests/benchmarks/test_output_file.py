"""The file of a benchmark's numbers is refused in one sentence if it cannot be written."""

import argparse

import pytest
from output_file import output_file


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing/numbers.json", "there is no folder '.*missing'"),
        ("numbers.txt", r"\.json"),
        ("folder.json", "is a folder"),
    ],
)
def test_file_that_cannot_be_written_is_an_error_of_the_command_line(tmp_path, capsys, name, sentence):
    (tmp_path / "folder.json").mkdir()
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=output_file(".json"))
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--json", str(tmp_path / name)])
    assert "error: argument --json: " in capsys.readouterr().err
    with pytest.raises(argparse.ArgumentTypeError, match=sentence):
        output_file(".json")(str(tmp_path / name))
    assert parser.parse_args(["--json", str(tmp_path / "numbers.json")]).json == tmp_path / "numbers.json"
