"""The record on one machine: a SQLite file in WAL mode, safe against kill -9 and readable while it grows."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from monitor.culture.rows import CultureRow, FrameRow, OperatorRow
from monitor.culture.standing import AlarmStanding
from monitor.messages import (
    AlarmChanged,
    DriftDetected,
    FrameFailed,
    FrameSegmented,
    OperatorActed,
    PotencyEstimated,
)
from services.store.audit import AuditLine, UserAction
from services.store.database import explain, open_database, writing
from services.store.record_flask import SqliteFlask, sortable
from services.store.record_journal import Journal
from services.store.record_tables import RECORD
from services.store.record_view import RecordView
from services.store.silence import Silence


class SqliteRecord:
    """The record in one SQLite file; each thread and process opens its own.

    Writing raises `BackPressure` while the disk is full or the file locked: the caller waits, nothing is lost.

    Parameters
    ----------
    path
        The database file; created with its tables where missing.
    readonly
        Open for reading only: for tables, pages and exports beside a running system.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._path = path
        self._connection = open_database(path, RECORD, readonly=readonly)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        explain(error, self._path, RECORD)

    def _write(self) -> AbstractContextManager[sqlite3.Connection]:
        return writing(self._connection, self._path, RECORD)

    def put_segmentations(self, facts: Sequence[FrameSegmented]) -> None:
        """Store segmentations in one transaction; one that is there already is left alone."""
        with self._write() as connection:
            rows = [(fact.frame_id, fact.model_dump_json()) for fact in facts]
            connection.executemany("INSERT OR IGNORE INTO segmentations VALUES (?, ?)", rows)

    def segmentation(self, frame_id: str) -> FrameSegmented | None:
        """Return the stored segmentation of a frame."""
        query = "SELECT fact FROM segmentations WHERE frame_id = ?"
        found = self._connection.execute(query, (frame_id,)).fetchone()
        return FrameSegmented.model_validate_json(found[0]) if found else None

    def put_failure(self, failure: FrameFailed) -> None:
        """Store that a stage gave a frame up; the first reason stays."""
        with self._write() as connection:
            row = (failure.frame_id, failure.model_dump_json())
            connection.execute("INSERT OR IGNORE INTO failures VALUES (?, ?)", row)

    def failures(self) -> list[FrameFailed]:
        """Return every failure."""
        query = "SELECT fact FROM failures ORDER BY frame_id"
        return [FrameFailed.model_validate_json(fact) for (fact,) in self._connection.execute(query)]

    @contextmanager
    def flask(self, flask: str) -> Iterator[SqliteFlask]:
        """Open a write transaction on a flask; commits on leaving, rolls back on an error."""
        with self._write() as connection:
            yield SqliteFlask(connection, flask)

    def flasks(self) -> list[str]:
        """Return the names of all flasks that have rows, sorted."""
        query = "SELECT DISTINCT flask FROM culture_rows ORDER BY flask"
        return [flask for (flask,) in self._connection.execute(query)]

    def put_action(self, acted: OperatorActed) -> None:
        """Store what an operator wants, until a predictor has made it part of the flask's history."""
        with self._write() as connection:
            row = (OperatorRow.of(acted).row_id, sortable(acted.at), acted.model_dump_json())
            connection.execute("INSERT OR IGNORE INTO actions VALUES (?, ?, ?)", row)

    def waiting_actions(self) -> list[OperatorActed]:
        """Return operators' actions that are not part of a history yet, oldest first."""
        query = (
            "SELECT fact FROM actions WHERE NOT EXISTS (SELECT 1 FROM culture_rows WHERE "
            "culture_rows.row_id = actions.row_id) ORDER BY at, row_id"
        )
        return [OperatorActed.model_validate_json(fact) for (fact,) in self._connection.execute(query)]

    def put_user_action(self, deed: UserAction) -> None:
        """Append to the audit log what somebody did that is about no alarm; one that is there already is left alone."""
        with self._write() as connection:
            query = "SELECT 1 FROM audit WHERE kind = 'did' AND flask = ? AND id = ?"
            if connection.execute(query, (deed.flask, deed.deed_id)).fetchone() is None:
                Journal(connection, deed.flask).append("did", deed.deed_id, deed)

    def put_silence(self, silence: Silence) -> None:
        """Store a silence, or that it was ended."""
        with self._write() as connection:
            row = (silence.silence_id, silence.model_dump_json())
            connection.execute("INSERT OR REPLACE INTO silences VALUES (?, ?)", row)

    def silences(self) -> list[Silence]:
        """Return every silence that was ever set, in the order of setting."""
        return [Silence.model_validate_json(fact) for fact in self._facts("silences", "rowid", None)]

    def standings(self) -> list[AlarmStanding]:
        """Return the alarms that are not normal, by flask."""
        return [AlarmStanding.model_validate_json(fact) for fact in self._facts("standings", "flask, rowid", None)]

    def audit_lines(self) -> Iterator[AuditLine]:
        """Yield the audit log from its beginning."""
        for number, text, seal in self._connection.execute("SELECT number, fact, hash FROM audit ORDER BY number"):
            yield AuditLine(number=number, text=text, hash=seal)

    def newest_at(self, flask: str) -> datetime | None:
        """Return the time of the newest row of a flask, of one that waits too; None when it has none."""
        query = "SELECT max(at) FROM culture_rows WHERE flask = ?"
        (stored,) = self._connection.execute(query, (flask,)).fetchone()
        times = [acted.at for acted in self.waiting_actions() if acted.flask == flask]
        return max([*times, *([datetime.fromisoformat(stored)] if stored else [])], default=None)

    def culture_rows(self, flask: str) -> list[CultureRow]:
        """Return every row of a flask in the order of the fold."""
        return SqliteFlask(self._connection, flask).rows()

    def estimates_of(self, frame_ids: Sequence[str]) -> dict[str, PotencyEstimated]:
        """Return the newest revision of the estimates of some frames, by id."""
        facts = RecordView(self._connection).texts_of("estimates", frame_ids)
        return {frame_id: PotencyEstimated.model_validate_json(fact) for frame_id, fact in facts}

    def failures_of(self, frame_ids: Sequence[str]) -> dict[str, FrameFailed]:
        """Return the failures of some frames, by id."""
        facts = RecordView(self._connection).texts_of("failures", frame_ids)
        return {frame_id: FrameFailed.model_validate_json(fact) for frame_id, fact in facts}

    def potency_models(self) -> set[str]:
        """Return the digests of the potency models that made estimates."""
        query = "SELECT DISTINCT json_extract(fact, '$.provenance.potency_model') FROM estimates"
        return {model for (model,) in self._connection.execute(query)}

    def settled(self, frame_ids: Sequence[str]) -> set[str]:
        """Return which of some frames have an estimate or a failure."""
        return RecordView(self._connection).settled(frame_ids)

    def _facts(self, table: str, order: str, flask: str | None, extra: str = "") -> Iterator[str]:
        where = ["flask = :flask"] if flask is not None else []
        where += [extra] if extra else []
        clause = f"WHERE {' AND '.join(where)}" if where else ""
        # table, order and extra are literals of this module; the flask's name is bound
        query = f"SELECT fact FROM {table} {clause} ORDER BY {order}"
        return (fact for (fact,) in self._connection.execute(query, {"flask": flask}))

    def frame_rows(self, flask: str | None = None) -> list[FrameRow]:
        """Return stored measurements, of one flask or all, ordered by time and id."""
        facts = self._facts("culture_rows", "at, row_id", flask, "kind = 'frame'")
        return [FrameRow.model_validate_json(fact) for fact in facts]

    def estimates(self, flask: str | None = None, since: datetime | None = None) -> list[PotencyEstimated]:
        """Return the newest revision of each estimate, ordered by acquisition time and frame_id."""
        facts = self._facts("estimates", "acquired_at, frame_id", flask)
        found = (PotencyEstimated.model_validate_json(fact) for fact in facts)
        return [fact for fact in found if since is None or fact.acquired_at >= since]

    def alarms(self, flask: str | None = None, *, withdrawn: bool = False) -> list[AlarmChanged]:
        """Return alarm events in order of time; withdrawn ones only on request."""
        facts = self._facts("alarms", "at, event_id", flask, "" if withdrawn else "withdrawn = 0")
        return [AlarmChanged.model_validate_json(fact) for fact in facts]

    def drifts(self, flask: str | None = None) -> list[DriftDetected]:
        """Return drift events in order of time."""
        return [DriftDetected.model_validate_json(fact) for fact in self._facts("drifts", "at, event_id", flask)]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
