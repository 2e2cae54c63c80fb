"""Reading frames from files that may be unfinished, wrong or hostile.

Nothing is decoded before its header was checked; only the named file is ever opened, never one that it mentions;
every refusal has a reason code and a sentence with the mend.
"""

import logging
import math
import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from monitor.errors import FrameNotReady, FrameRejected
from monitor.frames import pixel_size
from monitor.frames.frame import Frame

Dtype = Literal["uint8", "uint16", "float32"]
_DTYPES: dict[str, Dtype] = {"uint8": "uint8", "uint16": "uint16", "float32": "float32", "float64": "float32"}
SUFFIXES: dict[str, Literal["tiff", "png"]] = {".tif": "tiff", ".tiff": "tiff", ".png": "png"}
_OME_FILE = re.compile(r'FileName="([^"]*)"')
_BROKEN = (
    tifffile.TiffFileError, ValueError, OSError, KeyError, IndexError, TypeError, RuntimeError, EOFError, SyntaxError,
    OverflowError, ZeroDivisionError, MemoryError, AttributeError, AssertionError, UnicodeError, ArithmeticError,
    NotImplementedError, StopIteration, LookupError,
)  # fmt: skip
"""What tifffile, Pillow and their codecs raise on damaged files; a fuzz test holds the list complete."""
MAX_PAGES = 64

# a damaged file makes tifffile log thousands of lines; what matters is said by the reason of the refusal
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What a frame may be; checked on the header, before anything is decoded."""

    max_bytes: int = 512 * 1024 * 1024
    min_side_px: int = 64
    max_side_px: int = 8192


@dataclass(frozen=True, slots=True)
class Inspected:
    """A file that is a frame: decoded once and found whole."""

    shape_px: tuple[int, int]
    dtype: Dtype
    pixel_size_um: float


@dataclass(frozen=True, slots=True)
class _Header:
    shape: tuple[int, int]
    dtype: str
    pixel_size_um: float | None


def inspect_frame(path: Path, *, root: Path, pixel_size_um: float | None, limits: ReadLimits) -> Inspected:
    """Check a file all the way: structure, limits, pixel size, finite and not constant.

    `pixel_size_um` is what the settings say; a size found in or beside the file goes before it.

    Raises
    ------
    FrameNotReady
        `zero_bytes`, `header_only`, `truncated`, `half_zero`: it may still be being written.
    FrameRejected
        `symlink`, `outside_root`, `not_an_image`, `wrong_extension`, `rgb`, `many_planes`,
        `wrong_dtype`, `wrong_shape`, `too_large`,
        `too_small`, `not_finite`, `constant`, `no_pixel_size`.
    """
    pixels, found = _load(path, root, limits)
    if pixels.min() == pixels.max():
        message = f"{path.name} has one value in every pixel; check the lamp, the shutter and the camera"
        raise FrameRejected(message, reason="constant")
    size = found or pixel_size_um
    if size is None:
        message = (
            f"{path.name} does not say its pixel size; give it with --pixel-size UM, the setting watch.pixel_size_um, "
            'or a file cellvigil.json beside it holding {"pixel_size_um": 0.87}'
        )
        raise FrameRejected(message, reason="no_pixel_size")
    rows, columns = pixels.shape
    return Inspected((int(rows), int(columns)), _DTYPES[str(pixels.dtype)], size)


def read_frame(path: Path, *, root: Path, pixel_size_um: float, limits: ReadLimits) -> Frame:
    """Return the frame in a file below `root`; raises as `inspect_frame` does."""
    pixels, _ = _load(path, root, limits)
    return Frame(pixels=pixels, pixel_size_um=pixel_size_um)


def _load(path: Path, root: Path, limits: ReadLimits) -> tuple[NDArray[np.generic], float | None]:
    with _opened(path, root) as stream:
        magic = stream.read(8)
        stream.seek(0)
        if _kind(magic, path) == "tiff":
            header, pixels = _read_tiff(stream, path, root, limits)
        else:
            header, pixels = _read_png(stream, path, limits)
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
        message = f"{path.name} holds NaN or infinite pixels; export it again as integers"
        raise FrameRejected(message, reason="not_finite")
    return pixels, pixel_size.from_sidecar(path) or header.pixel_size_um


def _kind(magic: bytes, path: Path) -> Literal["tiff", "png"]:
    """Tell the format by the first bytes; the name has to agree, or people and programs would disagree about it."""
    named = SUFFIXES.get(path.suffix.lower())
    if magic[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        kind: Literal["tiff", "png"] = "tiff"
    elif magic == b"\x89PNG\r\n\x1a\n":
        kind = "png"
    else:
        message = f"{path.name} is neither TIFF nor PNG, whatever its name says; export it as TIFF"
        raise FrameRejected(message, reason="not_an_image")
    if named != kind:
        raise FrameRejected(f"{path.name} is a {kind.upper()} by its content; rename it", reason="wrong_extension")
    return kind


@contextmanager
def _opened(path: Path, root: Path) -> Iterator[IO[bytes]]:
    """Open a regular file below root, following no link."""
    if not path.parent.resolve().is_relative_to(root.resolve()):
        message = f"{path.name} lies outside the watched folder by way of a link; copy it inside"
        raise FrameRejected(message, reason="outside_root")
    if path.is_symlink():
        message = f"{path.name} is a link; only files themselves are read: copy it into the folder"
        raise FrameRejected(message, reason="symlink")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            message = f"{path.name} is a device, pipe or folder; only regular files are read"
            raise FrameRejected(message, reason="not_an_image")
        if status.st_size == 0:
            raise FrameNotReady(f"{path.name} is empty; copy it again", reason="zero_bytes")
        yield stream


def _read_tiff(stream: IO[bytes], path: Path, root: Path, limits: ReadLimits) -> tuple[_Header, NDArray[np.generic]]:
    size = os.fstat(stream.fileno()).st_size
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with tifffile.TiffFile(cast("Any", stream), name=path.name) as tiff:
                page = _only_page(tiff, path)
                header = _tiff_header(tiff, page, path, root)
                _check(header, path, limits)
                _check_segments(page, stream, size, path)
                pixels = np.squeeze(page.asarray(maxworkers=1))
    except (FrameRejected, FrameNotReady):
        raise
    except _BROKEN as error:
        message = f"{path.name} is cut short or damaged ({type(error).__name__}); copy it again"
        raise FrameNotReady(message, reason="truncated") from error
    return header, _planar(pixels, header, path)


def _only_page(tiff: tifffile.TiffFile, path: Path) -> Any:  # noqa: ANN401 (tifffile has no types)
    pages = []
    for page in tiff.pages:
        pages.append(page)
        if len(pages) > MAX_PAGES:
            break
    if not pages:
        raise FrameNotReady(f"{path.name} has a header and no image; copy it again", reason="header_only")
    full = [page for page in pages if not getattr(page, "is_reduced", False)]
    if len(full) > 1:
        message = f"{path.name} holds {len(full)} planes; export one file per plane and time point"
        raise FrameRejected(message, reason="many_planes")
    return pages[0]


def _tiff_header(tiff: tifffile.TiffFile, page: Any, path: Path, root: Path) -> _Header:  # noqa: ANN401
    if page.samplesperpixel != 1 or page.photometric not in (0, 1):
        message = f"{path.name} is a colour image; export the single grey channel"
        raise FrameRejected(message, reason="rgb")
    ome = str(page.description) if page.is_ome else ""
    for name in _OME_FILE.findall(ome):
        if not (path.parent / name).resolve().is_relative_to(root.resolve()):
            message = f"{path.name} points to {name!r} outside the watched folder; it was not opened. Export it again"
            raise FrameRejected(message, reason="outside_root")
    resolution = page.tags.valueof("XResolution")
    unit = int(page.tags.valueof("ResolutionUnit", 2))
    imagej = tiff.imagej_metadata if tiff.is_imagej else None
    size_um = pixel_size.from_ome_xml(ome) if ome else pixel_size.from_resolution(resolution, unit, imagej)
    return _Header(_plane_shape(page.shape, path), str(page.dtype), size_um)


def _check_segments(page: Any, stream: IO[bytes], size: int, path: Path) -> None:  # noqa: ANN401
    """Every strip or tile lies inside the file, and the last of an uncompressed image was written."""
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if not segments or all(count == 0 for _, count in segments):
        raise FrameNotReady(f"{path.name} has a header and no pixels; copy it again", reason="header_only")
    if any(offset + count > size for offset, count in segments):
        raise FrameNotReady(f"{path.name} ends before its pixels do; copy it again", reason="truncated")
    if page.compression == 1:
        offset, count = segments[-1]
        tail = min(count, max(page.dtype.itemsize * page.shape[-1], count // 8))
        stream.seek(offset + count - tail)
        if not any(stream.read(tail)):
            stream.seek(segments[0][0])
            if any(stream.read(segments[0][1])):
                message = f"{path.name} has full size but its last rows are zero, as if still being written"
                raise FrameNotReady(message, reason="half_zero")


def _read_png(stream: IO[bytes], path: Path, limits: ReadLimits) -> tuple[_Header, NDArray[np.generic]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(stream, formats=["PNG"]) as image:
                dtype = {"L": "uint8", "I;16": "uint16"}.get(image.mode)
                if dtype is None:
                    message = f"{path.name} is a colour or palette image; export the single grey channel"
                    raise FrameRejected(message, reason="rgb")
                dots = image.info.get("dpi")
                size_um = pixel_size.from_dots_per_inch(float(dots[0]) if dots else None)
                header = _Header((image.height, image.width), dtype, size_um)
                _check(header, path, limits)
                pixels: NDArray[np.generic] = np.asarray(image)
    except FrameRejected:
        raise
    except (*_BROKEN, UnidentifiedImageError) as error:
        message = f"{path.name} is cut short or damaged ({type(error).__name__}); copy it again"
        raise FrameNotReady(message, reason="truncated") from error
    return header, _planar(pixels, header, path)


def _plane_shape(shape: tuple[int, ...], path: Path) -> tuple[int, int]:
    sides = [length for length in shape if length != 1]
    if len(sides) > 2:
        message = f"{path.name} has the axes {shape}; a frame has rows and columns only: export one plane per file"
        raise FrameRejected(message, reason="wrong_shape")
    rows, columns = ([1, 1, *shape])[-2:] if len(sides) < 2 else sides
    return int(rows), int(columns)


def _check(header: _Header, path: Path, limits: ReadLimits) -> None:
    if header.dtype not in _DTYPES:
        message = f"{path.name} has {header.dtype} pixels; export it as 8- or 16-bit integers or 32-bit float"
        raise FrameRejected(message, reason="wrong_dtype")
    declared = math.prod(header.shape) * np.dtype(header.dtype).itemsize
    if declared > limits.max_bytes or max(header.shape) > limits.max_side_px:
        rows, columns = header.shape
        message = f"{path.name} declares {rows} x {columns} pixels; {limits.max_side_px} a side is the most"
        raise FrameRejected(message, reason="too_large")
    if min(header.shape) < limits.min_side_px:
        message = f"{path.name} is {header.shape[0]} x {header.shape[1]}; {limits.min_side_px} a side is the least"
        raise FrameRejected(message, reason="too_small")


def _planar(pixels: NDArray[np.generic], header: _Header, path: Path) -> NDArray[np.generic]:
    if pixels.shape != header.shape:
        message = f"{path.name} declares {header.shape} and holds {pixels.shape} pixels; copy it again"
        raise FrameNotReady(message, reason="truncated")
    return pixels if pixels.dtype.isnative else pixels.astype(pixels.dtype.newbyteorder("="))
