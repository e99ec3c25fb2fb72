"""Points of the user in a `.csv` file, with labels if it has a column of them."""

import csv
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.data.labelled_arrays import LABEL, Labelled, as_labels, as_points, listed, with_labels
from jaxgen.data.streaming import MEMORY_LIMIT
from jaxgen.errors import InputError, shortened

DELIMITERS = ",;\t"
"""Characters between the cells of a `.csv` file: the first one of these in the first line."""


def read_csv(path: Path) -> Labelled:
    """Read points from a `.csv` file.

    Args:
        path: path of the file, in UTF-8, one point per line, with commas, semicolons or tabs between numbers. The first
            line holds the names of the columns if one of them is `label`, none of them is a number, or they are 0, 1,
            2, ... above numbers that are not whole. The column `label` holds integers from 0 on, or the names of
            classes; all others are coordinates.

    Returns:
        The arrays and the names of the classes.

    Raises:
        InputError: if the file is damaged, takes more than `MEMORY_LIMIT` bytes, or a cell is not a finite number.
    """
    if (size := path.stat().st_size) > MEMORY_LIMIT:
        raise InputError(f"{path} must have at most {MEMORY_LIMIT} bytes, got {size}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = next((mark for mark in file.readline(2**16) if mark in DELIMITERS), ",")
            file.seek(0)
            rows = csv.reader(file, delimiter=delimiter)
            return _table(path, (row for row in rows if any(cell.strip() for cell in row)), rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a .csv file in UTF-8 ({error})") from error


def _table(path: Path, rows: "Iterable[list[str]]", parser: Any) -> Labelled:
    """Convert the rows of a table; the parser has the number of the line."""
    rows = iter(rows)
    first = [cell.strip() for cell in next(rows, [])]
    if not first:
        raise InputError(f"{path} must have a line for each point, got none")
    header, rows = _header(path, first, rows)
    if header is not None and "" in header:
        raise InputError(
            f"column {header.index('') + 1} of {path} must have a name, got none; leave out a column that numbers the "
            "rows"
        )
    columns = header or [str(i + 1) for i in range(len(first))]
    places = [i for i, name in enumerate(columns) if header and name.lower() == LABEL]
    if len(places) > 1 or len(columns) == len(places):
        raise InputError(f"{path} must have at most one column 'label', and others of numbers, got {listed(columns)}")
    coordinates = [i for i in range(len(columns)) if i not in places]
    values, labels = array("d"), []
    for row in rows if header else _chained(first, rows):
        if len(row) != len(columns):
            raise InputError(f"line {parser.line_num} of {path} must have {len(columns)} cells, got {len(row)}")
        try:
            values.extend(_as_number(row[i]) for i in coordinates)
        except ValueError:
            column = next(i for i in coordinates if not _is_number(row[i]))
            raise InputError(
                f"line {parser.line_num} of {path} must have a number in the column {shortened(columns[column])}, got "
                f"{shortened(row[column])}; a column of classes has the name 'label' in the first line"
            ) from None
        if places:
            labels.append(row[places[0]].strip())
    if "" in labels:
        raise InputError(f"every point of {path} must have a label, got none for point {labels.index('') + 1}")
    points = as_points(path, np.frombuffer(values, np.float64).reshape(-1, len(coordinates)))
    numbers, class_names = as_labels(_numbers(labels)) if places else (None, ())
    return with_labels(path, "point", points, numbers, class_names)


def _chained(first: list[str], rest: Iterable[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rest


def _header(path: Path, first: list[str], rest: Iterator[list[str]]) -> tuple[list[str] | None, Iterator[list[str]]]:
    """The names of the columns, None where the first line is a point, and the lines after it."""
    if LABEL in map(str.lower, first) or not any(map(_is_number, first)):
        return first, rest
    counted = [str(i) for i in range(len(first))]
    if first[0] == "" and first[1:] == counted[:-1]:  # As pandas numbers rows and columns.
        return first, rest
    if first != counted:
        return None, rest
    # As pandas numbers columns. A point may be the same; then, as others, it is of whole numbers.
    second: list[str] = next(rest, [])
    if second and all(cell.strip().lstrip("-").isdigit() for cell in second):
        raise InputError(
            f"the first line of {path}, {','.join(first)[:40]}, may be the names of the columns or a point: give the "
            "columns names such as x1, or write the numbers as 0.0"
        )
    return first, _chained(second, rest) if second else rest


def _as_number(cell: str) -> float:
    """The number of a cell; Python's grouping of digits, as in 1_000, is none of the file's."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        _as_number(cell)
    except ValueError:
        return False
    return True


def _numbers(labels: Sequence[str]) -> np.ndarray:
    """Labels as integers if all of them are whole numbers, and as text otherwise."""
    if all(_is_number(label) for label in labels):
        values = np.array(labels, np.float64)
        if np.all(np.abs(values) < 2**53) and np.all(values == np.rint(values)):
            return values.astype(np.int64)
    return np.array(labels)
