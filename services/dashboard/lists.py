"""Long lists that are looked through now and then: quarantine and the audit log."""

import io
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import Field

from monitor.errors import CellvigilError
from monitor.frames.reader import SUFFIXES, ReadLimits, read_frame
from monitor.segmentation.overlay import stretched
from services.dashboard.content import Content, etag_of
from services.dashboard.cursors import NUMBER_MOST, Paged, number_of
from services.dashboard.endpoint import PageRequest
from services.dashboard.errors import NotFound
from services.dashboard.installation import Installation
from services.dashboard.pictures import shrunk
from services.dashboard.schemas import AuditItem, AuditPage, QuarantinedFile, QuarantinePage
from services.store.audit import AuditLine
from services.store.ledger_view import QuarantinedRow, viewed_ledger
from services.store.record_view import viewed_record

PREVIEW_PX = 320
PREVIEW_MOST_BYTES = 256 << 20
SEEN_ALL_THE_SAME = frozenset(
    ("bad_name", "bad_pixel_size", "layout", "no_pixel_size", "other_channel", "pixels_not_square", "too_small")
)
"""Reasons that are not about the pixels: what is refused for any other cannot be read as a picture."""


class AuditWanted(Paged):
    """Of a flask, or of everything."""

    flask: Annotated[str | None, Field(max_length=200)] = None


def quarantine_list(request: PageRequest) -> QuarantinePage:
    """Return the files that did not become frames, newest first, with the mend of each."""
    before, limit = number_of(request.params.cursor, NUMBER_MOST), request.params.limit
    with viewed_ledger(request.page.state.ledger) as ledger:
        if ledger is None:
            return QuarantinePage(items=[], next=None, total=0)
        rows, total = ledger.quarantined_before(before, limit + 1), ledger.count_quarantined()
    folder = request.page.settings.watch.folder.resolve()
    items = [
        QuarantinedFile(
            id=row.number,
            source=row.source,
            reason=row.reason,
            detail=row.detail,
            size_bytes=row.size,
            first_seen=row.first_seen,
            preview_url=_preview_url(row) if _may_show(folder / row.source, row.reason) else None,
        )
        for row in rows[:limit]
    ]
    more = str(items[-1].id) if len(rows) > len(items) else None
    return QuarantinePage(items=items, next=more, total=total)


def quarantine_preview(request: PageRequest) -> Content:
    """Return what can be seen of a file in quarantine, as JPEG."""
    with viewed_ledger(request.page.state.ledger) as ledger:
        found = None if ledger is None else ledger.quarantined(int(request.path["file"]))
    if found is None:
        raise NotFound("there is no such file in quarantine", reason="no_file")
    folder = request.page.settings.watch.folder.resolve()
    etag = etag_of(found.source, str(found.size), str(found.mtime_ns))
    limits = ReadLimits(max_bytes=PREVIEW_MOST_BYTES, min_side_px=1)
    try:
        frame = read_frame(folder / found.source, root=folder, pixel_size_um=1.0, limits=limits)
    except (CellvigilError, OSError) as error:
        raise NotFound(f"nothing of it can be shown: {error}"[:500], reason="no_preview") from error
    grey = Image.fromarray(stretched(np.nan_to_num(frame.pixels)))
    rows, columns = shrunk((grey.height, grey.width), PREVIEW_PX)
    stream = io.BytesIO()
    grey.resize((columns, rows), Image.Resampling.BOX).save(stream, "JPEG", quality=80)
    return Content(stream.getvalue(), "image/jpeg", etag=etag)


def audit_list(request: PageRequest) -> AuditPage:
    """Return the audit log, newest line first: who, when, why; and whether it was changed by hand."""
    return audit_lines(request.page, request.params)


def audit_lines(page: Installation, wanted: AuditWanted) -> AuditPage:
    """Return lines of the audit log, newest first."""
    before = number_of(wanted.cursor, NUMBER_MOST)
    with viewed_record(page.state.record) as record:
        if record is None:
            return AuditPage(items=[], next=None, total=0, broken_at=None)
        lines, total = record.audit_before(before, wanted.limit + 1, wanted.flask), record.count_audit(wanted.flask)
    items = [_item(line) for line in lines[: wanted.limit]]
    more = str(items[-1].number) if len(lines) > len(items) else None
    return AuditPage(items=items, next=more, total=total, broken_at=page.overview.health().audit_broken_at)


def _item(line: AuditLine) -> AuditItem:
    entry = line.entry
    return AuditItem(
        number=line.number,
        written_at=entry.written_at,
        kind=entry.kind,
        flask=entry.what.flask,
        channel=getattr(entry.what, "channel", None),
        by=entry.what.by,
        text=entry.words,
        hash=line.hash,
    )


def _preview_url(row: QuarantinedRow) -> str:
    return f"/api/v1/quarantine/{row.number}/preview.jpg"


def _may_show(file: Path, reason: str) -> bool:
    return reason in SEEN_ALL_THE_SAME and file.suffix.lower() in SUFFIXES and file.is_file()
