"""Maps to instances without leaving the device: the instances of `flood`, found another way.

A flood visits pixel after pixel. Here every pixel points to its highest neighbour and the pointers are followed by
doubling (basins of steepest ascent), so that all pixels move at once. Where two basins touch, the highest meeting of
their pixels joins them or not, by the rules of `flood`, in falling order as in a merge tree (Carr, Snoeyink & Axen
2003). That step looks at a few thousand basins, never at pixels, and runs on the CPU. Only meetings at one and the same
level may come in another order than in the flood.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from monitor.network.checkpoint import DecodeSettings
from monitor.segmentation.device_planes import gaussian
from monitor.segmentation.flood import LEVELS
from monitor.segmentation.labels import HOLE_UM2
from monitor.segmentation.merging import STEP, joined, names_of

_BINS = LEVELS // STEP


@dataclass(frozen=True, slots=True)
class DeviceInstances:
    """Label images of a batch, [B, H, W] int32 on the device, 0 background, ids compact within each frame."""

    cells: Tensor
    nuclei: Tensor


def instances_on_device(
    maps: Tensor, order: tuple[int, int, int, int, int], settings: DecodeSettings, pixel_size_um: float
) -> DeviceInstances:
    """Decode [B, K, H, W] float32 maps where they are; parameters as in `labels.instances_of`."""
    cell, centre, boundary, nucleus, nucleus_centre = (maps[:, index] for index in order)
    pixel_um2 = pixel_size_um**2
    inside = without_holes(cell > math.log(settings.threshold / (1.0 - settings.threshold)), HOLE_UM2 / pixel_um2)
    height = gaussian(centre, settings.smooth_px)
    lowered = height - settings.boundary_weight * torch.sigmoid(boundary.clamp(-20.0, 20.0))
    cells = flood_on_device(
        lowered,
        inside,
        None,
        settings.persistence,
        settings.bump_um2 / pixel_um2,
        least_px=settings.min_cell_um2 / pixel_um2,
        least_peak=settings.min_peak,
    )
    within = (nucleus > 0.0) & (cells > 0)
    core = gaussian(nucleus_centre, settings.smooth_px / 2.0)
    least_px = settings.min_nucleus_um2 / pixel_um2
    nuclei = flood_on_device(core, within, cells, settings.nucleus_persistence, least_px=least_px, least_peak=0.0)
    return DeviceInstances(cells, nuclei)


def flood_on_device(
    height: Tensor,
    inside: Tensor,
    within: Tensor | None,
    persistence: float,
    bump_px: float = 0.0,
    *,
    least_px: float = 0.0,
    least_peak: float = -math.inf,
) -> Tensor:
    """Label the instances of [B, H, W] bool masks; parameters as in `flood.flood`, `height` already lowered at edges.

    Returns
    -------
    [B, H, W] int32, 0 outside, in each frame from 1 in the order of the instances' first pixels.
    """
    if not bool(inside.any()):
        return torch.zeros(inside.shape, dtype=torch.int32, device=inside.device)
    low = height.masked_fill(~inside, math.inf).amin((1, 2))
    high = height.masked_fill(~inside, -math.inf).amax((1, 2))
    span = torch.where(high >= low, high - low, 0.0).clamp_min(1e-6)
    step = (span / (LEVELS - 1))[:, None, None]
    level = ((height - low[:, None, None]) / step).nan_to_num(0.0, 0.0, 0.0).to(torch.int64).masked_fill(~inside, -1)
    basin, peaks = _basins(level, within)
    frame = _host(peaks // (inside.shape[1] * inside.shape[2]))
    peak = _host(level.flatten()[peaks])
    one, other, meeting = _meetings(basin, level, within, len(peaks))
    histogram = torch.bincount(basin[inside] * _BINS + level[inside] // STEP, minlength=len(peaks) * _BINS)
    parent = joined(
        *(_host(some) for some in (one, other, meeting)),
        peak=peak,
        histogram=_host(histogram.view(-1, _BINS)),
        persistence=(persistence / _host(step).ravel()).astype(np.int64)[frame],
        bump_px=bump_px,
    )
    owned = _there(parent, inside)[basin[inside]]
    area = torch.bincount(owned, minlength=len(peaks))
    place = torch.arange(inside.numel(), device=inside.device).view(inside.shape)[inside]
    first = torch.full((len(peaks),), inside.numel(), device=inside.device)
    first.scatter_reduce_(0, owned, place, "amin")
    kept = (parent == np.arange(len(parent))) & (peak >= _lowest(least_peak, low, high, step)[frame])
    names = names_of(_host(first), frame, kept & (_host(area) >= least_px))[parent]
    # the last is for basin -1, the ground
    return _there(np.append(names, np.int32(0)), inside).int()[basin]


def without_holes(mask: Tensor, max_area_px: float) -> Tensor:
    """Return [B, H, W] bool masks whose background parts below `max_area_px` are filled; see `holes.without_holes`."""
    part = _parts(~mask)
    area = torch.bincount(part.flatten(), minlength=mask.numel() + 1)
    return mask | (area[part] < max_area_px)


def _parts(mask: Tensor) -> Tensor:
    """Return [B, H, W] int64: for pixels of the mask a pixel of their 4-connected part, the same for all of it.

    Other pixels hold the number of pixels. Least neighbours are hooked to roots and ways are shortened in turns, as in
    FastSV (Zhang, Azad & Hu 2020): a few rounds, however long and bent a part is.
    """
    size = mask.numel()
    parent = torch.arange(size + 1, device=mask.device)
    parent[:size].masked_fill_(~mask.flatten(), size)
    while True:
        seen = parent[:size].view(mask.shape)
        least = seen
        for rows, columns in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            least = torch.minimum(least, _neighbour(seen, rows, columns, size))
        least = torch.where(mask, least, size).flatten()
        found = parent.clone()
        found.scatter_reduce_(0, parent[:size], least, "amin")
        found[:size] = torch.minimum(found[:size], least)
        found = found[found]
        found = found[found]
        if torch.equal(found, parent):
            return parent[:size].view(mask.shape)
        parent = found


def _basins(level: Tensor, within: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the basin of each pixel, [B, H, W] int64, -1 outside, and the flat places of the peaks, [N] int64.

    Of two pixels the one of the higher level comes first, of two of one level the earlier: the order of the flood. A
    basin is known by the place of its peak in the last array.
    """
    size = level.numel()
    place = torch.arange(size, device=level.device).view(level.shape)
    inside = level >= 0
    key = torch.where(inside, level * size + (size - 1 - place), -1)
    best = key
    for near in _around(key, within):
        best = torch.maximum(best, near)
    above = _followed(torch.where(inside, size - 1 - best.remainder(size), place).flatten())
    top = inside.flatten() & (above == place.flatten())
    number = torch.cumsum(top, 0) - 1
    basin = torch.where(inside.flatten(), number[above], -1).view(level.shape)
    return basin, top.nonzero()[:, 0]


def _followed(above: Tensor) -> Tensor:
    """Return where pointers end, by doubling."""
    while True:
        further = above[above]
        if torch.equal(further, above):
            return above
        above = further


def _around(key: Tensor, within: Tensor | None) -> Iterator[Tensor]:
    """Yield the eight neighbours of every pixel, -1 where there is none or a wall stands between."""
    for rows, columns in _AROUND:
        near = _neighbour(key, rows, columns, -1)
        if within is not None:
            near = near.masked_fill(_neighbour(within, rows, columns, -1) != within, -1)
        yield near


def _meetings(basin: Tensor, level: Tensor, within: Tensor | None, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return pairs of touching basins and the highest level at which each pair meets, [N] int64 each."""
    pairs, levels = [], []
    for rows, columns in _AROUND[:4]:
        near, near_level = _neighbour(basin, rows, columns, -1), _neighbour(level, rows, columns, -1)
        touch = (basin >= 0) & (near >= 0) & (basin != near)
        if within is not None:
            touch &= _neighbour(within, rows, columns, -1) == within
        one, other = basin[touch], near[touch]
        pairs.append(torch.minimum(one, other) * count + torch.maximum(one, other))
        levels.append(torch.minimum(level[touch], near_level[touch]))
    pair, where = torch.unique(torch.cat(pairs), return_inverse=True)
    meeting = torch.full_like(pair, -1).scatter_reduce_(0, where, torch.cat(levels), "amax")
    return pair // count, pair % count, meeting


_AROUND = ((0, 1), (1, -1), (1, 0), (1, 1), (0, -1), (-1, 1), (-1, 0), (-1, -1))


def _neighbour(planes: Tensor, rows: int, columns: int, beyond: int) -> Tensor:
    """Return for every pixel of [B, H, W] planes its neighbour so many rows below and columns to the right."""
    moved = torch.full_like(planes, beyond)
    to_y, from_y = _shift(rows)
    to_x, from_x = _shift(columns)
    moved[:, to_y, to_x] = planes[:, from_y, from_x]
    return moved


def _shift(step: int) -> tuple[slice, slice]:
    if step == 0:
        return slice(None), slice(None)
    return (slice(None, -step), slice(step, None)) if step > 0 else (slice(-step, None), slice(None, step))


def _lowest(least_peak: float, low: Tensor, high: Tensor, step: Tensor) -> np.ndarray:
    """Return the least level of a peak in each frame, as `flood` counts it."""
    lowest = []
    for bottom, top, size in zip(*(_host(some).ravel() for some in (low, high, step)), strict=True):
        counts = least_peak > bottom and math.isfinite(bottom)
        lowest.append(int((min(least_peak, 2.0 * abs(top) + 1.0) - bottom) / size) if counts else 0)
    return np.array(lowest)


def _there(values: np.ndarray, beside: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(beside.device)


def _host(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
