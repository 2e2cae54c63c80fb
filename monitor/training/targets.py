"""Targets that the network learns: what is a cell, where its edge runs, and a map with one peak per instance."""

import heapq
from collections.abc import Callable

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

_STEPS = np.array(
    [(-1, -1, 1), (-1, 0, 0), (-1, 1, 1), (0, -1, 0), (0, 1, 0), (1, -1, 1), (1, 0, 0), (1, 1, 1)], dtype=np.int64
)
CONTACT_PX = 4
"""Cells closer than twice this are told apart with more weight."""
_FAR_POINTS = 16
"""Most rounds in search of a geodesic centre; plump cells need three to six."""


@numba.njit(cache=True)
def _distances(inside: NDArray[np.bool_], row: int, column: int) -> NDArray[np.float32]:
    """Geodesic distances from one pixel within a (Y, X) mask; -1 where it cannot be reached (Dijkstra 1959)."""
    rows, columns = inside.shape
    distance = np.full((rows, columns), -1.0, np.float32)
    queue = [(np.float32(0.0), row, column)]
    while len(queue) > 0:
        here, r, c = heapq.heappop(queue)
        if distance[r, c] >= 0.0:
            continue
        distance[r, c] = here
        for k in range(8):
            y, x = r + _STEPS[k, 0], c + _STEPS[k, 1]
            if 0 <= y < rows and 0 <= x < columns and inside[y, x] and distance[y, x] < 0.0:
                length = np.float32(1.4142135) if _STEPS[k, 2] == 1 else np.float32(1.0)
                heapq.heappush(queue, (here + length, y, x))
    return distance


@numba.njit(cache=True)
def _one_instance(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Map of one instance: 1 at its geodesic centre, 0 at the farthest point, 0 outside.

    The largest distance to a few far points bounds the distance to the farthest point from below; the pixel where that
    bound is least is the centre once nothing lies farther from it (core sets: Badoiu & Clarkson 2003).
    """
    rows, columns = inside.shape
    flat = np.argmax(inside)
    far = np.argmax(_distances(inside, flat // columns, flat % columns))
    bound = _distances(inside, far // columns, far % columns)
    distance = bound
    for _ in range(_FAR_POINTS):
        far = np.argmax(distance)
        from_far = _distances(inside, far // columns, far % columns)
        least, centre = np.float32(np.inf), 0
        for i in range(rows * columns):
            r, c = i // columns, i % columns
            if from_far[r, c] >= 0.0:
                bound[r, c] = max(bound[r, c], from_far[r, c])
                if bound[r, c] < least:
                    least, centre = bound[r, c], i
        distance = _distances(inside, centre // columns, centre % columns)
        if distance.max() <= least + np.float32(0.5):
            break
    reach = max(distance.max(), np.float32(1.0))
    result = np.zeros((rows, columns), np.float32)
    for r in range(rows):
        for c in range(columns):
            if distance[r, c] >= 0.0:
                result[r, c] = np.float32(1.0) - distance[r, c] / reach
    return result


def centre_map(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the single-peak geodesic map of a label image.

    Parameters
    ----------
    labels
        (Y, X) int32, 0 is background. Of a label in several parts only the largest counts: hands leave scraps.

    Returns
    -------
    (Y, X) float32 in [0, 1]: in every instance one minus the geodesic distance from its geodesic centre (the pixel
    whose farthest point is nearest), divided by the largest; 0 outside.
    """
    result = np.zeros(labels.shape, np.float32)
    for index, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is not None:
            inside = _largest_part(labels[window] == index)
            result[window][inside] = _one_instance(inside)[inside]
    return result


def _largest_part(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(inside, np.ones((3, 3)))
    if count <= 1:
        return inside
    largest: NDArray[np.bool_] = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    return largest


def boundary_map(labels: Tensor) -> Tensor:
    """Return [B, H, W] bool of [B, H, W] integer labels: the inner edge of every instance, widened by one pixel."""
    edge = torch.zeros_like(labels, dtype=torch.bool)
    vertical = labels[:, 1:] != labels[:, :-1]
    horizontal = labels[:, :, 1:] != labels[:, :, :-1]
    edge[:, 1:] |= vertical
    edge[:, :-1] |= vertical
    edge[:, :, 1:] |= horizontal
    edge[:, :, :-1] |= horizontal
    edge &= labels > 0
    wide = edge.clone()
    wide[:, 1:] |= edge[:, :-1]
    wide[:, :-1] |= edge[:, 1:]
    wide[:, :, 1:] |= edge[:, :, :-1]
    wide[:, :, :-1] |= edge[:, :, 1:]
    return wide


def contact_map(labels: Tensor) -> Tensor:
    """Return [B, H, W] bool of [B, H, W] integer labels: pixels with two instances within `CONTACT_PX` of them."""
    most = torch.iinfo(labels.dtype).max
    largest = _around(labels, CONTACT_PX, torch.maximum, 0)
    smallest = _around(torch.where(labels > 0, labels, most), CONTACT_PX, torch.minimum, most)
    return (largest > 0) & (smallest < largest)


def _around(values: Tensor, reach: int, extreme: Callable[[Tensor, Tensor], Tensor], beyond: int) -> Tensor:
    """Return the extreme of [B, H, W] values in the square of `reach` pixels to every side, by doubling the window."""
    for dim in (1, 2):
        length, window, size = values.shape[dim], 1, 2 * reach + 1
        padding = (reach, reach) if dim == 2 else (0, 0, reach, reach)
        seen = functional.pad(values, padding, value=beyond)
        while 2 * window <= size:
            kept = seen.shape[dim] - window
            seen = extreme(seen.narrow(dim, 0, kept), seen.narrow(dim, window, kept))
            window *= 2
        last = size - window
        seen = extreme(seen.narrow(dim, 0, length), seen.narrow(dim, last, length))
        values = seen
    return values
