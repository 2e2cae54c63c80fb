"""Assay results as a laboratory keeps them, wide or long, and how they are joined to a table of features."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from monitor.errors import SettingsError
from services.potency.table_file import TableFile, is_empty, numeric, read_table

LONG = ("biomarker", "value")
ABOUT = frozenset({
    "flask", "donor", "lot", "passage", "medium", "stimulation", "seeded_at", "hours", "position", "well", "plate",
    "sample", "acquired_at", "day", "batch",
})  # fmt: skip
"""Columns that say what was assayed, never what was found."""


@dataclass(frozen=True, slots=True)
class Assays:
    """Results by sample: `keys` name the columns that tell samples apart, `results` are texts by biomarker and key."""

    path: Path
    keys: tuple[str, ...]
    results: dict[str, dict[tuple[str, ...], str]]
    units: dict[str, str]
    about: dict[tuple[str, ...], dict[str, str]]
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """Assay results laid beside the rows of a table, "" where there is none; and what found no partner."""

    results: dict[str, list[str]]
    about: dict[str, list[str]]
    rows_with: int
    rows_without: list[str] = field(default_factory=list)
    assays_without: list[str] = field(default_factory=list)


def read_assays(path: Path, table: TableFile) -> Assays:
    """Return the results of an assay file, keyed by the columns that it shares with a table.

    Wide: one column per biomarker, its unit in brackets, as in `IDO (pg/mL)`. Long: columns `biomarker`, `value` and
    maybe `unit`.

    Raises
    ------
    SettingsError
        `assay`, with file, row and the mend.
    """
    file = read_table(path)
    is_long = set(LONG) <= set(file.columns)
    keys = tuple(name for name in file.columns if name in table.columns and name not in (*LONG, "unit"))
    if not keys:
        message = (
            f"{path} shares no column with {table.path}, so nothing says which result belongs to which row; give both "
            "a column of the same name, such as flask, donor or lot"
        )
        raise SettingsError(message, reason="assay")
    about: dict[tuple[str, ...], dict[str, str]] = {}
    for number in range(len(file)):
        extra = {name: file.columns[name][number] for name in file.columns if name in ABOUT and name not in keys}
        about.setdefault(_key(file, keys, number), extra)
    results, units, ignored = _long(file, keys) if is_long else _wide(file, keys)
    if not results:
        message = f"{path} has no column with results beside {', '.join(keys)}; add one for each biomarker"
        raise SettingsError(message, reason="assay")
    return Assays(path, keys, results, units, about, ignored)


def join(table: TableFile, assays: Assays) -> Joined:
    """Lay the results beside the rows of the table with the same keys; numbers are compared as numbers."""
    keys = [_key(table, assays.keys, number) for number in range(len(table))]
    results = {name: [found.get(key, "") for key in keys] for name, found in assays.results.items()}
    about = {
        name: [assays.about.get(key, {}).get(name, "") for key in keys]
        for name in next(iter(assays.about.values()), {})
    }
    known, present = set(assays.about), set(keys)
    without = dict.fromkeys(_words(assays.keys, key) for key in keys if key not in known)
    unused = [_words(assays.keys, key) for key in assays.about if key not in present]
    matched = sum(key in known for key in keys)
    if not matched:
        message = (
            f"no row of {table.path} belongs to a row of {assays.path}: compared by {', '.join(assays.keys)}, the one "
            f"has {next(iter(without))!r} and the other {unused[0]!r}; write them alike"
        )
        raise SettingsError(message, reason="assay")
    return Joined(results, about, matched, list(without), unused)


def _wide(
    file: TableFile, keys: Sequence[str]
) -> tuple[dict[str, dict[tuple[str, ...], str]], dict[str, str], tuple[str, ...]]:
    results: dict[str, dict[tuple[str, ...], str]] = {}
    units: dict[str, str] = {}
    ignored = []
    _refuse_twice(file, [_key(file, keys, number) for number in range(len(file))], keys)
    for column, texts in file.columns.items():
        if column in keys or column in ABOUT:
            continue
        filled = [text for text in texts if not is_empty(text)]
        if not any(numeric([text]) for text in filled) and len(set(filled)) != 2:
            ignored.append(column)
            continue
        name, units_of = name_and_unit(column)
        _refuse_text(file, column)
        units[name] = units_of
        results[name] = {_key(file, keys, number): text for number, text in enumerate(texts) if not is_empty(text)}
    return results, units, tuple(ignored)


def _long(
    file: TableFile, keys: Sequence[str]
) -> tuple[dict[str, dict[tuple[str, ...], str]], dict[str, str], tuple[str, ...]]:
    results: dict[str, dict[tuple[str, ...], str]] = {}
    units: dict[str, str] = {}
    names = file.columns["biomarker"]
    _refuse_twice(
        file, [(*_key(file, keys, number), names[number]) for number in range(len(file))], [*keys, "biomarker"]
    )
    for number, name in enumerate(names):
        unit = file.columns.get("unit", [""] * len(file))[number]
        if units.setdefault(name, unit) != unit:
            what = f"gives {name} in {unit or 'no unit'} where an earlier row has {units[name] or 'none'}; use one unit"
            raise file.error(file.lines[number], "unit", what)
        text = file.columns["value"][number]
        if not is_empty(text):
            results.setdefault(name, {})[_key(file, keys, number)] = text
    _refuse_text(file, "value")
    return results, units, ()


def _refuse_twice(file: TableFile, marks: Sequence[tuple[str, ...]], names: Sequence[str]) -> None:
    seen: dict[tuple[str, ...], int] = {}
    for line, mark in zip(file.lines, marks, strict=True):
        if mark in seen:
            what = f"{_words(names, mark)} has a result in row {seen[mark]} already; keep one row, replicates averaged"
            raise file.error(line, names[0], what)
        seen[mark] = line


def _refuse_text(file: TableFile, column: str) -> None:
    """Refuse a single word among numbers; two words alone are classes."""
    texts = [(line, text) for line, text in zip(file.lines, file.columns[column], strict=True) if not is_empty(text)]
    words = [(line, text) for line, text in texts if not numeric([text])]
    if words and len({text for _, text in texts}) > 2:
        line, text = words[0]
        raise file.error(line, column, f"holds {text!r}, which is no number; correct it, or leave the cell empty")


def name_and_unit(column: str) -> tuple[str, str]:
    """Take the unit off a column's name.

    >>> name_and_unit("PGE2 [ng/mL]"), name_and_unit("IDO")
    (('PGE2', 'ng/mL'), ('IDO', ''))
    """
    found = re.fullmatch(r"(.+?)\s*[\[(]([^\])]+)[\])]", column)
    return (found[1], found[2]) if found else (column, "")


def _key(file: TableFile, keys: Sequence[str], number: int) -> tuple[str, ...]:
    return tuple(_plain(file.columns[name][number]) for name in keys)


def _plain(text: str) -> str:
    """Return a name as it is compared: 3 and 3.0 are one passage, and long numbers keep every digit."""
    return format(Decimal(text).normalize(), "f") if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else text


def _words(names: Sequence[str], key: Sequence[str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(names, key, strict=True))
