"""What a file is: a frame with its fact, or a quarantined file with its reason."""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from monitor.errors import CellvigilError, FrameRejected
from monitor.frames.identity import frame_id_of
from monitor.frames.layout import Layout
from monitor.frames.reader import ReadLimits, probe, read_frame
from monitor.frames.sample import Sample
from monitor.messages import BlobRef, FrameArrived
from services.ingest.scanner import FOREIGN
from services.store.ledger_row import LedgerRow

UNHASHED = frozenset(("too_large", "symlink", "outside_root", "unreadable"))
"""Reasons for which a quarantined file is not read to the end to name its content."""


class FileChanged(Exception):
    """The file was written to while it was judged; it is not complete."""


@dataclass(frozen=True, slots=True)
class Admission:
    """How files are judged.

    root: the watched folder; layout: how they are named; samples: what is known of flasks; pixel_size_um: what the
    settings say; limits: what a frame may be; now: the culture's clock; channel: the one that is taken, None for all.
    """

    root: Path
    layout: Layout
    samples: Mapping[str, Sample]
    pixel_size_um: float | None
    limits: ReadLimits
    now: Callable[[], datetime]
    channel: str | None = None

    def admit(self, path: Path, status: os.stat_result) -> LedgerRow:
        """Return the row of a file that is a frame; `status` is what it was when it was found complete.

        Raises
        ------
        FileNotFoundError
            The file is gone.
        FileChanged
            It changed meanwhile.
        CellvigilError
            `FrameNotReady` when it may become a frame, any other when it will not.
        """
        source = source_of(path, self.root)
        if stat.S_ISLNK(status.st_mode):
            message = f"{source!r} is a link; only files themselves are read: copy it into the folder"
            raise FrameRejected(message, reason="symlink")
        if path.suffix.lower() in FOREIGN:
            message = f"{source!r}: this format is not read; export TIFF or PNG, one file per time point"
            raise FrameRejected(message, reason="unsupported_format")
        parsed = self.layout.parse(path.relative_to(self.root).as_posix())
        if self.channel is not None and parsed.key.channel != self.channel:
            message = f"{source!r} is of channel {parsed.key.channel!r}, watch.channel takes {self.channel!r} only"
            raise FrameRejected(f"{message}; nothing needs mending", reason="other_channel")
        header = probe(path, root=self.root, limits=self.limits)
        frame = read_frame(path, root=self.root, pixel_size_um=self.pixel_size_um, limits=self.limits)
        frame_id = frame_id_of(path)
        after = path.lstat()
        if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
            raise FileChanged(source)
        arrived = FrameArrived(
            frame_id=frame_id,
            key=parsed.key,
            pixels=BlobRef(store="watch", path=source, sha256=frame_id),
            shape_px=frame.shape,
            dtype=header.dtype,
            pixel_size_um=frame.pixel_size_um,
            acquired_at=parsed.acquired_at or header.acquired_at or modified(status),
            arrived_at=self.now(),
            sample=self.samples.get(parsed.key.flask, Sample()),
        )
        return LedgerRow(source, status.st_size, status.st_mtime_ns, frame_id, "arrived", "", "", arrived)

    def quarantine(self, path: Path, status: os.stat_result, error: CellvigilError) -> LedgerRow:
        """Return the row of a file that is no frame."""
        source = source_of(path, self.root)
        small = status.st_size <= self.limits.max_bytes  # a recording of 50 GB would hold up every other file
        readable = stat.S_ISREG(status.st_mode) and small and error.reason not in UNHASHED
        frame_id = _identity(path) if readable else ""
        return LedgerRow(
            source, status.st_size, status.st_mtime_ns, frame_id, "quarantined", error.reason, str(error), None
        )


def source_of(path: Path, root: Path) -> str:
    """Return a path relative to the root with forward slashes; bytes that are no text are written as escapes."""
    relative = path.relative_to(root).as_posix()
    return relative.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def modified(status: os.stat_result) -> datetime:
    """Return when a file was modified; 1970 where the file system holds a year that the calendar does not have."""
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0.0, UTC)


def _identity(path: Path) -> str:
    try:
        return frame_id_of(path)
    except OSError:
        return ""
