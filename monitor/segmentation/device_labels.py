"""Maps to instances without leaving the device: the instances of `flood`, found another way.

A flood visits pixel after pixel. Here every pixel points to its highest neighbour and the pointers are followed by
doubling (basins of steepest ascent), so that all pixels move at once. Where two basins touch, the highest meeting of
their pixels joins them or not, by the rules of `flood`, in falling order as in a merge tree (Carr, Snoeyink & Axen
2003). That step looks at a few thousand basins, never at pixels, and runs on the CPU. Only meetings at one and the same
level may come in another order than in the flood.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from monitor.network.checkpoint import CellConfidence, DecodeSettings
from monitor.segmentation import device_steps
from monitor.segmentation.confidence import believed, columns_of, renamed
from monitor.segmentation.device_planes import gaussian, has_kernels
from monitor.segmentation.flood import LEVELS
from monitor.segmentation.labels import HOLE_UM2
from monitor.segmentation.merging import joined, names_of


@dataclass(frozen=True, slots=True)
class DeviceInstances:
    """Label images of a batch, [B, H, W] int32 on the device, 0 background, ids compact by frame; see `Instances`."""

    cells: Tensor
    nuclei: Tensor
    outlined: Tensor


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
    outlined = cells
    if settings.confidence is not None:
        cells = _believed(cells, cell, boundary, height, settings.confidence)
    within = (nucleus > 0.0) & (cells > 0)
    core = gaussian(nucleus_centre, settings.smooth_px / 2.0)
    least_px = settings.min_nucleus_um2 / pixel_um2
    nuclei = flood_on_device(core, within, cells, settings.nucleus_persistence, least_px=least_px, least_peak=0.0)
    return DeviceInstances(cells, nuclei, outlined)


def _believed(cells: Tensor, cell: Tensor, boundary: Tensor, height: Tensor, settings: CellConfidence) -> Tensor:
    """Return [B, H, W] labels without the cells that the maps are not sure of; see `confidence`."""
    counts = cells.amax((1, 2))
    most = int(counts.max())
    sums, peaks = (_host(some) for some in steps_for(cells).sums(cells, cell, boundary, height, most))
    names = np.zeros((len(cells), most + 1), np.int32)
    for frame, count in enumerate(counts.tolist()):
        columns = columns_of(sums[frame, 1 : count + 1], peaks[frame, 1 : count + 1])
        names[frame, : count + 1] = renamed(believed(columns, settings))
    first = torch.arange(len(cells), dtype=torch.int32, device=cells.device)[:, None, None] * (most + 1)
    return steps_for(cells).named(cells + first, torch.from_numpy(names.ravel()).to(cells.device))


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
    level = ((height - low[:, None, None]) / step).nan_to_num(0.0, 0.0, 0.0).int().masked_fill_(~inside, -1)
    steps = steps_for(level)
    basin, peaks = steps.basins(level, within)
    count = len(peaks)
    one, other, meeting = steps.meetings(basin, level, within, count)
    histogram, first = (_host(some) for some in steps.tallies(basin, level, count))
    frame = _host(peaks // (inside.shape[1] * inside.shape[2]))
    peak = _host(level.flatten()[peaks]).astype(np.int64)
    parent = joined(
        *(_host(some) for some in (one, other, meeting)),
        peak=peak,
        histogram=histogram,
        persistence=(persistence / _host(step).ravel()).astype(np.int64)[frame],
        bump_px=bump_px,
    )
    area, begins = np.zeros(count, np.int64), first.copy()
    np.add.at(area, parent, histogram.sum(1))
    np.minimum.at(begins, parent, first)
    kept = (parent == np.arange(count)) & (peak >= _lowest(least_peak, low, high, step)[frame]) & (area >= least_px)
    names = names_of(begins, frame, kept)[parent]
    return steps.named(basin, torch.from_numpy(names).to(basin.device))


def without_holes(mask: Tensor, max_area_px: float) -> Tensor:
    """Return [B, H, W] bool masks whose background parts below `max_area_px` are filled; see `holes.without_holes`."""
    return steps_for(mask).without_holes(mask, max_area_px)


class DeviceSteps(Protocol):
    """What is done to pixels; see `device_steps`."""

    def without_holes(self, mask: Tensor, max_area_px: float) -> Tensor:
        """Fill small parts of the background."""

    def basins(self, level: Tensor, within: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return basins of steepest ascent and their peaks."""

    def meetings(
        self, basin: Tensor, level: Tensor, within: Tensor | None, count: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return which basins touch, and how high."""

    def tallies(self, basin: Tensor, level: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return what each basin holds, and where it begins."""

    def sums(self, cells: Tensor, cell: Tensor, boundary: Tensor, height: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """Return what the maps say of each cell."""

    def named(self, basin: Tensor, names: Tensor) -> Tensor:
        """Return the name of each pixel's basin."""


def steps_for(beside: Tensor) -> DeviceSteps:
    """Return kernels for a GPU that has a compiler for them, and torch for everything else."""
    if has_kernels(beside):
        from monitor.segmentation import device_kernels

        return device_kernels
    return device_steps


def _lowest(least_peak: float, low: Tensor, high: Tensor, step: Tensor) -> np.ndarray:
    """Return the least level of a peak in each frame, as `flood` counts it."""
    lowest = []
    for bottom, top, size in zip(*(_host(some).ravel() for some in (low, high, step)), strict=True):
        counts = least_peak > bottom and math.isfinite(bottom)
        lowest.append(int((min(least_peak, 2.0 * abs(top) + 1.0) - bottom) / size) if counts else 0)
    return np.array(lowest)


def _host(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
