"""Fluorescence of the same view as teacher: read, registered, turned into nuclei and cells.

Laboratories stain at the end point anyway. Images lie side by side: `a.tif` with `a_dapi.tif` (`_hoechst` and
`_nuclear` mean the same) and, where there is one, a dye of the cell as `a_cytoplasm.tif` or `a_membrane.tif`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from monitor.errors import FrameRejected
from monitor.frames.frame import Frame
from monitor.frames.normalize import normalize
from monitor.frames.reader import SUFFIXES, ReadLimits, read_frame

NUCLEAR_ENDINGS = ("_dapi", "_hoechst", "_nuclear")
DYE_ENDINGS = ("_cytoplasm", "_membrane")
SHIFT_MOST_UM = 30.0
"""How far the two channels of one view may lie apart."""
BELIEVED_SCORE = 10.0
"""A shift is believed when its correlation stands so many deviations above that of far shifts: frames of the same view
gave 20 to 60, frames of different views up to 9 by chance."""
LEVEL = 0.85
"""No shift is taken for true when its correlation is so close to that of the best one."""
FAR_UM = 15.0
DETAIL_UM = (2.0, 25.0)
"""What is correlated: finer is noise, coarser is illumination."""
NUCLEUS_UM2 = (25.0, 900.0)
"""What one nucleus can measure; what is larger is a clump that the stain cannot divide, and is left undecided."""
NUCLEUS_RADIUS_UM = 4.0


@dataclass(frozen=True, slots=True)
class StainPair:
    """A label-free image and the stains of the same view, all (Y, X); pixel_size_um > 0.

    nuclear: DAPI, Hoechst or alike; dye: of the cell, None where there is none; dye_kind: `cytoplasm` or `membrane`.
    """

    name: str
    pixels: NDArray[np.generic]
    nuclear: NDArray[np.generic]
    dye: NDArray[np.generic] | None
    dye_kind: str
    pixel_size_um: float


@dataclass(frozen=True, slots=True)
class Registration:
    """How many pixels the stain lies below and to the right of the label-free image, and how clear that is.

    score: height of the correlation's peak above far shifts, in their standard deviations.
    """

    rows_px: int
    columns_px: int
    score: float


def read_stain_pairs(folder: Path, pixel_size_um: float | None) -> Iterator[StainPair]:
    """Yield the pairs below a folder in the order of their names.

    Raises
    ------
    FrameRejected
        `no_pairs`, `pair_does_not_fit`, or what `read_frame` raises.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    pairs = [(image, nuclear) for image in files if (nuclear := _beside(image, files, NUCLEAR_ENDINGS)) is not None]
    if not pairs:
        message = f"{folder} holds no pairs; put the nuclear stain of a.tif beside it as a_dapi.tif"
        raise FrameRejected(message, reason="no_pairs")
    for image, nuclear in pairs:
        frame = read_frame(image, root=folder, pixel_size_um=pixel_size_um, limits=ReadLimits())
        dye = _beside(image, files, DYE_ENDINGS)
        yield StainPair(
            name=image.relative_to(folder).as_posix(),
            pixels=frame.pixels,
            nuclear=_fitting(nuclear, folder, frame),
            dye=None if dye is None else _fitting(dye, folder, frame),
            dye_kind="" if dye is None else dye.stem.rsplit("_", 1)[1].lower(),
            pixel_size_um=frame.pixel_size_um,
        )


def _beside(image: Path, files: Sequence[Path], endings: tuple[str, ...]) -> Path | None:
    wanted = {image.stem.lower() + ending for ending in endings}
    return next((path for path in files if path.parent == image.parent and path.stem.lower() in wanted), None)


def _fitting(path: Path, folder: Path, frame: Frame) -> NDArray[np.generic]:
    stain = read_frame(path, root=folder, pixel_size_um=frame.pixel_size_um, limits=ReadLimits())
    if stain.shape != frame.shape:
        message = f"{path.name} is {stain.shape} pixels and its image {frame.shape}; export the same view"
        raise FrameRejected(message, reason="pair_does_not_fit")
    return stain.pixels


def register(
    pixels: NDArray[np.generic],
    nuclear: NDArray[np.generic],
    pixel_size_um: float,
    virtual: Sequence[NDArray[np.float32]] = (),
) -> Registration:
    """Return how far a nuclear stain is shifted against a label-free image.

    Phase correlation (Kuglin & Hines 1975) with half of the whitening, of the stain against what the label-free image
    says about where nuclei may be: its local contrast and any `virtual` stains of a network. The clearest one decides,
    so that a network that cannot read these images does no harm.

    Raises
    ------
    FrameRejected
        `not_registered` when no shift of less than `SHIFT_MOST_UM` stands out.
    """
    ready = normalize(pixels, pixel_size_um)
    contrast = np.sqrt(ndimage.gaussian_filter(ready * ready, NUCLEUS_RADIUS_UM / pixel_size_um))
    stained = _half_whitened(np.log1p(_glow(nuclear)), pixel_size_um)
    found = [
        _clearest(_half_whitened(plane, pixel_size_um), stained, ready.shape, pixel_size_um)
        for plane in (contrast, *virtual)
    ]
    best = max(found, key=lambda shift: shift.score)
    if best.score < BELIEVED_SCORE:
        message = (
            f"the stain does not lie on the image: the best shift, {best.rows_px} px down and {best.columns_px} px "
            f"right, is no clearer than others (score {best.score:.1f}, {BELIEVED_SCORE:.0f} needed); look whether "
            "both files show the same view"
        )
        raise FrameRejected(message, reason="not_registered")
    return best


def moved(stain: NDArray[np.generic], found: Registration) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the stain moved onto the image, (Y, X) float32, and (Y, X) bool where it covers it."""
    rows, columns = stain.shape
    target = np.full(stain.shape, np.percentile(stain.astype(np.float32), 1.0), np.float32)
    covered = np.zeros(stain.shape, bool)
    to_y, from_y = _overlap(rows, found.rows_px)
    to_x, from_x = _overlap(columns, found.columns_px)
    target[to_y, to_x] = stain[from_y, from_x]
    covered[to_y, to_x] = True
    return target, covered


def stained_nuclei(stain: NDArray[np.float32], pixel_size_um: float) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Turn a nuclear stain into nuclei.

    Returns
    -------
    (Y, X) int32 labels, and (Y, X) bool: where the stain decides. Undecided are the rims between clear nucleus and
    clear background, and what is too large or too small to be one nucleus.
    """
    fine = 0.7 / pixel_size_um
    above = _above_surroundings(ndimage.gaussian_filter(_glow(stain), fine), pixel_size_um)
    bright = ndimage.binary_fill_holes(above > _otsu(above))
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(bright), 1.0 / pixel_size_um)
    apart = max(1, round(NUCLEUS_RADIUS_UM / pixel_size_um))
    clumps = ndimage.label(bright)[0]
    peaks = peak_local_max(depth, min_distance=apart, labels=clumps, exclude_border=False)  # type: ignore[no-untyped-call]  # scikit-image
    seeds = np.zeros(stain.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    parts = _flooded(-depth, seeds, bright)
    # each nucleus ends at half of its own height: a bright one glows beyond its edge
    height = _above_surroundings(ndimage.gaussian_filter(stain, fine), pixel_size_um)
    top = ndimage.labeled_comprehension(height, parts, np.arange(len(peaks) + 1), _high, np.float64, 0.0)
    nuclei = np.where(height > 0.5 * top[parts], parts, 0)
    area_um2 = np.bincount(nuclei.ravel(), minlength=len(peaks) + 1) * pixel_size_um**2
    labels = _kept(nuclei, (area_um2 >= NUCLEUS_UM2[0]) & (area_um2 <= NUCLEUS_UM2[1]))
    rim = max(1, round(1.0 / pixel_size_um))
    decided = (labels > 0) | ~ndimage.binary_dilation(bright, iterations=rim)
    return labels, decided


def dyed_cells(
    dye: NDArray[np.float32], kind: str, nuclei: NDArray[np.int32], pixel_size_um: float
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Turn a dye of the cell into cells, one around every nucleus.

    `kind` says where the dye lies: in the `cytoplasm`, where neighbours meet in its valleys, or in the `membrane`,
    where they meet on its ridges.

    Returns
    -------
    (Y, X) int32 labels, and (Y, X) bool: where the dye decides; what it colours without a nucleus is undecided.
    """
    smooth = ndimage.gaussian_filter(_glow(dye), 1.0 / pixel_size_um)
    threshold = _otsu(smooth)
    coloured = ndimage.binary_fill_holes((smooth > threshold) | (nuclei > 0))
    landscape = smooth if kind == "membrane" else -smooth
    cells = _flooded(landscape, nuclei, coloured)
    faint = smooth > threshold - 0.5 * (threshold - float(np.percentile(smooth, 1.0)))
    return cells, (cells > 0) | ~(coloured | faint)


def correlation(virtual: NDArray[np.float32], stain: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
    """Return Pearson's correlation of a virtual stain with the real one's square root; NaN where one is constant."""
    one, other = virtual[where].astype(np.float64), _glow(stain)[where].astype(np.float64)
    if one.size < 2 or one.std() == 0.0 or other.std() == 0.0:
        return math.nan
    return float(np.corrcoef(one, other)[0, 1])


def _glow(stain: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return the square root of a stain above its darkest: shot noise is level, faint nuclei count more."""
    counts = stain.astype(np.float32)
    root: NDArray[np.float32] = np.sqrt(np.maximum(counts - float(np.percentile(counts, 1.0)), 0.0))
    return root


def _above_surroundings(plane: NDArray[np.float32], pixel_size_um: float) -> NDArray[np.float32]:
    around = ndimage.minimum_filter(plane, round(25.0 / pixel_size_um))
    above: NDArray[np.float32] = plane - ndimage.gaussian_filter(around, 12.0 / pixel_size_um)
    return above


def _otsu(plane: NDArray[np.float32]) -> float:
    return float(threshold_otsu(plane))  # type: ignore[no-untyped-call]  # scikit-image


def _flooded(landscape: NDArray[np.floating], seeds: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    flooded: NDArray[np.int32] = watershed(landscape, seeds, mask=mask).astype(np.int32)  # type: ignore[no-untyped-call]  # scikit-image
    return flooded


def _high(values: NDArray[np.float32]) -> float:
    return float(np.percentile(values, 90.0))


def _half_whitened(plane: NDArray[np.float32], pixel_size_um: float) -> NDArray[np.complex128]:
    fine, coarse = (size / pixel_size_um for size in DETAIL_UM)
    smooth = ndimage.gaussian_filter(plane, fine)
    detail = smooth - ndimage.gaussian_filter(smooth, coarse)
    # fade towards the border: the Fourier transform takes the opposite borders for neighbours
    fade = np.sqrt(np.hanning(plane.shape[0])[:, None] * np.hanning(plane.shape[1])[None, :])
    spectrum = np.fft.rfft2((detail - detail.mean()) * fade)
    whitened: NDArray[np.complex128] = spectrum / np.sqrt(np.maximum(np.abs(spectrum), 1e-9))
    return whitened


def _clearest(
    image: NDArray[np.complex128], stain: NDArray[np.complex128], shape: tuple[int, ...], pixel_size_um: float
) -> Registration:
    circular = np.fft.fftshift(np.fft.irfft2(stain * np.conj(image), s=shape))
    found = ndimage.gaussian_filter(circular, DETAIL_UM[0] / pixel_size_um, mode="wrap")
    middle = [length // 2 for length in shape]
    reach = [min(max(1, round(SHIFT_MOST_UM / pixel_size_um)), centre - 1) for centre in middle]
    near = found[tuple(slice(c - r, c + r + 1) for c, r in zip(middle, reach, strict=True))]
    row, column = np.unravel_index(int(np.argmax(near)), near.shape)
    still = found[middle[0], middle[1]] > LEVEL * near.max()
    rows_px, columns_px = (0, 0) if still else (int(row) - reach[0], int(column) - reach[1])
    y, x = np.ogrid[: shape[0], : shape[1]]
    far = found[np.hypot(y - middle[0] - rows_px, x - middle[1] - columns_px) > FAR_UM / pixel_size_um]
    score = float((near.max() - far.mean()) / max(float(far.std()), 1e-12)) if far.size else 0.0
    return Registration(rows_px, columns_px, score)


def _overlap(length: int, shift: int) -> tuple[slice, slice]:
    """Return where a line goes to and comes from when it is moved back by `shift`."""
    return (slice(0, length - shift), slice(shift, length)) if shift >= 0 else (slice(-shift, length), slice(0, shift))


def _kept(labels: NDArray[np.int32], good: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the good labels, numbered from 1 without gaps; `good` is indexed by label."""
    good[0] = False
    names: NDArray[np.int32] = np.where(good, np.cumsum(good), 0).astype(np.int32)
    kept: NDArray[np.int32] = names[labels]
    return kept
