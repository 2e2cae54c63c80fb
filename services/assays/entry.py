"""Results as they are told: one on the command line, or a file of them as the laboratory keeps it."""

import getpass
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from monitor.errors import SettingsError
from monitor.potency.number import is_measured, number_of
from services.potency.assay_file import ABOUT, LONG, name_and_unit
from services.potency.table_file import TableFile, is_empty, numeric, read_table

AT, BY, COMMENT, FLASK, UNIT = "at", "by", "comment", "flask", "unit"
OURS = frozenset({FLASK, AT, BY, COMMENT, UNIT, *LONG})


@dataclass(frozen=True, slots=True)
class Entry:
    """One result as it was told; unit None: not told; at None: of the flask as it was last seen."""

    flask: str
    biomarker: str
    value: float
    unit: str | None
    at: datetime | None
    by: str
    comment: str
    source: str
    where: str

    def error(self, error: SettingsError) -> SettingsError:
        """Return an error of the same kind that says where the result stands."""
        return type(error)(f"{self.where}: {error}", reason=error.reason) if self.where else error


@dataclass(frozen=True, slots=True)
class EntryFile:
    """Entries of a file, and sentences about what of it was left aside."""

    entries: list[Entry]
    notes: list[str]


def entry_of(
    flask: str, biomarker: str, value: str, unit: str | None, at: str | None, by: str | None, comment: str
) -> Entry:
    """Return the result that the options of a command tell.

    Raises
    ------
    SettingsError
        `value` or `at`, with the mend.
    """
    moment = None if at is None else moment_of(at, "--at")
    return Entry(flask, biomarker, value_of(value, "--value"), unit, moment, by or whoever(), comment, "", "")


def entries_of(path: Path, by: str | None, comment: str) -> EntryFile:
    """Return the results of a file, wide or long as for `train potency --assay`, with a column `flask`.

    Columns `at`, `by` and `comment` go before what the options say; without `at` a result is of the flask as it was
    last seen.

    Raises
    ------
    SettingsError
        `table` or `assay`, with file, row, column and the mend.
    """
    file = read_table(path)
    if FLASK not in file.columns:
        message = f"{path} has no column {FLASK!r}, so nothing says whose results these are; add it"
        raise SettingsError(message, reason="assay")
    source = f"{path.name} sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    is_long = set(LONG) <= set(file.columns)
    cells, notes = (_long(file), []) if is_long else _wide(file)
    entries = [_entry(file, number, cell, source, by or whoever(), comment) for number, cell in cells]
    if not entries:
        message = f"{path} holds no result; add a column for each biomarker, or columns biomarker, value and unit"
        raise SettingsError(message, reason="assay")
    return EntryFile(entries, notes)


def value_of(text: str, where: str) -> float:
    """Return a measured value.

    Raises
    ------
    SettingsError
        `value` when it is no finite number.
    """
    value = number_of(text)
    if value is None or not is_measured(value):
        message = (
            f"{where}: {text!r} is no measured value; write a number with a point, and leave a result out that lies "
            "beyond the limits of quantification"
        )
        raise SettingsError(message, reason="value")
    return value


def moment_of(text: str, where: str) -> datetime:
    """Return a time in UTC.

    Raises
    ------
    SettingsError
        `at` when it is no time, or has no zone.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{where}: {text!r} is no time; write it as 2026-03-10T12:00Z"
        raise SettingsError(message, reason="at") from error
    if moment.tzinfo is None:
        message = f"{where}: {text!r} does not say its time zone; write {text}Z for UTC, or {text}+01:00"
        raise SettingsError(message, reason="at")
    return moment.astimezone(UTC)


def whoever() -> str:
    """Return the name under which the user is logged in.

    Raises
    ------
    SettingsError
        `by` when this machine does not know it.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        message = "this machine does not know who you are; say it with --by NAME"
        raise SettingsError(message, reason="by") from error


@dataclass(frozen=True, slots=True)
class _Cell:
    column: str
    biomarker: str
    text: str
    unit: str | None


def _long(file: TableFile) -> Iterator[tuple[int, _Cell]]:
    units = file.columns.get(UNIT, [""] * len(file))
    for number, (name, text) in enumerate(zip(file.columns["biomarker"], file.columns["value"], strict=True)):
        if not is_empty(text):
            yield number, _Cell("value", name, text, units[number] or None)


def _wide(file: TableFile) -> tuple[list[tuple[int, _Cell]], list[str]]:
    cells, notes = [], []
    for column, texts in file.columns.items():
        if column in OURS or column in ABOUT:
            continue
        if not any(numeric([text]) for text in texts if not is_empty(text)):
            notes.append(f"column {column!r} holds no numbers and was left aside")
            continue
        name, unit = name_and_unit(column)
        cells += [(n, _Cell(column, name, text, unit or None)) for n, text in enumerate(texts) if not is_empty(text)]
    return sorted(cells, key=lambda cell: cell[0]), notes


def _entry(file: TableFile, number: int, cell: _Cell, source: str, by: str, comment: str) -> Entry:
    def said(column: str) -> str:
        text = file.columns[column][number] if column in file.columns else ""
        return "" if is_empty(text) else text

    where = f"{file.path} row {file.lines[number]}"
    flask, at = said(FLASK), said(AT)
    if not flask:
        raise file.error(file.lines[number], FLASK, "is empty; name the flask")
    return Entry(
        flask=flask,
        biomarker=cell.biomarker,
        value=value_of(cell.text, f"{where}, column {cell.column}"),
        unit=cell.unit,
        at=moment_of(at, f"{where}, column {AT}") if at else None,
        by=said(BY) or by,
        comment=said(COMMENT) or comment,
        source=source,
        where=where,
    )
