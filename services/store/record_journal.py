"""Writing the audit log, inside the transaction of what it tells of: neither can be there without the other."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from monitor.culture.standing import AlarmTransition
from monitor.messages import OperatorActed
from services.store.audit import BEGINNING, AuditEntry, UserAction
from services.store.seal import sealed


class Journal:
    """Appends lines about one flask to the log of the whole installation."""

    def __init__(self, connection: sqlite3.Connection, flask: str) -> None:
        self._connection = connection
        self._flask = flask

    def append(
        self,
        kind: Literal["acted", "moved", "withdrawn", "did"],
        identity: str,
        what: OperatorActed | AlarmTransition | UserAction,
    ) -> None:
        """Append a line, sealed onto the newest one."""
        newest = self._connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
        number, previous = newest or (0, BEGINNING)
        text = AuditEntry(kind=kind, written_at=datetime.now(UTC), what=what).model_dump_json()
        self._connection.execute(
            "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)",
            (number + 1, self._flask, kind, identity, text, sealed(previous, text)),
        )

    def follow(self, moves: Sequence[AlarmTransition]) -> None:
        """Append the moves of the flask's whole history that are new, and what no longer belongs to it."""
        query = "SELECT id, kind, fact FROM audit WHERE flask = ? AND kind IN ('moved', 'withdrawn') ORDER BY number"
        stood = {
            identity: fact if kind == "moved" else None
            for identity, kind, fact in self._connection.execute(query, (self._flask,))
        }
        told = {identity for identity, fact in stood.items() if fact is not None}
        history = {move.transition_id: move for move in moves}
        for identity, fact in stood.items():
            if fact is not None and identity not in history:
                self.append("withdrawn", identity, _move(fact))
        for identity, move in history.items():
            if identity not in told:
                self.append("moved", identity, move)


def _move(fact: str) -> AlarmTransition:
    what = AuditEntry.model_validate_json(fact).what
    assert isinstance(what, AlarmTransition)
    return what
