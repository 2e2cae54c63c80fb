"""The shape of one simulated cell: a bent, tapered body with a nucleus, from spindle to flat.

Nothing here is a measurement: shapes are drawn to look like adherent mesenchymal cells and to have a known truth.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

RUFFLE_KNOTS = 9
"""Random values along each side of the body that the outline wanders through."""


@dataclass(frozen=True, slots=True)
class CellShape:
    """Geometry of a cell in micrometres and radians.

    aspect: length over width, >= 1; taper: exponent of the width along the body, 1.2 spindle to 3 blunt;
    bend: curvature of the axis in 1/um; ruffle: relative wander of the outline; nuclei: one or two;
    thickness: peak optical thickness, unit-free; seed: of everything else that is random about the cell.
    """

    y_um: float
    x_um: float
    angle: float
    area_um2: float
    aspect: float
    taper: float
    bend: float
    ruffle: float
    nuclei: int
    nucleus_area_um2: float
    thickness: float
    seed: int

    def at(self, y_um: float, x_um: float, angle: float) -> "CellShape":
        """Return the cell moved and turned."""
        return replace(self, y_um=y_um, x_um=x_um, angle=angle)


@dataclass(frozen=True, slots=True)
class DrawnCell:
    """One cell on its own window of the frame.

    window: slices into the frame; body: (h, w) bool; nuclei: (h, w) int32, 0 outside, 1.. per nucleus;
    phase: (h, w) float32 optical thickness, 0 outside the body.
    """

    window: tuple[slice, slice]
    body: NDArray[np.bool_]
    nuclei: NDArray[np.int32]
    phase: NDArray[np.float32]


def half_axes_um(cell: CellShape) -> tuple[float, float]:
    """Return half length and half width such that the body has the cell's area.

    The body |v| < W (1 - |u/L|^p) has the area 4 L W p / (p + 1).
    """
    fullness = cell.taper / (cell.taper + 1.0)
    half_width = np.sqrt(cell.area_um2 / (4.0 * cell.aspect * fullness))
    return float(cell.aspect * half_width), float(half_width)


def draw_cell(cell: CellShape, shape: tuple[int, int], pixel_size_um: float) -> DrawnCell | None:
    """Draw a cell on a frame of `shape` (rows, columns); None when it lies outside."""
    random = np.random.default_rng(cell.seed)
    half_length, half_width = half_axes_um(cell)
    window = _window(cell, shape, pixel_size_um, 1.35 * half_length + 0.5 * half_width)
    if window is None:
        return None
    rows = (np.arange(window[0].start, window[0].stop) + 0.5) * pixel_size_um - cell.y_um
    columns = (np.arange(window[1].start, window[1].stop) + 0.5) * pixel_size_um - cell.x_um
    dy, dx = np.meshgrid(rows, columns, indexing="ij")
    u = np.cos(cell.angle) * dx + np.sin(cell.angle) * dy
    v = -np.sin(cell.angle) * dx + np.cos(cell.angle) * dy - cell.bend * u * u
    along = np.clip(np.abs(u) / half_length, 0.0, 1.0)
    width = half_width * (1.0 - along**cell.taper) * _wander(u / half_length, v, cell.ruffle, random)
    depth = np.where(np.abs(u) < half_length, 1.0 - np.abs(v) / np.maximum(width, 1e-3), -1.0)
    body = depth > 0.0
    nuclei = _nuclei(cell, u, v, body, half_length, random)
    phase = _phase(cell, depth, body, nuclei, np.hypot(u / np.clip(cell.aspect, 1.0, 2.5), v), pixel_size_um, random)
    return DrawnCell(window, body, nuclei, phase)


def _window(
    cell: CellShape, shape: tuple[int, int], pixel_size_um: float, reach_um: float
) -> tuple[slice, slice] | None:
    bounds = []
    for centre, length in ((cell.y_um, shape[0]), (cell.x_um, shape[1])):
        low = max(0, int((centre - reach_um) / pixel_size_um))
        high = min(length, int((centre + reach_um) / pixel_size_um) + 1)
        if high - low < 3:
            return None
        bounds.append(slice(low, high))
    return bounds[0], bounds[1]


def _wander(
    along: NDArray[np.float64], across: NDArray[np.float64], ruffle: float, random: np.random.Generator
) -> NDArray[np.float64]:
    knots = np.linspace(-1.0, 1.0, RUFFLE_KNOTS)
    upper, lower = np.exp(1.6 * ruffle * random.standard_normal((2, RUFFLE_KNOTS)))
    # the mean width is kept, so that the area stays what the cell says
    upper, lower = upper / upper.mean(), lower / lower.mean()
    fine = 1.0 + 0.25 * ruffle * np.sin(along * 17.0 + random.uniform(0, 6.3)) * np.sin(along * 29.0)
    return fine * np.where(across > 0.0, _smooth(along, knots, upper), _smooth(along, knots, lower))


def _smooth(x: NDArray[np.float64], knots: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    position = np.clip((x - knots[0]) / (knots[1] - knots[0]), 0.0, len(knots) - 1.001)
    index = position.astype(np.int64)
    fraction = position - index
    ease = fraction * fraction * (3.0 - 2.0 * fraction)
    result: NDArray[np.float64] = values[index] * (1.0 - ease) + values[index + 1] * ease
    return result


def _nuclei(
    cell: CellShape,
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    body: NDArray[np.bool_],
    half_length: float,
    random: np.random.Generator,
) -> NDArray[np.int32]:
    labels = np.zeros(u.shape, np.int32)
    stretch = np.clip(cell.aspect, 1.0, 3.0) ** 0.35
    radius = np.sqrt(cell.nucleus_area_um2 / np.pi)
    shift = random.normal(0.0, 0.06) * half_length
    for index in range(cell.nuclei):
        offset = shift + (index - (cell.nuclei - 1) / 2.0) * 2.3 * radius * stretch
        sway = random.normal(0.0, 0.08) * radius
        inside = ((u - offset) / (radius * stretch)) ** 2 + ((v - sway) / (radius / stretch)) ** 2 < 1.0
        labels[inside & body & (labels == 0)] = index + 1
    return labels


def _phase(
    cell: CellShape,
    depth: NDArray[np.float64],
    body: NDArray[np.bool_],
    nuclei: NDArray[np.int32],
    from_centre_um: NDArray[np.float64],
    pixel_size_um: float,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    distance = from_centre_um / np.sqrt(cell.nucleus_area_um2 / np.pi)
    # a thin lamella with a steep rim, a dome around the nucleus, and a nucleus that is smooth, paler and rimmed
    lamella = 0.5 * np.clip(depth, 0.0, 1.0) ** 0.25
    dome = 0.55 * np.exp(-0.5 * (distance / 1.6) ** 2)
    grain = np.where(nuclei > 0, 0.0, _granules(distance, body, pixel_size_um, random))
    inner = nuclei > 0
    rim = inner ^ ndimage.binary_erosion(inner, iterations=max(1, round(0.8 / pixel_size_um)))
    phase = cell.thickness * (lamella + dome + grain - np.where(inner, 0.2, 0.0) + np.where(rim, 0.3, 0.0))
    for index in range(1, int(nuclei.max(initial=0)) + 1):
        phase += cell.thickness * _nucleoli(nuclei == index, random)
    return np.where(body, phase, 0.0).astype(np.float32)


def _granules(
    distance: NDArray[np.float64], body: NDArray[np.bool_], pixel_size_um: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Vesicles and mitochondria: specks of about 1 um crowded around the nucleus, faint texture elsewhere."""
    speckle = ndimage.gaussian_filter(random.standard_normal(distance.shape), 0.55 / pixel_size_um + 0.3)
    speckle /= speckle.std() + 1e-9
    near = np.exp(-0.5 * ((distance - 1.4) / 0.55) ** 2)
    spots = np.clip(np.abs(speckle) - 1.0, 0.0, None) * np.sign(speckle)
    return np.where(body, 0.05 * speckle + 0.5 * near * spots, 0.0)


def _nucleoli(nucleus: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.float64]:
    spots = np.zeros(nucleus.shape)
    rows, columns = np.nonzero(nucleus)
    if rows.size < 12:
        return spots
    radius = 0.14 * np.sqrt(rows.size / np.pi) + 0.6
    y, x = np.ogrid[: nucleus.shape[0], : nucleus.shape[1]]
    for _ in range(random.integers(1, 4)):
        pick = random.integers(rows.size)
        row, column = 0.6 * rows[pick] + 0.4 * rows.mean(), 0.6 * columns[pick] + 0.4 * columns.mean()
        spots += 0.55 * np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / radius**2)
    return np.where(nucleus, spots, 0.0)
