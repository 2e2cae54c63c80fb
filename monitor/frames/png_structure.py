"""The skeleton of a PNG file: its header and that it is whole, read without decoding. After W3C PNG (2003)."""

import os
import struct
from dataclasses import dataclass
from typing import IO

from monitor.errors import FrameNotReady

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHUNKS_MOST = 100_000


@dataclass(frozen=True, slots=True)
class PngHeader:
    """Shape, sample and scale of a PNG.

    colour_type: 0 grey, others are colour, palette or have an alpha channel; bits: per sample; pixels_per_um: along
    (x, y), None where the file does not say.
    """

    shape_px: tuple[int, int]
    bits: int
    colour_type: int
    pixels_per_um: tuple[float, float] | None


def read_png_header(stream: IO[bytes], name: str) -> PngHeader:
    """Return the header of a PNG whose chunks all lie inside the file.

    Raises
    ------
    FrameNotReady
        `header_only` when no pixels are there yet, `truncated` when it ends before its end mark or makes no sense.
    """
    size = os.fstat(stream.fileno()).st_size
    head: bytes | None = None
    scale: tuple[float, float] | None = None
    pixels = 0
    offset = len(SIGNATURE)
    for _ in range(CHUNKS_MOST):
        stream.seek(offset)
        start = stream.read(8)
        if len(start) < 8:
            break
        length, kind = struct.unpack(">L4s", start)
        body = stream.read(length) if kind in (b"IHDR", b"pHYs") and length <= 64 else b""
        offset += 12 + length
        if offset > size:
            pixels += kind == b"IDAT"
            break
        if kind == b"IHDR":
            if head is not None:
                break  # decoders believe the last one
            head = body
        elif kind == b"pHYs":
            scale = _scale(body)
        elif kind == b"IDAT":
            pixels += length
        elif kind == b"IEND" and head is not None and len(head) == 13 and pixels:
            columns, rows, bits, colour_type = struct.unpack_from(">LLBB", head)
            return PngHeader((rows, columns), bits, colour_type, scale)
    reason = "truncated" if pixels else "header_only"
    message = f"{name} is cut short or damaged: it ends before its pixels do; copy it again"
    raise FrameNotReady(message, reason=reason)


def _scale(body: bytes) -> tuple[float, float] | None:
    if len(body) != 9 or body[8] != 1:  # 1: per metre
        return None
    x, y = struct.unpack_from(">LL", body)
    return (x / 1e6, y / 1e6) if x and y else None
