"""The record as it is looked at beside a run: lists by pages, what is new, what is known of some frames."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic_core import from_json

from monitor.messages import AlarmChanged, AlarmState, Channel, FrameFailed, PotencyEstimated
from services.store.audit import AuditLine
from services.store.database import LOOK_S, explained, looking, open_database
from services.store.record_flask import sortable
from services.store.record_tables import RECORD

AMONG = "frame_id IN (SELECT value FROM json_each(?))"
Kind = Literal["estimates", "segmentations", "failures"]
FLASKS = """
WITH RECURSIVE names (name) AS (
  SELECT min(flask) FROM culture_rows UNION ALL
  SELECT (SELECT min(flask) FROM culture_rows WHERE flask > name) FROM names WHERE name IS NOT NULL)
SELECT name FROM names WHERE name IS NOT NULL
"""
# written as in the index `estimates_series`, which finds each of these without reading the rest
POSITION, CHANNEL = "json_extract(fact, '$.key.position')", "json_extract(fact, '$.key.channel')"
SERIES = f"""
WITH RECURSIVE series (position, channel) AS (
  SELECT * FROM (SELECT {POSITION}, {CHANNEL} FROM estimates WHERE flask = ?
    ORDER BY flask, {POSITION}, {CHANNEL} LIMIT 1)
  UNION ALL
  SELECT {POSITION}, {CHANNEL} FROM series JOIN estimates ON estimates.rowid = coalesce(
    (SELECT rowid FROM estimates WHERE flask = ? AND {POSITION} = series.position AND {CHANNEL} > series.channel
      ORDER BY {CHANNEL} LIMIT 1),
    (SELECT rowid FROM estimates WHERE flask = ? AND {POSITION} > series.position
      ORDER BY {POSITION}, {CHANNEL} LIMIT 1)))
SELECT position, channel FROM series
"""
OF_SERIES = f"flask = ? AND {POSITION} = ? AND {CHANNEL} = ?"
NEWEST_OF_SERIES = f"""
SELECT acquired_at, frame_id, fact FROM estimates WHERE {OF_SERIES} ORDER BY acquired_at DESC, frame_id DESC LIMIT 1
"""
TIMES_OF_SERIES = f"SELECT DISTINCT acquired_at FROM estimates WHERE {OF_SERIES} ORDER BY acquired_at DESC LIMIT ?"


class RecordView:
    """Reads of the record; facts come as parsed JSON where a page needs a few of their fields only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    # what is new

    def version(self) -> int:
        """Return a number that is another one after somebody else wrote."""
        found: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return found

    def estimates_after(self, rowid: int, most: int) -> list[tuple[int, str, str, int, str]]:
        """Return rowid, flask, frame_id, revision and JSON of the next estimates in the order of their storing."""
        query = "SELECT rowid, flask, frame_id, revision, fact FROM estimates WHERE rowid > ? ORDER BY rowid LIMIT ?"
        return self._connection.execute(query, (rowid, most)).fetchall()

    def estimates_from(self, flask: str, since: datetime | None) -> list[tuple[str, int, str]]:
        """Return frame_id, revision and JSON of a flask's estimates from a time on, in the order of acquisition."""
        query = (
            "SELECT frame_id, revision, fact FROM estimates WHERE flask = ? AND acquired_at >= ? "
            "ORDER BY acquired_at, frame_id"
        )
        return self._connection.execute(query, (flask, "" if since is None else sortable(since))).fetchall()

    def revision_sums(self) -> list[tuple[str, int, int]]:
        """Return each flask with the number of its estimates and the sum of their revisions, which only grows."""
        query = "SELECT flask, count(*), sum(revision) FROM estimates GROUP BY flask"
        return self._connection.execute(query).fetchall()

    def standings(self) -> list[tuple[str, str]]:
        """Return flask and JSON of every alarm that is not normal."""
        return self._connection.execute("SELECT flask, fact FROM standings ORDER BY flask, rowid").fetchall()

    def count_rows(self, flask: str) -> int:
        """Return how many rows a flask's history has."""
        query = "SELECT count(*) FROM culture_rows WHERE flask = ?"
        found: int = self._connection.execute(query, (flask,)).fetchone()[0]
        return found

    def rows_after(self, flask: str, last: tuple[str, str], most: int) -> list[tuple[str, str, str]]:
        """Return time, id and JSON of the next rows of a flask in the order of the fold."""
        query = (
            "SELECT at, row_id, fact FROM culture_rows WHERE flask = ? AND (at, row_id) > (?, ?) "
            "ORDER BY at, row_id LIMIT ?"
        )
        return self._connection.execute(query, (flask, *last, most)).fetchall()

    # the fleet

    def flasks(self) -> list[str]:
        """Return the names of all flasks that have rows, sorted."""
        return [name for (name,) in self._connection.execute(FLASKS)]

    def count_estimates(self) -> tuple[dict[str, int], int]:
        """Return the number of estimates of every flask, and the largest rowid."""
        query = "SELECT flask, count(*) FROM estimates INDEXED BY estimates_flask GROUP BY flask"
        last = self._connection.execute("SELECT coalesce(max(rowid), 0) FROM estimates").fetchone()[0]
        return dict(self._connection.execute(query).fetchall()), last

    def count_estimates_after(self, rowid: int) -> tuple[dict[str, int], int]:
        """Return how many estimates of every flask were stored behind a rowid, and the largest rowid."""
        rows = self._connection.execute("SELECT flask, rowid FROM estimates WHERE rowid > ? ORDER BY rowid", (rowid,))
        found = rows.fetchall()
        return dict(Counter(flask for flask, _ in found)), found[-1][1] if found else rowid

    def newest_of(self, flask: str) -> list[PotencyEstimated]:
        """Return the newest estimate of each position and channel of a flask, oldest first."""
        rows = [
            self._connection.execute(NEWEST_OF_SERIES, (flask, *series)).fetchone()
            for series in self._connection.execute(SERIES, (flask, flask, flask)).fetchall()
        ]
        return [PotencyEstimated.model_validate_json(fact) for _, _, fact in sorted(rows)]

    def last_times(self, estimate: PotencyEstimated, most: int) -> list[datetime]:
        """Return the last distinct times of an estimate's position and channel, ascending."""
        key = estimate.key
        found = self._connection.execute(TIMES_OF_SERIES, (key.flask, key.position, key.channel, most))
        return [datetime.fromisoformat(at) for (at,) in found][::-1]

    # how it stands

    def counts(self) -> tuple[int, int]:
        """Return the numbers of estimates and of failures."""
        query = "SELECT (SELECT count(*) FROM estimates), (SELECT count(*) FROM failures)"
        estimates, failures = self._connection.execute(query).fetchone()
        return estimates, failures

    def newest(self, kind: Kind) -> dict[str, Any] | None:
        """Return the fact of a kind that was stored last."""
        query = f"SELECT fact FROM {kind} ORDER BY rowid DESC LIMIT 1"
        found = self._connection.execute(query).fetchone()
        return None if found is None else from_json(found[0])

    def provenances(self, flask: str) -> list[tuple[dict[str, Any], int, str, str]]:
        """Return what made a flask's estimates: versions and digests, how many, first and last time."""
        query = (
            "SELECT json_remove(json_extract(fact, '$.provenance'), '$.parity') AS made, count(*), min(acquired_at), "
            "max(acquired_at) FROM estimates WHERE flask = ? GROUP BY made ORDER BY min(acquired_at)"
        )
        rows = self._connection.execute(query, (flask,))
        return [(from_json(made), count, first, last) for made, count, first, last in rows]

    # of some frames

    def facts_of(self, kind: Kind, frame_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what is stored of frames, by id."""
        return {frame_id: from_json(fact) for frame_id, fact in self.texts_of(kind, frame_ids)}

    def texts_of(self, kind: Kind, frame_ids: Sequence[str]) -> list[tuple[str, str]]:
        """Return id and JSON of what is stored of frames."""
        query = f"SELECT frame_id, fact FROM {kind} WHERE {AMONG}"
        return self._connection.execute(query, (json.dumps(frame_ids),)).fetchall()

    def settled(self, frame_ids: Sequence[str]) -> set[str]:
        """Return which of some frames have an estimate or a failure."""
        query = f"SELECT frame_id FROM estimates WHERE {AMONG} UNION SELECT frame_id FROM failures WHERE {AMONG}"
        ids = json.dumps(frame_ids)
        return {frame_id for (frame_id,) in self._connection.execute(query, (ids, ids))}

    def population_features(self, frame_id: str) -> dict[str, float]:
        """Return the features of a frame's population as they were measured; empty where it was not."""
        query = "SELECT fact FROM culture_rows WHERE row_id = ? AND kind = 'frame'"
        found = self._connection.execute(query, (frame_id,)).fetchone()
        features: dict[str, float] = {} if found is None else from_json(found[0])["features"]
        return features

    def failures(self, most: int) -> list[FrameFailed]:
        """Return failures of frames without an estimate, oldest first."""
        query = (
            "SELECT fact FROM failures WHERE NOT EXISTS (SELECT 1 FROM estimates WHERE estimates.frame_id = "
            "failures.frame_id) ORDER BY rowid LIMIT ?"
        )
        return [FrameFailed.model_validate_json(fact) for (fact,) in self._connection.execute(query, (most,))]

    # alarms and audit

    def alarms_before(
        self, last: Sequence[str] | None, most: int, *, flask: str | None, channel: Channel | None
    ) -> list[AlarmChanged]:
        """Return alarm events before one, newest first; those that were withdrawn are left out.

        last: time and id of the event that the page before ended with, as `alarm_place` gives them.
        """
        where, values = ["withdrawn = 0"], list[str]()
        if last is not None:
            where, values = [*where, "(at, event_id) < (?, ?)"], [*values, *last]
        if flask is not None:
            where, values = [*where, "flask = ?"], [*values, flask]
        if channel is not None:
            where, values = [*where, "json_extract(fact, '$.channel') = ?"], [*values, channel.value]
        query = f"SELECT fact FROM alarms WHERE {' AND '.join(where)} ORDER BY at DESC, event_id DESC LIMIT ?"
        found = self._connection.execute(query, (*values, most))
        return [AlarmChanged.model_validate_json(fact) for (fact,) in found]

    def alarms_raised(self, since: datetime) -> list[AlarmChanged]:
        """Return the events that raised an alarm since a time."""
        query = "SELECT fact FROM alarms WHERE withdrawn = 0 AND at >= ? AND json_extract(fact, '$.state') = ?"
        found = self._connection.execute(query, (sortable(since), AlarmState.RAISED.value))
        return [AlarmChanged.model_validate_json(fact) for (fact,) in found]

    def audit_after(self, number: int) -> Iterator[AuditLine]:
        """Yield the lines of the audit log behind a number."""
        query = "SELECT number, fact, hash FROM audit WHERE number > ? ORDER BY number"
        for found, text, seal in self._connection.execute(query, (number,)):
            yield AuditLine(number=found, text=text, hash=seal)

    def audit_before(self, number: int, most: int, flask: str | None) -> list[AuditLine]:
        """Return lines before a number, newest first, of a flask or all."""
        where, values = ("", ()) if flask is None else (" AND flask = ?", (flask,))
        query = f"SELECT number, fact, hash FROM audit WHERE number < ?{where} ORDER BY number DESC LIMIT ?"
        found = self._connection.execute(query, (number, *values, most))
        return [AuditLine(number=number, text=text, hash=seal) for number, text, seal in found]

    def count_audit(self, flask: str | None) -> int:
        """Return the number of lines of the audit log, of a flask or all."""
        where, values = ("", ()) if flask is None else (" WHERE flask = ?", (flask,))
        found: int = self._connection.execute(f"SELECT count(*) FROM audit{where}", values).fetchone()[0]
        return found


class FollowedRecord:
    """The record held open, to read what is new again and again; several threads may use it, one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_database(path, RECORD, readonly=True, wait_s=LOOK_S, shared=True)

    @contextmanager
    def view(self) -> Iterator[RecordView]:
        """Look at it as it stands at each statement. Raises `BackPressure`."""
        with explained(self._path, RECORD):
            yield RecordView(self._connection)

    @contextmanager
    def snapshot(self) -> Iterator[RecordView]:
        """Look at it as it stands at the first statement, however much is written meanwhile. Raises `BackPressure`."""
        with explained(self._path, RECORD):
            self._connection.execute("BEGIN")
            try:
                yield RecordView(self._connection)
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def viewed_record(path: Path) -> Iterator[RecordView | None]:
    """Open a record for a look, one view of it all along; None where there is none yet.

    Raises
    ------
    BackPressure
        It is locked.
    SettingsError
        It cannot be used; see `open_database`.
    """
    with looking(path, RECORD) as connection:
        yield None if connection is None else RecordView(connection)


def alarm_place(event: AlarmChanged) -> tuple[str, str]:
    """Return where an event stands in the order of alarms: time as it is stored, and id."""
    return sortable(event.at), event.event_id
