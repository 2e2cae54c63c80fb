"""Reading frames from files that may be unfinished, wrong or hostile.

`probe` reads a file's structure and decodes nothing; `read_frame` decodes what passed. Only the named file is ever
opened, never one that it mentions; every refusal has a reason code and a sentence with the mend.
"""

import logging
import lzma
import math
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from monitor.errors import FrameNotReady, FrameRejected
from monitor.frames import pixel_size
from monitor.frames.acquisition_time import in_utc, time_of_tag
from monitor.frames.colour import grey_of
from monitor.frames.frame import Frame
from monitor.frames.ome import OmeFacts, leaves_root, looks_like_xml, read_ome
from monitor.frames.opened import opened_below
from monitor.frames.pixel_checks import check_pixels
from monitor.frames.png_structure import SIGNATURE, PngHeader, read_png_header
from monitor.frames.tiff_plane import check_plane, the_plane
from monitor.frames.tiff_structure import TiffPlane, read_planes

Dtype = Literal["uint8", "uint16", "float32"]
SUFFIXES: dict[str, Literal["tiff", "png"]] = {".tif": "tiff", ".tiff": "tiff", ".png": "png"}
PNG_SAMPLES = {0: 1, 2: 3, 6: 4}
"""Samples a pixel of the kinds of PNG that are read: grey, colour, colour with opacity."""
METADATA_MOST_BYTES = 64 * 1024 * 1024
"""What a file may be larger than its limit of pixels."""
OVERLAP_MOST = 4
"""Strips and tiles may be so many times the file: some writers store equal ones once."""
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BROKEN = (
    ValueError, OSError, LookupError, TypeError, RuntimeError, EOFError, SyntaxError, ArithmeticError, MemoryError,
    AttributeError, AssertionError, NotImplementedError, struct.error, zlib.error, lzma.LZMAError,
    tifffile.TiffFileError, Image.DecompressionBombError,
)  # fmt: skip
"""What tifffile, Pillow and their codecs raise on damaged pixels; a fuzz test holds the list complete."""

# a damaged file makes tifffile log thousands of lines; what matters is said by the reason of the refusal
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What a frame may be; checked on the header, before anything is decoded.

    max_bytes: of the decoded pixels; min_side_px, max_side_px: of either side.
    """

    max_bytes: int = 512 * 1024 * 1024
    min_side_px: int = 64
    max_side_px: int = 8192


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What a file declares, found without decoding.

    Attributes
    ----------
    shape_px
        (rows, columns).
    dtype
        What the frame will be read as; float64 is read as float32.
    pixel_size_um
        From a sidecar or the file itself, None where neither says.
    acquired_at
        From the file's metadata, None where it does not say. A time without a zone is taken as UTC.
    declared_bytes
        Size of the decoded pixels.
    """

    shape_px: tuple[int, int]
    dtype: Dtype
    pixel_size_um: float | None
    acquired_at: datetime | None
    declared_bytes: int


@dataclass(frozen=True, slots=True)
class _Found:
    """A header together with what decoding needs to know."""

    header: FrameHeader
    decode: Callable[[IO[bytes]], NDArray[np.generic]]
    preallocated: bool


def probe(path: Path, *, root: Path, limits: ReadLimits) -> FrameHeader:
    """Read the structure of a file below `root`: whole, of a kind that can be a frame, within the limits.

    Raises
    ------
    FileNotFoundError
        The file is gone.
    FrameNotReady
        `zero_bytes`, `header_only`, `truncated`, `half_zero`, `unreadable`: it may still be being written.
    FrameRejected
        `symlink`, `outside_root`, `not_an_image`, `wrong_extension`, `unsupported_compression`, `unsafe_metadata`,
        `rgb`, `many_planes`, `wrong_axes`, `wrong_dtype`, `too_large`, `too_small`, `pixels_not_square`,
        `bad_pixel_size`.
    """
    with opened_below(root, path) as stream:
        return _examine(stream, path, root, limits).header


def read_frame(
    path: Path,
    *,
    root: Path,
    pixel_size_um: float | None,
    limits: ReadLimits,
) -> Frame:
    """Return the frame in a file below `root`, decoded and checked.

    Parameters
    ----------
    pixel_size_um
        What the settings say; a size found beside or inside the file goes before it (see `pixel_size`).

    Returns
    -------
    Frame
        (Y, X) uint8, uint16 or float32 in native byte order, finite, not constant; colour became grey (`colour`).

    Raises
    ------
    FileNotFoundError
        The file is gone.
    FrameNotReady, FrameRejected
        As `probe`, and `truncated`, `half_zero`, `constant`, `not_finite`, `no_pixel_size`.
    """
    with opened_below(root, path) as stream:
        found = _examine(stream, path, root, limits)
        size_um = found.header.pixel_size_um or pixel_size_um
        if size_um is None:
            message = (
                f"{path.name} does not say its pixel size; give it with --pixel-size UM, the setting "
                f"watch.pixel_size_um, or a file {pixel_size.FOLDER_SIDECAR} in its folder or one above, holding "
                '{"pixel_size_um": 0.87}'
            )
            raise FrameRejected(message, reason="no_pixel_size")
        pixels = _decoded(found, stream, path)
    check_pixels(pixels, path, preallocated=found.preallocated)
    return Frame(pixels=pixels, pixel_size_um=size_um)


def _examine(stream: IO[bytes], path: Path, root: Path, limits: ReadLimits) -> _Found:
    size = stream.seek(0, 2)
    if size == 0:
        raise FrameNotReady(f"{path.name} is empty; copy it again", reason="zero_bytes")
    stream.seek(0)
    kind = _kind(stream.read(8), path)
    if size > limits.max_bytes + METADATA_MOST_BYTES:
        message = f"{path.name} has {size} bytes; {limits.max_bytes} of pixels are the most (watch.max_frame_bytes)"
        raise FrameRejected(message, reason="too_large")
    if kind == "tiff":
        return _examine_tiff(stream, path, root, limits)
    header = read_png_header(stream, path.name)
    dtype = _png_dtype(header, path)
    own_size = pixel_size.plausible(pixel_size.from_png(header), path.name)
    _check_size(header.shape_px, np.dtype(dtype).itemsize * PNG_SAMPLES[header.colour_type], path, limits)
    return _Found(_header(header.shape_px, dtype, own_size, None, path, root), _decode_png, preallocated=False)


def _examine_tiff(stream: IO[bytes], path: Path, root: Path, limits: ReadLimits) -> _Found:
    index, plane = the_plane(read_planes(stream, path.name), path.name)
    size = stream.seek(0, 2)
    dtype = check_plane(plane, path.name)
    _check_size(plane.shape_px, plane.samples * plane.bits // 8, path, limits)
    if plane.segment_px * plane.samples * plane.bits // 8 > limits.max_bytes:
        message = f"{path.name} declares tiles of {plane.segment_px} pixels; {limits.max_bytes} bytes are the most"
        raise FrameRejected(f"{message}: export it with smaller tiles or none", reason="too_large")
    preallocated = _check_segments(plane, size, path)
    facts = read_ome(plane.description, path.name) if looks_like_xml(plane.description) else OmeFacts()
    source = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    for name in facts.files:
        if leaves_root(name, source):
            message = f"{path.name} points to {name[:200]!r} outside the watched folder; that was not opened"
            raise FrameRejected(f"{message}. Export it again as a file of its own", reason="outside_root")
    own_size = pixel_size.plausible(facts.size_um, path.name)
    own_size = own_size or pixel_size.plausible(pixel_size.from_tiff(plane), path.name)
    acquired_at = in_utc(facts.acquired_at or time_of_tag(plane.date_time))
    header = _header(plane.shape_px, dtype, own_size, acquired_at, path, root)
    return _Found(header, lambda opened: _decode_tiff(opened, index, plane, path), preallocated)


def _kind(magic: bytes, path: Path) -> Literal["tiff", "png"]:
    """Tell the format by the first bytes; the name has to agree, or people and programs would disagree about it."""
    named = SUFFIXES.get(path.suffix.lower())
    if magic[:4] in _TIFF_MAGIC:
        kind: Literal["tiff", "png"] = "tiff"
    elif magic == SIGNATURE:
        kind = "png"
    elif not any(magic) or any(known.startswith(magic) for known in (*_TIFF_MAGIC, SIGNATURE)):
        raise FrameNotReady(f"{path.name} does not have its first bytes yet; copy it again", reason="header_only")
    else:
        message = f"{path.name} is neither TIFF nor PNG, whatever its name says; export it as TIFF"
        raise FrameRejected(message, reason="not_an_image")
    if named != kind:
        raise FrameRejected(f"{path.name} is a {kind.upper()} by its content; rename it", reason="wrong_extension")
    return kind


def _header(
    shape_px: tuple[int, int],
    dtype: Dtype,
    own_size: float | None,
    acquired_at: datetime | None,
    path: Path,
    root: Path,
) -> FrameHeader:
    size_um = pixel_size.from_sidecar(path, root) or own_size
    return FrameHeader(shape_px, dtype, size_um, acquired_at, math.prod(shape_px) * np.dtype(dtype).itemsize)


def _check_size(shape_px: tuple[int, int], sample_bytes: int, path: Path, limits: ReadLimits) -> None:
    rows, columns = shape_px
    if rows * columns * sample_bytes > limits.max_bytes or max(shape_px) > limits.max_side_px:
        most = f"{limits.max_side_px} a side and {limits.max_bytes} bytes are the most"
        message = f"{path.name} declares {rows} x {columns} pixels of {sample_bytes} bytes; {most}: crop or tile it"
        raise FrameRejected(message, reason="too_large")
    if min(shape_px) < limits.min_side_px:
        message = f"{path.name} is {rows} x {columns} pixels; {limits.min_side_px} a side are the least"
        raise FrameRejected(message, reason="too_small")


def _check_segments(plane: TiffPlane, size: int, path: Path) -> bool:
    """Every strip or tile lies inside the file; return whether the file could have been given its size in advance."""
    counts, offsets = plane.byte_counts, plane.offsets
    if not counts.any():
        raise FrameNotReady(f"{path.name} has a header and no pixels yet; copy it again", reason="header_only")
    if (counts < 0).any() or (offsets < 0).any() or (offsets > size - counts).any():
        raise FrameNotReady(f"{path.name} ends before its pixels do; copy it again", reason="truncated")
    if int(counts.sum()) > OVERLAP_MOST * size:
        message = f"{path.name} is damaged: its strips or tiles lie on top of each other; copy it again"
        raise FrameNotReady(message, reason="truncated")
    plain = plane.compression == 1
    short = plain and int(counts.sum()) < math.prod(plane.shape_px) * plane.samples * plane.bits // 8
    if counts.size < plane.segments_expected or short:
        raise FrameNotReady(f"{path.name} holds fewer pixels than it declares; copy it again", reason="truncated")
    if not counts.all():
        message = f"{path.name} has parts that were never written; copy it again"
        raise FrameNotReady(message, reason="half_zero")
    return plain


def _png_dtype(header: PngHeader, path: Path) -> Dtype:
    if header.colour_type not in PNG_SAMPLES:
        message = f"{path.name} is a palette image or has an opacity; export it as grey or RGB"
        raise FrameRejected(message, reason="rgb")
    if header.bits not in (8, 16):
        message = f"{path.name} has {header.bits} bits per pixel; export it with 8 or 16"
        raise FrameRejected(message, reason="wrong_dtype")
    if header.bits == 16 and header.colour_type != 0:
        message = f"{path.name} is a PNG of 16-bit colour, which is read with 8 bits only; export it as TIFF"
        raise FrameRejected(message, reason="wrong_dtype")
    return "uint8" if header.bits == 8 else "uint16"


def _decoded(found: _Found, stream: IO[bytes], path: Path) -> NDArray[np.generic]:
    stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = np.squeeze(found.decode(stream))
        if pixels.ndim == 3 and {pixels.shape[0], pixels.shape[-1]} & {3, 4}:
            pixels = grey_of(cast("NDArray[np.unsignedinteger]", pixels), path.name)
    except _BROKEN as error:
        message = f"{path.name} is cut short or damaged ({type(error).__name__}); copy it again"
        raise FrameNotReady(message, reason="truncated") from error
    if pixels.shape != found.header.shape_px:
        message = f"{path.name} declares {found.header.shape_px} and holds {pixels.shape} pixels; copy it again"
        raise FrameNotReady(message, reason="truncated")
    with np.errstate(over="ignore"):
        return pixels.astype(np.dtype(found.header.dtype), copy=False)


def _decode_tiff(stream: IO[bytes], index: int, plane: TiffPlane, path: Path) -> NDArray[np.generic]:
    # a page by its number reads this file and no other, whatever its metadata says of a series
    with tifffile.TiffFile(cast("Any", stream), name=path.name) as tiff:
        page = cast("Any", tiff.pages[index])
        if (page.imagelength, page.imagewidth, page.compression) != (*plane.shape_px, plane.compression):
            message = "two readers of this file disagree about what it declares"
            raise ValueError(message)
        pixels: NDArray[np.generic] = page.asarray(maxworkers=1)
    return np.invert(pixels, out=pixels) if plane.photometric == 0 else pixels


def _decode_png(stream: IO[bytes]) -> NDArray[np.generic]:
    with Image.open(stream, formats=["PNG"]) as image:
        return np.asarray(image)
