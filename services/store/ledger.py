"""The ledger: what was seen in the watched folder and what became of it. SQLite, written by the ingester alone."""

import itertools
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Literal, Self

from monitor.errors import SettingsError
from monitor.frames.identity import FrameKey
from monitor.messages import FrameArrived

State = Literal["arrived", "queued", "quarantined", "duplicate", "replaced", "vanished"]
Series = tuple[str, str]
"""(position, channel) of a flask."""

VERSION = 1
TIME_POINTS_TO_LEARN = 4
TIME_POINTS_KEPT = 16
MTIME_MOST_NS = 2**63 - 1

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS files (
  number INTEGER PRIMARY KEY, source TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  frame_id TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
  flask TEXT, position TEXT, channel TEXT, time_point TEXT, acquired_at TEXT, arrived_at TEXT,
  message_json TEXT, first_seen TEXT NOT NULL, UNIQUE (source, size, mtime_ns));
CREATE INDEX IF NOT EXISTS files_frame ON files (frame_id);
CREATE INDEX IF NOT EXISTS files_state ON files (state);
CREATE INDEX IF NOT EXISTS files_series ON files (flask, position, channel, acquired_at);
PRAGMA user_version = {VERSION};
"""

UPSERT = """
INSERT INTO files (source, size, mtime_ns, frame_id, state, reason, detail, flask, position, channel, time_point,
  acquired_at, arrived_at, message_json, first_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, size, mtime_ns) DO UPDATE SET frame_id = excluded.frame_id, state = excluded.state,
  reason = excluded.reason, detail = excluded.detail, flask = excluded.flask, position = excluded.position,
  channel = excluded.channel, time_point = excluded.time_point, acquired_at = excluded.acquired_at,
  arrived_at = excluded.arrived_at, message_json = excluded.message_json
"""

MOMENTS = """
SELECT flask, position, channel, acquired_at FROM (
  SELECT flask, position, channel, acquired_at,
    row_number() OVER (PARTITION BY flask, position, channel ORDER BY acquired_at DESC) AS age
  FROM (SELECT DISTINCT flask, position, channel, acquired_at FROM files
        WHERE flask IS NOT NULL AND state IN ('arrived', 'queued', 'replaced')))
WHERE age <= ? ORDER BY acquired_at
"""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One file as it was seen.

    source: path relative to the watched folder; bytes that are no text are written as escapes;
    size, mtime_ns: as the file system gave them; frame_id: sha256 of the content, empty when it was never read;
    state: arrived (readable, not yet queued), queued, quarantined (reason and detail say why), duplicate (a second
    copy of a frame; detail says of which), replaced (a frame whose path holds other content by now, in a newer row),
    vanished (was quarantined, and is gone or written over since);
    arrived: the fact, None for what never became a frame.
    """

    source: str
    size: int
    mtime_ns: int
    frame_id: str
    state: State
    reason: str
    detail: str
    arrived: FrameArrived | None

    @property
    def key(self) -> FrameKey | None:
        """The frame's key when it became a frame."""
        return self.arrived.key if self.arrived else None

    @property
    def acquired_at(self) -> datetime | None:
        """When it was acquired, when it became a frame."""
        return self.arrived.acquired_at if self.arrived else None


@dataclass(frozen=True, slots=True)
class LastArrival:
    """A flask's newest arrival, and when its last frames were acquired: ascending and distinct, by series."""

    frame_id: str
    acquired_at: datetime
    arrived_at: datetime
    moments: Mapping[Series, tuple[datetime, ...]]

    @property
    def interval_s(self) -> float | None:
        """Observed time between the frames of a position; see `median_gap_s`."""
        return median_gap_s(self.moments.values())


def median_gap_s(series: Iterable[Sequence[datetime]]) -> float | None:
    """Return the median gap in seconds between the time points of each series, all series together.

    Each series is ascending and distinct. None until one of them has `TIME_POINTS_TO_LEARN` time points. Gaps are never
    taken across series: positions of a flask are imaged moments apart, which says nothing of its rhythm.

    >>> noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    >>> median_gap_s([[noon.replace(minute=15 * quarter) for quarter in range(4)]])
    900.0
    """
    known = [moments for moments in series if len(moments) >= TIME_POINTS_TO_LEARN]
    gaps = [(later - earlier).total_seconds() for moments in known for earlier, later in itertools.pairwise(moments)]
    return median(gaps) if gaps else None


class Ledger:
    """One SQLite file in WAL mode; every commit is on the disk before it returns. One process writes, others may read.

    Raises
    ------
    SettingsError
        `ledger_version` when the file was made by another version of the ledger.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        uri = f"{path.resolve().as_uri()}?mode={'ro' if readonly else 'rwc'}"
        self._connection = sqlite3.connect(uri, uri=True, timeout=60.0, isolation_level=None)
        made_by: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if made_by not in (0, VERSION):
            self._connection.close()
            message = f"{path} is of ledger version {made_by}, this program writes {VERSION}; use another state folder"
            raise SettingsError(message, reason="ledger_version")
        if not readonly:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(SCHEMA)

    @classmethod
    def open_readonly(cls, path: Path) -> Self:
        """Open an existing ledger to look at it, beside the process that writes it."""
        return cls(path, readonly=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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

    def mark_unqueued(self, settled: set[str]) -> int:
        """Note that the queue forgot everything: what is not settled counts as `arrived` again. Return how many.

        Replaced frames too: whoever reads them finds other content and says so, which settles them.
        """
        queued = self._connection.execute("SELECT frame_id FROM files WHERE state IN ('queued', 'replaced')")
        forgotten = [(frame_id,) for (frame_id,) in queued if frame_id not in settled]
        with self._write() as connection:
            update = "UPDATE files SET state = 'arrived' WHERE frame_id = ? AND state IN ('queued', 'replaced')"
            connection.executemany(update, forgotten)
        return len(forgotten)

    def mark_vanished(self, sources: Iterable[str]) -> None:
        """Note that quarantined files are gone."""
        with self._write() as connection:
            update = "UPDATE files SET state = 'vanished' WHERE source = ? AND state = 'quarantined'"
            connection.executemany(update, [(source,) for source in sources])

    def unqueued(self, most: int = -1) -> list[FrameArrived]:
        """Return frames that arrived and are not known to be queued, oldest acquisition first, up to `most`."""
        return self._frames("state = 'arrived'", most)

    def unfinished(self, settled: set[str]) -> Iterator[FrameArrived]:
        """Yield frames that arrived and have no result, oldest acquisition first; few are held in memory at a time."""
        query = "SELECT frame_id FROM files WHERE state IN ('arrived', 'queued') ORDER BY acquired_at, frame_id"
        waiting = [frame_id for (frame_id,) in self._connection.execute(query) if frame_id not in settled]
        select = "SELECT message_json FROM files WHERE frame_id = ? AND state IN ('arrived', 'queued') LIMIT 1"
        for frame_id in waiting:
            found = self._connection.execute(select, (frame_id,)).fetchone()
            if found is not None:
                yield FrameArrived.model_validate_json(found[0])

    def known_files(self) -> dict[str, tuple[int, int]]:
        """Return size and mtime of every file that became a frame or a copy of one, as last seen, by source."""
        query = (
            "SELECT source, size, mtime_ns FROM files WHERE state IN ('arrived', 'queued', 'duplicate') ORDER BY number"
        )
        return {source: (size, mtime_ns) for source, size, mtime_ns in self._connection.execute(query)}

    def quarantined(self) -> dict[str, str]:
        """Return the reason of every quarantined file by source."""
        return dict(self._connection.execute("SELECT source, reason FROM files WHERE state = 'quarantined'").fetchall())

    def put_aside(self) -> tuple[dict[str, int], tuple[str, str] | None]:
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
        return self._frames("state IN ('arrived', 'queued')")

    def counts(self) -> dict[str, int]:
        """Return the number of files by state."""
        return dict(self._connection.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall())

    def last_arrivals(self) -> dict[str, LastArrival]:
        """Return every flask's newest arrival and the times of its last `TIME_POINTS_KEPT` time points."""
        moments: dict[str, dict[Series, list[datetime]]] = defaultdict(lambda: defaultdict(list))
        for flask, position, channel, acquired_at in self._connection.execute(MOMENTS, (TIME_POINTS_KEPT,)):
            moments[flask][position, channel].append(datetime.fromisoformat(acquired_at))
        newest = self._connection.execute(  # SQLite takes bare columns from the row that holds the maximum
            "SELECT flask, frame_id, acquired_at, max(arrived_at) FROM files"
            " WHERE flask IS NOT NULL AND state IN ('arrived', 'queued', 'replaced') GROUP BY flask"
        )
        return {
            flask: LastArrival(
                frame_id,
                datetime.fromisoformat(acquired_at),
                datetime.fromisoformat(arrived_at),
                {series: tuple(found) for series, found in moments[flask].items()},
            )
            for flask, frame_id, acquired_at, arrived_at in newest
        }

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _add(self, connection: sqlite3.Connection, row: LedgerRow, seen_at: datetime) -> LedgerRow:
        # file systems hold times beyond 2262, which SQLite's whole numbers do not
        bounded = replace(row, mtime_ns=max(-MTIME_MOST_NS, min(row.mtime_ns, MTIME_MOST_NS)))
        return replace(self._put(connection, bounded, seen_at), mtime_ns=row.mtime_ns)

    def _put(self, connection: sqlite3.Connection, row: LedgerRow, seen_at: datetime) -> LedgerRow:
        there = connection.execute(
            "SELECT state, frame_id FROM files WHERE source = ? AND size = ? AND mtime_ns = ?",
            (row.source, row.size, row.mtime_ns),
        ).fetchone()
        if row.state == "arrived":
            if there is not None and there[0] in ("arrived", "queued") and there[1] == row.frame_id:
                return replace(row, state=there[0])
            row = self._deduplicated(connection, row)
        connection.execute(
            "UPDATE files SET state = iif(state = 'quarantined', 'vanished', 'replaced')"
            " WHERE source = ? AND NOT (size = ? AND mtime_ns = ?)"
            " AND (state = 'quarantined' OR (state IN ('arrived', 'queued') AND frame_id != ?))",
            (row.source, row.size, row.mtime_ns, row.frame_id),
        )
        connection.execute(UPSERT, (*_columns(row), seen_at.isoformat()))
        return row

    def _deduplicated(self, connection: sqlite3.Connection, row: LedgerRow) -> LedgerRow:
        first = connection.execute(
            "SELECT source, size, mtime_ns FROM files WHERE frame_id = ? AND message_json IS NOT NULL"
            " AND state IN ('arrived', 'queued', 'replaced') ORDER BY number LIMIT 1",
            (row.frame_id,),
        ).fetchone()
        if first is None or first == (row.source, row.size, row.mtime_ns):
            return row
        return replace(row, state="duplicate", detail=f"same content as {first[0]}")

    def _frames(self, where: str, most: int = -1) -> list[FrameArrived]:
        # `where` is one of this module's own literals
        query = f"SELECT message_json FROM files WHERE {where} ORDER BY acquired_at, frame_id LIMIT ?"
        return [FrameArrived.model_validate_json(fact) for (fact,) in self._connection.execute(query, (most,))]


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
