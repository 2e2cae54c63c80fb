"""What the operator knows about each flask: `samples.csv`."""

import csv
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from monitor.errors import SettingsError
from monitor.frames.sample import Sample

COLUMNS = ("flask", "donor", "passage", "medium", "stimulation", "seeded_at")


def read_samples(path: Path) -> dict[str, Sample]:
    """Return the sample of every flask in a CSV file with the columns of `COLUMNS` (only `flask` is required).

    `seeded_at` is ISO 8601; without a zone it is taken as UTC. Empty cells are None.

    Raises
    ------
    SettingsError
        With the file, row and column, when the file cannot be read as that.
    """
    samples: dict[str, Sample] = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        unknown = set(reader.fieldnames or ()) - set(COLUMNS)
        if unknown or "flask" not in (reader.fieldnames or ()):
            message = f"{path}: columns must be among {', '.join(COLUMNS)} and hold `flask`; found {reader.fieldnames}"
            raise SettingsError(message, reason="samples")
        for number, row in enumerate(reader, start=2):
            flask = (row.pop("flask") or "").strip()
            if not flask or flask in samples:
                message = f"{path} row {number}: the flask's name is missing or stands twice; give each flask one row"
                raise SettingsError(message, reason="samples")
            samples[flask] = _sample(path, number, row)
    return samples


def _sample(path: Path, number: int, row: dict[str, str | None]) -> Sample:
    values: dict[str, object] = {name: value.strip() for name, value in row.items() if value and value.strip()}
    try:
        if "seeded_at" in values:
            moment = datetime.fromisoformat(str(values["seeded_at"]))
            values["seeded_at"] = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return Sample.model_validate(values)
    except (ValueError, ValidationError) as error:
        column = error.errors()[0]["loc"][0] if isinstance(error, ValidationError) else "seeded_at"
        message = f"{path} row {number}, column {column}: {values.get(str(column))!r} is not usable; correct that cell"
        raise SettingsError(message, reason="samples") from error
