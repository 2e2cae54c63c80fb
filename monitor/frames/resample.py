"""Between a frame's own grid and the network's scale."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monitor.frames.frame import Frame

MAX_SIDE_PX = 8192
"""No resampled frame is larger than this on a side; the scale is capped, as a frame at 0.1 um/px needs no more."""


def resample(frame: Frame, pixel_size_um: float) -> NDArray[np.float32]:
    """Return the frame's pixels as (Y', X') float32 at another pixel size.

    Enlarging is bilinear; reducing averages first (Gaussian of 0.5 output pixels), so that nothing aliases.
    """
    pixels = frame.pixels.astype(np.float32)
    factor = factor_of(frame, pixel_size_um)
    if factor == 1.0:
        return pixels
    if factor < 1.0:
        pixels = ndimage.gaussian_filter(pixels, 0.5 * (1.0 / factor - 1.0) + 0.1, mode="nearest")
    rows, columns = (max(32, round(length * factor)) for length in pixels.shape)
    return _scaled(pixels, (rows, columns))


def factor_of(frame: Frame, pixel_size_um: float) -> float:
    """Return by how much a frame is enlarged; 1 where it is nearly there."""
    factor = min(frame.pixel_size_um / pixel_size_um, MAX_SIDE_PX / max(frame.shape))
    return 1.0 if abs(factor - 1.0) < 0.02 else factor


def restore_map(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a (Y', X') map on a frame's own (Y, X) grid, bilinear."""
    return values if values.shape == shape else _scaled(values, shape)


def restore_labels(labels: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Return a (Y', X') label image on a frame's own (Y, X) grid, by the nearest pixel."""
    if labels.shape == shape:
        return labels
    rows = np.minimum(((np.arange(shape[0]) + 0.5) * labels.shape[0] / shape[0]).astype(np.int64), labels.shape[0] - 1)
    columns = np.minimum(
        ((np.arange(shape[1]) + 0.5) * labels.shape[1] / shape[1]).astype(np.int64), labels.shape[1] - 1
    )
    restored: NDArray[np.int32] = labels[rows[:, None], columns[None, :]]
    return restored


def pad_to_multiple(pixels: NDArray[np.float32], multiple: int = 32) -> NDArray[np.float32]:
    """Return (Y, X) pixels mirrored at the bottom and right until both sides are multiples."""
    rows, columns = (-length % multiple for length in pixels.shape)
    return np.pad(pixels, ((0, rows), (0, columns)), mode="reflect") if rows or columns else pixels


def _scaled(pixels: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    y, x = ((np.arange(new) + 0.5) * old / new - 0.5 for new, old in zip(shape, pixels.shape, strict=True))
    return _bilinear(pixels, y, x)


def _bilinear(pixels: NDArray[np.float32], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float32]:
    def along(plane: NDArray[np.float32], position: NDArray[np.float64]) -> NDArray[np.float32]:
        clipped = np.clip(position, 0.0, plane.shape[0] - 1.0)
        low = np.minimum(clipped.astype(np.int64), plane.shape[0] - 2)
        fraction = (clipped - low).astype(np.float32)[:, None]
        mixed: NDArray[np.float32] = plane[low] * (1.0 - fraction) + plane[low + 1] * fraction
        return mixed

    return np.ascontiguousarray(along(np.ascontiguousarray(along(pixels, y).T), x).T)
