"""Whether a frame and its masks can carry an estimate, measured on the frame itself."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from monitor.frames.frame import Frame
from monitor.frames.normalize import background, noise_sigma
from monitor.messages import FrameQuality
from monitor.segmentation.advice import Reason
from monitor.segmentation.margins import within
from monitor.segmentation.smooth import gaussian_where
from monitor.segmentation.suspects import cut_by_border, likely_merged

FINE_UM = (0.7, 1.4)
COARSE_UM = (2.8, 5.6)
"""Scales, in micrometres, between which focus is compared: fine detail fades under defocus, coarse detail stays."""

STRIKING = 1.0
"""Normalised brightness, dark or bright, that marks something on the ground: strong contrast, by definition."""
HALO_UM = 8.0
FOCUS_MARGIN_UM = 3.0
FOCUS_LEAST_PX = 100
MAYBE = 0.1
"""Cell probability from which on a pixel may be one."""
LIGHT_STEP = 8
LIGHT_PERCENTILES = (2.0, 50.0, 98.0)
ENOUGH_CELLS = 10
EMPTY_DEBRIS = 0.02


class QualitySettings(BaseModel):
    """Limits beyond which a frame is kept out of potency.

    min_focus: absolute, for frames whose fine detail is gone: sharp phase contrast has 0.6 to 1.2, and 0.22 to 0.24
    after a Gaussian of 2.6 um; a loss of focus against the flask's own earlier frames is found sooner, by the optics
    channel; max_doubt: how undecided the network may be, by `doubt_of`; max_saturated: share of pixels at the
    camera's limits; max_debris: share of the ground that is covered by floating cells and debris; max_merged: share of
    the cells, where there are ten or more, that are likely several.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_focus: Annotated[float, Field(ge=0.0)] = 0.3
    max_doubt: Annotated[float, Field(gt=0.0, le=1.0)] = 0.42
    max_saturated: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    max_debris: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    max_merged: Annotated[float, Field(gt=0.0, le=1.0)] = 0.4


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the network made of a frame, all (Y', X') at its own scale.

    cell, boundary: float32 probabilities; centre: float32, the map with one peak per cell; cells, nuclei: int32 labels;
    outlined: cells before those were left out that the maps are not sure of.
    """

    cell: NDArray[np.float32]
    centre: NDArray[np.float32]
    boundary: NDArray[np.float32]
    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    outlined: NDArray[np.int32]


def assess(
    frame: Frame,
    normalized: NDArray[np.float32],
    decoded: Decoded,
    pixel_size_um: float,
    settings: QualitySettings,
) -> FrameQuality:
    """Measure a frame's quality.

    Parameters
    ----------
    frame
        Camera counts on the frame's own grid, for saturation and light.
    normalized
        (Y', X') normalised pixels at the network's scale `pixel_size_um`, that of `decoded` too.
    """
    return verdict(
        decoded.cells,
        decoded.nuclei,
        pixel_size_um,
        settings,
        focus=focus_of(normalized, decoded.outlined, pixel_size_um),
        illumination=unevenness(frame.pixels, frame.pixel_size_um),
        saturated_fraction=saturated_fraction(frame.pixels),
        confluency=float((decoded.cells > 0).mean()),
        doubt=doubt_of(decoded),
        debris_fraction=debris_fraction(normalized, decoded.outlined, pixel_size_um),
    )


def verdict(
    cells: NDArray[np.int32],
    nuclei: NDArray[np.int32],
    pixel_size_um: float,
    settings: QualitySettings,
    **measures: float,
) -> FrameQuality:
    """Return the quality of a frame from what was measured on its pixels and maps, and from its (Y', X') labels."""
    cut, merged = cut_by_border(cells), likely_merged(cells, nuclei, pixel_size_um)
    found = FrameQuality(
        **measures,
        cut_fraction=float(cut.mean()) if cut.size else 0.0,
        merged_fraction=float(merged.mean()) if merged.size else 0.0,
        passes=True,
    )
    reason = _reason(found, cut.size, settings)
    return found.model_copy(update={"passes": reason is None, "reason": reason})


def focus_of(normalized: NDArray[np.float32], cells: NDArray[np.int32], pixel_size_um: float) -> float:
    """Return the ratio of fine to coarse detail on and around the cells, noise taken off; 0 when nothing is there.

    Measured where cells are, so that it hardly depends on how many there are.
    """
    where = within(max(1, round(FOCUS_MARGIN_UM / pixel_size_um)), cells > 0)
    if where.sum() < FOCUS_LEAST_PX:
        where = np.ones(cells.shape, bool)
    fine = _band(normalized, FINE_UM, pixel_size_um, where)
    coarse = _band(normalized, COARSE_UM, pixel_size_um, where)
    noise = noise_sigma(normalized) * band_noise_gain(FINE_UM, pixel_size_um)
    fine_power = max(float((fine**2).mean()) - noise**2, 0.0)
    coarse_power = float((coarse**2).mean())
    return float(np.sqrt(fine_power / coarse_power)) if coarse_power > 0.0 else 0.0


def doubt_of(decoded: Decoded) -> float:
    """Return how undecided the network is about what may be cells, 0 (decided) to 1.

    The mean of three: how near to one half the cell probability is where it is above a tenth; how far the cells' centre
    peaks stay below one; how little of the cells' outlines was predicted as an edge. On images that it can read a
    network is sure of all three; print, tissue, noise and blur satisfy one, seldom two. Without cells the first alone.
    """
    maybe = decoded.cell[decoded.cell > MAYBE]
    undecided = float((4.0 * maybe * (1.0 - maybe)).mean()) if maybe.size else 0.0
    peaks = np.zeros(int(decoded.outlined.max(initial=0)) + 1, np.float32)
    inside = decoded.outlined > 0
    np.maximum.at(peaks, decoded.outlined[inside], decoded.centre[inside])
    edge = float(decoded.boundary[outlines(decoded.outlined)].mean()) if peaks.size > 1 else 0.0
    return doubt_from(undecided, maybe.size / decoded.cell.size, peaks[1:], edge)


def doubt_from(undecided: float, maybe: float, peaks: NDArray[np.float32], edge: float) -> float:
    """Return the doubt; see `doubt_of`.

    undecided: of the pixels that may be cells; maybe: their share; peaks: (N,) centre peak of each cell; edge: mean
    edge probability on the cells' outlines.
    """
    if peaks.size == 0:
        return undecided if maybe > 0.01 else 0.0
    peak = float(np.clip(np.median(peaks), 0.0, 1.0))
    return (undecided + (1.0 - peak) + (1.0 - edge)) / 3.0


def outlines(cells: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return (Y, X) bool: pixels of cells that have a pixel of something else beside, below or above them.

    The frame's border is no outline; a cell that fills the frame has its border for one, so that there is always some.
    """
    edge = np.zeros(cells.shape, bool)
    below, beside = cells[1:] != cells[:-1], cells[:, 1:] != cells[:, :-1]
    edge[1:] |= below
    edge[:-1] |= below
    edge[:, 1:] |= beside
    edge[:, :-1] |= beside
    edge &= cells > 0
    return edge if edge.any() else cells > 0


def debris_fraction(normalized: NDArray[np.float32], cells: NDArray[np.int32], pixel_size_um: float) -> float:
    """Return the share of the ground, cells and their halos left out, that stands out as cells do.

    Real fields of attached cells have 0.002 to 0.007; what was missed by the segmentation counts too.
    """
    ground = ~within(max(1, round(HALO_UM / pixel_size_um)), cells > 0)
    if ground.sum() < 0.02 * ground.size:
        return 0.0
    return float((np.abs(normalized[ground]) > STRIKING).mean())


def saturated_fraction(pixels: NDArray[np.generic]) -> float:
    """Return the share of pixels at the ends of an integer camera's range; 0 for float frames."""
    if not np.issubdtype(pixels.dtype, np.integer):
        return 0.0
    limits = np.iinfo(str(pixels.dtype))
    return float(((pixels == limits.max) | (pixels == limits.min)).mean())


def unevenness(pixels: NDArray[np.generic], pixel_size_um: float) -> float:
    """Return the spread of the background relative to its middle; 0 is flat, and for frames around zero."""
    light = background(pixels.astype(np.float32), pixel_size_um)[::LIGHT_STEP, ::LIGHT_STEP]
    low, middle, high = np.percentile(light, LIGHT_PERCENTILES)
    return float((high - low) / middle) if middle > 0.0 else 0.0


def _reason(found: FrameQuality, n_cells: int, settings: QualitySettings) -> Reason | None:
    if found.saturated_fraction > settings.max_saturated:
        return "saturated"
    # before doubt: what is out of focus is doubtful too, and focus is what somebody can mend
    if n_cells > 0 and found.focus < settings.min_focus:
        return "out_of_focus"
    if found.doubt > settings.max_doubt:
        return "not_understood"
    if n_cells == 0 and found.debris_fraction > EMPTY_DEBRIS:
        return "not_understood"  # something stands out, and none of it was read as a cell
    if found.debris_fraction > settings.max_debris:
        return "debris"
    if n_cells == 0:
        return "empty"
    if n_cells >= ENOUGH_CELLS and found.merged_fraction > settings.max_merged:
        return "merged"
    return None


def _band(
    plane: NDArray[np.float32], scales_um: tuple[float, float], pixel_size_um: float, where: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return (N,) what lies between two scales at the pixels of a (Y, X) mask."""
    narrow, wide = (gaussian_where(plane, scale / pixel_size_um, where)[where] for scale in scales_um)
    band: NDArray[np.float32] = narrow - wide
    return band


def band_noise_gain(scales_um: tuple[float, float], pixel_size_um: float) -> float:
    """Return the standard deviation that white noise of deviation 1 has after the band filter."""
    a, b = ((scale / pixel_size_um) ** 2 for scale in scales_um)
    power = 1.0 / (4.0 * np.pi * a) + 1.0 / (4.0 * np.pi * b) - 2.0 / (2.0 * np.pi * (a + b))
    return float(np.sqrt(max(power, 0.0)))
