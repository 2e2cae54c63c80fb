"""The outbox: what has to be delivered to whom, and what became of it. SQLite, written by the notifier alone."""

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from monitor.messages import AlarmChanged

SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
  event_id TEXT NOT NULL, receiver TEXT NOT NULL, fact TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting',
  attempts INTEGER NOT NULL DEFAULT 0, added_at REAL NOT NULL, next_try REAL NOT NULL, delivered_at REAL,
  last_error TEXT NOT NULL DEFAULT '', PRIMARY KEY (event_id, receiver));
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, next_try);
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """One event for one receiver; times are seconds since 1970."""

    event_id: str
    receiver: str
    fact: AlarmChanged
    attempts: int
    added_at: float


class Outbox:
    """Rows keyed by event and receiver, so a doubled message adds nothing. May be shared by threads."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=60.0, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(SCHEMA)
        self._lock = threading.Lock()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def add(self, events: Iterable[AlarmChanged], receivers: Iterable[str]) -> int:
        """Store each event for each receiver once; return how many rows were new."""
        now = time.time()
        names = list(receivers)
        with self._write() as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO deliveries (event_id, receiver, fact, added_at, next_try) "
                "VALUES (?, ?, ?, ?, ?)",
                [(event.event_id, name, event.model_dump_json(), now, now) for event in events for name in names],
            )
            return connection.total_changes - before

    def due(self, most: int = 50) -> list[Letter]:
        """Return letters whose time has come, oldest first."""
        query = (
            "SELECT event_id, receiver, fact, attempts, added_at FROM deliveries "
            "WHERE state = 'waiting' AND next_try <= ? ORDER BY added_at, rowid LIMIT ?"
        )
        with self._lock:
            rows = self._connection.execute(query, (time.time(), most)).fetchall()
        return [
            Letter(event_id, receiver, AlarmChanged.model_validate_json(fact), attempts, added_at)
            for event_id, receiver, fact, attempts, added_at in rows
        ]

    def delivered(self, letter: Letter) -> None:
        """Note that a receiver took a letter."""
        self._close(letter, "delivered", "")

    def given_up(self, letter: Letter, error: str) -> None:
        """Note that a letter will not be tried again."""
        self._close(letter, "given_up", error)

    def postpone(self, letter: Letter, pause_s: float, error: str) -> None:
        """Note a failed attempt and when to try again."""
        with self._write() as connection:
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, next_try = ?, last_error = ? "
                "WHERE event_id = ? AND receiver = ?",
                (time.time() + pause_s, error, letter.event_id, letter.receiver),
            )

    def summary(self) -> dict[str, int]:
        """Return the number of letters by state."""
        return dict(self._connection.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _close(self, letter: Letter, state: str, error: str) -> None:
        with self._write() as connection:
            connection.execute(
                "UPDATE deliveries SET state = ?, attempts = attempts + 1, delivered_at = ?, last_error = ? "
                "WHERE event_id = ? AND receiver = ?",
                (state, time.time(), error, letter.event_id, letter.receiver),
            )
