"""Which images are measured, and what their names say: flask, position and time."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from monitor.errors import CellvigilError, LayoutMismatch
from monitor.frames.identity import FrameKey
from monitor.frames.layout import DEFAULT, Layout, ParsedPath
from monitor.frames.reader import ReadLimits, probe
from monitor.training.sources import CELL_ENDINGS, IMAGE_ENDINGS
from services.ingest.scanner import scan

NO_FRAMES = ("_nuclei", "_overlay", "_stain.ome", *CELL_ENDINGS)
"""Endings of what `cellvigil segment` writes and of label images; beside their image such files are no frames."""
TAIL_PARTS = (3, 2, 1)
"""Of a single image so many last parts of its path are tried against the layout."""


@dataclass(frozen=True, slots=True)
class Source:
    """An image: its path, the folder it was found in, and who it is.

    key is None where the layout says nothing; hours is the time on a clock that all images share, None where neither
    name nor file nor interval say it; problem is why it cannot be used.
    """

    path: Path
    root: Path
    key: FrameKey | None = None
    acquired_at: datetime | None = None
    hours: float | None = None
    problem: CellvigilError | None = None


def find_sources(given: Sequence[Path], layout: str | None, interval_s: float | None) -> list[Source]:
    """Return the images named and those below the folders named, in order of flask, position and time.

    Parameters
    ----------
    layout
        Preset or pattern; an image that does not fit gets a problem. None tries the default, and an image that does
        not fit has no key.
    interval_s
        Seconds between running numbers, for images that have nothing else to tell the time by.

    Raises
    ------
    SettingsError
        When `layout` is neither a preset nor a pattern.
    """
    named = Layout(layout or DEFAULT)
    found = [_source(path, root, named, layout is not None, interval_s) for path, root in _images(given)]
    return sorted(found, key=_order)


def _images(given: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    seen: set[Path] = set()
    for place in given:
        if place.is_dir():
            inside = [Path(entry.path) for entry in scan(place, place, place / ".none")]
            names = {(path.parent, path.stem) for path in inside}
            images = [(path, place) for path in inside if not _belongs_to_image(path, names)]
        else:
            images = [(place, place.parent)]
        for path, root in images:
            if path not in seen:
                seen.add(path)
                yield path, root


def _belongs_to_image(path: Path, names: set[tuple[Path, str]]) -> bool:
    stems = (path.stem.removesuffix(ending) for ending in NO_FRAMES if path.stem.endswith(ending))
    return any((path.parent, stem + image) in names for stem in stems for image in IMAGE_ENDINGS)


def _source(path: Path, root: Path, layout: Layout, asked_for: bool, interval_s: float | None) -> Source:
    try:
        parsed = _parsed(path, root, layout)
    except LayoutMismatch as error:
        if asked_for:
            return Source(path, root, problem=error)
        return Source(path, root, acquired_at=_from_file(path, root))
    moment = parsed.acquired_at or _from_file(path, root)
    if moment is not None:
        hours: float | None = moment.timestamp() / 3600.0
    else:
        hours = _by_number(parsed.key.time_point, interval_s)
    return Source(path, root, parsed.key, moment, hours)


def _parsed(path: Path, root: Path, layout: Layout) -> ParsedPath:
    """Return what the first of these says that fits: the path below its folder, and its last parts."""
    below = path.relative_to(root).as_posix()
    tails = ("/".join(path.parts[-count:]) for count in TAIL_PARTS if len(path.parts) >= count)
    for name in (below, *tails) if root != path.parent else tails:
        try:
            return layout.parse(name)
        except LayoutMismatch:
            continue
    return layout.parse(below)


def _from_file(path: Path, root: Path) -> datetime | None:
    try:
        return probe(path, root=root, limits=ReadLimits()).acquired_at
    except (CellvigilError, FileNotFoundError):
        return None  # reading it says why


def _by_number(time_point: str, interval_s: float | None) -> float | None:
    number = re.fullmatch(r"t(\d+)", time_point)
    if number is None or interval_s is None:
        return None
    return timedelta(seconds=int(number[1]) * interval_s) / timedelta(hours=1)


def _order(source: Source) -> tuple[str, str, str, float, str, str]:
    key = source.key
    if key is None:
        return ("", "", "", 0.0, "", str(source.path))
    return (key.flask, key.position, key.channel, source.hours or 0.0, key.time_point, str(source.path))
