"""A table as people keep it: CSV from a spreadsheet or a script, or Parquet; every cell as text, with its line."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import SettingsError
from monitor.potency.number import is_measured, number_of

Matrix = NDArray[np.float64]
SEPARATORS = ",;\t"


@dataclass(frozen=True, slots=True)
class TableFile:
    """Columns of text by name, in the order of the file; `lines` are the line numbers that an editor shows."""

    path: Path
    columns: dict[str, list[str]]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.lines)

    def numbers(self, name: str, *, empty: bool, mend: str = "") -> Matrix:
        """Return a column as numbers (N,); NaN where a cell is empty or says so, which is refused unless `empty`.

        `mend` follows what is said of a cell that holds no number.

        Raises
        ------
        SettingsError
            `table`, with file, row, column and the mend.
        """
        return np.array(
            [
                self._number(name, line, text, empty, mend)
                for line, text in zip(self.lines, self.columns[name], strict=True)
            ]
        )

    def error(self, line: int, column: str, what: str) -> SettingsError:
        """Return the error of a cell."""
        return SettingsError(f"{self.path} row {line}, column {column}: {what}", reason="table")

    def _number(self, name: str, line: int, text: str, empty: bool, mend: str) -> float:
        if is_empty(text):
            if empty:
                return math.nan
            what = "is empty" if not text else f"holds {text}"
            raise self.error(line, name, f"{what}; fill it in, remove the row (--drop-incomplete does){mend}")
        number = number_of(text)
        if number is None:
            raise self.error(line, name, f"holds {text!r}, which is no number; write one with a point{mend}")
        if not is_measured(number):
            raise self.error(line, name, f"holds {text}, which is no measured value; correct that cell")
        return number


def read_table(path: Path) -> TableFile:
    """Return a table from CSV (comma, semicolon or tab, UTF-8) or, by its ending, Parquet.

    Raises
    ------
    SettingsError
        `table`, with the mend, when the file is no such table.
    """
    if path.suffix == ".parquet":
        rows = _parquet(path)
        lines = list(range(2, len(rows) + 1))
    else:
        rows, lines = _csv(path)
    if not rows or len(rows) < 2:
        message = f"{path} holds no rows; the first row names the columns, the others hold the values"
        raise SettingsError(message, reason="table")
    header = [name.strip() for name in rows[0]]
    if "" in header or len(set(header)) < len(header):
        twice = next((name for name in header if header.count(name) > 1 and name), "")
        message = f"{path} row 1: {f'names {twice!r} twice' if twice else 'has a column without a name'}"
        raise SettingsError(f"{message}; give each column its own name", reason="table")
    for line, row in zip(lines, rows[1:], strict=True):
        if len(row) != len(header):
            message = f"{path} row {line}: has {len(row)} cells where the first row names {len(header)} columns"
            raise SettingsError(f"{message}; correct that row", reason="table")
    columns = {name: [row[number].strip() for row in rows[1:]] for number, name in enumerate(header)}
    return TableFile(path, columns, lines)


def is_empty(text: str) -> bool:
    """Whether a cell holds nothing, or what programs write for nothing."""
    return text.casefold() in ("", "nan", "na", "n/a", "null", "none")


def numeric(texts: Sequence[str]) -> bool:
    """Whether every cell of a column that holds something holds a number."""
    return all(is_empty(text) or number_of(text) is not None for text in texts)


def missing_column(file: TableFile, name: str, option: str = "") -> SettingsError:
    """Return the error of a column that an option names and a table lacks."""
    near = get_close_matches(name, file.columns, 1)
    mend = f"did you mean {near[0]!r}?" if near else f"there are: {some_of(list(file.columns), 12)}"
    message = f"{file.path} has no column {name!r}{f' ({option})' if option else ''}; {mend}"
    return SettingsError(message, reason="table")


def some_of(names: Sequence[str], most: int = 4) -> str:
    """Return the first names with commas between, and how many more there are.

    >>> some_of(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _csv(path: Path) -> tuple[list[list[str]], list[int]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); correct the path"
        raise SettingsError(message, reason="table") from error
    except UnicodeDecodeError as error:
        message = f"{path} is no CSV file in UTF-8; save it from the spreadsheet as CSV UTF-8"
        raise SettingsError(message, reason="table") from error
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(SEPARATORS, key=first.count), strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        message = f"{path} row {reader.line_num}: is no CSV ({error}); save the file from the spreadsheet again"
        raise SettingsError(message, reason="table") from error
    return rows, lines[1:]


def _parquet(path: Path) -> list[list[str]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        message = f"{path} needs a package to read Parquet; pip install 'cellvigil[parquet]', or give a CSV file"
        raise SettingsError(message, reason="table") from error
    try:
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except (OSError, ValueError, ArrowException) as error:
        message = f"{path} cannot be read as Parquet ({error}); correct the path or write the file again"
        raise SettingsError(message, reason="table") from error
    # by place: a name that stands there twice is told by the caller
    columns = [["" if value is None else str(value) for value in column.to_pylist()] for column in table.columns]
    return [list(table.column_names), *(list(row) for row in zip(*columns, strict=True))]
