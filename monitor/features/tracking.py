"""Which cell of a frame was which in the frame before, and which two came from one.

Links are the best assignment of cells to cells: as many as the gate allows, and of these the ones that move least, by
squared distance (linear assignment between two frames, as in Jaqaman et al. 2008; gaps are not closed).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from monitor.features.label_runs import Vector

Indices = NDArray[np.int64]
DAUGHTER_BALANCE = 0.5
"""The smaller of two daughters has at least so much of the area of the larger."""
DAUGHTER_SHARE = (0.5, 1.3)
"""Area of both daughters together over that of the mother."""
MIDDLE_SHARE = 0.4
"""The middle of two daughters is no further from where the mother was than this share of their distance."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of a frame: y_um, x_um, area_um2, all (N,) float64."""

    y_um: Vector
    x_um: Vector
    area_um2: Vector

    @property
    def places(self) -> Vector:
        """(N, 2) y and x."""
        return np.column_stack([self.y_um, self.x_um])


@dataclass(frozen=True, slots=True)
class Links:
    """What the cells of a frame were in the one before: indices there, (N,) int64, -1 for none.

    same: the cell itself; mother: the cell that divided into this one and another. A cell has one of them at most.
    """

    same: Indices
    mother: Indices


def link(before: Cells, after: Cells, gate_um: float) -> Links:
    """Link the cells of two frames.

    Parameters
    ----------
    gate_um
        No cell moves further than this between the two frames; a daughter lies no further from its mother.
    """
    same = _assigned(before, after, gate_um)
    mother = np.full(len(same), -1, np.int64)
    for one, other, source in _divisions(before, after, same, gate_um):
        same[[one, other]], mother[[one, other]] = -1, source
    return Links(same, mother)


def _near(before: Cells, after: Cells, gate_um: float) -> tuple[Indices, Indices, Vector]:
    """Return pairs within the gate, index before and after, and their distances."""
    if not len(before.y_um) or not len(after.y_um):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    pairs = cKDTree(before.places).sparse_distance_matrix(cKDTree(after.places), gate_um, output_type="ndarray")
    return pairs["i"].astype(np.int64), pairs["j"].astype(np.int64), pairs["v"]


def _assigned(before: Cells, after: Cells, gate_um: float) -> Indices:
    """Return the index before of each cell after; groups that the gate keeps apart are assigned one by one."""
    count, total = len(before.y_um), len(before.y_um) + len(after.y_um)
    same = np.full(len(after.y_um), -1, np.int64)
    old, new, distance = _near(before, after, gate_um)
    if not old.size:
        return same
    graph = coo_matrix((np.ones(old.size, np.int8), (old, new + count)), shape=(total, total))
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group[old], kind="stable")
    bounds = np.flatnonzero(np.diff(group[old][order])) + 1
    for members in np.split(order, bounds):
        rows, row = np.unique(old[members], return_inverse=True)
        columns, column = np.unique(new[members], return_inverse=True)
        # no pair within the gate costs more than none at all, so that as many as can be are linked
        cost = np.zeros((len(rows), len(columns)))
        most = (min(cost.shape) + 1) * gate_um**2
        cost[row, column] = distance[members] ** 2 - most
        for i, j in zip(*linear_sum_assignment(cost), strict=True):
            if cost[i, j] < 0.0:
                same[columns[j]] = rows[i]
    return same


def _divisions(before: Cells, after: Cells, same: Indices, gate_um: float) -> list[tuple[int, int, int]]:
    """Return daughters and mother of each division: a new cell beside one that shrank, both about where one was."""
    successor = np.full(len(before.y_um), -1, np.int64)
    successor[same[same >= 0]] = np.flatnonzero(same >= 0)
    old, new, _ = _near(before, after, gate_um)
    unborn = (same[new] < 0) & (successor[old] >= 0)
    found = []
    for source, one in zip(old[unborn], new[unborn], strict=True):
        other = int(successor[source])
        apart = float(np.hypot(after.y_um[one] - after.y_um[other], after.x_um[one] - after.x_um[other]))
        middle = (after.y_um[one] + after.y_um[other]) / 2.0, (after.x_um[one] + after.x_um[other]) / 2.0
        off = float(np.hypot(middle[0] - before.y_um[source], middle[1] - before.x_um[source]))
        low, high = sorted((after.area_um2[one], after.area_um2[other]))
        share = (low + high) / before.area_um2[source]
        fits = low >= DAUGHTER_BALANCE * high and DAUGHTER_SHARE[0] <= share <= DAUGHTER_SHARE[1]
        if fits and off <= MIDDLE_SHARE * apart:
            found.append((off / apart, int(one), other, int(source)))
    taken: set[int] = set()
    chosen = []
    for _, one, other, source in sorted(found):
        if one not in taken and other not in taken:
            taken |= {one, other}
            chosen.append((one, other, source))
    return chosen
