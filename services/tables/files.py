"""Tables on disk: CSV that reads back to the same numbers, or Parquet."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from monitor.errors import SettingsError
from monitor.whole_file import replacing
from services.store.results import inert
from services.tables.columns import TABLES, Column

Value = str | int | float | bool | None
Row = Mapping[str, Value]
PARQUET_ROWS = 20_000
"""Rows of a Parquet row group."""


class Table(Protocol):
    """A table that rows are added to; it has its name only once it is closed without an error."""

    def add(self, row: Row) -> None:
        """Add a row; a column that it lacks, None and NaN are empty."""

    def __enter__(self) -> Self:
        """Return the table."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file, or leave nothing of it after an error."""


def open_table(folder: Path, name: str, columns: Sequence[Column], *, parquet: bool) -> Table:
    """Begin `name`.csv or `name`.parquet in a folder.

    Raises
    ------
    SettingsError
        `parquet` when the library for it is not installed.
    """
    return ParquetTable(folder / f"{name}.parquet", columns) if parquet else CsvTable(folder / f"{name}.csv", columns)


class CsvTable:
    """UTF-8, commas, one header row of plain names; numbers are the shortest text that reads back to the same double.

    Truth is true or false. Text that a spreadsheet would run as a formula has an apostrophe before it.
    """

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._place = replacing(path)
        self._stream = self._place.__enter__().open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._stream, lineterminator="\n")
        self._writer.writerow(self._names)

    def add(self, row: Row) -> None:
        """Add a row."""
        self._writer.writerow([_shown(row.get(name)) for name in self._names])

    def __enter__(self) -> Self:
        """Return the table."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file."""
        self._stream.close()
        self._place.__exit__(kind, error, trace)


class ParquetTable:
    """Columns of type string, int64, double or bool; what is empty is null. Units stand in the metadata of columns."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        arrow = load_pyarrow()
        types = {"text": arrow.string(), "whole": arrow.int64(), "number": arrow.float64(), "truth": arrow.bool_()}
        self._schema = arrow.schema(
            [
                arrow.field(
                    column.name, types[column.kind], metadata={"unit": column.unit, "definition": column.definition}
                )
                for column in columns
            ]
        )
        self._place = replacing(path)
        self._arrow = arrow
        self._writer = arrow.parquet.ParquetWriter(self._place.__enter__(), self._schema, compression="zstd")
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Add a row."""
        self._rows.append(row)
        if len(self._rows) >= PARQUET_ROWS:
            self._write()

    def _write(self) -> None:
        if self._rows:
            held = {name: [_present(row.get(name)) for row in self._rows] for name in self._schema.names}
            self._writer.write_table(self._arrow.Table.from_pydict(held, schema=self._schema))
            self._rows = []

    def __enter__(self) -> Self:
        """Return the table."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file."""
        try:
            if error is None:
                self._write()
        finally:
            self._writer.close()
        self._place.__exit__(kind, error, trace)


def load_pyarrow() -> Any:  # noqa: ANN401 (a module without types)
    """Return pyarrow with its Parquet part.

    Raises
    ------
    SettingsError
        `parquet`, with the mend, when it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        message = (
            f"--parquet needs the package pyarrow, which cannot be loaded ({error}); install it with "
            "`pip install 'cellvigil[parquet]'`, or leave --parquet out to write CSV"
        )
        raise SettingsError(message, reason="parquet") from error
    return pyarrow


def describe(folder: Path, tables: Iterable[str]) -> None:
    """Write `columns.csv`: table, name, unit, definition and source of every column."""
    columns = [Column(name, "text", "", "", "") for name in ("table", "name", "unit", "definition", "source")]
    with CsvTable(folder / "columns.csv", columns) as described:
        for table in tables:
            for column in TABLES[table]:
                described.add(
                    {
                        "table": table,
                        "name": column.name,
                        "unit": column.unit,
                        "definition": column.definition,
                        "source": column.source,
                    }
                )


def _present(value: Value) -> Value:
    return None if isinstance(value, float) and math.isnan(value) else value


def _shown(value: Value) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return inert(value) if isinstance(value, str) else repr(value)
