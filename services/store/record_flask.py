"""One flask of the record inside a write transaction."""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, TypeAdapter

from monitor.culture.rows import CultureRow
from monitor.culture.standing import AlarmStanding, AlarmTransition
from monitor.messages import AlarmChanged, DriftDetected, OperatorActed, PotencyEstimated
from services.store.record_journal import Journal

_ROW: TypeAdapter[CultureRow] = TypeAdapter(Annotated[CultureRow, Field(discriminator="kind")])


def sortable(moment: datetime) -> str:
    """Write a time so that text order is time order: UTC, fixed width.

    >>> sortable(datetime(2026, 3, 10, 12, tzinfo=UTC))
    '2026-03-10T12:00:00.000000+00:00'
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class SqliteFlask:
    """One flask inside an open write transaction; see `FlaskTransaction`."""

    def __init__(self, connection: sqlite3.Connection, flask: str) -> None:
        self._connection = connection
        self._flask = flask

    def add(self, row: CultureRow) -> bool:
        """Store a row; False when a row with its id was stored before."""
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO culture_rows VALUES (?, ?, ?, ?, ?)",
            (row.row_id, self._flask, sortable(row.at), row.kind, row.model_dump_json()),
        )
        return cursor.rowcount == 1

    def count(self) -> int:
        """Return how many rows the flask has."""
        query = "SELECT count(*) FROM culture_rows WHERE flask = ?"
        return int(self._connection.execute(query, (self._flask,)).fetchone()[0])

    def rows(self) -> list[CultureRow]:
        """Return every row of the flask in the order of the fold."""
        query = "SELECT fact FROM culture_rows WHERE flask = ? ORDER BY at, row_id"
        return [_ROW.validate_json(fact) for (fact,) in self._connection.execute(query, (self._flask,))]

    def estimates(self) -> dict[str, PotencyEstimated]:
        """Return the newest revision of every estimate of the flask by frame_id."""
        query = "SELECT fact FROM estimates WHERE flask = ?"
        facts = (
            PotencyEstimated.model_validate_json(fact) for (fact,) in self._connection.execute(query, (self._flask,))
        )
        return {fact.frame_id: fact for fact in facts}

    def put_estimates(self, estimates: Iterable[PotencyEstimated]) -> None:
        """Store estimates; a higher revision supersedes, an equal or lower one changes nothing."""
        self._connection.executemany(
            "INSERT INTO estimates VALUES (?, ?, ?, ?, ?) ON CONFLICT (frame_id) DO UPDATE SET "
            "revision = excluded.revision, fact = excluded.fact WHERE excluded.revision > estimates.revision",
            [(e.frame_id, self._flask, sortable(e.acquired_at), e.revision, e.model_dump_json()) for e in estimates],
        )

    def put_drifts(self, drifts: Iterable[DriftDetected]) -> list[DriftDetected]:
        """Store drift events; return those that were new."""
        insert = "INSERT INTO drifts VALUES (?, ?, ?, ?) ON CONFLICT (event_id) DO UPDATE SET fact = excluded.fact"
        new = []
        for drift in drifts:
            if not self._stored("SELECT fact FROM drifts WHERE event_id = ?", drift.event_id):
                new.append(drift)
            self._connection.execute(insert, (drift.event_id, self._flask, sortable(drift.at), drift.model_dump_json()))
        return new

    def put_alarms(self, alarms: Iterable[AlarmChanged]) -> list[AlarmChanged]:
        """Store alarm events, or bring back withdrawn ones; return those that were new or came back.

        An event whose words or numbers a late row changed is stored as it is by now, and is not new for that.
        """
        insert = (
            "INSERT INTO alarms VALUES (?, ?, ?, 0, ?) ON CONFLICT (event_id) DO UPDATE SET withdrawn = 0, "
            "fact = excluded.fact"
        )
        new = []
        for alarm in alarms:
            if not self._stored("SELECT fact FROM alarms WHERE event_id = ? AND withdrawn = 0", alarm.event_id):
                new.append(alarm)
            self._connection.execute(insert, (alarm.event_id, self._flask, sortable(alarm.at), alarm.model_dump_json()))
        return new

    def _stored(self, query: str, event_id: str) -> bool:
        return self._connection.execute(query, (event_id,)).fetchone() is not None

    def withdraw_alarms_except(self, event_ids: set[str]) -> None:
        """Mark stored alarm events of the flask that the fold no longer yields as withdrawn."""
        stored = self._connection.execute("SELECT event_id FROM alarms WHERE flask = ?", (self._flask,)).fetchall()
        gone = [(event_id,) for (event_id,) in stored if event_id not in event_ids]
        self._connection.executemany("UPDATE alarms SET withdrawn = 1 WHERE event_id = ?", gone)

    def put_standings(self, standings: Sequence[AlarmStanding]) -> None:
        """Store where the flask's alarms stand now, in place of what stood there."""
        self._connection.execute("DELETE FROM standings WHERE flask = ?", (self._flask,))
        rows = [(self._flask, standing.channel, standing.model_dump_json()) for standing in standings]
        self._connection.executemany("INSERT INTO standings VALUES (?, ?, ?)", rows)

    def audit_action(self, acted: OperatorActed) -> None:
        """Append to the audit log that an operator acted."""
        Journal(self._connection, self._flask).append("acted", acted.action_id, acted)

    def audit_moves(self, moves: Iterable[AlarmTransition]) -> None:
        """Append transitions to the audit log."""
        journal = Journal(self._connection, self._flask)
        for move in moves:
            journal.append("moved", move.transition_id, move)

    def audit_history(self, moves: Sequence[AlarmTransition]) -> None:
        """Bring the audit log up to the flask's whole history."""
        Journal(self._connection, self._flask).follow(moves)
