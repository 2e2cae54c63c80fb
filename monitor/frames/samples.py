"""What the operator knows about each flask: `samples.csv`."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from monitor.errors import SettingsError
from monitor.frames.sample import Sample

SEPARATORS = ",;\t"
COLUMNS = ("flask", "position", "donor", "passage", "lot", "medium", "stimulation", "seeded_at")


def read_samples(path: Path) -> dict[str, Sample]:
    """Return the sample of every flask in a CSV file with the columns of `COLUMNS`; only `flask` is required.

    Cells are separated by commas, semicolons or tabs, as in the other tables.
    `seeded_at` is ISO 8601; without a zone it is taken as UTC. Empty cells are None. A file may have one row per
    position, for people who keep their list so; the rows of a flask then have to agree.

    Raises
    ------
    SettingsError
        `samples`, with the file, row, column and the mend, when the file cannot be read as that.
    """
    samples: dict[str, Sample] = {}
    positions: set[tuple[str, str]] = set()
    for number, row in _rows(path):
        flask, position = row.pop("flask", ""), row.pop("position", "")
        if not flask:
            raise _error(path, number, "flask", "is empty; write the flask's name as in the file names")
        if (flask, position) in positions:
            raise _error(path, number, "flask", f"names {flask!r} a second time; give each flask one row")
        positions.add((flask, position))
        sample = _sample(path, number, row)
        if samples.setdefault(flask, sample) != sample:
            raise _error(path, number, "flask", f"{flask!r} has an earlier row that says otherwise; make them agree")
    return samples


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line numbers and rows with their empty cells left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            reader = csv.DictReader(stream, delimiter=max(SEPARATORS, key=first.count), strict=True)
            names = [(name or "").strip() for name in reader.fieldnames or ()]
            unknown = [name for name in names if name not in COLUMNS]
            if unknown or "flask" not in names or len(set(names)) < len(names):
                message = f"{path}: the first row has to name columns among {', '.join(COLUMNS)}, `flask` at least"
                raise SettingsError(f"{message}, each once; found {', '.join(names) or 'nothing'}", reason="samples")
            reader.fieldnames = names
            for row in reader:
                if None in row:
                    raise _error(path, reader.line_num, "flask", "has more cells than the first row; remove them")
                yield reader.line_num, {name: text.strip() for name, text in row.items() if text and text.strip()}
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); correct --samples or the setting watch.samples"
        raise SettingsError(message, reason="samples") from error
    except (UnicodeDecodeError, csv.Error) as error:
        message = f"{path} is no CSV file in UTF-8 ({error}); save it from the spreadsheet as CSV UTF-8"
        raise SettingsError(message, reason="samples") from error


def _sample(path: Path, number: int, row: dict[str, str]) -> Sample:
    values: dict[str, object] = dict(row)
    if "seeded_at" in row:
        try:
            moment = datetime.fromisoformat(row["seeded_at"])
        except ValueError as error:
            mend = f"{row['seeded_at']!r} is no time; write it as 2026-03-10T12:00Z"
            raise _error(path, number, "seeded_at", mend) from error
        values["seeded_at"] = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return Sample.model_validate(values)
    except ValidationError as error:
        column = str(error.errors()[0]["loc"][0])
        mend = f"{row.get(column)!r} is not usable ({error.errors()[0]['msg']}); correct that cell"
        raise _error(path, number, column, mend) from error


def _error(path: Path, number: int, column: str, what: str) -> SettingsError:
    return SettingsError(f"{path} row {number}, column {column}: {what}", reason="samples")
