"""The ledger as it is looked at beside a run."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from monitor.messages import FrameArrived
from services.store.database import looking
from services.store.ledger import FRAMES, LEDGER, WAITING
from services.store.record_view import AMONG

FLASKS = """
WITH RECURSIVE names (name) AS (
  SELECT min(flask) FROM files UNION ALL
  SELECT (SELECT min(flask) FROM files WHERE flask > name) FROM names WHERE name IS NOT NULL)
SELECT name FROM names WHERE name IS NOT NULL
"""
CAME = f"(state IN {FRAMES} OR state = 'replaced')"


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A file in quarantine; number: its place in the order in which files were first seen."""

    number: int
    source: str
    reason: str
    detail: str
    size: int
    mtime_ns: int
    first_seen: datetime


class LedgerView:
    """Reads of the ledger."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def flasks(self) -> list[str]:
        """Return the names of all flasks of which a frame came."""
        return [name for (name,) in self._connection.execute(FLASKS)]

    def counts(self) -> dict[str, int]:
        """Return the number of files by state."""
        return dict(self._connection.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall())

    def waiting(self, most: int) -> dict[str, datetime]:
        """Return when frames came that are not known to have a result, by id; the newest ones, at most so many."""
        query = f"SELECT frame_id, arrived_at FROM files WHERE state IN {WAITING} ORDER BY number DESC LIMIT ?"
        found = self._connection.execute(query, (most,))
        return {frame_id: datetime.fromisoformat(at) for frame_id, at in found if at is not None}

    def count_arrived(self, since: datetime, most: int) -> int:
        """Return how many frames arrived since a time, among the last files that were seen."""
        query = (
            "SELECT count(*) FROM files WHERE number > (SELECT coalesce(max(number), 0) FROM files) - ? "
            f"AND arrived_at > ? AND state IN {FRAMES}"
        )
        found: int = self._connection.execute(query, (most, since.isoformat(timespec="microseconds"))).fetchone()[0]
        return found

    def arrived(self, frame_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return frames as they arrived, by id, those too whose file holds other content by now."""
        query = f"SELECT frame_id, message_json FROM files WHERE {AMONG} AND {CAME} AND message_json IS NOT NULL"
        return {frame: from_json(fact) for frame, fact in self._connection.execute(query, (json.dumps(frame_ids),))}

    def frame(self, frame_id: str) -> FrameArrived | None:
        """Return a frame whose file is still there."""
        query = (
            f"SELECT message_json FROM files WHERE frame_id = ? AND message_json IS NOT NULL AND state IN {FRAMES} "
            "LIMIT 1"
        )
        found = self._connection.execute(query, (frame_id,)).fetchone()
        return None if found is None else FrameArrived.model_validate_json(found[0])

    def frames_of(self, flask: str) -> list[tuple[str, str, datetime]]:
        """Return frame_id, position and time of acquisition of every frame of a flask."""
        query = f"SELECT frame_id, position, acquired_at FROM files WHERE flask = ? AND {CAME}"
        rows = self._connection.execute(query, (flask,))
        return [(frame_id, position, datetime.fromisoformat(at)) for frame_id, position, at in rows]

    def quarantined_before(self, number: int, most: int) -> list[QuarantinedRow]:
        """Return files in quarantine that were first seen before a number, newest first."""
        return self._quarantined("number < ? ORDER BY number DESC LIMIT ?", (number, most))

    def quarantined(self, number: int) -> QuarantinedRow | None:
        """Return one file in quarantine."""
        return next(iter(self._quarantined("number = ?", (number,))), None)

    def count_quarantined(self) -> int:
        """Return how many files are in quarantine."""
        query = "SELECT count(*) FROM files WHERE state = 'quarantined'"
        found: int = self._connection.execute(query).fetchone()[0]
        return found

    def _quarantined(self, where: str, values: tuple[int, ...]) -> list[QuarantinedRow]:
        columns = "number, source, reason, detail, size, mtime_ns, first_seen"
        query = f"SELECT {columns} FROM files WHERE state = 'quarantined' AND {where}"
        rows = self._connection.execute(query, values)
        return [
            QuarantinedRow(number, source, reason, detail, size, mtime_ns, datetime.fromisoformat(first_seen))
            for number, source, reason, detail, size, mtime_ns, first_seen in rows
        ]


@contextmanager
def viewed_ledger(path: Path) -> Iterator[LedgerView | None]:
    """Open a ledger for a look; None where there is none yet. Raises as `viewed_record`."""
    with looking(path, LEDGER) as connection:
        yield None if connection is None else LedgerView(connection)
