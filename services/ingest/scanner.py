"""Which files in the watched folder could be frames."""

import os
from collections.abc import Iterator
from pathlib import Path

from monitor.frames.reader import SUFFIXES

FOREIGN = {".jpg", ".jpeg", ".bmp", ".gif", ".nd2", ".czi", ".lif", ".vsi", ".oif", ".ims", ".stk"}
"""Images that are not read; they are told apart from files that are not images at all, which are left alone."""
TEMPORARY = (".part", ".tmp", ".partial", ".crdownload", ".filepart")
DEPTH_MOST = 16


def scan(root: Path, folder: Path, skip: Path) -> Iterator[os.DirEntry[str]]:
    """Yield entries below `folder` that may be frames: images of known suffix, and links, which are refused later.

    Linked folders are not entered; hidden and temporary names, other files and the folder `skip` are passed over.
    """
    depth = len(folder.relative_to(root).parts)
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in listed:
        if entry.is_dir(follow_symlinks=False):
            inner = Path(entry.path)
            if not entry.name.startswith(".") and inner != skip and depth < DEPTH_MOST:
                yield from scan(root, inner, skip)
        elif is_candidate(entry.name) or (entry.is_symlink() and entry.is_dir()):
            yield entry


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
