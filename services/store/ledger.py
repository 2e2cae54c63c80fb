"""The ledger: what was seen in the watched folder and what became of it. SQLite, written by the ingester alone.

Which frames have a result is known to the record. The ingester follows it (`mark_settled`), so that what waits is
found without reading the whole history again.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from monitor.messages import FrameArrived
from services.store.database import Schema, explain, open_database, writing
from services.store.ledger_row import LastArrival, LedgerRow, Series, bounded

WAITING = "('arrived', 'queued')"
FRAMES = "('arrived', 'queued', 'settled')"
"""States of files that are frames now; `replaced` ones were."""
TIME_POINTS_KEPT = 16
PART = 1000

BY_ARRIVAL = "CREATE INDEX IF NOT EXISTS files_arrived ON files (flask, arrived_at)"
LEDGER = Schema(
    name="ledger",
    reason="ledger",
    version=2,
    tables=(
        """CREATE TABLE IF NOT EXISTS files (
          number INTEGER PRIMARY KEY, source TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
          frame_id TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
          flask TEXT, position TEXT, channel TEXT, time_point TEXT, acquired_at TEXT, arrived_at TEXT,
          message_json TEXT, first_seen TEXT NOT NULL, UNIQUE (source, size, mtime_ns))""",
        "CREATE INDEX IF NOT EXISTS files_frame ON files (frame_id)",
        "CREATE INDEX IF NOT EXISTS files_state ON files (state)",
        "CREATE INDEX IF NOT EXISTS files_series ON files (flask, position, channel, acquired_at)",
        BY_ARRIVAL,
    ),
    # version 1 is that of cellvigil 0.1.0: no frame was `settled`, whatever became of it
    migrations={1: (BY_ARRIVAL,)},
)

UPSERT = """
INSERT INTO files (source, size, mtime_ns, frame_id, state, reason, detail, flask, position, channel, time_point,
  acquired_at, arrived_at, message_json, first_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, size, mtime_ns) DO UPDATE SET frame_id = excluded.frame_id, state = excluded.state,
  reason = excluded.reason, detail = excluded.detail, flask = excluded.flask, position = excluded.position,
  channel = excluded.channel, time_point = excluded.time_point, acquired_at = excluded.acquired_at,
  arrived_at = excluded.arrived_at, message_json = excluded.message_json
"""

SERIES = """
WITH RECURSIVE series (flask, position, channel) AS (
  SELECT * FROM (SELECT flask, position, channel FROM files WHERE flask IS NOT NULL
    ORDER BY flask, position, channel LIMIT 1)
  UNION ALL
  SELECT files.flask, files.position, files.channel FROM series JOIN files ON files.number = (
    SELECT number FROM files WHERE (flask, position, channel) > (series.flask, series.position, series.channel)
    ORDER BY flask, position, channel LIMIT 1))
SELECT flask, position, channel FROM series
"""
"""Every series, each found by one look into the index."""
MOMENTS = f"""
SELECT DISTINCT acquired_at FROM files WHERE flask = ? AND position = ? AND channel = ?
  AND (state IN {FRAMES} OR state = 'replaced') ORDER BY acquired_at DESC LIMIT ?
"""
NEWEST = f"""
SELECT frame_id, acquired_at, arrived_at FROM files WHERE flask = ? AND (state IN {FRAMES} OR state = 'replaced')
  ORDER BY arrived_at DESC LIMIT 1
"""


Settled = Callable[[Sequence[str]], set[str]]
"""Which of some frame_ids have a result."""


class Ledger:
    """One SQLite file; one process writes, others may read.

    Raises
    ------
    SettingsError
        The file cannot be used: `ledger_version` when a newer version made it; see `open_database`.
    BackPressure
        While the disk is full or the file locked: the caller waits, nothing is lost.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._path = path
        self._connection = open_database(path, LEDGER, readonly=readonly)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        explain(error, self._path, LEDGER)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def add(self, rows: Sequence[LedgerRow], seen_at: datetime) -> list[LedgerRow]:
        """Store rows in one transaction; return them as stored.

        A frame whose content is known becomes a `duplicate`. Earlier rows of the same path: frames with other content
        become `replaced`, quarantined ones `vanished`. A row that is there already (path, size and mtime) keeps its
        place.
        """
        with self._write() as connection:
            return [self._add(connection, row, seen_at) for row in rows]

    def mark_queued(self, frame_ids: Iterable[str]) -> None:
        """Note that frames are in the queue."""
        with self._write() as connection:
            update = "UPDATE files SET state = 'queued' WHERE frame_id = ? AND state = 'arrived'"
            connection.executemany(update, [(frame_id,) for frame_id in frame_ids])

    def mark_unqueued(self, settled: Settled) -> int:
        """Note that the queue forgot everything: what has no result counts as `arrived` again. Return how many.

        Replaced frames too: whoever reads them finds other content and says so, which settles them.
        """
        queued = self._connection.execute("SELECT frame_id FROM files WHERE state IN ('queued', 'replaced')").fetchall()
        forgotten = list(_without_result([frame_id for (frame_id,) in queued], settled))
        with self._write() as connection:
            update = "UPDATE files SET state = 'arrived' WHERE frame_id = ? AND state IN ('queued', 'replaced')"
            connection.executemany(update, [(frame_id,) for frame_id in forgotten])
        return len(forgotten)

    def mark_settled(self, settled: Settled) -> int:
        """Note which waiting frames have a result by now; return how many were found.

        They settle about in the order in which they came: the search ends with the first `PART` of them in which none
        did, for a long queue is not looked through every time.
        """
        found, last = 0, 0
        query = (
            f"SELECT number, frame_id FROM files WHERE state IN {WAITING} AND number > ? ORDER BY number LIMIT {PART}"
        )
        while rows := self._connection.execute(query, (last,)).fetchall():
            last = rows[-1][0]
            done = settled([frame_id for _, frame_id in rows])
            if not done:
                break
            found += len(done)
            with self._write() as connection:
                update = f"UPDATE files SET state = 'settled' WHERE frame_id = ? AND state IN {WAITING}"
                connection.executemany(update, [(frame_id,) for frame_id in done])
        return found

    def mark_vanished(self, sources: Iterable[str]) -> None:
        """Note that quarantined files are gone."""
        with self._write() as connection:
            update = "UPDATE files SET state = 'vanished' WHERE source = ? AND state = 'quarantined'"
            connection.executemany(update, [(source,) for source in sources])

    def unqueued(self, most: int = -1) -> list[FrameArrived]:
        """Return frames that arrived and are not known to be queued, oldest acquisition first, up to `most`."""
        return self._frames("state = 'arrived'", most)

    def unfinished(self, settled: Settled) -> Iterator[FrameArrived]:
        """Yield frames that arrived and have no result, oldest acquisition first; few are held in memory at a time."""
        query = f"SELECT frame_id FROM files WHERE state IN {WAITING} ORDER BY acquired_at, frame_id"
        waiting = [frame_id for (frame_id,) in self._connection.execute(query)]
        select = f"SELECT message_json FROM files WHERE frame_id = ? AND state IN {WAITING} LIMIT 1"
        for frame_id in _without_result(waiting, settled):
            found = self._connection.execute(select, (frame_id,)).fetchone()
            if found is not None:
                yield FrameArrived.model_validate_json(found[0])

    def count_without_result(self, settled: Settled) -> int:
        """Return how many files that are or were frames have no result."""
        query = f"SELECT frame_id FROM files WHERE state IN {WAITING} OR state = 'replaced'"
        waiting = [frame_id for (frame_id,) in self._connection.execute(query)]
        return sum(1 for _ in _without_result(waiting, settled))

    def known(self, sources: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Return size and mtime of the files that became a frame or a copy of one, as last seen, by source."""
        query = (
            "SELECT source, size, mtime_ns FROM files WHERE source IN (SELECT value FROM json_each(?)) "
            f"AND (state IN {FRAMES} OR state = 'duplicate') ORDER BY number"
        )
        found = self._connection.execute(query, (json.dumps(sources),))
        return {source: (size, mtime_ns) for source, size, mtime_ns in found}

    def quarantined(self) -> dict[str, str]:
        """Return the reason of every quarantined file by source."""
        return dict(self._connection.execute("SELECT source, reason FROM files WHERE state = 'quarantined'").fetchall())

    def quarantine_summary(self) -> tuple[dict[str, int], tuple[str, str] | None]:
        """Return how many files are quarantined for each reason, most first, and source and detail of the newest."""
        counted = (
            "SELECT reason, count(*) FROM files WHERE state = 'quarantined' GROUP BY reason ORDER BY 2 DESC, reason"
        )
        newest = "SELECT source, detail FROM files WHERE state = 'quarantined' ORDER BY number DESC LIMIT 1"
        return dict(self._connection.execute(counted).fetchall()), self._connection.execute(newest).fetchone()

    def rows(self) -> Iterator[LedgerRow]:
        """Yield every row in the order in which files were first seen."""
        query = (
            "SELECT source, size, mtime_ns, frame_id, state, reason, detail, message_json FROM files ORDER BY number"
        )
        for source, size, mtime_ns, frame_id, state, reason, detail, fact in self._connection.execute(query):
            arrived = FrameArrived.model_validate_json(fact) if fact else None
            yield LedgerRow(source, size, mtime_ns, frame_id, state, reason, detail, arrived)

    def frames(self) -> list[FrameArrived]:
        """Return every frame that arrived, each content once, oldest acquisition first."""
        return self._frames(f"state IN {FRAMES}")

    def counts(self) -> dict[str, int]:
        """Return the number of files by state."""
        return dict(self._connection.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall())

    def last_arrivals(self) -> dict[str, LastArrival]:
        """Return every flask's newest arrival and the times of its last `TIME_POINTS_KEPT` time points."""
        moments: dict[str, dict[Series, tuple[datetime, ...]]] = defaultdict(dict)
        for flask, position, channel in self._connection.execute(SERIES).fetchall():
            series = (flask, position, channel, TIME_POINTS_KEPT)
            times = [datetime.fromisoformat(at) for (at,) in self._connection.execute(MOMENTS, series)]
            if times:
                moments[flask][position, channel] = tuple(reversed(times))
        found = {}
        for flask, series_moments in moments.items():
            frame_id, acquired_at, arrived_at = self._connection.execute(NEWEST, (flask,)).fetchone()
            times_of = datetime.fromisoformat(acquired_at), datetime.fromisoformat(arrived_at)
            found[flask] = LastArrival(frame_id, *times_of, series_moments)
        return found

    def _write(self) -> AbstractContextManager[sqlite3.Connection]:
        return writing(self._connection, self._path, LEDGER)

    def _add(self, connection: sqlite3.Connection, row: LedgerRow, seen_at: datetime) -> LedgerRow:
        held = replace(row, mtime_ns=bounded(row.mtime_ns))
        return replace(self._put(connection, held, seen_at), mtime_ns=row.mtime_ns)

    def _put(self, connection: sqlite3.Connection, row: LedgerRow, seen_at: datetime) -> LedgerRow:
        there = connection.execute(
            "SELECT state, frame_id FROM files WHERE source = ? AND size = ? AND mtime_ns = ?",
            (row.source, row.size, row.mtime_ns),
        ).fetchone()
        if row.state == "arrived":
            if there is not None and there[0] in ("arrived", "queued", "settled") and there[1] == row.frame_id:
                return replace(row, state=there[0])
            row = self._deduplicated(connection, row)
        connection.execute(
            "UPDATE files SET state = iif(state = 'quarantined', 'vanished', 'replaced')"
            " WHERE source = ? AND NOT (size = ? AND mtime_ns = ?)"
            f" AND (state = 'quarantined' OR (state IN {FRAMES} AND frame_id != ?))",
            (row.source, row.size, row.mtime_ns, row.frame_id),
        )
        connection.execute(UPSERT, (*_columns(row), seen_at.isoformat()))
        return row

    def _deduplicated(self, connection: sqlite3.Connection, row: LedgerRow) -> LedgerRow:
        first = connection.execute(
            "SELECT source, size, mtime_ns FROM files WHERE frame_id = ? AND message_json IS NOT NULL"
            f" AND (state IN {FRAMES} OR state = 'replaced') ORDER BY number LIMIT 1",
            (row.frame_id,),
        ).fetchone()
        if first is None or first == (row.source, row.size, row.mtime_ns):
            return row
        return replace(row, state="duplicate", detail=f"same content as {first[0]}")

    def _frames(self, where: str, most: int = -1) -> list[FrameArrived]:
        # `where` is one of this module's own literals
        query = f"SELECT message_json FROM files WHERE {where} ORDER BY acquired_at, frame_id LIMIT ?"
        return [FrameArrived.model_validate_json(fact) for (fact,) in self._connection.execute(query, (most,))]


def _without_result(frame_ids: Sequence[str], settled: Settled) -> Iterator[str]:
    for first in range(0, len(frame_ids), PART):
        part = frame_ids[first : first + PART]
        done = settled(part)
        yield from (frame_id for frame_id in part if frame_id not in done)


def _columns(row: LedgerRow) -> tuple[object, ...]:
    fact = row.arrived
    facts: tuple[object, ...] = (None,) * 7
    if fact is not None:
        key = fact.key
        times = _text(fact.acquired_at), _text(fact.arrived_at)
        facts = (key.flask, key.position, key.channel, key.time_point, *times, fact.model_dump_json())
    return (row.source, row.size, row.mtime_ns, row.frame_id, row.state, row.reason, row.detail, *facts)


def _text(moment: datetime) -> str:
    """Write a time so that the order of texts is the order of times."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
