"""One flood over pixels from the deepest inside a cell outwards.

Pixels are visited in falling order of height. A pixel joins the instance of its highest neighbour; where two instances
meet, they are one when the shallower rises above the meeting point by less than `persistence` or is a mere bump by its
area, and stay two otherwise. This is a watershed with h-maxima as markers (Meyer 1994; the merging is the persistence
of Edelsbrunner et al. 2002), done in one pass instead of a reconstruction, a labelling and a flood. That the highest
neighbour decides, and not the higher of two instances, keeps a small error of the maps small: peaks of nearly the same
height may swap, and only pixels at the divide hang on single neighbours.

The order comes from counting, not from comparing: heights are sorted into `LEVELS` steps. Parts of the mask that do not
touch are flooded one after the other, so that the flood stays within a piece of memory that the processor holds near,
and some of them on other threads.
"""

import itertools
import math
from functools import partial

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.parallel import THREADS, in_parallel
from monitor.segmentation.runs import root, runs_of

LEVELS = 4096
ENOUGH_PX = 50_000
"""Pixels from which on several threads are worth waking."""


def flood(
    height: NDArray[np.float32],
    inside: NDArray[np.bool_],
    within: NDArray[np.int32],
    persistence: float,
    bump_px: float = 0.0,
    *,
    edge: NDArray[np.float32] | None = None,
    edge_weight: float = 0.0,
    least_px: float = 0.0,
    least_peak: float = -math.inf,
) -> NDArray[np.int32]:
    """Label the instances of a (Y, X) mask by flooding from the peaks of `height` downwards.

    Parameters
    ----------
    height, inside
        (Y, X) float32 and bool; what `height` holds outside is never looked at.
    within
        (Y, X) int32, walls: pixels of different value never join.
    persistence
        Two that meet become one when the shallower rises above the meeting point by less than this.
    bump_px
        Or when it has fewer pixels than this by then: a small bump on the flank of a cell is no cell.
    edge, edge_weight
        (Y, X) float32 logits of an edge; its probability times the weight lowers the height first.
    least_px, least_peak
        Instances of fewer pixels, or whose peak is lower (to one part in `LEVELS` of the range), are left out.

    Returns
    -------
    (Y, X) int32, 0 outside, from 1 in the order of their first pixel: the same maps give the same labels.
    """
    start, end, part, begins, parts = _parts(inside)
    size, shares = int(parts[-1]), _shares(parts)
    if size == 0:
        return np.zeros(inside.shape, np.int32)
    places, values, walls = np.empty(size, np.int32), np.empty(size, np.float32), np.empty(size, np.int32)
    lowering, weight = (height, 0.0) if edge is None else (edge, edge_weight)

    def gather(share: tuple[int, int]) -> tuple[float, float]:
        _gather(height, within, lowering, weight, start, end, part, begins, parts, *share, places, values, walls)
        held = values[parts[share[0]] : parts[share[1]]]
        return float(held.min()), float(held.max())

    lows, highs = zip(*in_parallel([partial(gather, share) for share in shares]), strict=True)
    low, high = min(lows), max(highs)
    step = max(high - low, 1e-6) / (LEVELS - 1)
    lowest = 0 if least_peak <= low else int((min(least_peak, 2.0 * abs(high) + 1.0) - low) / step)
    rows, columns = inside.shape
    owner, level = np.full((rows + 2) * (columns + 2), -1, np.int32), np.empty((rows + 2) * (columns + 2), np.int32)
    parent, wall, peak, area, name = (np.empty(size, np.int32) for _ in range(5))
    least_rise = int(persistence / step)

    def flood_share(share: tuple[int, int]) -> None:
        first, last = int(parts[share[0]]), int(parts[share[1]])
        levels = ((values[first:last] - low) / step).astype(np.int32)
        by_place, by_level, by_wall = _ordered(
            places[first:last], levels, walls[first:last], parts[share[0] : share[1] + 1] - first
        )
        _flood(
            by_place, by_level, by_wall, owner, level, columns + 2, first, parent, wall, peak, area, name,
            least_rise, bump_px, least_px, lowest,
        )  # fmt: skip

    in_parallel([partial(flood_share, share) for share in shares])
    labels: NDArray[np.int32] = _named(owner, parent, name, rows, columns)
    return labels


def _shares(parts: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Return ranges of parts of about equally many pixels, one for each thread; `parts` as from `_parts`."""
    many = THREADS if parts[-1] >= ENOUGH_PX else 1
    cuts = np.searchsorted(parts, np.linspace(0, parts[-1], many + 1)[1:-1])
    edges = np.unique([0, *cuts.tolist(), parts.size - 1]).tolist()
    return list(itertools.pairwise(edges))


@numba.njit(cache=True, nogil=True)
def _parts(
    inside: NDArray[np.bool_],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int64], NDArray[np.int32]]:
    """Return the runs of a mask, their parts numbered from 0, and where the pixels of each part begin, and the end."""
    start, end, part, begins = runs_of(inside, 1)
    parts = np.zeros(start.size + 1, np.int32)
    used = 0
    for run in range(start.size):  # parts are numbered by their first run, which comes before their others
        if part[run] == run:
            part[run] = used
            used += 1
        else:
            part[run] = part[part[run]]
        parts[part[run] + 1] += end[run] - start[run]
    return start, end, part, begins, np.cumsum(parts[: used + 1]).astype(np.int32)


@numba.njit(cache=True, nogil=True)
def _gather(
    height: NDArray[np.float32],
    within: NDArray[np.int32],
    edge: NDArray[np.float32],
    edge_weight: float,
    start: NDArray[np.int32],
    end: NDArray[np.int32],
    part: NDArray[np.int32],
    begins: NDArray[np.int64],
    parts: NDArray[np.int32],
    first_part: int,
    last_part: int,
    places: NDArray[np.int32],
    values: NDArray[np.float32],
    walls: NDArray[np.int32],
) -> None:
    """Write place (in a frame with a border of one pixel), lowered height and wall of the pixels of some parts."""
    free = parts.copy()
    columns = height.shape[1]
    for row in range(height.shape[0]):
        first = (row + 1) * (columns + 2) + 1
        for run in range(begins[row], begins[row + 1]):
            if part[run] < first_part or part[run] >= last_part:
                continue
            index = free[part[run]]
            for column in range(start[run], end[run]):
                places[index], values[index], walls[index] = first + column, height[row, column], within[row, column]
                if edge_weight > 0.0:
                    logit = min(max(edge[row, column], np.float32(-20.0)), np.float32(20.0))
                    values[index] -= edge_weight / (np.float32(1.0) + np.exp(-logit))
                index += 1
            free[part[run]] = index


@numba.njit(cache=True, nogil=True)
def _ordered(
    places: NDArray[np.int32], levels: NDArray[np.int32], walls: NDArray[np.int32], parts: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Sort each part by falling level, by counting; pixels of one level stay in order."""
    by_place, by_level, by_wall = np.empty_like(places), np.empty_like(levels), np.empty_like(walls)
    free = np.empty(LEVELS + 1, np.int32)
    for part in range(parts.size - 1):
        first, last = parts[part], parts[part + 1]
        highest, lowest = levels[first:last].max(), levels[first:last].min()
        free[: highest - lowest + 2] = 0
        for index in range(first, last):
            free[highest - levels[index] + 1] += 1
        free[0] = first
        for step in range(highest - lowest + 1):
            free[step + 1] += free[step]
        for index in range(first, last):
            step = highest - levels[index]
            where = free[step]
            free[step] += 1
            by_place[where], by_level[where], by_wall[where] = places[index], levels[index], walls[index]
    return by_place, by_level, by_wall


@numba.njit(cache=True, nogil=True)
def _met(
    owner: NDArray[np.int32],
    height: NDArray[np.int32],
    place: int,
    around: NDArray[np.int64],
    here: int,
    parent: NDArray[np.int32],
    wall: NDArray[np.int32],
    peak: NDArray[np.int32],
    area: NDArray[np.int32],
    persistence: int,
    bump: float,
) -> int:
    """Find the instance of the highest pixel around, -1 for none; bring those around together where they are one."""
    best, top = -1, -1
    for offset in around:
        near = owner[place + offset]
        if near >= 0 and wall[near] == here and height[place + offset] > top:
            best, top = near, height[place + offset]
    if best < 0:
        return -1
    best = root(parent, best)
    for offset in around:
        near = owner[place + offset]
        if near < 0 or wall[near] != here:
            continue
        node = root(parent, near)
        if node == best:
            continue
        lower, higher = (node, best) if peak[node] <= peak[best] else (best, node)
        if peak[lower] - height[place] < persistence or area[lower] < bump:
            parent[lower] = higher
            area[higher] += area[lower]
            best = root(parent, best)
    return best


@numba.njit(cache=True, nogil=True)
def _flood(
    places: NDArray[np.int32],
    levels: NDArray[np.int32],
    walls: NDArray[np.int32],
    owner: NDArray[np.int32],
    height: NDArray[np.int32],
    wide: int,
    first: int,
    parent: NDArray[np.int32],
    wall: NDArray[np.int32],
    peak: NDArray[np.int32],
    area: NDArray[np.int32],
    name: NDArray[np.int32],
    persistence: int,
    bump: float,
    least_px: float,
    least_level: int,
) -> None:
    """Flood the pixels of some parts, ordered as by `_ordered`; `owner` and `height` are of the whole frame.

    Nodes of the forest are numbered from `first` on, so that other parts can be flooded at the same time.
    """
    around = np.array([-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1])
    count = first
    for index in range(places.size):
        place, level, here = places[index], levels[index], walls[index]
        height[place] = level
        up, at, down, one = np.uint64(place - wide), np.uint64(place), np.uint64(place + wide), np.uint64(1)
        a, b, c, d = owner[up - one], owner[up], owner[up + one], owner[at - one]
        e, f, g, h = owner[at + one], owner[down - one], owner[down], owner[down + one]
        largest = max(max(max(a, b), max(c, d)), max(max(e, f), max(g, h)))
        least = min(
            min(min(np.uint32(a), np.uint32(b)), min(np.uint32(c), np.uint32(d))),
            min(min(np.uint32(e), np.uint32(f)), min(np.uint32(g), np.uint32(h))),
        )
        if largest >= 0 and np.uint32(largest) == least and wall[largest] == here:
            best = root(parent, largest)  # one owner around: most pixels, and no branch to guess wrong
        else:
            best = _met(owner, height, place, around, here, parent, wall, peak, area, persistence, bump)
        if best < 0:
            parent[count], wall[count], peak[count], area[count], name[count] = count, here, level, 0, -1
            best = count
            count += 1
        owner[place] = best
        area[best] += 1
    for node in range(first, count):
        if parent[node] == node and (area[node] < least_px or peak[node] < least_level):
            name[node] = 0


@numba.njit(cache=True, nogil=True)
def _named(
    owner: NDArray[np.int32], parent: NDArray[np.int32], name: NDArray[np.int32], rows: int, columns: int
) -> NDArray[np.int32]:
    """Give every instance a number from 1 in the order of its first pixel; those that are named 0 already have none."""
    labels = np.zeros((rows, columns), np.int32)
    used = 0
    for row in range(rows):
        first = (row + 1) * (columns + 2) + 1
        for column in range(columns):
            node = owner[first + column]
            if node >= 0:
                if name[node] < 0:
                    top = root(parent, node)
                    if name[top] < 0:
                        used += 1
                        name[top] = used
                    name[node] = name[top]
                labels[row, column] = name[node]
    return labels
