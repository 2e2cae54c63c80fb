"""When a file counts as complete: it held still, its structure is whole, and it is a frame."""

import heapq
import os
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from monitor.errors import CellvigilError, FrameNotReady, FrameRejected, LayoutMismatch
from services.ingest.admission import Admission, FileChanged, modified, source_of
from services.store.ledger_row import LedgerRow

__all__ = ["Candidates", "Patience", "source_of"]

RETRY_FIRST_S = 0.5
RETRY_MOST_S = 15.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long files are waited for.

    settle_s: size and mtime hold still so long between two looks; deadline_s: a file that held still so long and is
    not readable goes to quarantine.
    """

    settle_s: float
    deadline_s: float


@dataclass(slots=True)
class _Candidate:
    """A file that may become a frame; times are of the monotonic clock."""

    path: Path
    flask: str
    acquired_at: datetime
    size: int
    mtime_ns: int
    still_since: float
    turn: int = 0
    retry_s: float = RETRY_FIRST_S
    not_ready: FrameNotReady | None = None


class Candidates:
    """Files under observation. `look` returns a ledger row for each that was decided.

    A file is looked at twice, `settle_s` apart; one that has not changed for that long before it was first seen needs
    one look. Of the files whose time has come, the one that was acquired first is judged first.
    """

    def __init__(self, admission: Admission, patience: Patience) -> None:
        self._admission = admission
        self._patience = patience
        self._files: dict[str, _Candidate] = {}
        # heaps of (when to look or when acquired, name, turn); an entry counts only while its turn is the candidate's
        self._waiting: list[tuple[float, str, int]] = []
        self._ready: list[tuple[datetime, str, int]] = []
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._files)

    @property
    def moving(self) -> int:
        """Number of files that may yet become frames by themselves: all but those that stand still unreadable."""
        return self._open.total()

    def expects(self, flask: str) -> bool:
        """Whether a file of this flask is about to be judged."""
        return self._open[flask] > 0

    def consider(self, path: Path, status: os.stat_result) -> None:
        """Take a file under observation, or note that it changed."""
        name = str(path)
        known = self._files.get(name)
        if known is not None:
            if (known.size, known.mtime_ns) != (status.st_size, status.st_mtime_ns):
                self._restart(name, known, status)
            return
        now = time.monotonic()
        flask, acquired_at = self._named(path, status)
        candidate = _Candidate(path, flask, acquired_at, status.st_size, status.st_mtime_ns, now)
        self._files[name] = candidate
        self._open[flask] += 1
        age_s = time.time() - status.st_mtime
        settled = age_s > self._patience.settle_s
        if settled:
            candidate.still_since = now - age_s
        self._schedule(name, candidate, now if settled else now + self._patience.settle_s)

    def look(self, most: int, until: float) -> list[LedgerRow]:
        """Judge files whose time has come: up to `most`, stopping at the monotonic time `until`."""
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, name, turn = heapq.heappop(self._waiting)
            candidate = self._current(name, turn)
            if candidate is not None:
                heapq.heappush(self._ready, (candidate.acquired_at, name, turn))
        rows: list[LedgerRow] = []
        while self._ready and len(rows) < most:
            _, name, turn = heapq.heappop(self._ready)
            candidate = self._current(name, turn)
            row = self._judge(name, candidate) if candidate is not None else None
            if row is not None:
                rows.append(row)
            if time.monotonic() >= until:
                break
        return rows

    def conclude(self) -> list[LedgerRow]:
        """Give up the files that stand still unreadable; the rows say why. They are judged again when they change."""
        return [
            row
            for name, candidate in list(self._files.items())
            if candidate.not_ready is not None and (row := self._give_up(name, candidate, candidate.not_ready))
        ]

    def _named(self, path: Path, status: os.stat_result) -> tuple[str, datetime]:
        try:
            parsed = self._admission.layout.parse(path.relative_to(self._admission.root).as_posix())
        except LayoutMismatch:
            return "", modified(status)
        return parsed.key.flask, parsed.acquired_at or modified(status)

    def _schedule(self, name: str, candidate: _Candidate, when: float) -> None:
        candidate.turn += 1
        heapq.heappush(self._waiting, (when, name, candidate.turn))

    def _current(self, name: str, turn: int) -> _Candidate | None:
        candidate = self._files.get(name)
        return candidate if candidate is not None and candidate.turn == turn else None

    def _judge(self, name: str, candidate: _Candidate) -> LedgerRow | None:
        try:
            status = candidate.path.lstat()
            if (candidate.size, candidate.mtime_ns) != (status.st_size, status.st_mtime_ns):
                raise FileChanged(name)
            row = self._admission.admit(candidate.path, status)
        except FileChanged:
            self._restart(name, candidate, None)
            return None
        except FileNotFoundError:
            self._drop(name, candidate)  # renamed or deleted; a rename announces the new name
            return None
        except FrameNotReady as error:
            return self._wait_or_give_up(name, candidate, error)
        except CellvigilError as error:
            row = self._admission.quarantine(candidate.path, status, error)
        except OSError as error:
            source = source_of(candidate.path, self._admission.root)
            message = f"{source} cannot be read ({error.strerror}); check the disk and the connection"
            return self._wait_or_give_up(name, candidate, FrameNotReady(message, reason="unreadable"))
        self._drop(name, candidate)
        return row

    def _wait_or_give_up(self, name: str, candidate: _Candidate, error: FrameNotReady) -> LedgerRow | None:
        now = time.monotonic()
        if now - candidate.still_since >= self._patience.deadline_s:
            return self._give_up(name, candidate, error)
        if candidate.not_ready is None:
            self._open[candidate.flask] -= 1
        candidate.not_ready = error
        self._schedule(name, candidate, now + candidate.retry_s)
        candidate.retry_s = min(candidate.retry_s * 2.0, RETRY_MOST_S)
        return None

    def _give_up(self, name: str, candidate: _Candidate, error: FrameNotReady) -> LedgerRow | None:
        self._drop(name, candidate)
        try:
            status = candidate.path.lstat()
        except OSError:
            return None  # gone, or its share is away: a scan finds it when it is back
        rejected = FrameRejected(str(error), reason=error.reason)
        return self._admission.quarantine(candidate.path, status, rejected)

    def _restart(self, name: str, candidate: _Candidate, status: os.stat_result | None) -> None:
        """Begin again with a file that changed."""
        if status is None:
            try:
                status = candidate.path.lstat()
            except OSError:
                self._drop(name, candidate)
                return
        if candidate.not_ready is not None:
            self._open[candidate.flask] += 1
        candidate.not_ready, candidate.retry_s = None, RETRY_FIRST_S
        candidate.size, candidate.mtime_ns = status.st_size, status.st_mtime_ns
        candidate.still_since = time.monotonic()
        self._schedule(name, candidate, candidate.still_since + self._patience.settle_s)

    def _drop(self, name: str, candidate: _Candidate) -> None:
        del self._files[name]
        if candidate.not_ready is None:
            self._open[candidate.flask] -= 1
