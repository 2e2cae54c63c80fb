"""Files that are there whole or not at all: written beside their place, flushed to the disk, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place to write to; what was written there takes the place of `path` when the block ends well.

    The folder is made where it is missing. Killed on the way, or ended by an error, it leaves an earlier file as it
    was. Links are followed. Two processes that write the same file do not meet: the later one stays.

    Raises
    ------
    OSError
        It cannot be written.
    """
    place = path.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        yield part
        # the name must not reach the disk before the content does
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write bytes; see `replacing`."""
    with replacing(path) as part:
        part.write_bytes(content)
