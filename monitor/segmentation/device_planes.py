"""Filters on planes that stay on their device: the same definitions as on the CPU, for whole batches in torch.

Sums run over shifted copies instead of through convolutions, whose precision a GPU chooses by itself.
"""

import math
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional

from monitor.frames.normalize import (
    BACKGROUND_WINDOW_UM,
    CLIP,
    CONTRAST_PERCENTILE,
    CONTRAST_WINDOW_UM,
    NOISE_FLOOR,
    SUBSAMPLE,
    TAMED_SIGMAS,
    odd_window,
)
from monitor.segmentation.smooth import TRUNCATE


def has_kernels(beside: Tensor) -> bool:
    """Return whether planes lie on a GPU for which kernels can be compiled here; torch does it all elsewhere."""
    return beside.is_cuda and find_spec("triton") is not None


def gaussian(planes: Tensor, sigma_px: float, *, edge: str = "mirror") -> Tensor:
    """Smooth [B, H, W] float32 planes as `scipy.ndimage.gaussian_filter` does.

    `edge` is `mirror` (the edge pixel twice) or `nearest`.
    """
    if sigma_px <= 0.0:
        return planes
    radius = int(TRUNCATE * sigma_px + 0.5)
    weights = [math.exp(-0.5 * (offset / sigma_px) ** 2) for offset in range(radius + 1)]
    total = weights[0] + 2.0 * sum(weights[1:])
    if has_kernels(planes) and radius <= min(planes.shape[1:]):
        from monitor.segmentation.filter_kernels import smoothed

        return smoothed(planes, [weight / total for weight in weights], mirror=edge != "nearest")
    for axis in (1, 2):
        length = planes.shape[axis]
        wide = planes.index_select(axis, _around(length, radius, edge, planes.device))
        planes = wide.narrow(axis, radius, length) * (weights[0] / total)
        for offset in range(1, radius + 1):
            pair = wide.narrow(axis, radius - offset, length) + wide.narrow(axis, radius + offset, length)
            planes = planes.add_(pair, alpha=weights[offset] / total)
    return planes


def _around(length: int, radius: int, edge: str, device: torch.device) -> Tensor:
    """Return which pixels stand at -radius .. length + radius - 1 along a side."""
    places = torch.arange(-radius, length + radius, device=device)
    if edge == "nearest":
        return places.clamp(0, length - 1)
    folded = places.remainder(2 * length)
    return torch.minimum(folded, 2 * length - 1 - folded)


def running_mean(planes: Tensor, window_px: int) -> Tensor:
    """Return the mean over an odd square window of [B, H, W] planes; the border is mirrored, its pixels once."""
    if has_kernels(planes):
        from monitor.segmentation.filter_kernels import window_mean

        return window_mean(planes, window_px)
    radius = window_px // 2
    wide = functional.pad(planes[:, None], (radius, radius, radius, radius), mode="reflect")
    return functional.avg_pool2d(functional.avg_pool2d(wide, (window_px, 1), 1), (1, window_px), 1)[:, 0]


def dilated(mask: Tensor, times: int) -> Tensor:
    """Return [B, H, W] bool masks grown over edges, not corners, `times` times."""
    for _ in range(times):
        grown = mask.clone()
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
        grown[:, :, 1:] |= mask[:, :, :-1]
        grown[:, :, :-1] |= mask[:, :, 1:]
        mask = grown
    return mask


def resampled(planes: Tensor, factor: float) -> Tensor:
    """Return [B, H, W] float32 planes enlarged by `factor`, as `monitor.frames.resample.resample` does."""
    if factor == 1.0:
        return planes
    if factor < 1.0:
        planes = gaussian(planes, 0.5 * (1.0 / factor - 1.0) + 0.1, edge="nearest")
    shape = [max(32, round(length * factor)) for length in planes.shape[1:]]
    return functional.interpolate(planes[:, None], shape, mode="bilinear", align_corners=False)[:, 0]


def background(planes: Tensor, pixel_size_um: float) -> Tensor:
    """Return the slowly varying part of [B, H, W] float32 planes; see `monitor.frames.normalize.background`."""
    window = odd_window(BACKGROUND_WINDOW_UM / pixel_size_um, min(planes.shape[1:]))
    level = planes.mean((1, 2), keepdim=True)  # taken off first: sums of large counts would lose digits
    centred = planes - level
    once = running_mean(centred, window)
    spread = TAMED_SIGMAS * median((centred - once)[:, ::SUBSAMPLE, ::SUBSAMPLE].abs())[:, None, None]
    tamed = torch.minimum(torch.maximum(centred, once - spread), once + spread)
    return running_mean(tamed, window) + level


def normalized(planes: Tensor, pixel_size_um: float) -> Tensor:
    """Return [B, H, W] float32 planes normalised as `monitor.frames.normalize.normalize` does; finite values only."""
    detail = planes - background(planes, pixel_size_um)
    window = odd_window(CONTRAST_WINDOW_UM / pixel_size_um, min(planes.shape[1:]))
    variance = running_mean(detail * detail, window)
    local = variance[:, ::SUBSAMPLE, ::SUBSAMPLE].clamp_min(0.0).sqrt()
    contrast = torch.quantile(local.flatten(1), CONTRAST_PERCENTILE / 100.0, dim=1)
    scale = torch.maximum(contrast, NOISE_FLOOR * noise_sigma(detail))[:, None, None]
    empty = scale <= 0.0
    return (detail / torch.where(empty, 1.0, scale)).clamp(-CLIP, CLIP).masked_fill(empty, 0.0)


def noise_sigma(planes: Tensor) -> Tensor:
    """Return the pixel noise of [B, H, W] planes, [B]; see `monitor.frames.normalize.noise_sigma`."""
    rows = planes[:, :, :-2] - 2.0 * planes[:, :, 1:-1] + planes[:, :, 2:]
    crossed = rows[:, :-2] - 2.0 * rows[:, 1:-1] + rows[:, 2:]
    return 1.4826 / 6.0 * median(crossed[:, ::SUBSAMPLE, ::SUBSAMPLE].abs())


def median(planes: Tensor) -> Tensor:
    """Return the median of each of [B, H, W] planes, [B]; between two middle values their mean."""
    return torch.quantile(planes.flatten(1), 0.5, dim=1)
