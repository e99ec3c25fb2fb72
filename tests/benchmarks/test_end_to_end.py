"""The arguments of the benchmark of complete commands."""

import pytest
from end_to_end import parse


def test_the_folder_of_original_files_has_the_name_that_data_prepare_gives_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["end_to_end.py", "--source", str(tmp_path)])
    with pytest.raises(SystemExit):
        parse()
    assert "--source must have the original files of MNIST" in capsys.readouterr().err
    (tmp_path / "train-images-idx3-ubyte.gz").touch()
    assert parse().source == tmp_path
    monkeypatch.setattr("sys.argv", ["end_to_end.py", "--data-dir", str(tmp_path)])
    with pytest.raises(SystemExit):
        parse()
