"""What became of every frame: the ledger joined with the record, one row per frame."""

import csv
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from itertools import islice
from typing import TextIO

from monitor.messages import EstimateState, FrameFailed, PotencyEstimated
from services.store.ledger import Ledger
from services.store.ledger_row import LedgerRow
from services.store.record import Record

PART = 1000


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One frame and what is known of it.

    state: ok, not_assessable, failed, quarantined, or waiting for one that is not through yet; reason says why it is
    not ok; confluency is a fraction; potency, low and high are percent of the reference lot, empty unless ok.
    """

    frame_id: str
    source: str
    flask: str
    position: str
    acquired_at: str
    state: str
    reason: str
    cells: int | None
    nuclei: int | None
    confluency: float | None
    potency: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Completeness:
    """Whether everything that came in went out: `lost` frames have no result though nothing is waiting for them."""

    ledger: int
    results: int
    waiting: int


def result_rows(ledger: Ledger, record: Record) -> Iterator[ResultRow]:
    """Yield one row per frame and file in quarantine, in the order of the ledger; second copies are neither."""
    rows = (row for row in ledger.rows() if row.state not in ("duplicate", "vanished"))
    for part in batched(rows, PART):
        ids = [row.frame_id for row in part]
        estimates, failures = record.estimates_of(ids), record.failures_of(ids)
        for row in part:
            # a file in quarantine may hold the content of a frame that lies elsewhere under a better name
            became_frame = row.state != "quarantined"
            estimate, failure = estimates.get(row.frame_id), failures.get(row.frame_id)
            yield _result(row, estimate if became_frame else None, failure if became_frame else None)


def batched(rows: Iterator[LedgerRow], size: int) -> Iterator[list[LedgerRow]]:
    """Yield rows in lists of at most `size`; few are held in memory at a time."""
    while part := list(islice(rows, size)):
        yield part


def completeness(ledger: Ledger, record: Record) -> Completeness:
    """Count frames and files in quarantine, those with a result, and those still waiting."""
    counts = ledger.counts()
    every = sum(count for state, count in counts.items() if state not in ("duplicate", "vanished"))
    waiting = ledger.count_without_result(record.settled)
    return Completeness(ledger=every, results=every - waiting, waiting=waiting)


def write_csv(rows: Iterator[ResultRow], stream: TextIO) -> int:
    """Write rows as CSV with a header; return how many. Text that a spreadsheet would run as a formula is quoted."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in fields(ResultRow)])
    written = 0
    for row in rows:
        writer.writerow([inert(value) if isinstance(value, str) else value for value in astuple(row)])
        written += 1
    return written


def inert(text: str) -> str:
    """Return text that a spreadsheet shows rather than runs, control characters escaped.

    >>> inert("=cmd()")
    "'=cmd()"
    """
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return f"'{shown}" if shown[:1] in ("=", "+", "-", "@") else shown


def _result(row: LedgerRow, estimate: PotencyEstimated | None, failure: FrameFailed | None) -> ResultRow:
    key = row.key
    state, reason = _state(row, estimate, failure)
    worth = estimate.estimate if estimate else None
    return ResultRow(
        frame_id=row.frame_id,
        source=row.source,
        flask=key.flask if key else "",
        position=key.position if key else "",
        acquired_at=row.acquired_at.isoformat() if row.acquired_at else "",
        state=state,
        reason=reason,
        cells=estimate.n_cells if estimate else None,
        nuclei=estimate.n_nuclei if estimate else None,
        confluency=estimate.quality.confluency if estimate else None,
        potency=worth.potency if worth else None,
        low=worth.low if worth else None,
        high=worth.high if worth else None,
    )


def _state(row: LedgerRow, estimate: PotencyEstimated | None, failure: FrameFailed | None) -> tuple[str, str]:
    if estimate is not None:
        ok = estimate.estimate.state is EstimateState.OK
        return ("ok", "") if ok else ("not_assessable", estimate.estimate.reason or "")
    if failure is not None:
        return "failed", failure.reason
    if row.state == "quarantined":
        return "quarantined", row.reason or ""
    return "waiting", ""
