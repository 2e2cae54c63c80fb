"""The file of a ring of pixels: where it lies, who may write it, and how it is laid out.

Header, slot table, then the slots, each on pages of its own. Python's own `SharedMemory` would not do in its place: its
resource tracker takes a segment away while other processes use it.
"""

import contextlib
import fcntl
import hashlib
import mmap
import os
import stat
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import CellvigilError
from services.transport.slot_lock import AVAILABLE

MEMORY = Path("/dev/shm")
MIB = 2**20
MAGIC, VERSION = b"cellring", 2
HEADER = np.dtype([("magic", "S8"), ("version", "<u4"), ("slots", "<u4"), ("slot_bytes", "<u8")])
HEADER_BYTES = 64
# generation: 0 holds nothing, odd while being written; size, mtime_ns: of the file that the pixels were decoded from
SLOT = np.dtype(
    [
        ("generation", "<u8"), ("frame_id", "<u8", (4,)), ("size", "<i8"), ("mtime_ns", "<i8"),
        ("pixel_size_um", "<f8"), ("dtype", "<u4"), ("rows", "<u4"), ("columns", "<u4"), ("spare", "<u4"),
    ]
)  # fmt: skip


class RingUnavailable(CellvigilError):
    """There can be no ring here and now; frames go by file, and the message says what would mend it."""


@dataclass(frozen=True, slots=True)
class RingShape:
    """How many slots a ring has, and how many bytes of pixels each holds; whole mebibytes keep slots on pages."""

    slots: int
    slot_bytes: int

    @property
    def pixels_at(self) -> int:
        """Where the pixels begin, in bytes from the start of the file."""
        return -(-(HEADER_BYTES + self.slots * SLOT.itemsize) // mmap.PAGESIZE) * mmap.PAGESIZE

    @property
    def total_bytes(self) -> int:
        """Size of the file."""
        return self.pixels_at + self.slots * self.slot_bytes


def ring_path(state: Path) -> Path:
    """Return where the ring of a state folder lies: in memory where the system offers it, else in the folder."""
    place = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else state
    return place / f"cellvigil-{hashlib.sha256(os.fsencode(state.resolve())).hexdigest()[:16]}.ring"


def remove_ring(state: Path) -> None:
    """Remove what an ingester that was killed left behind; to be called when none runs."""
    with contextlib.suppress(OSError):
        ring_path(state).unlink()


class RingFile:
    """A ring mapped into this process.

    Attributes
    ----------
    shape
        Slots and their size.
    table
        (slots,) records of `SLOT`; generations: (slots,) uint64, its first column; names: (slots,) uint64, the first
        eight bytes of each frame_id.
    pixels
        (slots, slot_bytes) uint8.
    """

    def __init__(self, opened: int, shape: RingShape, *, writable: bool) -> None:
        # every page at once: else the first frame in each slot pays for a thousand page faults
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        protection = mmap.PROT_READ | mmap.PROT_WRITE if writable else mmap.PROT_READ
        mapping = mmap.mmap(opened, shape.total_bytes, flags=flags, prot=protection)
        self.shape = shape
        self.table: NDArray[np.void] = np.frombuffer(mapping, SLOT, count=shape.slots, offset=HEADER_BYTES)
        self.generations: NDArray[np.uint64] = self.table["generation"]
        self.names: NDArray[np.uint64] = self.table["frame_id"][:, 0]
        pixels = np.frombuffer(mapping, np.uint8, count=shape.slots * shape.slot_bytes, offset=shape.pixels_at)
        self.pixels = pixels.reshape(shape.slots, shape.slot_bytes)
        self._file = _file_of(os.fstat(opened))
        self._opened = os.dup(opened)
        weakref.finalize(self, os.close, self._opened)

    def opened_again(self) -> int:
        """Open the same file for reading, also when no path leads to it any more; the caller closes it."""
        return os.open(f"/proc/self/fd/{self._opened}", os.O_RDONLY | os.O_CLOEXEC)

    def lies_at(self, path: Path, *, gone: bool = False) -> bool:
        """Whether the path leads to this ring; `gone` is the answer when it leads nowhere."""
        return _leads_to(path, self._file, gone=gone)

    def plane(self, slot: int, dtype: np.dtype[np.generic], rows: int, columns: int) -> NDArray[np.generic]:
        """Return the (rows, columns) pixels of a slot, in the ring itself."""
        return self.pixels[slot, : rows * columns * dtype.itemsize].view(dtype).reshape(rows, columns)


def claim_ring(path: Path, shape: RingShape) -> tuple[int, RingFile]:
    """Open a ring for its only writer; return the descriptor that holds the lock, and the ring.

    One that a killed writer left is taken over with what it holds; one of another shape or version is replaced.

    Raises
    ------
    RingUnavailable
        `in_use`, `foreign` (another user's), `space`, `no_locks`, `no_ring` (any other refusal of the system).
    """
    if not AVAILABLE:
        message = "shared memory is not used on this system, which has no open file description locks"
        raise RingUnavailable(f"{message}; set handover.ring_mb to 0", reason="no_locks")
    try:
        return _taken_over(path, shape) or _made(path, shape)
    except OSError as error:
        message = f"the ring {path} cannot be used ({error.strerror}); remove it, or set handover.ring_mb to 0"
        raise RingUnavailable(message, reason="no_ring") from error


def open_ring(path: Path) -> RingFile | None:
    """Map a ring for reading; None when there is none that this version and this user may read."""
    try:
        opened = _open(path, os.O_RDONLY)
    except (OSError, RingUnavailable):
        return None
    try:
        shape = _shape_of(opened)
        return RingFile(opened, shape, writable=False) if shape is not None else None
    except OSError:
        return None
    finally:
        os.close(opened)


def _taken_over(path: Path, shape: RingShape) -> tuple[int, RingFile] | None:
    """Take over the ring that lies there; None when there is none that fits, and then the place is free."""
    with contextlib.ExitStack() as undo:
        try:
            opened = _open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        undo.callback(os.close, opened)
        _lock(opened, path)
        if not _leads_to(path, _file_of(os.fstat(opened)), gone=False):
            return None  # its writer took it away between the opening and the lock
        if _shape_of(opened) != shape:
            # never made shorter: the system ends a reader that has mapped what is no more there
            path.unlink()
            return None
        ring = RingFile(opened, shape, writable=True)
        undo.pop_all()
        return opened, ring


def _made(path: Path, shape: RingShape) -> tuple[int, RingFile]:
    with contextlib.ExitStack() as undo:
        opened = _open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        undo.callback(os.close, opened)
        _lock(opened, path)
        undo.callback(path.unlink, missing_ok=True)
        _allocate(opened, path, shape)
        header = np.zeros(1, HEADER)
        header[0] = (MAGIC, VERSION, shape.slots, shape.slot_bytes)
        os.pwrite(opened, header.tobytes(), 0)
        ring = RingFile(opened, shape, writable=True)
        undo.pop_all()
        return opened, ring


def _allocate(opened: int, path: Path, shape: RingShape) -> None:
    """Give a new file its memory now: a page that is missing when it is written to ends the process."""
    try:
        os.posix_fallocate(opened, 0, shape.total_bytes)
    except OSError as error:
        need = -(-shape.total_bytes // MIB)
        message = f"no room for a ring of {need} MiB in {path.parent} ({error.strerror}); make that larger (docker: "
        message += "--shm-size, compose: shm_size), set handover.ring_mb lower, or to 0"
        raise RingUnavailable(message, reason="space") from error


def _lock(opened: int, path: Path) -> None:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        message = f"the ring {path} is used by another ingester; give each run a state folder of its own"
        raise RingUnavailable(message, reason="in_use") from error


def _open(path: Path, flags: int) -> int:
    """Open a ring's file; /dev/shm is everybody's, and pixels are taken from this user's own files only."""
    opened = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    status = os.fstat(opened)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        os.close(opened)
        message = f"{path} is not a file of this user's; have it removed, or set handover.ring_mb to 0"
        raise RingUnavailable(message, reason="foreign")
    return opened


def _shape_of(opened: int) -> RingShape | None:
    """Read the shape of a ring from its header; None when it is none of this version, or not whole."""
    content = os.pread(opened, HEADER.itemsize, 0)
    if len(content) < HEADER.itemsize:
        return None
    header = np.frombuffer(content, HEADER)[0]
    if (header["magic"], int(header["version"])) != (MAGIC, VERSION):
        return None
    shape = RingShape(int(header["slots"]), int(header["slot_bytes"]))
    return shape if os.fstat(opened).st_size == shape.total_bytes else None


def _file_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _leads_to(path: Path, file: tuple[int, int], *, gone: bool) -> bool:
    try:
        return _file_of(os.lstat(path)) == file
    except OSError:
        return gone
