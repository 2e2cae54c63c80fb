"""Locks on single slots of a ring: many may read one, or one write it; the system takes them back from the dead.

They are open file description locks of Linux (fcntl(2), F_OFD_SETLK): each belongs to an opening of the file, not to a
process, so that threads exclude each other too and the last close gives it back. Taking one after another gave it back
goes through the same lock of the kernel, so that the one sees what the other wrote on processors of any kind.
"""

import fcntl
import os
import struct

AVAILABLE = hasattr(fcntl, "F_OFD_SETLK")
_FLOCK = struct.Struct("hhqqi0q")
"""struct flock: l_type, l_whence, l_start, l_len, l_pid, which is 0 for these."""


def locked(opened: int, slot: int, *, to_write: bool) -> bool:
    """Lock a slot for as long as the file is open; False at once when another has it."""
    kind = fcntl.F_WRLCK if to_write else fcntl.F_RDLCK
    try:
        _set(opened, slot, kind)
    except OSError:
        return False
    return True


def unlocked(opened: int, slot: int) -> None:
    """Give a slot back."""
    _set(opened, slot, fcntl.F_UNLCK)


def _set(opened: int, slot: int, kind: int) -> None:
    # one byte of the file stands for a slot, whatever lies there
    fcntl.fcntl(opened, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, slot, 1, 0))
