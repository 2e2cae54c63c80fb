"""What the page knows of the record, kept up to date by reading only what is new.

SQLite says cheaply whether anything was written (`PRAGMA data_version`); new rows have new rowids. A frame that came
late has a time before the newest one of its flask: from there on the flask is read again, since its later estimates
were revised. Whatever else revises estimates (other settings, what an operator did in the past) shows in the sum of
the revisions, which only grows. All that belongs together is read in one transaction.
"""

import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import ValidationError
from pydantic_core import from_json

from monitor.culture.standing import AlarmStanding
from monitor.errors import BackPressure
from monitor.messages import MACHINE
from services.dashboard.columns import Columns, Row, moment_of, row_of
from services.state_folder import StateFolder
from services.store.ledger_view import viewed_ledger
from services.store.record_view import FollowedRecord, RecordView

PART = 2000
SUMS_EVERY_S = 2.0
LEDGER_EVERY_S = 1.0


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
        self._record: FollowedRecord | None = None
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
        BackPressure
            The record cannot be read now; the next look goes on where this one ended.
        """
        changes = Changes()
        self._follow_file(changes)
        if self._record is not None:
            try:
                self._read(self._record, changes)
            except BackPressure:
                # what was taken of this look stays; the count of rows and revisions shows what is missing
                self._version, self._sums_due, self._sums_wanted = None, 0.0, True
                raise
        self._read_ledger(changes)
        if changes:
            self.revision += 1
        self.loaded = True
        return changes

    def _read(self, followed: FollowedRecord, changes: Changes) -> None:
        with followed.view() as record:
            version = record.version()
        news = version != self._version
        if not news and not (self._sums_wanted and time.monotonic() >= self._sums_due):
            return
        with followed.snapshot() as record:
            if news:
                self._sums_wanted = True
                self._read_estimates(record, changes)
                self._read_standings(record, changes)
            self._read_revisions(record, changes)
        self._version = version

    def close(self) -> None:
        """Close the connection."""
        if self._record is not None:
            self._record.close()
            self._record = None

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
            self._record = FollowedRecord(self._state.record)

    def _read_estimates(self, record: RecordView, changes: Changes) -> None:
        late: dict[str, float] = {}
        while part := record.estimates_after(self._rowid, PART):
            rows: dict[str, list[Row]] = defaultdict(list)
            for _, flask, frame_id, revision, fact in part:
                rows[flask].append(row_of(frame_id, revision, from_json(fact)))
            with self.lock:
                for flask, found in rows.items():
                    self._take(flask, sorted(found, key=lambda row: row.order), late, changes)
            self._rowid = part[-1][0]
        for flask, from_t in late.items():
            self._read_again(record, flask, from_t)
            changes.revised.add(flask)

    def _take(self, flask: str, rows: list[Row], late: dict[str, float], changes: Changes) -> None:
        columns = self._known(flask, changes)
        changes.frames.setdefault(flask, []).extend(row.frame_id for row in rows)
        if flask in late or rows[0].order <= columns.order:
            late[flask] = min(late.get(flask, rows[0].numbers[0]), rows[0].numbers[0])
        else:
            columns.append(rows)

    def _read_again(self, record: RecordView, flask: str, from_t: float | None) -> None:
        """Read a flask's estimates from a time on, or all of them, and put them in place of what is there."""
        since = None if from_t is None else moment_of(from_t)
        rows = [
            row_of(frame_id, revision, from_json(fact))
            for frame_id, revision, fact in record.estimates_from(flask, since)
        ]
        with self.lock:
            columns = self._flasks[flask]
            columns.cut(float("-inf") if from_t is None else from_t)
            columns.append(rows)

    def _read_revisions(self, record: RecordView, changes: Changes) -> None:
        """Find flasks whose estimates were revised without a late frame; once in a while, for it counts all of them."""
        if time.monotonic() < self._sums_due:
            return
        self._sums_due, self._sums_wanted = time.monotonic() + SUMS_EVERY_S, False
        for flask, count, revisions in record.revision_sums():
            columns = self._flasks.get(flask)
            if columns is not None and (count, revisions) != (len(columns), columns.revisions):
                self._read_again(record, flask, None)
                changes.revised.add(flask)

    def _read_standings(self, record: RecordView, changes: Changes) -> None:
        found: dict[str, list[AlarmStanding]] = defaultdict(list)
        for flask, fact in record.standings():
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
        if time.monotonic() < self._ledger_due:
            return
        self._ledger_due = time.monotonic() + LEDGER_EVERY_S
        with viewed_ledger(self._state.ledger) as ledger:
            names = [] if ledger is None else ledger.flasks()
        with self.lock:
            for name in names:
                self._known(name, changes)

    def _known(self, flask: str, changes: Changes) -> Columns:
        columns = self._flasks.get(flask)
        if columns is None:
            columns = self._flasks[flask] = Columns()
            changes.whole = True
        return columns
