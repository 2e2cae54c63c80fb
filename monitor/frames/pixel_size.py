"""Micrometres per pixel, from wherever a microscope may have written it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLAUSIBLE_UM = (0.02, 50.0)
"""What a pixel of a light microscope can be; resolution tags of 72 dpi and the like fall outside and are ignored."""
SIDECAR_MOST_BYTES = 1_000_000
_OME_SIZE = re.compile(r'PhysicalSizeX="([0-9.eE+-]+)"')
_OME_UNIT = re.compile(r'PhysicalSizeXUnit="([^"]{1,8})"')
_UM = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "micron": 1.0, "microns": 1.0}
_PER_UNIT_UM = {2: 25_400.0, 3: 10_000.0}
"""TIFF resolution units: inch and centimetre, in micrometres."""


def plausible(size_um: float | None) -> float | None:
    """Return a size that a light microscope can have, else None."""
    return size_um if size_um is not None and PLAUSIBLE_UM[0] <= size_um <= PLAUSIBLE_UM[1] else None


def from_sidecar(image: Path) -> float | None:
    """Read `pixel_size_um` from `<stem>.json` beside the image, or from `cellvigil.json` in its folder."""
    for sidecar in (image.with_suffix(".json"), image.parent / "cellvigil.json"):
        if sidecar.is_file() and not sidecar.is_symlink() and sidecar.stat().st_size <= SIDECAR_MOST_BYTES:
            try:
                found = json.loads(sidecar.read_text(encoding="utf-8"))
            except ValueError:
                continue
            if isinstance(found, dict) and isinstance(found.get("pixel_size_um"), int | float):
                return plausible(float(found["pixel_size_um"]))
    return None


def from_ome_xml(text: str) -> float | None:
    """Read the size from OME-XML; the text is searched, not parsed, so that no entity is ever expanded."""
    size = _OME_SIZE.search(text)
    unit = _OME_UNIT.search(text)
    factor = _UM.get(unit.group(1)) if unit else 1.0
    if size is None or factor is None:
        return None
    try:
        return plausible(float(size.group(1)) * factor)
    except ValueError:
        return None


def from_resolution(resolution: tuple[int, int] | None, unit: int, imagej: Mapping[str, Any] | None) -> float | None:
    """Read the size from TIFF tags: pixels per unit as a fraction, unit 2 inch, 3 centimetre, 1 as ImageJ says."""
    if not resolution or resolution[0] <= 0 or resolution[1] <= 0:
        return None
    unit_um = _PER_UNIT_UM.get(unit)
    if imagej is not None:
        unit_um = _UM.get(str(imagej.get("unit", "")).replace("\\u00B5", "µ"), unit_um)
    return plausible(unit_um * resolution[1] / resolution[0]) if unit_um else None


def from_dots_per_inch(dots: float | None) -> float | None:
    """Read the size from a PNG's resolution."""
    return plausible(25_400.0 / dots) if dots else None
