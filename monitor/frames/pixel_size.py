"""Micrometres per pixel, from wherever a microscope or an operator may have written it.

What the operator put beside the frame goes first, then what the microscope wrote into it, then the settings:
sidecar > OME-XML > TIFF or PNG resolution > `watch.pixel_size_um`.
"""

import json
import math
import re
from pathlib import Path

from monitor.errors import FrameNotReady, FrameRejected
from monitor.frames.opened import opened_below
from monitor.frames.png_structure import PngHeader
from monitor.frames.tiff_structure import TiffPlane

PLAUSIBLE_UM = (0.05, 20.0)
"""What a pixel of a cell-culture microscope can be. Resolution tags of 72 dpi and the like fall outside, and count as
missing."""
SQUARE_WITHIN = 0.01
FOLDER_SIDECAR = "cellvigil.json"
SIDECAR_MOST_BYTES = 1_000_000
_PER_UNIT_UM = {2: 25_400.0, 3: 10_000.0}
"""TIFF resolution units: inch and centimetre, in micrometres."""
_IMAGEJ_UNIT = re.compile(r"^unit=(.+)$", re.MULTILINE)
_IMAGEJ_UM = {"um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4}


def plausible(size_um: tuple[float, float] | None, name: str) -> float | None:
    """Return the side of a square pixel, None for a size that is missing or that no microscope has.

    Parameters
    ----------
    size_um
        Width and height of a pixel in micrometres.

    Raises
    ------
    FrameRejected
        `pixels_not_square` when width and height are plausible and differ by more than a hundredth.
    """
    if size_um is None or not all(PLAUSIBLE_UM[0] <= side <= PLAUSIBLE_UM[1] for side in size_um):
        return None
    if not math.isclose(*size_um, rel_tol=SQUARE_WITHIN):
        message = f"{name} has pixels of {size_um[0]:g} x {size_um[1]:g} um; export it with square pixels"
        raise FrameRejected(message, reason="pixels_not_square")
    return size_um[0]


def from_sidecar(image: Path, root: Path) -> float | None:
    """Read `pixel_size_um` beside a frame: `<stem>.json`, else the nearest `cellvigil.json` from its folder up to root.

    Raises
    ------
    FrameRejected
        `bad_pixel_size` when a sidecar holds the field and it is no positive number.
    """
    folders = [image.parent]
    while folders[-1] != root and folders[-1].is_relative_to(root):
        folders.append(folders[-1].parent)
    for sidecar in (image.with_suffix(".json"), *(folder / FOLDER_SIDECAR for folder in folders)):
        found = _field(sidecar, root)
        if found is not None:
            return found
    return None


def from_tiff(plane: TiffPlane) -> tuple[float, float] | None:
    """Read (width, height) in micrometres from a TIFF's own tags: Micro-Manager's, ImageJ's or the resolution."""
    if plane.micro_manager:
        side = _micro_manager(plane.micro_manager)
        if side is not None:
            return side, side
    if plane.resolution is None:
        return None
    unit_um = _PER_UNIT_UM.get(plane.resolution_unit)
    if plane.description.startswith("ImageJ="):
        unit = _IMAGEJ_UNIT.search(plane.description)
        named = unit.group(1).strip().replace("\\u00B5", "µ") if unit else ""
        unit_um = _IMAGEJ_UM.get(named, unit_um)
    return (unit_um / plane.resolution[0], unit_um / plane.resolution[1]) if unit_um else None


def from_png(header: PngHeader) -> tuple[float, float] | None:
    """Read (width, height) in micrometres from a PNG's pHYs chunk."""
    return (1.0 / header.pixels_per_um[0], 1.0 / header.pixels_per_um[1]) if header.pixels_per_um else None


def _field(sidecar: Path, root: Path) -> float | None:
    if not sidecar.is_file():
        return None
    try:
        with opened_below(root, sidecar) as stream:
            found = json.loads(stream.read(SIDECAR_MOST_BYTES))
    except (ValueError, RecursionError, FileNotFoundError, FrameRejected, FrameNotReady):
        return None  # somebody else's, or just being written: the frame is then asked for its own size
    if not isinstance(found, dict) or "pixel_size_um" not in found:
        return None
    size = found["pixel_size_um"]
    if isinstance(size, bool) or not isinstance(size, int | float) or not 0.0 < size < 1e6:
        message = f'{sidecar.name} gives the pixel size {size!r:.100}; write micrometres: {{"pixel_size_um": 0.87}}'
        raise FrameRejected(message, reason="bad_pixel_size")
    return float(size)


def _micro_manager(text: str) -> float | None:
    try:
        found = json.loads(text[:SIDECAR_MOST_BYTES])
    except (ValueError, RecursionError):
        return None
    for name in ("PixelSizeUm", "PixelSize_um"):
        size = found.get(name) if isinstance(found, dict) else None
        if isinstance(size, int | float) and not isinstance(size, bool) and 0.0 < size < 1e6:
            return float(size)
    return None
