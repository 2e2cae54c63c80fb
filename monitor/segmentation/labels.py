"""Maps to instances: one flood over pixels from the deepest inside a cell outwards, cells and nuclei alike.

Pixels are visited in falling order of the centre map, lowered at predicted edges. A pixel joins the instance next to
it; where two instances meet, they are one when the shallower rises above the meeting point by less than `persistence`
or is a mere bump by its area, and stay two otherwise. This is a watershed with h-maxima as markers (Meyer 1994; the
merging is the persistence of Edelsbrunner et al. 2002), done in one pass instead of a reconstruction, a labelling and
a flood.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monitor.network.checkpoint import DecodeSettings

_LEVELS = 4096
_HOLE_UM2 = 60.0


@dataclass(frozen=True, slots=True)
class Instances:
    """Label images of one frame, (Y, X) int32, 0 background, ids compact; each nucleus lies within one cell."""

    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]


def instances_of(
    maps: NDArray[np.float32], order: tuple[int, int, int, int, int], settings: DecodeSettings, pixel_size_um: float
) -> Instances:
    """Decode the maps of one frame.

    Parameters
    ----------
    maps
        (K, Y, X) float32 as the network gives them; `order` holds the planes of cell, cell centre, boundary, nucleus
        and nucleus centre.
    pixel_size_um
        Scale of the maps, for the smallest areas.
    """
    cell, centre, boundary, nucleus, nucleus_centre = (maps[index] for index in order)
    threshold = np.float32(np.log(settings.threshold / (1.0 - settings.threshold)))
    inside = _without_holes(cell > threshold, _HOLE_UM2 / pixel_size_um**2)
    edge = 1.0 / (1.0 + np.exp(-np.clip(boundary, -20.0, 20.0)))
    height = ndimage.gaussian_filter(centre, settings.smooth_px) - settings.boundary_weight * edge
    cells = flood(
        height.astype(np.float32),
        inside,
        np.zeros(inside.shape, np.int32),
        settings.persistence,
        settings.bump_um2 / pixel_size_um**2,
    )
    cells = _keep(cells, height, settings.min_cell_um2 / pixel_size_um**2, settings.min_peak)
    core = ndimage.gaussian_filter(nucleus_centre, settings.smooth_px / 2.0)
    nuclei = flood(core.astype(np.float32), (nucleus > 0.0) & (cells > 0), cells, settings.nucleus_persistence)
    nuclei = _keep(nuclei, core, settings.min_nucleus_um2 / pixel_size_um**2, 0.0)
    return Instances(cells, nuclei)


def flood(
    height: NDArray[np.float32],
    inside: NDArray[np.bool_],
    within: NDArray[np.int32],
    persistence: float,
    min_area_px: float = 0.0,
) -> NDArray[np.int32]:
    """Label the instances of a (Y, X) mask by flooding from the peaks of `height` downwards.

    Two that meet become one when the shallower rises above the meeting point by less than `persistence`, or has fewer
    than `min_area_px` pixels by then: a small bump on the flank of a cell is no cell. `within` (Y, X) int32 are walls:
    pixels of different value never join. Labels are int32 from 1 in the order of their first pixel, so the same maps
    give the same labels.
    """
    places = np.flatnonzero(inside)
    if places.size == 0:
        return np.zeros(inside.shape, np.int32)
    values = height.ravel()[places]
    low, high = float(values.min()), float(values.max())
    step = max(high - low, 1e-6) / (_LEVELS - 1)
    levels = ((values - low) / step).astype(np.int32)
    order = places[np.argsort(-levels, kind="stable")]
    quantised = np.zeros(inside.size, np.int32)
    quantised[places] = levels
    labels: NDArray[np.int32] = _flood(
        order, quantised, within.ravel(), inside.shape[0], inside.shape[1], int(persistence / step), int(min_area_px)
    )
    return labels.reshape(inside.shape)


@numba.njit(cache=True, nogil=True)
def _root(parent: NDArray[np.int32], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(cache=True, nogil=True)
def _join(
    near: int,
    best: int,
    owner: NDArray[np.int32],
    parent: NDArray[np.int32],
    peak: NDArray[np.int32],
    area: NDArray[np.int32],
    meeting: int,
    persistence: int,
    min_area: int,
) -> int:
    """Bring a neighbour's instance together with the one found so far; return the higher of them."""
    node = _root(parent, owner[near])
    if best < 0 or node == best:
        return node
    lower, higher = (node, best) if peak[node] <= peak[best] else (best, node)
    if peak[lower] - meeting < persistence or area[lower] < min_area:
        parent[lower] = higher
        area[higher] += area[lower]
    return higher


@numba.njit(cache=True, nogil=True)
def _flood(
    order: NDArray[np.int64],
    height: NDArray[np.int32],
    within: NDArray[np.int32],
    rows: int,
    columns: int,
    persistence: int,
    min_area: int,
) -> NDArray[np.int32]:
    owner = np.full(rows * columns, -1, np.int32)
    parent = np.empty(order.size, np.int32)
    peak = np.empty(order.size, np.int32)
    area = np.zeros(order.size, np.int32)
    count = 0
    for place in order:
        row, column = place // columns, place % columns
        best = -1
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(column - 1, 0), min(column + 2, columns)):
                near = r * columns + c
                if owner[near] >= 0 and within[near] == within[place]:
                    best = _join(near, best, owner, parent, peak, area, height[place], persistence, min_area)
        if best < 0:
            parent[count] = count
            peak[count] = height[place]
            best = count
            count += 1
        owner[place] = best
        area[best] += 1
    return _named(owner, parent, count)


@numba.njit(cache=True, nogil=True)
def _named(owner: NDArray[np.int32], parent: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Give every instance a number from 1 in the order of its first pixel."""
    labels = np.zeros(owner.size, np.int32)
    name = np.zeros(count, np.int32)
    used = 0
    for place in range(owner.size):
        if owner[place] >= 0:
            node = _root(parent, owner[place])
            if name[node] == 0:
                used += 1
                name[node] = used
            labels[place] = name[node]
    return labels


def _keep(
    labels: NDArray[np.int32], height: NDArray[np.float32], min_area_px: float, min_peak: float
) -> NDArray[np.int32]:
    count = int(labels.max(initial=0))
    if count == 0:
        return labels
    area = np.bincount(labels.ravel(), minlength=count + 1)
    peak = np.full(count + 1, -np.inf, np.float32)
    np.maximum.at(peak, labels.ravel(), height.ravel().astype(np.float32))
    good = (area >= min_area_px) & (peak >= min_peak)
    good[0] = False
    name = np.where(good, np.cumsum(good), 0).astype(np.int32)
    return name[labels]


def _without_holes(mask: NDArray[np.bool_], max_area_px: float) -> NDArray[np.bool_]:
    holes, count = ndimage.label(~mask)
    if count == 0:
        return mask
    area = np.bincount(holes.ravel(), minlength=count + 1)
    small = area < max_area_px
    small[0] = False
    filled: NDArray[np.bool_] = mask | small[holes]
    return filled
