"""The shipped frames on which engines are calibrated and compared: crops of real fields, and simulated frames.

The real ones are crops of training fields (see `views/LICENSE.txt`); frames that calibrate an engine never judge it.
"""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from monitor.frames.frame import Frame
from monitor.synthetic.optics import Optics
from monitor.synthetic.phantom import PhantomSpec, grow_population, simulate_frame

SIDE_PX = 384
REAL_PIXEL_SIZE_UM = 0.87
"""Derived from the optics that the source states (10x, 1.5x, pixels of 6.5 um, binning 2)."""
CALIBRATING = ("set01", "set10", "set19")
JUDGING = ("set24", "set32", "set42")
CALIBRATING_SEEDS = range(7100, 7105)
JUDGING_SEEDS = range(7200, 7203)
_FOLDER = Path(__file__).parent / "views"
_OPTICS = (
    Optics(contrast=0.8),
    Optics(contrast=0.35, unevenness=0.3),
    Optics(contrast=0.5, polarity=-1, defocus_um=1.0),
    Optics(contrast=0.6, photons=2500.0),
)


def calibration_views() -> list[Frame]:
    """Return the frames that ranges of a quantised engine are taken from, all of one size and scale."""
    return [_real(name) for name in CALIBRATING] + [_simulated(seed) for seed in CALIBRATING_SEEDS]


def parity_views() -> list[Frame]:
    """Return the frames on which an engine is held against eager, all of one size and scale."""
    return [_real(name) for name in JUDGING] + [_simulated(seed) for seed in JUDGING_SEEDS]


def views_digest() -> str:
    """Return a digest of all that the frames are made from, but for the code; simulating them takes a second."""
    digest = hashlib.sha256(f"{list(CALIBRATING_SEEDS)} {list(JUDGING_SEEDS)} {SIDE_PX} {_OPTICS}".encode())
    for name in (*CALIBRATING, *JUDGING):
        digest.update((_FOLDER / f"{name}.png").read_bytes())
    return digest.hexdigest()


def _real(name: str) -> Frame:
    return Frame(np.asarray(Image.open(_FOLDER / f"{name}.png")), REAL_PIXEL_SIZE_UM)


def _simulated(seed: int) -> Frame:
    random = np.random.default_rng(seed)
    shape = (SIDE_PX, SIDE_PX)
    cells = grow_population(
        random,
        shape,
        REAL_PIXEL_SIZE_UM,
        covered=float(random.uniform(0.3, 0.7)),
        typical_um2=float(random.uniform(900.0, 2000.0)),
        senescence=float(random.uniform(0.1, 0.7)),
    )
    spec = PhantomSpec(shape, REAL_PIXEL_SIZE_UM, cells, optics=_OPTICS[seed % len(_OPTICS)])
    return Frame(simulate_frame(seed, spec=spec).pixels, REAL_PIXEL_SIZE_UM)
