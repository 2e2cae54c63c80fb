"""The skeleton of a TIFF file: its image directories and where their pixels lie, read without decoding anything.

Written for files that may be unfinished or hostile: every count is bounded, every offset is checked against the file's
size, and directories that point back at each other end the walk. After "TIFF Revision 6.0" (Adobe, 1992) and the
BigTIFF design (2007).
"""

import os
import struct
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from monitor.errors import FrameNotReady

PLANES_MOST = 64
"""Directories that are read; a frame needs one, and a thumbnail or two may follow."""
TAGS_MOST = 4096
SEGMENTS_MOST = 1_000_000
TEXT_MOST_BYTES = 32 * 1024 * 1024
READ_MOST_BYTES = 3 * TEXT_MOST_BYTES
"""What is read of one file in all: directories may share their values, so that the file's size bounds nothing."""

_TYPES = {1: "B", 2: "s", 3: "H", 4: "L", 5: "LL", 6: "b", 8: "h", 9: "l", 11: "f", 12: "d", 13: "L", 16: "Q", 17: "q"}
_SIZES = {code: struct.calcsize("=" + form) for code, form in _TYPES.items()}
_WHOLE = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8"}


@dataclass(frozen=True, slots=True)
class TiffPlane:
    """One image directory.

    Attributes
    ----------
    shape_px
        (rows, columns).
    samples, bits, sample_format
        Samples per pixel; bits of a sample; 1 unsigned, 2 signed, 3 floating point.
    compression, photometric
        As the standard numbers them: compression 1 is none; photometric 0 is white at zero, 1 black at zero.
    depth
        Planes of a volume in this one directory, 1 for an image.
    reduced
        Whether it is a thumbnail or a mask of another plane.
    offsets, byte_counts
        int64, where each strip or tile lies in the file; a count of 0 was never written.
    segments_expected
        Number of strips or tiles that shape and segment size call for.
    segment_px
        Number of pixels that one of them is decoded to; a tile may be larger than the image.
    resolution
        (x, y) in pixels per unit, None where absent; `resolution_unit` 1 none, 2 inch, 3 centimetre.
    description, date_time, micro_manager
        Text of the tags 270, 306 and 51123, empty where absent.
    """

    shape_px: tuple[int, int]
    samples: int
    bits: int
    sample_format: int
    compression: int
    photometric: int
    depth: int
    reduced: bool
    offsets: NDArray[np.int64]
    byte_counts: NDArray[np.int64]
    segments_expected: int
    segment_px: int
    resolution: tuple[float, float] | None
    resolution_unit: int
    description: str
    date_time: str
    micro_manager: str


def read_planes(stream: IO[bytes], name: str) -> list[TiffPlane]:
    """Return the image directories of a TIFF file, `PLANES_MOST` at most, in order.

    Raises
    ------
    FrameNotReady
        `header_only` when no directory is there yet; `truncated` when one lies beyond the end of the file, is cut
        off or makes no sense.
    """
    reader = _Reader(stream, name)
    offset = reader.first
    if offset == 0 or (offset >= reader.size and reader.size <= reader.header_bytes):
        raise FrameNotReady(f"{name} has a header and no image; copy it again", reason="header_only")
    planes: list[TiffPlane] = []
    seen: set[int] = set()
    while offset and len(planes) < PLANES_MOST:
        if offset in seen:
            raise reader.broken("its image directories point at each other")
        seen.add(offset)
        tags, offset = reader.directory(offset)
        planes.append(_plane(_Tags(reader, tags)))
    return planes


class _Reader:
    """Bounded reads of one file in its byte order."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._left = READ_MOST_BYTES
        self.name = name
        self.size = os.fstat(stream.fileno()).st_size
        head = self.bytes_at(0, min(16, self.size))
        self.order = "<" if head[:2] == b"II" else ">"
        if len(head) < 8:
            raise FrameNotReady(f"{name} is {self.size} bytes long; copy it again", reason="header_only")
        self.big = struct.unpack_from(self.order + "H", head, 2)[0] == 43
        if self.big and len(head) < 16:
            raise FrameNotReady(f"{name} is {self.size} bytes long; copy it again", reason="header_only")
        self.header_bytes = 16 if self.big else 8
        self.first: int = struct.unpack_from(self.order + ("Q" if self.big else "L"), head, 8 if self.big else 4)[0]

    def broken(self, why: str) -> FrameNotReady:
        return FrameNotReady(f"{self.name} is cut short or damaged: {why}; copy it again", reason="truncated")

    def bytes_at(self, offset: int, count: int) -> bytes:
        if offset < 0 or count < 0 or offset + count > self.size:
            raise self.broken(f"it ends at byte {self.size} and byte {offset + count} is needed")
        self._left -= count
        if self._left < 0:
            raise self.broken(f"its directories hold more than {READ_MOST_BYTES} bytes")
        self._stream.seek(offset)
        found = self._stream.read(count)
        if len(found) != count:
            raise self.broken("it became shorter while it was read")
        return found

    def directory(self, offset: int) -> tuple[dict[int, tuple[int, int, bytes]], int]:
        """Return the tags as {tag: (type, count, value or offset)} and the offset of the next directory."""
        count_form, entry_form, link_form = ("Q", "HHQ8s", "Q") if self.big else ("H", "HHL4s", "L")
        head = struct.calcsize("=" + count_form)
        count: int = struct.unpack(self.order + count_form, self.bytes_at(offset, head))[0]
        if not 0 < count <= TAGS_MOST:
            raise self.broken(f"an image directory with {count} entries")
        length = struct.calcsize("=" + entry_form)
        table = self.bytes_at(offset + head, count * length + struct.calcsize("=" + link_form))
        tags: dict[int, tuple[int, int, bytes]] = {}
        for number in range(count):
            tag, kind, values, inline = struct.unpack_from(self.order + entry_form, table, number * length)
            tags.setdefault(tag, (kind, values, inline))
        following: int = struct.unpack_from(self.order + link_form, table, count * length)[0]
        return tags, following


class _Tags:
    """The tags of one directory, by what they mean."""

    def __init__(self, reader: _Reader, tags: dict[int, tuple[int, int, bytes]]) -> None:
        self.reader = reader
        self._tags = tags

    def _raw(self, tag: int, most: int) -> tuple[int, int, bytes] | None:
        if tag not in self._tags:
            return None
        kind, count, inline = self._tags[tag]
        length = _SIZES.get(kind, 1) * count
        if count > most:
            raise self.reader.broken(f"tag {tag} holds {count} values")
        if length <= len(inline):
            return kind, count, inline[:length]
        offset: int = struct.unpack(self.reader.order + ("Q" if self.reader.big else "L"), inline)[0]
        return kind, count, self.reader.bytes_at(offset, length)

    def numbers(self, tag: int, most: int = SEGMENTS_MOST) -> NDArray[np.int64] | None:
        """Return a tag's whole numbers, None where it is absent."""
        found = self._raw(tag, most)
        if found is None:
            return None
        kind, _, raw = found
        if kind not in _WHOLE:
            raise self.reader.broken(f"tag {tag} has the type {kind}")
        values = np.frombuffer(raw, dtype=self.reader.order + _WHOLE[kind])
        if values.size and int(values.max()) > np.iinfo(np.int64).max:
            raise self.reader.broken(f"tag {tag} points beyond any file")
        return values.astype(np.int64)

    def number(self, tag: int, absent: int) -> int:
        """Return a tag's first whole number."""
        values = self.numbers(tag, most=1024)
        return int(values[0]) if values is not None and values.size else absent

    def ratio(self, tag: int) -> float | None:
        """Return a tag's first fraction, None where it is absent or has no value."""
        found = self._raw(tag, most=16)
        if found is None or found[0] != 5 or found[1] < 1:
            return None
        above, below = struct.unpack_from(self.reader.order + "LL", found[2])
        return above / below if below else None

    def text(self, tag: int) -> str:
        """Return a tag's text, empty where it is absent or no text."""
        found = self._raw(tag, most=TEXT_MOST_BYTES)
        if found is None or found[0] not in (1, 2):
            return ""
        return found[2].split(b"\0", 1)[0].decode("utf-8", "replace")


def _plane(tags: _Tags) -> TiffPlane:
    rows, columns = tags.number(257, 0), tags.number(256, 0)
    samples = tags.number(277, 1)
    offsets, byte_counts = _segments(tags, rows, columns, samples)
    expected, segment_px = _grid(tags, rows, columns, samples)
    x_resolution, y_resolution = tags.ratio(282), tags.ratio(283)
    return TiffPlane(
        shape_px=(rows, columns),
        samples=samples,
        bits=tags.number(258, 1),
        sample_format=tags.number(339, 1),
        compression=tags.number(259, 1),
        photometric=tags.number(262, 1),
        depth=max(tags.number(32997, 1), 1),
        reduced=bool(tags.number(254, 0) & 5),
        offsets=offsets,
        byte_counts=byte_counts,
        segments_expected=expected,
        segment_px=segment_px,
        resolution=(x_resolution, y_resolution) if x_resolution and y_resolution else None,
        resolution_unit=tags.number(296, 2),
        description=tags.text(270),
        date_time=tags.text(306),
        micro_manager=tags.text(51123),
    )


def _grid(tags: _Tags, rows: int, columns: int, samples: int) -> tuple[int, int]:
    """Return how many strips or tiles there should be, and the number of pixels of one."""
    planes = samples if tags.number(284, 1) == 2 else 1
    width, length = tags.number(322, 0), tags.number(323, 0)
    if width > 0 and length > 0:
        return -(-rows // length) * -(-columns // width) * planes, width * length * max(tags.number(32998, 1), 1)
    strip_rows = min(max(tags.number(278, rows), 1), rows)
    return -(-rows // strip_rows) * planes, strip_rows * columns


def _segments(tags: _Tags, rows: int, columns: int, samples: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return offsets and byte counts of strips or tiles."""
    if rows < 1 or columns < 1 or samples < 1:
        raise tags.reader.broken(f"an image of {rows} x {columns} pixels with {samples} samples")
    tiled = tags.number(322, 0) > 0 and tags.number(323, 0) > 0
    offsets, counts = tags.numbers(324 if tiled else 273), tags.numbers(325 if tiled else 279)
    if offsets is None:
        raise tags.reader.broken("an image without pixels")
    if counts is None:
        if offsets.size != 1 or tags.number(259, 1) != 1:
            raise tags.reader.broken("an image that does not say how long its pixels are")
        declared = rows * columns * samples * tags.number(258, 1) // 8
        counts = np.array([min(declared, np.iinfo(np.int64).max)], dtype=np.int64)
    if offsets.size != counts.size:
        raise tags.reader.broken("offsets and lengths of its pixels do not agree")
    return offsets, counts
