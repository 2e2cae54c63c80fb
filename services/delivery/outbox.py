"""The outbox: what has to be delivered to whom, and what became of it. SQLite, written by the notifier alone.

An event is addressed once, when it is first seen, to the receivers of that moment: a doubled message adds nothing, and
a receiver that joins later does not get the past.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from monitor.messages import AlarmChanged, AlarmState
from services.clock import Clock, SystemClock
from services.delivery.letter import COLUMNS, DeliveryState, Letter, letter_of, moment_of
from services.store.database import Schema, explained, open_database, writing
from services.store.silence import Quiet, nobody_silenced

SILENCED = "silenced"
"""Stands in `last_error` of a letter that waits for the end of a silence."""
TABLES = (
    """CREATE TABLE IF NOT EXISTS events (
      event_id TEXT PRIMARY KEY, alarm_id TEXT NOT NULL, fact TEXT NOT NULL, added_at REAL NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS deliveries (
      event_id TEXT NOT NULL REFERENCES events, receiver TEXT NOT NULL, alarm_id TEXT NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'given_up')), attempts INTEGER NOT NULL DEFAULT 0,
      refusals INTEGER NOT NULL DEFAULT 0, added_at REAL NOT NULL, next_try REAL NOT NULL, delivered_at REAL,
      last_error TEXT NOT NULL DEFAULT '', PRIMARY KEY (event_id, receiver))""",
    "CREATE INDEX IF NOT EXISTS deliveries_next ON deliveries (receiver, state, next_try)",
    "CREATE INDEX IF NOT EXISTS deliveries_alarm ON deliveries (alarm_id, receiver, state)",
    "CREATE TABLE IF NOT EXISTS holds (receiver TEXT PRIMARY KEY, until REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS notices (receiver TEXT NOT NULL, sent_at REAL NOT NULL)",
    "CREATE INDEX IF NOT EXISTS notices_sent ON notices (receiver, sent_at)",
)
OUTBOX = Schema(
    name="outbox",
    reason="outbox",
    version=1,
    tables=TABLES,
    # cellvigil 0.1.0 made the same tables without a version
    migrations={0: TABLES},
    damaged="move it away, and every recorded alarm is delivered again",
    missing="has a notifier run?",
)
IN_TURN = """d.state = 'waiting' AND NOT EXISTS (SELECT 1 FROM deliveries AS earlier WHERE
  earlier.alarm_id = d.alarm_id AND earlier.receiver = d.receiver AND earlier.state = 'waiting'
  AND earlier.rowid < d.rowid)"""
"""The events of one alarm go out in order: `cleared` must not overtake `raised`."""


class Outbox:
    """Rows keyed by event and receiver. One object may be shared by threads.

    Parameters
    ----------
    path
        The database file; created with its tables where missing.
    readonly
        Open for reading only: for tables and pages beside a running notifier.

    Raises
    ------
    SettingsError
        The file is no outbox, or cannot be opened; reason `no_outbox` when it is to be read and no notifier has run.
    """

    def __init__(self, path: Path, *, readonly: bool = False, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._path = path
        self._connection = open_database(path, OUTBOX, readonly=readonly, shared=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, events: Sequence[AlarmChanged], receivers: Iterable[str], quiet: Quiet = nobody_silenced) -> int:
        """Address events that are new to every receiver, in one transaction; return how many events were new.

        What is silenced waits for the end of its silence.
        """
        now = self._now()
        names = list(receivers)
        with self._write() as connection:
            holds = dict(connection.execute("SELECT receiver, until FROM holds").fetchall())
            new = [event for event in events if self._is_new(event, now)]
            connection.executemany(
                "INSERT INTO deliveries (event_id, receiver, alarm_id, state, added_at, next_try) "
                "VALUES (?, ?, ?, 'waiting', ?, ?)",
                [(e.event_id, name, e.alarm_id, now, max(now, holds.get(name, 0.0))) for e in new for name in names],
            )
            for event in new:
                self._silence(event, quiet(event))
        return len(new)

    def follow_silences(self, quiet: Quiet) -> None:
        """Bring what waits because it is silenced up to the silences of now.

        An alarm that came and went meanwhile is told to nobody.
        """
        with self._write() as connection:
            waiting = self._rows_of(f"d.state = 'waiting' AND d.last_error = '{SILENCED}'", ())
            letters = {row[0]: AlarmChanged.model_validate_json(row[-1]) for row in waiting}
            for event in letters.values():
                until = quiet(event)
                if event.state is AlarmState.CLEARED and self._never_told(event, letters.values()):
                    connection.execute(
                        "UPDATE deliveries SET state = 'given_up', last_error = 'came and went while it was silenced' "
                        f"WHERE alarm_id = ? AND state = 'waiting' AND last_error = '{SILENCED}'",
                        (event.alarm_id,),
                    )
                self._silence(event, until)

    def next_letter(self, receiver: str) -> Letter | None:
        """Return the waiting letter whose turn comes first, due or not; None when nothing waits.

        A letter that another version wrote and this one cannot read is given up.
        """
        where = f"{IN_TURN} AND d.receiver = ? ORDER BY d.next_try, d.rowid LIMIT 1"
        while True:
            found = self._select(where, (receiver,))
            if not found:
                return None
            try:
                return letter_of(found[0])
            except ValidationError as error:
                message = f"cannot be read by this version: {error.errors()[0]['msg']}"
                self._close(found[0][0], receiver, DeliveryState.GIVEN_UP, message, refused=False)

    def group(self, receiver: str, most: int) -> list[Letter]:
        """Return what is due for a receiver, in the order in which it was added; at most so many letters.

        Of an alarm with a letter that waits for a later try, nothing after that letter is in the group.
        """
        found, held, now = [], set(), self._now()
        for row in self._select("d.state = 'waiting' AND d.receiver = ? ORDER BY d.rowid", (receiver,)):
            try:
                letter = letter_of(row)
            except ValidationError:  # given up when its turn comes
                continue
            alarm_id = letter.fact.alarm_id
            if alarm_id in held or letter.next_try.timestamp() > now:
                held.add(alarm_id)
            else:
                found.append(letter)
        return found[:most]

    def sent(self, receiver: str, window_s: float) -> list[float]:
        """Return when notifications went to a receiver within the last `window_s` seconds, ascending, as `now` is."""
        query = "SELECT sent_at FROM notices WHERE receiver = ? AND sent_at > ? ORDER BY sent_at"
        with self._read() as connection:
            return [at for (at,) in connection.execute(query, (receiver, self._now() - window_s))]

    def note_sent(self, receiver: str, window_s: float) -> None:
        """Note that a notification went to a receiver just now; what is older than the window is forgotten."""
        now = self._now()
        with self._write() as connection:
            connection.execute("DELETE FROM notices WHERE receiver = ? AND sent_at <= ?", (receiver, now - window_s))
            connection.execute("INSERT INTO notices VALUES (?, ?)", (receiver, now))

    def now(self) -> float:
        """Return the time of the outbox's clock, in seconds since 1970."""
        return self._now()

    def due(self) -> int:
        """Count the letters that could be sent now, those under way included."""
        query = f"SELECT count(*) FROM deliveries AS d WHERE {IN_TURN} AND d.next_try <= ?"
        with self._read() as connection:
            return int(connection.execute(query, (self._now(),)).fetchone()[0])

    def delivered(self, letter: Letter) -> None:
        """Note that the receiver took a letter."""
        self._close(letter.event_id, letter.receiver, DeliveryState.DELIVERED, "", refused=False)

    def given_up(self, letter: Letter, error: str, *, refused: bool = False) -> None:
        """Note that the last attempt failed and there will be no other."""
        self._close(letter.event_id, letter.receiver, DeliveryState.GIVEN_UP, error, refused=refused)

    def postpone(self, letter: Letter, pause_s: float, error: str, *, refused: bool = False) -> None:
        """Note a failed attempt and when to try again."""
        next_try = self._now() + pause_s
        with self._write() as connection:
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, refusals = refusals + ?, next_try = ?, last_error = ? "
                "WHERE event_id = ? AND receiver = ? AND state = 'waiting'",
                (refused, next_try, error, letter.event_id, letter.receiver),
            )

    def hold(self, receiver: str, pause_s: float) -> None:
        """Leave a receiver alone for a while: nothing that waits for it, and nothing new, is due before."""
        until = self._now() + pause_s
        with self._write() as connection:
            connection.execute("INSERT OR REPLACE INTO holds VALUES (?, ?)", (receiver, until))
            connection.execute(
                "UPDATE deliveries SET next_try = max(next_try, ?) WHERE receiver = ? AND state = 'waiting'",
                (until, receiver),
            )

    def retire(self, receivers: Iterable[str]) -> int:
        """Give up what waits for anybody but these receivers; return how many letters that were."""
        kept = list(receivers)
        marks = ", ".join("?" * len(kept))
        with self._write() as connection:
            return connection.execute(
                "UPDATE deliveries SET state = 'given_up', last_error = 'the receiver is no longer in the settings' "
                f"WHERE state = 'waiting' AND receiver NOT IN ({marks})",
                kept,
            ).rowcount

    def summary(self) -> dict[DeliveryState, int]:
        """Return the number of letters in every state, zeros included."""
        with self._read() as connection:
            counted = connection.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall()
        return dict.fromkeys(DeliveryState, 0) | {DeliveryState(state): count for state, count in counted}

    def rows(self, *, state: DeliveryState | None = None, receiver: str | None = None) -> list[Letter]:
        """Return letters in the order in which they were added, of one state or receiver when given."""
        where = "(?1 IS NULL OR d.state = ?1) AND (?2 IS NULL OR d.receiver = ?2) ORDER BY d.rowid"
        return [letter_of(row) for row in self._select(where, (state, receiver))]

    def of_alarm(self, alarm_id: str) -> list[Letter]:
        """Return the letters about one alarm, in the order in which they were added."""
        return [letter_of(row) for row in self._select("d.alarm_id = ? ORDER BY d.rowid", (alarm_id,))]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _silence(self, event: AlarmChanged, until: datetime | None) -> None:
        """Let a waiting event wait until then; one that was silenced and no longer is becomes due."""
        if until is None:
            update = (
                "UPDATE deliveries SET next_try = ?, last_error = '' "
                f"WHERE event_id = ? AND state = 'waiting' AND last_error = '{SILENCED}'"
            )
        else:
            update = (
                f"UPDATE deliveries SET next_try = ?, last_error = '{SILENCED}' "
                "WHERE event_id = ? AND state = 'waiting'"
            )
        self._connection.execute(update, (until.timestamp() if until else self._now(), event.event_id))

    @staticmethod
    def _never_told(cleared: AlarmChanged, silenced: Iterable[AlarmChanged]) -> bool:
        return any(e.state is AlarmState.RAISED and e.alarm_id == cleared.alarm_id for e in silenced)

    def told_at(self, event_id: str) -> datetime | None:
        """Return when an event was first to be told; None when it never was."""
        with self._read() as connection:
            found = connection.execute("SELECT added_at FROM events WHERE event_id = ?", (event_id,)).fetchone()
        return moment_of(found[0]) if found else None

    def _is_new(self, event: AlarmChanged, now: float) -> bool:
        return bool(
            self._connection.execute(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?)",
                (event.event_id, event.alarm_id, event.model_dump_json(), now),
            ).rowcount
        )

    def _select(self, where: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._read():
            return self._rows_of(where, values)

    def _rows_of(self, where: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        query = f"SELECT {COLUMNS}, e.fact FROM deliveries AS d JOIN events AS e USING (event_id) WHERE {where}"
        return self._connection.execute(query, values).fetchall()

    def _close(self, event_id: str, receiver: str, state: DeliveryState, error: str, *, refused: bool) -> None:
        delivered_at = self._now() if state is DeliveryState.DELIVERED else None
        with self._write() as connection:
            connection.execute(
                "UPDATE deliveries SET state = ?, attempts = attempts + 1, refusals = refusals + ?, delivered_at = ?, "
                "last_error = ? WHERE event_id = ? AND receiver = ?",
                (state, refused, delivered_at, error, event_id, receiver),
            )

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, writing(self._connection, self._path, OUTBOX) as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._lock, explained(self._path, OUTBOX):
            yield self._connection
