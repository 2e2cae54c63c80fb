"""Under which circumstances a row was taken: from its own columns, and from the sample list of its flask."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from monitor.errors import SettingsError
from monitor.frames.sample import Sample
from monitor.frames.samples import read_samples
from monitor.potency.conditions import KINDS, RANGES, Value
from services.potency.table_file import TableFile, is_empty

HOURS = ("hours", "hours_since_seeding")


def conditions_of(columns: Mapping[str, Sequence[str]], file: TableFile) -> dict[str, list[Value]]:
    """Return stimulation, medium, passage, hours and confluency of every row, as far as columns say them."""
    found: dict[str, list[Value]] = {name: list(columns[name]) for name in KINDS if name in columns}
    named = {name: name for name in RANGES if name in columns}
    if (alias := next((name for name in HOURS if name in columns), None)) is not None:
        named["hours"] = alias
    for name, column in named.items():
        texts = list(columns[column])
        if name == "passage":
            texts = [text[1:] if text[:1] in "pP" else text for text in texts]
        held = TableFile(file.path, {column: texts}, file.lines)
        found[name] = [None if np.isnan(value) else float(value) for value in held.numbers(column, empty=True)]
    return found


def from_samples(samples: Path | None, file: TableFile) -> dict[str, list[str]]:
    """Return what a sample list says of the flask of each row, for columns that the table lacks."""
    if samples is None:
        return {}
    if "flask" not in file.columns:
        message = f"{file.path} has no column 'flask', which --samples is looked up by; add it"
        raise SettingsError(message, reason="table")
    known = read_samples(samples)
    found: dict[str, list[str]] = {}
    for name in ("donor", "lot", "passage", "medium", "stimulation"):
        if name in file.columns:
            continue
        values = [getattr(known.get(flask), name, None) for flask in file.columns["flask"]]
        if any(value is not None for value in values):
            found[name] = ["" if value is None else str(value) for value in values]
    if not set(HOURS) & set(file.columns) and "acquired_at" in file.columns:
        pairs = zip(file.columns["flask"], file.columns["acquired_at"], file.lines, strict=True)
        found["hours"] = [_hours(file, known.get(flask), text, line) for flask, text, line in pairs]
    return found


def _hours(file: TableFile, sample: Sample | None, text: str, line: int) -> str:
    """Return the hours from seeding to a frame as text, empty where one of them is not known."""
    if sample is None or sample.seeded_at is None or is_empty(text):
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise file.error(line, "acquired_at", f"holds {text!r}, which is no time; write 2026-03-10T12:00Z") from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return repr((aware - sample.seeded_at).total_seconds() / 3600.0)
