"""When a file counts as complete: it held still, its structure is whole, and it is a frame."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from monitor.errors import CellvigilError, FrameNotReady, FrameRejected
from monitor.frames.identity import frame_id_of
from monitor.frames.layout import Layout
from monitor.frames.reader import ReadLimits, inspect_frame
from monitor.frames.sample import Sample
from monitor.messages import BlobRef, FrameArrived
from services.ingest.scanner import FOREIGN
from services.ledger import LedgerRow

RETRY_FIRST_S = 0.5
RETRY_MOST_S = 15.0


@dataclass(slots=True)
class Candidate:
    """A file that may become a frame; times are of the monotonic clock."""

    path: Path
    size: int
    mtime_ns: int
    first_seen: float
    still_since: float
    next_look: float
    retry_s: float = RETRY_FIRST_S


@dataclass(frozen=True, slots=True)
class Admission:
    """How files are judged: where they lie, how they are named, what is known of their flasks, how long they settle."""

    root: Path
    layout: Layout
    samples: Mapping[str, Sample]
    pixel_size_um: float | None
    limits: ReadLimits
    settle_s: float
    deadline_s: float


class Candidates:
    """Files under observation. `look` returns a ledger row for each that was decided."""

    def __init__(self, admission: Admission, now: Callable[[], datetime]) -> None:
        self._admission = admission
        self._now = now
        self._files: dict[str, Candidate] = {}

    def __len__(self) -> int:
        return len(self._files)

    def consider(self, path: Path, status: os.stat_result) -> None:
        """Take a file under observation, or note that it changed."""
        name = str(path)
        now = time.monotonic()
        known = self._files.get(name)
        if known is None:
            # a file that has been still for long already needs no second look
            age = time.time() - status.st_mtime
            settled = age > self._admission.settle_s
            look = now if settled else now + self._admission.settle_s
            still = now - self._admission.settle_s if settled else now
            self._files[name] = Candidate(path, status.st_size, status.st_mtime_ns, now, still, look)
        elif (known.size, known.mtime_ns) != (status.st_size, status.st_mtime_ns):
            self._restart(known, status, now)

    def look(self, most: int) -> list[LedgerRow]:
        """Judge up to `most` files whose time has come."""
        now = time.monotonic()
        due = sorted((c for c in self._files.values() if c.next_look <= now), key=lambda c: c.next_look)
        return [row for candidate in due[:most] if (row := self._judge(candidate, now)) is not None]

    def _judge(self, candidate: Candidate, now: float) -> LedgerRow | None:
        try:
            status = candidate.path.lstat()
        except OSError:
            self._files.pop(str(candidate.path), None)  # renamed or deleted before it was complete
            return None
        if (candidate.size, candidate.mtime_ns) != (status.st_size, status.st_mtime_ns):
            self._restart(candidate, status, now)
            return None
        try:
            row = self._admitted(candidate)
        except FrameNotReady as error:
            if now - candidate.first_seen < self._admission.deadline_s:
                candidate.next_look = now + candidate.retry_s
                candidate.retry_s = min(candidate.retry_s * 2.0, RETRY_MOST_S)
                return None
            row = self._quarantined(candidate, error)
        except FileNotFoundError:
            row = None
        except CellvigilError as error:
            row = self._quarantined(candidate, error)
        except OSError as error:
            row = self._quarantined(candidate, FrameRejected(f"cannot be read: {error}", reason="unreadable"))
        self._files.pop(str(candidate.path), None)
        return row

    def _restart(self, candidate: Candidate, status: os.stat_result, now: float) -> None:
        candidate.size, candidate.mtime_ns = status.st_size, status.st_mtime_ns
        candidate.still_since = candidate.first_seen = now
        candidate.next_look = now + self._admission.settle_s

    def _admitted(self, candidate: Candidate) -> LedgerRow:
        admission = self._admission
        path = candidate.path
        source = source_of(path, admission.root)
        if path.suffix.lower() in FOREIGN:
            message = f"{path.name}: this format is not read; export TIFF or PNG, one file per time point"
            raise FrameRejected(message, reason="unsupported_format")
        parsed = admission.layout.parse(source)
        found = inspect_frame(path, root=admission.root, pixel_size_um=admission.pixel_size_um, limits=admission.limits)
        frame_id = frame_id_of(path)
        arrived = FrameArrived(
            frame_id=frame_id,
            key=parsed.key,
            pixels=BlobRef(store="watch", path=source, sha256=frame_id),
            shape_px=found.shape_px,
            dtype=found.dtype,
            pixel_size_um=found.pixel_size_um,
            acquired_at=parsed.acquired_at or datetime.fromtimestamp(candidate.mtime_ns / 1e9, UTC),
            arrived_at=self._now(),
            sample=admission.samples.get(parsed.key.flask, Sample()),
        )
        return LedgerRow(source, candidate.size, candidate.mtime_ns, frame_id, "arrived", "", "", arrived)

    def _quarantined(self, candidate: Candidate, error: CellvigilError) -> LedgerRow:
        source = source_of(candidate.path, self._admission.root)
        frame_id = _identity(candidate.path)
        return LedgerRow(
            source, candidate.size, candidate.mtime_ns, frame_id, "quarantined", error.reason, str(error), None
        )


def source_of(path: Path, root: Path) -> str:
    """Return a path relative to the root with forward slashes; bytes that are no text are written as escapes."""
    relative = path.relative_to(root).as_posix()
    return relative.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _identity(path: Path) -> str:
    """Return the content's sha256 where there is content that may be read; links are not followed."""
    if path.is_symlink() or not path.is_file():
        return ""
    try:
        return frame_id_of(path)
    except OSError:
        return ""
