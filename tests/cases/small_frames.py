"""Small frames on disk, each with its key written into a corner of its pixels, so that a swapped frame is seen."""

import functools
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import tifffile

from monitor.synthetic.phantom import Debris, PhantomSpec, grow_population, simulate_frame

SIDE = 256
PIXEL_SIZE_UM = 1.1
CORNER = 8
START = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
INTERVAL = timedelta(minutes=15)


@functools.cache
def _base(number: int) -> np.ndarray:
    random = np.random.default_rng(number)
    cells = grow_population(random, (SIDE, SIDE), PIXEL_SIZE_UM, covered=0.35, typical_um2=1500.0, senescence=0.1)
    spec = replace(PhantomSpec(), shape_px=(SIDE, SIDE), pixel_size_um=PIXEL_SIZE_UM, cells=cells, debris=Debris(0, 2))
    return simulate_frame(number, spec=spec).pixels


def block_of(flask: str, position: str, time_point: str) -> np.ndarray:
    """Return the corner block of a key: 64 sixteen-bit values near the background."""
    digest = hashlib.sha512(f"{flask}/{position}/{time_point}".encode()).digest()
    return (np.frombuffer(digest, np.uint8).astype(np.uint16) + 8800).reshape(CORNER, CORNER)


def name_of(flask: str, position: str, time_index: int) -> str:
    return f"{flask}/{position}/{START + time_index * INTERVAL:%Y%m%dT%H%M%SZ}.tif"


def write_small_frame(root: Path, flask: str, position: str, time_index: int) -> Path:
    """Write one frame, whole, under its final name."""
    name = name_of(flask, position, time_index)
    pixels = np.roll(_base(time_index % 6), 16 * (time_index // 6), axis=1).copy()
    pixels[:CORNER, :CORNER] = block_of(flask, position, Path(name).stem)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    per_cm = 10_000.0 / PIXEL_SIZE_UM
    tifffile.imwrite(part, pixels, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER", metadata=None)
    part.replace(path)
    return path


def key_is_in_pixels(path: Path, flask: str, position: str, time_point: str) -> bool:
    """Whether a file's corner block is that of the key."""
    return bool((tifffile.imread(path)[:CORNER, :CORNER] == block_of(flask, position, time_point)).all())
