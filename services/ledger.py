"""The ledger: what was seen in the watched folder and what became of it. SQLite, written by the ingester alone."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from monitor.frames.identity import FrameKey
from monitor.messages import FrameArrived

State = Literal["arrived", "queued", "quarantined", "duplicate", "replaced"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
  number INTEGER PRIMARY KEY, source TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  frame_id TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, fact TEXT,
  seen_at TEXT NOT NULL, UNIQUE (source, size, mtime_ns));
CREATE INDEX IF NOT EXISTS files_frame ON files (frame_id);
CREATE INDEX IF NOT EXISTS files_state ON files (state);
"""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One file as it was seen.

    source: path relative to the watched folder; frame_id: sha256 of the content, empty when it was never read;
    state: arrived (readable, not yet queued), queued, quarantined (reason and detail say why), duplicate (a second
    copy of a frame), replaced (the file was quarantined or its content changed, and a newer row of it exists).
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


class Ledger:
    """One SQLite file in WAL mode, every commit on the disk before it returns."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        uri = f"{path.resolve().as_uri()}?mode={'ro' if readonly else 'rwc'}"
        self._connection = sqlite3.connect(uri, uri=True, timeout=60.0, isolation_level=None)
        if not readonly:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def add(self, rows: Sequence[LedgerRow], seen_at: datetime) -> list[LedgerRow]:
        """Store rows in one transaction; return them as stored.

        A frame whose content is known already becomes a `duplicate`; earlier rows of the same path that were
        quarantined become `replaced`.
        """
        stored = []
        with self._write() as connection:
            for row in rows:
                known = row.state == "arrived" and self._known_frame(row.frame_id)
                state = "duplicate" if known else row.state
                connection.execute(
                    "UPDATE files SET state = 'replaced' WHERE source = ? AND state = 'quarantined'", (row.source,)
                )
                fact = row.arrived.model_dump_json() if row.arrived else None
                connection.execute(
                    "INSERT OR REPLACE INTO files "
                    "(source, size, mtime_ns, frame_id, state, reason, detail, fact, seen_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        row.source, row.size, row.mtime_ns, row.frame_id, state, row.reason, row.detail, fact,
                        seen_at.isoformat(),
                    ),
                )  # fmt: skip
                stored.append(_with_state(row, state))
        return stored

    def mark_queued(self, frame_ids: Iterable[str]) -> None:
        """Note that frames are in the queue."""
        with self._write() as connection:
            update = "UPDATE files SET state = 'queued' WHERE frame_id = ? AND state = 'arrived'"
            connection.executemany(update, [(frame_id,) for frame_id in frame_ids])

    def unqueued(self) -> list[FrameArrived]:
        """Return frames that arrived and are not known to be queued, oldest acquisition first."""
        return self._frames("state = 'arrived'")

    def unfinished(self, settled: set[str]) -> list[FrameArrived]:
        """Return frames that arrived and have no result, oldest acquisition first."""
        frames = self._frames("state IN ('arrived', 'queued')")
        return [frame for frame in frames if frame.frame_id not in settled]

    def known_files(self) -> dict[str, tuple[int, int]]:
        """Return size and mtime of every file as last seen, by source."""
        query = "SELECT source, size, mtime_ns FROM files ORDER BY number"
        return {source: (size, mtime_ns) for source, size, mtime_ns in self._connection.execute(query)}

    def rows(self) -> Iterator[LedgerRow]:
        """Yield every row in the order in which files were seen."""
        query = "SELECT source, size, mtime_ns, frame_id, state, reason, detail, fact FROM files ORDER BY number"
        for source, size, mtime_ns, frame_id, state, reason, detail, fact in self._connection.execute(query):
            arrived = FrameArrived.model_validate_json(fact) if fact else None
            yield LedgerRow(source, size, mtime_ns, frame_id, state, reason, detail, arrived)

    def frames(self) -> list[FrameArrived]:
        """Return every frame that arrived, each content once, oldest acquisition first."""
        return self._frames("state IN ('arrived', 'queued')")

    def counts(self) -> dict[str, int]:
        """Return the number of files by state."""
        return dict(self._connection.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _known_frame(self, frame_id: str) -> bool:
        query = "SELECT 1 FROM files WHERE frame_id = ? AND state IN ('arrived', 'queued') LIMIT 1"
        return self._connection.execute(query, (frame_id,)).fetchone() is not None

    def _frames(self, where: str) -> list[FrameArrived]:
        # `where` is one of this module's own literals
        facts = self._connection.execute(f"SELECT fact FROM files WHERE {where} AND fact IS NOT NULL")
        frames = [FrameArrived.model_validate_json(fact) for (fact,) in facts]
        return sorted(frames, key=lambda frame: (frame.acquired_at, frame.frame_id))


def _with_state(row: LedgerRow, state: State) -> LedgerRow:
    return LedgerRow(row.source, row.size, row.mtime_ns, row.frame_id, state, row.reason, row.detail, row.arrived)
