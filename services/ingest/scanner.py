"""Which files in the watched folder could be frames."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from monitor.frames.reader import SUFFIXES

FOREIGN = {".jpg", ".jpeg", ".bmp", ".gif", ".nd2", ".czi", ".lif", ".vsi", ".oif", ".ims", ".stk"}
"""Images that are not read; they are told apart from files that are not images at all, which are left alone."""
TEMPORARY = (".part", ".tmp", ".partial", ".crdownload", ".filepart", "~")
DEPTH_MOST = 16


def scan(
    root: Path, folder: Path, skip: Path, unreadable: Callable[[str, OSError], None] = lambda folder, error: None
) -> Iterator[os.DirEntry[str]]:
    """Yield entries below `folder` that may be frames: images of known suffix, and links, which are refused later.

    Lazy, folder by folder in the order of their names, so that a caller can stop in between. Linked folders are not
    entered; hidden and temporary names, other files, the folder `skip` and what lies deeper than `DEPTH_MOST` below
    `root` are passed over. A folder that disappears meanwhile is passed over; one that cannot be read is told to
    `unreadable`.
    """
    passed_over = str(skip)
    pending = [(str(folder), len(folder.relative_to(root).parts))]
    while pending:
        place, depth = pending.pop()
        inner = []
        for entry in _listed(place, unreadable):
            if _is_folder(entry, follow_symlinks=False):
                if not entry.name.startswith(".") and entry.path != passed_over and depth < DEPTH_MOST:
                    inner.append((entry.path, depth + 1))
            elif is_candidate(entry.name) or (entry.is_symlink() and _is_folder(entry, follow_symlinks=True)):
                yield entry
        pending.extend(reversed(inner))


def is_candidate(name: str) -> bool:
    """Whether a file of this name is looked at.

    >>> is_candidate("20260310T120000Z.tif"), is_candidate(".x.tif"), is_candidate("x.tif.part"), is_candidate("a.csv")
    (True, False, False, False)
    """
    lower = name.lower()
    if lower.startswith(".") or lower.endswith(TEMPORARY):
        return False
    suffix = os.path.splitext(lower)[1]  # noqa: PTH122 (runs once per file of every scan; a Path costs ten times as much)
    return suffix in SUFFIXES or suffix in FOREIGN


def is_folder(path: Path) -> bool:
    """Whether a path is a folder and no link to one; False where this user may not look."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str], *, follow_symlinks: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow_symlinks)
    except OSError:
        return False  # a link to itself, or to where this user may not look


def _listed(place: str, unreadable: Callable[[str, OSError], None]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        unreadable(place, error)
        return []
