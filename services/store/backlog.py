"""What waits: frames that arrived and have no result yet, found without reading what is through."""

from dataclasses import dataclass
from datetime import datetime

from services.store.ledger_view import LedgerView
from services.store.record_view import RecordView

MOST = 20_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many frames have no result yet, at most `MOST`, and when the oldest of them came."""

    frames: int
    oldest: datetime | None


def backlog(ledger: LedgerView, record: RecordView | None) -> Backlog:
    """Return what waits: the ledger learns of results a little later than the record does."""
    came = ledger.waiting(MOST)
    settled = set() if record is None else record.settled(list(came))
    times = [at for frame_id, at in came.items() if frame_id not in settled]
    return Backlog(len(times), min(times, default=None))
