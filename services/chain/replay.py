"""Playing an existing series as a microscope would write it: temporary name, slow write, rename."""

import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.errors import LayoutMismatch, SettingsError
from monitor.frames.layout import Layout
from monitor.frames.reader import SUFFIXES

START = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
SLICES = 4
"""A file is written in this many pieces, so that a reader that looks too early sees half of it."""


def replay_folder(
    folder: Path,
    into: Path,
    *,
    rate: float,
    pattern: str = "**/*",
    flask: str | None = None,
    position: str = "p1",
    interval_s: float = 900.0,
) -> int:
    """Play the images of a folder; return how many.

    Names that fit the default layout are kept, others become `FLASK/POSITION/TIME` with times `interval_s` apart in
    the natural order of the names; the flask defaults to the folder's name.

    Raises
    ------
    SettingsError
        The folder holds no image that the pattern fits, or the rate is none.
    """
    if not rate > 0.0:
        raise SettingsError(f"--rate {rate} is no rate; say how many frames a second, such as 5", reason="rate")
    files = sorted((p for p in folder.glob(pattern) if p.suffix.lower() in SUFFIXES and p.is_file()), key=natural)
    if not files:
        raise SettingsError(f"{folder} holds no TIFF or PNG that fits {pattern!r}", reason="no_frames")
    names = _names(files, folder, flask, position, interval_s)
    for number, (file, name) in enumerate(zip(files, names, strict=True)):
        started = time.monotonic()
        write_slowly(into / name, file.read_bytes(), pause_s=min(0.02, 0.1 / rate))
        if number + 1 < len(files):
            time.sleep(max(0.0, 1.0 / rate - (time.monotonic() - started)))
    return len(files)


def write_slowly(target: Path, content: bytes, *, pause_s: float, pause: Callable[[float], None] = time.sleep) -> None:
    """Write a file under a temporary name, piece by piece, and rename it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    step = max(1, -(-len(content) // SLICES))
    with part.open("wb") as stream:
        for first in range(0, len(content), step):
            stream.write(content[first : first + step])
            stream.flush()
            pause(pause_s)
    shutil.move(part, target)


def natural(path: Path) -> list[tuple[int, int | str]]:
    """Key that sorts names as people do: t2 before t10.

    >>> [p.name for p in sorted([Path("t10.tif"), Path("t2.tif")], key=natural)]
    ['t2.tif', 't10.tif']
    """
    pieces = re.split(r"(\d+)", path.as_posix())
    return [(0, int(piece)) if piece.isdecimal() else (1, piece) for piece in pieces]


def _names(files: Sequence[Path], folder: Path, flask: str | None, position: str, interval_s: float) -> Iterator[str]:
    layout = Layout("flask-position-time")
    for number, file in enumerate(files):
        relative = file.relative_to(folder).as_posix()
        try:
            if flask is None:
                layout.parse(relative)
                yield relative
                continue
        except LayoutMismatch:
            pass  # a name of another scheme gets one that fits
        moment = START + timedelta(seconds=number * interval_s)
        yield f"{flask or folder.resolve().name}/{position}/{moment:%Y%m%dT%H%M%SZ}{file.suffix.lower()}"
