"""Points of a `.csv` file: numbers, names of columns and classes as they are written; anything else is an error."""

from pathlib import Path

import numpy as np
import pytest

from jaxgen.data.csv_points import read_csv
from jaxgen.errors import InputError

POINTS = np.random.default_rng(0).normal(size=(30, 2))


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("header", [["x,y"], []])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_numbers_of_a_csv_file_are_read_exactly_with_and_without_a_header(
    tmp_path: Path, header: list[str], end: str
) -> None:
    lines = [*header, *(f"{x!r},{y!r}" for x, y in POINTS.tolist()), ""]
    path = tmp_path / "a.csv"
    path.write_bytes(end.join(lines).encode())
    found = read_csv(path)
    assert list(found.arrays) == ["point"]
    np.testing.assert_array_equal(found.arrays["point"], POINTS.astype(np.float32))


@pytest.mark.parametrize("columns", [1, 2, 12])
def test_the_numbers_of_columns_that_pandas_writes_are_no_point(tmp_path: Path, columns: int) -> None:
    points = np.random.default_rng(0).normal(size=(5, columns))
    lines = [",".join(map(repr, row)) for row in points.tolist()]
    path = write(tmp_path / "a.csv", ",".join(map(str, range(columns))), *lines)
    np.testing.assert_array_equal(read_csv(path).arrays["point"], points.astype(np.float32))
    origin = write(tmp_path / "b.csv", ",".join(["0.0", *map(str, range(1, columns))]), *lines)
    assert len(read_csv(origin).arrays["point"]) == 6


@pytest.mark.parametrize("delimiter", [",", ";", "\t", ", "])
def test_csv_files_have_commas_semicolons_or_tabs(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path / "a.csv", *(delimiter.join(row) for row in (["x", "y", "Label"], ["1", "2e3", "0"])))
    found = read_csv(path)
    assert found.arrays["point"].tolist() == [[1.0, 2000.0]]
    assert found.arrays["label"].tolist() == [0]


def test_text_labels_of_a_csv_file_become_class_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "\ufeffx,label,y", '1,"Iris, blue",2', "3,rose,4", '5,"Iris, blue",6')
    found = read_csv(path)
    assert found.class_names == ("Iris, blue", "rose")
    assert found.arrays["point"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert found.arrays["label"].tolist() == [0, 1, 0]


@pytest.mark.parametrize(("cells", "labels"), [(["0", "2", "1"], [0, 2, 1]), (["0.0", "2.0", "1.0"], [0, 2, 1])])
def test_whole_numbers_of_a_csv_file_are_the_labels_themselves(
    tmp_path: Path, cells: list[str], labels: list[int]
) -> None:
    path = write(tmp_path / "a.csv", "0,1,label", *(f"1,{i},{cell}" for i, cell in enumerate(cells)))
    found = read_csv(path)
    assert (found.class_names, found.arrays["label"].tolist()) == ((), labels)
    assert found.arrays["point"].tolist() == [[1, 0], [1, 1], [1, 2]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "a.csv must have a line for each point, got none"),
        (["", " , "], "a.csv must have a line for each point, got none"),
        (["0,1", "2,3", "4,5.5"], "the first line of .*a.csv, 0,1, may be the names of the columns or a point: give"),
        ([",0,1", "0,1.5,2.5"], "column 1 of .*a.csv must have a name, got none; leave out a column that numbers the"),
        (["x,y", "1_000,2"], "line 2 of .*a.csv must have a number in the column 'x', got '1_000'"),
        (["x,y"], r"the points of .*a.csv must have the shape \[n, dim\], got \(0, 2\)"),
        (["label", "1"], r"must have at most one column 'label', and others of numbers, got \['label'\]"),
        (["x,label,Label", "1,1,1"], "must have at most one column 'label'"),
        (["x,y", "1,2", "3"], "line 3 of .*a.csv must have 2 cells, got 1"),
        (["x,y", "1,2", "", "3,4,5"], "line 4 of .*a.csv must have 2 cells, got 3"),
        (["x,y", "1,2", "3,b"], "line 3 of .*a.csv must have a number in the column 'y', got 'b'; a column of classes"),
        (["1,2", "3,"], "line 2 of .*a.csv must have a number in the column '2', got ''"),
        (["5.1,3.5,setosa"], "line 1 of .*a.csv must have a number in the column '3', got 'setosa'; a column of class"),
        (["x,y", "1,nan"], "'point' in .*a.csv must be finite"),
        (["x,y", "1,inf"], "'point' in .*a.csv must be finite"),
        (["x,label", "1,a", "2,"], "every point of .*a.csv must have a label, got none for point 2"),
        (["x,label", "1,-1", "2,1"], "must be from 0 to 65535, got -1 to 1; number the classes from 0"),
        (["x,label", "1,2000000000"], "must be from 0 to 65535, got 2000000000 to 2000000000"),
        ([",x,y", "0,1,2"], "column 1 of .*a.csv must have a name, got none; leave out a column that numbers the rows"),
    ],
)
def test_error_states_what_is_invalid_in_a_csv_file(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_csv(write(tmp_path / "a.csv", *lines))


@pytest.mark.parametrize("content", [b"\xff\xfe1\0", b'1,"' + b"2" * 200_000, b"1,\0,2\n"])
def test_bytes_that_are_no_table_are_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"a.csv"):
        read_csv(tmp_path / "a.csv")


def test_a_csv_file_above_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match=r"a.csv must have at most 4294967296 bytes, got 1099511627776"):
        read_csv(tmp_path / "a.csv")
