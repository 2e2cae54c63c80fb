"""Which plane of a TIFF file is the frame, and whether it can be one."""

import json
import math
import re
from collections.abc import Sequence
from typing import Literal

from monitor.errors import FrameRejected
from monitor.frames.tiff_structure import PLANES_MOST, TiffPlane

DTYPES: dict[tuple[int, int], Literal["uint8", "uint16", "float32"]] = {
    (1, 8): "uint8",
    (1, 16): "uint16",
    (3, 32): "float32",
    (3, 64): "float32",
}
"""(sample format, bits) of a TIFF to what a frame is read as."""
COMPRESSIONS = frozenset((1, 5, 8, 32773, 32946, 34925, 50000))
"""None, LZW, deflate (both numbers), PackBits, LZMA, Zstandard: their decoders stop at the declared size.

Other decoders stay shut. Those of JPEG, JPEG 2000 and JPEG XL make pictures of the size that stands in the compressed
part itself, whatever the TIFF declares: a few hundred bytes become gigabytes.
"""
_IMAGEJ_PLANES = re.compile(r"^images=(\d{1,9})$", re.MULTILINE)


def the_plane(planes: Sequence[TiffPlane], name: str) -> tuple[int, TiffPlane]:
    """Return the one full-size plane of a file and its index.

    Raises
    ------
    FrameRejected
        `many_planes` for stacks and volumes; `wrong_axes` when the planes are lines, as when axes were swapped.
    """
    full = [(index, plane) for index, plane in enumerate(planes) if not plane.reduced] or [(0, planes[0])]
    index, plane = full[0]
    count = max(len(full), plane.depth, _declared(plane))
    if count > 1 and min(plane.shape_px) == 1:
        message = f"{name} holds {count} lines of {max(plane.shape_px)} pixels: its axes are swapped"
        raise FrameRejected(f"{message}; write it as (rows, columns)", reason="wrong_axes")
    if count > 1:
        more = " or more" if len(planes) == PLANES_MOST else ""
        message = f"{name} holds {count}{more} planes; export one file per plane and time point"
        raise FrameRejected(message, reason="many_planes")
    return index, plane


def check_plane(plane: TiffPlane, name: str) -> Literal["uint8", "uint16", "float32"]:
    """Return what a plane is read as.

    Raises
    ------
    FrameRejected
        `rgb`, `wrong_dtype` or `unsupported_compression`.
    """
    grey, colour = plane.samples == 1 and plane.photometric in (0, 1), is_colour(plane)
    if not grey and not colour:
        message = f"{name} is a palette image or has {plane.samples} samples a pixel; export it as grey or RGB"
        raise FrameRejected(message, reason="rgb")
    dtype = DTYPES.get((plane.sample_format, plane.bits))
    if dtype is None or (dtype == "float32" and (colour or plane.photometric == 0)):
        kind = {1: "unsigned", 2: "signed", 3: "floating-point"}.get(plane.sample_format, "unknown")
        message = f"{name} has {plane.bits}-bit {kind} pixels; export it as 8- or 16-bit unsigned or 32-bit float"
        raise FrameRejected(message, reason="wrong_dtype")
    if plane.compression not in COMPRESSIONS:
        message = f"{name} is compressed in a way (TIFF number {plane.compression}) that is not read"
        raise FrameRejected(f"{message}; export it with LZW, deflate or none", reason="unsupported_compression")
    return dtype


def is_colour(plane: TiffPlane) -> bool:
    """Whether a plane is red, green and blue, with or without opacity."""
    return plane.photometric == 2 and plane.samples in (3, 4)


def _declared(plane: TiffPlane) -> int:
    """Return how many planes the description says lie behind this one, as ImageJ and tifffile write large stacks."""
    images = _IMAGEJ_PLANES.search(plane.description) if plane.description.startswith("ImageJ=") else None
    if images:
        return int(images.group(1))
    if plane.description.startswith('{"shape":'):
        try:
            shape = json.loads(plane.description[:10_000])["shape"]
            return int(math.prod(int(side) for side in shape) // math.prod(plane.shape_px) // plane.samples)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return 1
    return 1
