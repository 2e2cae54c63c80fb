"""Opening a file below a root and nothing else: no link is followed, on no part of the way."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from monitor.errors import FrameNotReady, FrameRejected

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def opened_below(root: Path, path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file below `root` for reading, as a context manager.

    Every folder between `root` and the file is opened in turn relative to the one before, so that a folder which is
    exchanged for a link at this very moment is not followed either. `root` itself may be reached by a link.

    Raises
    ------
    FileNotFoundError
        The file is gone.
    FrameNotReady
        `unreadable`: permission, lock or a network share that dropped; looking again may help.
    FrameRejected
        `outside_root`, `symlink`, or `not_an_image` for pipes, devices and folders.
    """
    parts = _parts_below(root, path)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            folder, outer = _open_at(part, _FOLDER, folder, path), folder
            os.close(outer)
        descriptor = _open_at(parts[-1], _FILE, folder, path)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        message = f"{path.name} is a device, pipe or folder; only regular files are read"
        raise FrameRejected(message, reason="not_an_image")
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def _parts_below(root: Path, path: Path) -> tuple[str, ...]:
    if path.is_relative_to(root):
        parts = path.relative_to(root).parts
    else:
        there = path.parent.resolve()
        home = root.resolve()
        parts = (*there.relative_to(home).parts, path.name) if there.is_relative_to(home) else ()
    if not parts or ".." in parts:
        message = f"{path.name} lies outside the watched folder {root}; copy it inside"
        raise FrameRejected(message, reason="outside_root")
    return parts


def _open_at(part: str, flags: int, folder: int, path: Path) -> int:
    try:
        return os.open(part, flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        linked = error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and _is_link(part, folder))
        if linked:
            message = f"{path.name} is a link or lies behind one; only files themselves are read: copy it inside"
            raise FrameRejected(message, reason="symlink") from error
        if error.errno == errno.ENXIO:  # a socket
            message = f"{path.name} is a device, pipe or socket; only regular files are read"
            raise FrameRejected(message, reason="not_an_image") from error
        if error.errno == errno.ENOTDIR:
            raise FileNotFoundError(errno.ENOENT, "gone", str(path)) from error
        message = f"{path.name} cannot be read ({error.strerror}); check its permissions and the connection"
        raise FrameNotReady(message, reason="unreadable") from error


def _is_link(part: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False
