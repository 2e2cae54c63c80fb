"""Where simulated cells lie: singly, in parallel streams, in islands and sheets."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from monitor.synthetic.body import Body, Kind, drawn
from monitor.synthetic.parts import largest_part

Pattern = Literal["single", "streams", "islands", "sheet"]
TRIES = 10
"""Places tried for each cell; it takes the freest."""
LEAST_SHARE = 0.5
"""A cell that others cover by more than half is left out."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Which cells there are.

    kinds: with their shares; typical_um2: area; covered: 0 to 1; aspect: of spindles; ruffle: wander of outlines;
    aligned: share of cells that follow the common direction; overlap: share of a body that may lie under others.
    """

    pattern: Pattern
    kinds: tuple[tuple[Kind, float], ...]
    typical_um2: float
    covered: float
    aspect: float = 4.0
    ruffle: float = 0.2
    aligned: float = 0.3
    overlap: float = 0.0


@dataclass(frozen=True, slots=True)
class Placed:
    """A cell in its window: body (h, w) bool with all that it covers, own (h, w) bool what is seen of it on top."""

    window: tuple[slice, slice]
    body: NDArray[np.bool_]
    own: NDArray[np.bool_]
    kind: Kind


def arranged(crowd: Crowd, shape: tuple[int, int], pixel_um: float, random: np.random.Generator) -> list[Placed]:
    """Return the cells of a (rows, columns) frame."""
    if crowd.pattern in ("islands", "sheet"):
        return _tissue(crowd, shape, pixel_um, random)
    return _strewn(crowd, shape, pixel_um, random)


def _strewn(crowd: Crowd, shape: tuple[int, int], pixel_um: float, random: np.random.Generator) -> list[Placed]:
    extent = np.array(shape) * pixel_um
    taken = np.zeros(shape, bool)
    y_um, x_um = ((np.arange(side, dtype=np.float64) + 0.5) * pixel_um for side in shape)
    common, bend = random.uniform(0.0, np.pi), random.normal(0.0, 1.2, 2)
    cells: list[Placed] = []
    centres = np.zeros((0, 3))
    kinds, shares = zip(*crowd.kinds, strict=True)
    budget, misses = crowd.covered * float(extent.prod()), 0
    while budget > 0.0 and misses < 60:
        body = _body(crowd, kinds[int(random.choice(len(kinds), p=np.array(shares) / sum(shares)))], random)
        size = math.sqrt(body.area_um2)
        spots = random.uniform(0.0, 1.0, (TRIES, 2)) * extent
        if len(centres):
            away = np.hypot(spots[:, None, 0] - centres[None, :, 0], spots[:, None, 1] - centres[None, :, 1])
            place = spots[int((away / (size + centres[None, :, 2])).min(1).argmax())]
        else:
            place = spots[0]
        # a common direction that turns slowly over the field
        flow = common + float(bend @ (place / extent - 0.5))
        angle = flow + random.normal(0.0, 0.15) if random.random() < crowd.aligned else random.uniform(0.0, 2.0 * np.pi)
        placed = _placed(replace(body, y_um=place[0], x_um=place[1], angle=angle), taken, y_um, x_um, crowd.overlap)
        if placed is None:
            misses += 1
            continue
        misses = 0
        taken[placed.window] |= placed.own
        cells.append(placed)
        centres = np.vstack([centres, [place[0], place[1], size]])
        budget -= float(placed.own.sum()) * pixel_um**2
    return cells


def _body(crowd: Crowd, kind: Kind, random: np.random.Generator) -> Body:
    area = crowd.typical_um2 * float(np.exp(random.normal(0.0, 0.35)))
    aspect = 1.0 + (crowd.aspect - 1.0) * float(np.exp(random.normal(0.0, 0.35))) if kind == "spindle" else 0.0
    return Body(
        kind=kind, y_um=0.0, x_um=0.0, angle=0.0,
        area_um2=min(area, 900.0) * 0.6 if kind == "rounded" else area,
        aspect=float(np.clip(aspect, 1.5, 14.0)) if kind == "spindle" else float(random.uniform(1.0, 1.8)),
        ruffle=crowd.ruffle, arms=int(random.integers(2, 6)), seed=int(random.integers(2**31)),
    )  # fmt: skip


def _placed(
    body: Body, taken: NDArray[np.bool_], y_um: NDArray[np.float64], x_um: NDArray[np.float64], overlap: float
) -> Placed | None:
    reach = body.reach_um
    rows = slice(*np.searchsorted(y_um, (body.y_um - reach, body.y_um + reach)).tolist())
    columns = slice(*np.searchsorted(x_um, (body.x_um - reach, body.x_um + reach)).tolist())
    if rows.stop - rows.start < 4 or columns.stop - columns.start < 4:
        return None
    inside = drawn(body, y_um[rows], x_um[columns])
    if inside.sum() < 20:
        return None
    tight = ndimage.find_objects(inside.astype(np.int8))[0]
    inside = inside[tight]
    rows, columns = (
        slice(whole.start + part.start, whole.start + part.stop)
        for whole, part in zip((rows, columns), tight, strict=True)
    )
    free = largest_part(inside & ~taken[rows, columns])
    whole = int(inside.sum())
    if free.sum() < LEAST_SHARE * whole:
        return None
    hidden = 1.0 - free.sum() / whole
    if hidden <= overlap:
        return Placed((rows, columns), inside, free, body.kind)
    # one pixel of room between neighbours that do not overlap
    own = largest_part(free & ~ndimage.binary_dilation(taken[rows, columns] & inside))
    return Placed((rows, columns), own, own, body.kind) if own.sum() >= 20 else None


def _tissue(crowd: Crowd, shape: tuple[int, int], pixel_um: float, random: np.random.Generator) -> list[Placed]:
    """Cells that touch: the nearest of jittered seeds, borders warped, holes and shores cut out."""
    step = math.sqrt(crowd.typical_um2)
    sides = [max(2, round(side * pixel_um / step) + 2) for side in shape]
    grid = np.stack(np.meshgrid(*(np.arange(side) for side in sides), indexing="ij"), -1).reshape(-1, 2).astype(float)
    grid[:, 1] += 0.5 * (grid[:, 0] % 2)
    seeds = (grid - 0.5 + random.normal(0.0, random.uniform(0.15, 0.4), grid.shape)) * step
    coordinates = np.stack(np.meshgrid(*((np.arange(side) + 0.5) * pixel_um for side in shape), indexing="ij"), -1)
    for scale, strength in ((0.5, 0.16), (0.2, 0.03)):
        warp = random.standard_normal((2, *shape)).astype(np.float32)
        for axis in range(2):
            smooth = ndimage.gaussian_filter(warp[axis], scale * step / pixel_um)
            coordinates[..., axis] += strength * step * crowd.ruffle / 0.2 * smooth / (smooth.std() + 1e-6)
    stretch, angle = random.uniform(1.0, 1.8), random.uniform(0.0, np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    squeeze = np.diag([1.0, stretch]) @ turn
    _, nearest = spatial.cKDTree(seeds @ squeeze.T).query(coordinates @ squeeze.T, workers=1)
    labels = (nearest + 1).reshape(shape).astype(np.int32)
    if crowd.pattern == "islands":
        shore = ndimage.gaussian_filter(
            random.standard_normal(shape).astype(np.float32), random.uniform(25, 70) / pixel_um
        )
        land = shore > np.quantile(shore, 1.0 - crowd.covered)
        inside = np.bincount(labels[land], minlength=labels.max() + 1) / np.maximum(np.bincount(labels.ravel()), 1)
        labels = np.where(inside[labels] > 0.5, labels, 0)
    else:
        gone = random.random(labels.max() + 1) < 0.25 * (1.0 - crowd.covered)
        labels = np.where(gone[labels], 0, labels)
    apart = max(1, round(random.uniform(0.0, 0.5) / pixel_um)) if random.random() < 0.5 else 0
    cells: list[Placed] = []
    for index, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        body: NDArray[np.bool_] = np.pad(labels[window] == index, 1)
        if apart:
            body = ndimage.binary_erosion(body, iterations=apart)
        body = largest_part(body)[1:-1, 1:-1]
        if body.sum() >= 40:
            cells.append(Placed(window, body, body, "flat"))
    return cells
