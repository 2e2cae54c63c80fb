"""What the page knows of the record, kept up to date by reading only what is new.

SQLite says cheaply whether anything was written (`PRAGMA data_version`); new rows have new rowids. A frame that came
late has a time before the newest one of its flask: from there on the flask is read again, since its later estimates
were revised. Whatever else revises estimates (other settings, what an operator did in the past) shows in the sum of
the revisions, which only grows. All that belongs together is read in one transaction.
"""

import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pydantic import ValidationError
from pydantic_core import from_json

from monitor.culture.standing import AlarmStanding
from monitor.messages import MACHINE
from services.dashboard.columns import Columns, Row, moment_of, row_of
from services.state_folder import StateFolder
from services.store.record_flask import sortable

PART = 2000
SUMS_EVERY_S, SUMS_WITHOUT_INDEX_S = 2.0, 30.0
LEDGER_EVERY_S = 1.0
SUMS_INDEX = "estimates_revised"
NAMES = """
WITH RECURSIVE names (name) AS (
  SELECT min(flask) FROM files UNION ALL
  SELECT (SELECT min(flask) FROM files WHERE flask > name) FROM names WHERE name IS NOT NULL)
SELECT name FROM names WHERE name IS NOT NULL
"""


@dataclass(slots=True)
class Changes:
    """What a look brought: flasks with new or revised estimates and their new frames, flasks whose alarms moved.

    whole: flasks came or went, so that everything must be looked at again; anew: it is another record than before.
    """

    frames: dict[str, list[str]] = field(default_factory=dict)
    revised: set[str] = field(default_factory=set)
    alarms: set[str] = field(default_factory=set)
    whole: bool = False
    anew: bool = False

    def __bool__(self) -> bool:
        return bool(self.frames or self.revised or self.alarms or self.whole)


class Readings:
    """Columns of every flask and where alarms stand; `look` is called by one thread, reading is for all under `lock`.

    A state folder without a record yet, or one that was replaced by another, is taken as it is.
    """

    def __init__(self, state: StateFolder) -> None:
        self.lock = threading.RLock()
        self.revision = 0
        self.loaded = False
        self._state = state
        self._flasks: dict[str, Columns] = {}
        self._standings: dict[str, list[AlarmStanding]] = {}
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._version: int | None = None
        self._rowid = 0
        self._sums_due = 0.0
        self._sums_wanted = False
        self._ledger_due = 0.0

    def flasks(self) -> list[str]:
        """Return the names of all flasks, also of those without an estimate, sorted."""
        with self.lock:
            return sorted(self._flasks)

    def columns(self, flask: str) -> Columns | None:
        """Return the columns of a flask; hold `lock` while reading them. None where there is no such flask."""
        return self._flasks.get(flask)

    def models(self) -> set[str]:
        """Return the digests of the potency models that made estimates of any flask."""
        with self.lock:
            return {model for columns in self._flasks.values() for model in columns.models}

    def standings(self, flask: str) -> list[AlarmStanding]:
        """Return the alarms of a flask, or of the machine, that are not normal."""
        with self.lock:
            return self._standings.get(flask, [])

    def all_standings(self) -> list[AlarmStanding]:
        """Return every alarm that is not normal."""
        with self.lock:
            return [standing for standings in self._standings.values() for standing in standings]

    def look(self) -> Changes:
        """Read what is new.

        Raises
        ------
        sqlite3.Error
            The record cannot be read now; the next look goes on where this one ended.
        """
        changes = Changes()
        self._follow_file(changes)
        if self._connection is not None:
            try:
                self._read(self._connection, changes)
            except sqlite3.Error:
                # what was taken of this look stays; the count of rows and revisions shows what is missing
                self._version, self._sums_due, self._sums_wanted = None, 0.0, True
                raise
        self._read_ledger(changes)
        if changes:
            self.revision += 1
        self.loaded = True
        return changes

    def _read(self, connection: sqlite3.Connection, changes: Changes) -> None:
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        news = version != self._version
        if not news and not (self._sums_wanted and time.monotonic() >= self._sums_due):
            return
        with self._snapshot(connection):
            if news:
                self._sums_wanted = True
                self._read_estimates(connection, changes)
                self._read_standings(connection, changes)
            self._read_revisions(connection, changes)
        self._version = version

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _follow_file(self, changes: Changes) -> None:
        """Open the record when it appears, and anew when it is another file than before."""
        try:
            status = self._state.record.stat()
            file = (status.st_dev, status.st_ino)
        except OSError:
            file = None
        if file == self._file:
            return
        self.close()
        if self._file is not None:
            with self.lock:
                self._flasks.clear()
                self._standings.clear()
            changes.whole = changes.anew = True
        self._file, self._version, self._rowid, self._ledger_due = file, None, 0, 0.0
        if file is not None:
            uri = f"{self._state.record.resolve().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(
                uri, uri=True, timeout=5.0, isolation_level=None, check_same_thread=False
            )

    @contextmanager
    def _snapshot(self, connection: sqlite3.Connection) -> Iterator[None]:
        connection.execute("BEGIN")
        try:
            yield
        finally:
            with suppress(sqlite3.Error):
                connection.execute("COMMIT")

    def _read_estimates(self, connection: sqlite3.Connection, changes: Changes) -> None:
        columns = "rowid, flask, frame_id, revision, fact"
        news = f"SELECT {columns} FROM estimates WHERE rowid > ? ORDER BY rowid LIMIT {PART}"
        late: dict[str, float] = {}
        while part := connection.execute(news, (self._rowid,)).fetchall():
            rows: dict[str, list[Row]] = defaultdict(list)
            for _, flask, frame_id, revision, fact in part:
                rows[flask].append(row_of(frame_id, revision, from_json(fact)))
            with self.lock:
                for flask, found in rows.items():
                    self._take(flask, sorted(found, key=lambda row: row.order), late, changes)
            self._rowid = part[-1][0]
        for flask, from_t in late.items():
            self._read_again(connection, flask, from_t)
            changes.revised.add(flask)

    def _take(self, flask: str, rows: list[Row], late: dict[str, float], changes: Changes) -> None:
        columns = self._known(flask, changes)
        changes.frames.setdefault(flask, []).extend(row.frame_id for row in rows)
        if flask in late or rows[0].order <= columns.order:
            late[flask] = min(late.get(flask, rows[0].numbers[0]), rows[0].numbers[0])
        else:
            columns.append(rows)

    def _read_again(self, connection: sqlite3.Connection, flask: str, from_t: float | None) -> None:
        """Read a flask's estimates from a time on, or all of them, and put them in place of what is there."""
        since = "" if from_t is None else sortable(moment_of(from_t))
        query = (
            "SELECT frame_id, revision, fact FROM estimates WHERE flask = ? AND acquired_at >= ? "
            "ORDER BY acquired_at, frame_id"
        )
        rows = [
            row_of(frame_id, revision, from_json(fact))
            for frame_id, revision, fact in connection.execute(query, (flask, since))
        ]
        with self.lock:
            columns = self._flasks[flask]
            columns.cut(float("-inf") if from_t is None else from_t)
            columns.append(rows)

    def _read_revisions(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """Find flasks whose estimates were revised without a late frame; once in a while, for it counts all of them."""
        if time.monotonic() < self._sums_due:
            return
        indices = {name for _, name, *_ in connection.execute("PRAGMA index_list(estimates)")}
        pause = SUMS_EVERY_S if SUMS_INDEX in indices else SUMS_WITHOUT_INDEX_S
        self._sums_due, self._sums_wanted = time.monotonic() + pause, False
        sums = "SELECT flask, count(*), sum(revision) FROM estimates GROUP BY flask"
        for flask, count, revisions in connection.execute(sums).fetchall():
            columns = self._flasks.get(flask)
            if columns is not None and (count, revisions) != (len(columns), columns.revisions):
                self._read_again(connection, flask, None)
                changes.revised.add(flask)

    def _read_standings(self, connection: sqlite3.Connection, changes: Changes) -> None:
        found: dict[str, list[AlarmStanding]] = defaultdict(list)
        for flask, fact in connection.execute("SELECT flask, fact FROM standings ORDER BY flask, rowid"):
            with suppress(ValidationError):  # of a version that this program does not know
                found[flask].append(AlarmStanding.model_validate_json(fact))
        with self.lock:
            for flask in {*found, *self._standings}:
                if found.get(flask) != self._standings.get(flask):
                    changes.alarms.add(flask)
                    if flask != MACHINE:
                        self._known(flask, changes)
            self._standings = dict(found)

    def _read_ledger(self, changes: Changes) -> None:
        """Find flasks of which frames came and none has an estimate yet."""
        if time.monotonic() < self._ledger_due or not self._state.ledger.is_file():
            return
        self._ledger_due = time.monotonic() + LEDGER_EVERY_S
        connection = sqlite3.connect(f"{self._state.ledger.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
        try:
            names = [name for (name,) in connection.execute(NAMES)]
        finally:
            connection.close()
        with self.lock:
            for name in names:
                self._known(name, changes)

    def _known(self, flask: str, changes: Changes) -> Columns:
        columns = self._flasks.get(flask)
        if columns is None:
            columns = self._flasks[flask] = Columns()
            changes.whole = True
        return columns
