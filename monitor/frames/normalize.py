"""One normalisation for training and serving: local background removed, contrast brought to a common scale.

The scale comes from the local contrast where something is to be seen, not from the whole field, so that it hardly
depends on how much of the field is covered; a floor from the sensor noise keeps an empty field quiet.
"""

import numpy as np
from numpy.typing import NDArray

from monitor.errors import FrameRejected
from monitor.frames.running_mean import running_mean

BACKGROUND_WINDOW_UM = 112.0
"""Side of the running mean that is taken as background: about twice the length of a spread cell's body."""
CONTRAST_WINDOW_UM = 15.0
"""Side of the window in which local contrast is measured: about a nucleus."""
CONTRAST_PERCENTILE = 95.0
NOISE_FLOOR = 2.5
"""The scale is at least this many standard deviations of the pixel noise."""
CLIP = 6.0
TAMED_SIGMAS = 3.0 * 1.4826
"""How far, in median deviations, a pixel may pull the background."""
SUBSAMPLE = 3
"""Medians and percentiles look at every third pixel of every third row."""


def normalize(pixels: NDArray[np.generic], pixel_size_um: float) -> NDArray[np.float32]:
    """Return a frame with its background at 0 and its strong local contrast at about 1.

    Parameters
    ----------
    pixels
        (Y, X), any real dtype, finite; a linear scale of camera counts.
    pixel_size_um
        Side of a pixel in micrometres; sets both windows.

    Returns
    -------
    (Y, X) float32 in [-6, 6]. Invariant to offset and gain of the camera. A constant frame gives zeros.

    Raises
    ------
    FrameRejected
        `not_finite` when a pixel is NaN or infinite.
    """
    frame = pixels.astype(np.float32)
    if not np.isfinite(frame).all():
        message = "the frame holds NaN or infinite pixels; export it again as plain integers"
        raise FrameRejected(message, reason="not_finite")
    detail = frame - background(frame, pixel_size_um)
    scale = contrast_scale(detail, pixel_size_um)
    if scale <= 0.0:
        return np.zeros_like(frame)
    normalized: NDArray[np.float32] = np.clip(detail / np.float32(scale), -CLIP, CLIP)
    return normalized


def background(frame: NDArray[np.float32], pixel_size_um: float) -> NDArray[np.float32]:
    """Return the slowly varying part of a (Y, X) float32 frame: two passes of a running mean, mirrored at the edge."""
    window = odd_window(BACKGROUND_WINDOW_UM / pixel_size_um, min(frame.shape))
    once = running_mean(frame, window)
    # bright debris and floating cells pull a mean up; the second pass sees them clipped to the first
    spread = np.float32(TAMED_SIGMAS) * np.median(np.abs((frame - once)[::SUBSAMPLE, ::SUBSAMPLE]))
    tamed = np.clip(frame, once - spread, once + spread)
    return running_mean(tamed, window)


def contrast_scale(detail: NDArray[np.float32], pixel_size_um: float) -> float:
    """Return the 95th percentile of the local standard deviation, at least `NOISE_FLOOR` times the pixel noise."""
    window = odd_window(CONTRAST_WINDOW_UM / pixel_size_um, min(detail.shape))
    variance = running_mean(detail * detail, window)
    local = np.sqrt(np.maximum(variance[::SUBSAMPLE, ::SUBSAMPLE], 0.0))
    return float(max(np.percentile(local, CONTRAST_PERCENTILE), NOISE_FLOOR * noise_sigma(detail)))


def noise_sigma(frame: NDArray[np.float32]) -> float:
    """Return the standard deviation of the pixel noise by the second differences (Immerkaer 1996, made robust)."""
    rows = frame[:, :-2] - 2.0 * frame[:, 1:-1] + frame[:, 2:]
    crossed = rows[:-2] - 2.0 * rows[1:-1] + rows[2:]
    return float(1.4826 * np.median(np.abs(crossed[::SUBSAMPLE, ::SUBSAMPLE])) / 6.0)


def odd_window(size: float, most: int) -> int:
    """Return the odd number of pixels nearest below `size`, at least 3 and less than `most`."""
    return max(3, min(int(size), most - 1) // 2 * 2 + 1)
