"""One file of the watched folder as the ledger holds it, and a flask's rhythm."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Literal

from monitor.frames.identity import FrameKey
from monitor.messages import FrameArrived

State = Literal["arrived", "queued", "settled", "quarantined", "duplicate", "replaced", "vanished"]
Series = tuple[str, str]
"""(position, channel) of a flask."""
TIME_POINTS_TO_LEARN = 4
MTIME_MOST_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One file as it was seen.

    source: path relative to the watched folder; bytes that are no text are written as escapes;
    size, mtime_ns: as the file system gave them; frame_id: sha256 of the content, empty when it was never read;
    state: arrived (readable, not yet queued), queued, settled (it has a result; noted a little later than that),
    quarantined (reason and detail say why), duplicate (a second copy of a frame; detail says of which), replaced (a
    frame whose path holds other content by now, in a newer row), vanished (was quarantined, and is gone or written
    over since);
    arrived: the fact, None for what never became a frame.
    """

    source: str
    size: int
    mtime_ns: int
    frame_id: str
    state: State
    reason: str
    detail: str
    arrived: FrameArrived | None

    @property
    def key(self) -> FrameKey | None:
        """The frame's key when it became a frame."""
        return self.arrived.key if self.arrived else None

    @property
    def acquired_at(self) -> datetime | None:
        """When it was acquired, when it became a frame."""
        return self.arrived.acquired_at if self.arrived else None


@dataclass(frozen=True, slots=True)
class LastArrival:
    """A flask's newest arrival, and when its last frames were acquired: ascending and distinct, by series."""

    frame_id: str
    acquired_at: datetime
    arrived_at: datetime
    moments: Mapping[Series, tuple[datetime, ...]]

    @property
    def interval_s(self) -> float | None:
        """Observed time between the frames of a position; see `median_gap_s`."""
        return median_gap_s(self.moments.values())


def median_gap_s(series: Iterable[Sequence[datetime]]) -> float | None:
    """Return the median gap in seconds between the time points of each series, all series together.

    Each series is ascending and distinct. None until one of them has `TIME_POINTS_TO_LEARN` time points. Gaps are never
    taken across series: positions of a flask are imaged moments apart, which says nothing of its rhythm.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    >>> median_gap_s([[noon.replace(minute=15 * quarter) for quarter in range(4)]])
    900.0
    """
    known = [moments for moments in series if len(moments) >= TIME_POINTS_TO_LEARN]
    gaps = [(later - earlier).total_seconds() for moments in known for earlier, later in itertools.pairwise(moments)]
    return median(gaps) if gaps else None


def bounded(mtime_ns: int) -> int:
    """Return a time of modification as the ledger holds it: file systems know times beyond 2262, SQLite does not."""
    return max(-MTIME_MOST_NS, min(mtime_ns, MTIME_MOST_NS))
