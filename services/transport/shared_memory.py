"""Pixels in shared memory: a ring of equal slots that the ingester fills and the segmenters on its machine read.

The ring is a shortcut before the file and nothing else. A reader finds a slot by frame_id, copies it, and believes the
copy when the slot's generation was even before it and the same after it (a sequence lock). No ring, one of another
version, a slot that was overwritten, a writer that was killed half way: the reader has None and reads the file. So a
ring changes how long a frame takes and never what comes out; ledger and messages know nothing of it.

There is one writer: it holds a lock on the ring's file, which ends with its process. A second ingester on the same
state folder is refused the ring and goes by file.
"""

import fcntl
import os
import platform
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.frames.frame import Frame
from services.transport.ring_file import RingFile, RingShape, RingUnavailable, claim_ring, open_ring

ORDERED = frozenset(("x86_64", "AMD64"))
"""Machines on which every core sees another's writes in their order; without that a generation proves nothing."""
DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
_FENCE = threading.Lock()


class RingWriter:
    """The ingester's side; only one process has it.

    Parameters
    ----------
    path
        From `ring_path`; the file is made with mode 0600. What a writer that was killed left there is taken over.
    shape
        A ring of any other shape or version is replaced.

    Raises
    ------
    RingUnavailable
        `space`, `in_use` (another ingester), `foreign` (another user's file), `unordered` (the processor), `no_ring`
        (any other refusal of the system).
    """

    def __init__(self, path: Path, shape: RingShape) -> None:
        if platform.machine() not in ORDERED:
            message = f"shared memory is not used on {platform.machine()}, where writes may be seen out of order"
            raise RingUnavailable(f"{message}; set handover.ring_mb to 0", reason="unordered")
        self._path = path
        self._opened, ring = claim_ring(path, shape)
        self._ring: RingFile | None = ring
        last = int(ring.generations.max())
        self._generation = last + last % 2

    def put(self, frame_id: str, frame: Frame, status: os.stat_result) -> bool:
        """Put a frame in the place of the oldest; True when the ring holds it.

        Parameters
        ----------
        frame_id
            sha256 of the file, 64 hex digits; a frame that is there already stays as it is.
        frame
            (Y, X) uint8, uint16 or float32; one that is larger than a slot is not put.
        status
            Of the file that was decoded; a reader gets the pixels as long as its file has the same size and mtime.
        """
        ring, pixels = self._ring, frame.pixels
        if ring is None or pixels.dtype not in DTYPES or pixels.nbytes > ring.shape.slot_bytes:
            return False
        if any(ring.generations[slot] % 2 == 0 for slot in _slots_of(ring, frame_id)):
            return True
        slot = _slot_to_fill(ring.generations)
        rows, columns = frame.shape
        ring.generations[slot] = self._generation + 1
        _fence()
        row = ring.table[slot]
        row["frame_id"] = _words(frame_id)
        row["size"], row["mtime_ns"] = status.st_size, status.st_mtime_ns
        row["pixel_size_um"] = frame.pixel_size_um
        row["dtype"], row["rows"], row["columns"] = DTYPES.index(pixels.dtype), rows, columns
        np.copyto(ring.plane(slot, pixels.dtype, rows, columns), pixels)
        _fence()
        self._generation += 2
        ring.generations[slot] = self._generation
        return True

    def close(self) -> None:
        """Remove the ring; readers that have it mapped may go on with what it holds."""
        if self._ring is None:
            return
        if self._ring.lies_at(self._path):
            self._path.unlink()
        self._ring = None
        fcntl.flock(self._opened, fcntl.LOCK_UN)  # the mapping keeps the file open, and with it the lock
        os.close(self._opened)


class RingReader:
    """A segmenter's side, for any number of threads: finds the ring when there is one, and the next when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ring: RingFile | None = None
        self._lock = threading.Lock()

    def get(self, frame_id: str, status: os.stat_result) -> Frame | None:
        """Return a copy of a frame as it was decoded, None when the file has to be read.

        Parameters
        ----------
        frame_id
            sha256 of the file, 64 hex digits.
        status
            Of the file now; one that was written to or replaced since it was decoded is not answered from the ring.
        """
        ring = self._current()
        for slot in _slots_of(ring, frame_id) if ring is not None else ():
            assert ring is not None
            before = int(ring.generations[slot])
            frame = _copy(ring, slot, frame_id, status) if before % 2 == 0 else None
            if frame is not None and int(ring.generations[slot]) == before:
                return frame
        return None

    def _current(self) -> RingFile | None:
        with self._lock:
            if self._ring is None or not self._ring.lies_at(self._path, gone=True):
                self._ring = open_ring(self._path)
            return self._ring


def _copy(ring: RingFile, slot: int, frame_id: str, status: os.stat_result) -> Frame | None:
    """Copy a slot as it is at this moment, if it looks like the frame; it may be half of another."""
    row = ring.table[slot].copy()
    code, rows, columns = int(row["dtype"]), int(row["rows"]), int(row["columns"])
    stamp = (int(row["size"]), int(row["mtime_ns"]))
    if (row["frame_id"] != _words(frame_id)).any() or stamp != (status.st_size, status.st_mtime_ns):
        return None
    if code >= len(DTYPES) or rows * columns * DTYPES[code].itemsize > ring.shape.slot_bytes:
        return None
    pixels = ring.plane(slot, DTYPES[code], rows, columns).copy()
    return Frame(pixels=pixels, pixel_size_um=float(row["pixel_size_um"]))


def _slots_of(ring: RingFile, frame_id: str) -> list[int]:
    """Return the slots that name a frame; whether they hold it is for the generation to say."""
    found: list[int] = np.flatnonzero((ring.table["frame_id"] == _words(frame_id)).all(axis=1)).tolist()
    return found


def _slot_to_fill(generations: NDArray[np.uint64]) -> int:
    """Return a slot that a writer was killed in, else the oldest."""
    abandoned = np.flatnonzero(generations % 2)
    return int(abandoned[0]) if abandoned.size else int(np.argmin(generations))


def _fence() -> None:
    """Let every write before this be seen before every write after it.

    Taking a lock is an atomic instruction, a full barrier on the machines of `ORDERED`. Even these need it: the C
    library copies large blocks with instructions that pass by the order of writes.
    """
    with _FENCE:
        pass


def _words(frame_id: str) -> NDArray[np.uint64]:
    return np.frombuffer(bytes.fromhex(frame_id), "<u8")
