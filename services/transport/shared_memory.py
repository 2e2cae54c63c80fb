"""Pixels in shared memory: a ring of equal slots that the ingester fills and the segmenters on its machine read.

The ring is a shortcut before the file and nothing else. Pixels lie in it once: the ingester decodes into a slot, and
what a reader gets is that slot. Both hold a lock on it meanwhile, the reader for as long as it keeps the pixels; the
system takes a lock away with its process. A writer passes over slots that are being read. No ring, one of another
version, a slot that was overwritten or is being written, a writer that was killed half way: the reader has None and
reads the file. So a ring changes how long a frame takes and never what comes out; ledger and messages know nothing of
it.

There is one writer: it holds a lock on the ring's file, which ends with its process. A second ingester on the same
state folder is refused the ring and goes by file.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.frames.frame import Frame
from services.transport.ring_file import RingFile, RingShape, claim_ring, open_ring
from services.transport.slot_lock import locked, unlocked

DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


class Slot:
    """A place in the ring while it is written.

    Attributes
    ----------
    pixels
        (Y, X) of the dtype that was asked for, with what an older frame left there.
    """

    def __init__(self, ring: RingFile, index: int, pixels: NDArray[np.generic]) -> None:
        self.pixels = pixels
        self.published = False
        self._ring, self._index = ring, index

    def publish(self, frame_id: str, frame: Frame, status: os.stat_result) -> None:
        """Let readers have a frame; its pixels are copied unless they are those of this slot.

        One that is in the ring already stays where it is, and one of another shape or dtype than the slot's goes by
        file.

        Parameters
        ----------
        frame_id
            sha256 of the file, 64 hex digits.
        status
            Of the file that was decoded; a reader gets the pixels as long as its file has the same size and mtime.
        """
        generations = self._ring.generations[_slots_of(self._ring, frame_id)]
        if np.any((generations > 0) & (generations % 2 == 0)):
            return
        if (frame.shape, frame.pixels.dtype) != (self.pixels.shape, self.pixels.dtype):
            return
        if not np.may_share_memory(frame.pixels, self.pixels):
            np.copyto(self.pixels, frame.pixels, casting="no")
        size, modified, (rows, columns) = status.st_size, status.st_mtime_ns, frame.shape
        code, scale, words = DTYPES.index(self.pixels.dtype), frame.pixel_size_um, _words(frame_id)
        generations = self._ring.generations
        self._ring.table[self._index] = (
            generations[self._index], words, size, modified, scale, code, rows, columns, 0,
        )  # fmt: skip
        self.published = True


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
        `space`, `in_use` (another ingester), `foreign` (another user's file), `no_locks` (the system has none that a
        slot needs), `no_ring` (any other refusal of the system).
    """

    def __init__(self, path: Path, shape: RingShape) -> None:
        self._path = path
        self._opened, ring = claim_ring(path, shape)
        self._ring: RingFile | None = ring
        last = int(ring.generations.max())
        self._generation = last + last % 2

    @contextmanager
    def slot(self, shape_px: tuple[int, int], dtype: np.dtype[np.generic]) -> Iterator[Slot | None]:
        """Give the place of the oldest frame that nobody reads, to decode another into.

        What was not published when the block ends is nowhere: the slot is the next that is given.

        Returns
        -------
        Slot or None
            None when the frame has to go by file: larger than a slot, not uint8, uint16 or float32, or every slot is
            being read.
        """
        ring = self._ring
        too_large = ring is None or shape_px[0] * shape_px[1] * dtype.itemsize > ring.shape.slot_bytes
        index = None if ring is None or too_large or dtype not in DTYPES else self._claim(ring)
        if ring is None or index is None:
            yield None
            return
        slot = Slot(ring, index, ring.plane(index, dtype, *shape_px))
        try:
            ring.generations[index] = self._generation + 1  # odd until it is whole: a writer may be killed
            ring.table[index]["frame_id"] = 0
            yield slot
        finally:
            if slot.published:
                self._generation += 2
            ring.generations[index] = self._generation if slot.published else 0
            unlocked(self._opened, index)

    def close(self) -> None:
        """Remove the ring; readers that have it mapped may go on with what it holds."""
        if self._ring is None:
            return
        if self._ring.lies_at(self._path):
            self._path.unlink()
        self._ring = None
        fcntl.flock(self._opened, fcntl.LOCK_UN)  # the mapping keeps the file open, and with it the lock
        os.close(self._opened)

    def _claim(self, ring: RingFile) -> int | None:
        """Lock a slot: one that a writer was killed in, else the oldest that nobody reads."""
        abandoned = ring.generations % 2 == 1
        order = np.argsort(np.where(abandoned, 0, ring.generations), kind="stable").tolist()
        return next((slot for slot in order if locked(self._opened, slot, to_write=True)), None)


class RingReader:
    """A segmenter's side, for any number of threads: finds the ring when there is one, and the next when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ring: RingFile | None = None
        self._lock = threading.Lock()

    def get(self, frame_id: str, status: os.stat_result) -> Frame | None:
        """Return a frame as it was decoded, None when the file has to be read.

        Its pixels are those in the ring: they stay as they are for as long as any array of them is kept, and until then
        no other frame takes their place.

        Parameters
        ----------
        frame_id
            sha256 of the file, 64 hex digits.
        status
            Of the file now; one that was written to or replaced since it was decoded is not answered from the ring.
        """
        ring = self._current()
        if ring is not None:
            for slot in _slots_of(ring, frame_id):
                loan = _loan(ring, slot)
                if loan is not None and _holds(ring, slot, frame_id, status):
                    return loan.frame()
        return None

    def _current(self) -> RingFile | None:
        with self._lock:
            if self._ring is None or not self._ring.lies_at(self._path, gone=True):
                self._ring = open_ring(self._path)
            return self._ring


class _Loan:
    """A slot that is being read: numpy keeps this as the base of every array of its pixels, and the lock goes with it.

    Each has the file open for itself, for a lock belongs to an opening of it, and two threads may read one slot.
    """

    def __init__(self, ring: RingFile, slot: int, opened: int) -> None:
        self._ring, self._slot, self._opened = ring, slot, opened
        self.__array_interface__: dict[str, object] = {}

    def frame(self) -> Frame:
        row = self._ring.table[self._slot]
        pixels = self._ring.plane(self._slot, DTYPES[int(row["dtype"])], int(row["rows"]), int(row["columns"]))
        self.__array_interface__ = pixels.__array_interface__
        return Frame(pixels=np.asarray(self), pixel_size_um=float(row["pixel_size_um"]))

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._opened)


def _loan(ring: RingFile, slot: int) -> _Loan | None:
    """Lock a slot for reading; None while it is written."""
    try:
        opened = ring.opened_again()
    except OSError:
        return None  # out of descriptors, or no /proc: by file
    loan = _Loan(ring, slot, opened)
    return loan if locked(opened, slot, to_write=False) else None


def _holds(ring: RingFile, slot: int, frame_id: str, status: os.stat_result) -> bool:
    """Whether a locked slot holds the whole frame, and one that fits in it."""
    row = ring.table[slot]
    code, rows, columns = int(row["dtype"]), int(row["rows"]), int(row["columns"])
    stamp = (int(row["size"]), int(row["mtime_ns"]))
    generation = int(row["generation"])
    if generation == 0 or generation % 2 or (row["frame_id"] != _words(frame_id)).any():
        return False
    if stamp != (status.st_size, status.st_mtime_ns):
        return False
    return code < len(DTYPES) and rows * columns * DTYPES[code].itemsize <= ring.shape.slot_bytes


def _slots_of(ring: RingFile, frame_id: str) -> list[int]:
    """Return the slots whose name begins as a frame's; whether they hold it is to be asked when they are locked."""
    found: list[int] = np.flatnonzero(ring.names == _words(frame_id)[0]).tolist()
    return found


def _words(frame_id: str) -> NDArray[np.uint64]:
    return np.frombuffer(bytes.fromhex(frame_id), "<u8")
