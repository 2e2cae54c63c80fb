"""What is inside a simulated cell: nuclei and the optical path of lamella, middle, granules and ruffles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monitor.synthetic.parts import largest_part


@dataclass(frozen=True, slots=True)
class Style:
    """How the cells of a frame look inside; optical paths in radians at 0.55 um, the rest are fractions of the peak.

    peak: of the thickest place of a typical cell, 0.2 to 2 (a cell 3 to 6 um thick whose index exceeds water's by 0.01
    to 0.04: Curl et al. 2005, Barer 1952); lamella: path of the thin rim, 0.04 to 0.5; edge_um: over which the rim
    rises, 0.5 to 3.5; dome: power of the rise to the middle, 0.6 to 2.6; nucleus: step of the nucleus, -0.35 to 0.25
    (its index lies below the cytoplasm's, Schuermann et al. 2016, or above, with what surrounds it); soft_um: width
    of that step; envelope: rim of the nucleus, 0 to 0.3; nucleoli: 0.15 to 0.9; granules: 0 to 0.4; grain_um: their
    radius, 0.2 to 0.6; ruffles: near the border, 0 to 0.4; nucleus_um2: area of a typical nucleus, 45 to 420; two:
    share of cells with two nuclei; lobed: share of lobed nuclei.
    """

    peak: float = 1.0
    lamella: float = 0.25
    edge_um: float = 1.2
    dome: float = 1.2
    nucleus: float = -0.15
    soft_um: float = 0.6
    envelope: float = 0.1
    nucleoli: float = 0.4
    granules: float = 0.2
    grain_um: float = 0.5
    ruffles: float = 0.1
    nucleus_um2: float = 160.0
    two: float = 0.03
    lobed: float = 0.03


@dataclass(frozen=True, slots=True)
class Inner:
    """What lies within a cell, on its window.

    path: (h, w) float32 radians, 0 outside; without_nuclei: the same with cytoplasm in their place; nuclei: (h, w)
    int32, 1.. per nucleus.
    """

    path: NDArray[np.float32]
    without_nuclei: NDArray[np.float32]
    nuclei: NDArray[np.int32]


def filled(body: NDArray[np.bool_], pixel_um: float, style: Style, random: np.random.Generator) -> Inner:
    """Fill a (h, w) body; the window needs a border of background of one pixel."""
    depth = ndimage.distance_transform_edt(body) * pixel_um
    deepest = max(float(depth.max()), pixel_um)
    area = float(body.sum()) * pixel_um**2
    radial, nuclei = _nuclei(body, depth, pixel_um, area, style, random)
    # the larger a cell spreads, the flatter it is
    peak = (
        style.peak
        * float(np.clip((1200.0 / max(area, 100.0)) ** 0.35, 0.5, 2.0))
        * float(np.exp(random.normal(0, 0.2)))
    )
    near = np.exp(-0.5 * (np.maximum(radial - 1.0, 0.0) / 1.6) ** 2)
    rim = style.lamella * (1.0 - np.exp(-depth / style.edge_um))
    dome = (1.0 - style.lamella) * (depth / deepest) ** style.dome * (0.35 + 0.65 * near)
    grains = _grains(body.shape, style.grain_um / pixel_um, random)
    crowd = np.exp(-0.5 * ((radial - 1.5) / 0.6) ** 2) + 0.25
    coarse = _grains(body.shape, 2.2 / pixel_um, random)
    border = np.exp(-0.5 * ((depth - 1.5 * style.edge_um - 0.8) / (style.edge_um + 0.6)) ** 2)
    texture = (
        style.granules * 0.35 * crowd * grains * np.minimum(depth / 1.5, 1.0) + style.ruffles * 0.5 * border * coarse
    )
    plain = rim + dome
    without = np.where(body, np.maximum(plain + texture, 0.0), 0.0)
    inside = _step((1.0 - radial) * np.sqrt(style.nucleus_um2 / np.pi), style.soft_um)
    seam = np.exp(-0.5 * ((radial - 0.95) * np.sqrt(style.nucleus_um2 / np.pi) / 0.45) ** 2)
    core = plain + style.nucleus + _nucleoli(nuclei, pixel_um, style, random)
    smooth = 0.25 * style.granules * 0.35 * grains
    whole = (1.0 - inside) * (plain + texture) + inside * (core + smooth) + style.envelope * seam * (nuclei.max() > 0)
    path = np.where(body, np.maximum(whole, 0.02), 0.0)
    return Inner((peak * path).astype(np.float32), (peak * without).astype(np.float32), nuclei)


def _nuclei(
    body: NDArray[np.bool_],
    depth: NDArray[np.float64],
    pixel_um: float,
    area: float,
    style: Style,
    random: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return distance from the nearest nucleus in units of its radius (1 on its outline), and its labels."""
    rows, columns = np.nonzero(depth >= 0.75 * depth.max())
    pick = int(random.integers(rows.size))
    centre = np.array([rows[pick], columns[pick]], float)
    y, x = np.nonzero(body)
    near = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < (30.0 / pixel_um) ** 2
    spread = np.cov(np.stack([y[near], x[near]])) if near.sum() > 8 else np.eye(2)
    values, vectors = np.linalg.eigh(spread)
    axis = vectors[:, 1]
    long = float(np.clip(np.sqrt(values[1] / max(values[0], 1e-6)), 1.0, 3.0)) ** 0.5
    nucleus = float(np.clip(style.nucleus_um2 * np.exp(random.normal(0, 0.18)), 0.06 * area, 0.45 * area))
    radius = np.sqrt(nucleus / np.pi) / pixel_um
    count = 2 if random.random() < style.two else 1
    lobes = int(random.integers(2, 5)) if random.random() < style.lobed else 1
    radial = np.full(body.shape, 99.0)
    nuclei = np.zeros(body.shape, np.int32)
    grid = np.stack(np.meshgrid(*(np.arange(side, dtype=float) for side in body.shape), indexing="ij"))
    for index in range(count):
        place = centre + axis * (index - (count - 1) / 2.0) * 2.4 * radius * long * (1.0 if count > 1 else 0.0)
        own = np.full(body.shape, 99.0)
        for _ in range(lobes):
            shift = random.normal(0.0, 0.75 * radius, 2) if lobes > 1 else np.zeros(2)
            own = np.minimum(
                own, _ellipse(grid, place + shift, axis, radius * (0.62 if lobes > 1 else 1.0), long, random)
            )
        outline = (own < 1.0) & (depth > 0.5 * pixel_um + 0.25) & (nuclei == 0)
        outline = largest_part(outline)
        if outline.sum() * pixel_um**2 >= 0.4 * nucleus / (1 if count == 1 else 2):
            nuclei[outline] = nuclei.max() + 1
            radial = np.minimum(radial, own)
    if nuclei.max() and depth.max() > 0:
        # where the body cuts the nucleus, its edge is the body's
        radial = np.where((nuclei == 0) & (radial < 1.0), 1.0, radial)
    return radial, nuclei


def _ellipse(
    grid: NDArray[np.float64],
    centre: NDArray[np.float64],
    axis: NDArray[np.float64],
    radius: float,
    long: float,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    dy, dx = grid[0] - centre[0], grid[1] - centre[1]
    turn = random.normal(0.0, 0.15)
    axis = np.array([axis[0] * np.cos(turn) + axis[1] * np.sin(turn), axis[1] * np.cos(turn) - axis[0] * np.sin(turn)])
    along, across = dy * axis[0] + dx * axis[1], dy * axis[1] - dx * axis[0]
    long = long * float(np.exp(random.normal(0.0, 0.1)))
    angle = np.arctan2(across * long, along / long)
    edge = np.ones_like(angle)
    for wave in (2, 3, 4, 5):
        edge += random.normal(0.0, 0.07 / wave) * np.cos(wave * angle + random.uniform(0.0, 6.3))
    ratio: NDArray[np.float64] = np.hypot(along / long, across * long) / (radius * edge)
    return ratio


def _nucleoli(
    nuclei: NDArray[np.int32], pixel_um: float, style: Style, random: np.random.Generator
) -> NDArray[np.float64]:
    spots = np.zeros(nuclei.shape)
    y, x = np.ogrid[: nuclei.shape[0], : nuclei.shape[1]]
    for index in range(1, int(nuclei.max(initial=0)) + 1):
        rows, columns = np.nonzero(nuclei == index)
        wide = np.sqrt(rows.size / np.pi)
        for _ in range(int(random.integers(1, 6))):
            pick = int(random.integers(rows.size))
            row, column = 0.65 * rows[pick] + 0.35 * rows.mean(), 0.65 * columns[pick] + 0.35 * columns.mean()
            radius = wide * random.uniform(0.09, 0.22)
            distance = np.hypot(y - row, x - column)
            spots += style.nucleoli * random.uniform(0.5, 1.2) * _step(radius - distance, max(0.5, 0.35 / pixel_um))
    return np.where(nuclei > 0, spots, 0.0)


def _grains(shape: tuple[int, ...], sigma: float, random: np.random.Generator) -> NDArray[np.float64]:
    noise = ndimage.gaussian_filter(random.standard_normal(shape).astype(np.float32), max(sigma, 0.4))
    noise /= noise.std() + 1e-6
    spots: NDArray[np.float64] = noise + 2.0 * np.clip(noise - 1.2, 0.0, 3.0)
    return spots


def _step(distance: NDArray[np.float64], soft: float) -> NDArray[np.float64]:
    smooth: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(4.0 * distance / soft, -30.0, 30.0)))
    return smooth
