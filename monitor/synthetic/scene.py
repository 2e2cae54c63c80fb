"""A simulated frame of any laboratory: cells, debris, microscope, camera, and what of it can be seen.

What the noise hides, or what lies too faint beside the rest, is not taught: its place counts as unknown.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from monitor.synthetic.arrangement import Crowd, Placed, arranged
from monitor.synthetic.camera import Camera, expose, noise_of
from monitor.synthetic.inner import Style, filled
from monitor.synthetic.wave_optics import Microscope, images_of, propagated

MARGIN_UM = 30.0
"""Drawn around the frame and cut off: waves wrap around, and cells at the border go on beyond it."""
FINEST_UM = 0.55
"""Waves are computed on pixels no larger than this."""
SEEN = 1.0
"""A cell or nucleus is seen when it changes the image by so many deviations of the noise, averaged over 2 um."""
FAINT = 0.06
"""Nor is it seen when it changes the image by less than this share of what the plainest do."""
LEAST_PX = 10
"""What the frame's border leaves of a cell or nucleus is unknown below this many pixels."""


@dataclass(frozen=True, slots=True)
class Litter:
    """What is no adherent cell and carries no label.

    specks: small debris on the floor; floating: rounded cells above it, out of focus; dust: on the optics, far out of
    focus; cloud: path of a slowly varying background, radians.
    """

    specks: int = 6
    floating: int = 1
    dust: int = 2
    cloud: float = 0.05


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """What a scene shows; shape_px is (rows, columns) of the camera."""

    shape_px: tuple[int, int]
    pixel_size_um: float
    crowd: Crowd
    style: Style = field(default_factory=Style)
    microscope: Microscope = field(default_factory=Microscope)
    camera: Camera = field(default_factory=Camera)
    litter: Litter = field(default_factory=Litter)


@dataclass(frozen=True, slots=True)
class Scene:
    """A simulated frame and its truth.

    pixels: (Y, X) uint8 or uint16; cells, nuclei: (Y, X) int32 labels, compact from 1, each nucleus within one cell;
    cells_known, nuclei_known: (Y, X) bool, False where something lies that cannot be seen.
    """

    pixels: NDArray[np.unsignedinteger]
    pixel_size_um: float
    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    cells_known: NDArray[np.bool_]
    nuclei_known: NDArray[np.bool_]
    spec: SceneSpec


def simulate_scene(seed: int, spec: SceneSpec) -> Scene:
    """Return a simulated frame with its truth; the same seed and spec give the same frame."""
    random = np.random.default_rng([seed, 3])
    bins = max(1, math.ceil(spec.pixel_size_um / FINEST_UM))
    fine_um = spec.pixel_size_um / bins
    margins = [_margin(side, spec.pixel_size_um) for side in spec.shape_px]
    rows, columns = ((side + 2 * margin) * bins for side, margin in zip(spec.shape_px, margins, strict=True))
    path, plain, cells, nuclei, hidden = _paths(spec, (rows, columns), fine_um, random)
    litter = _litter(spec, (rows, columns), fine_um, random)
    inner = tuple(slice(margin, -margin) for margin in margins)

    objects = [(np.exp(np.complex64(1j) * phase) * litter) for phase in (path, plain, np.zeros_like(path))]
    image, without_nuclei, empty = (
        fine.reshape(rows // bins, bins, columns // bins, bins).mean((1, 3))[inner]
        for fine in images_of(objects, fine_um, spec.microscope)
    )
    middle = slice(bins // 2, None, bins)
    labels, inside = (np.ascontiguousarray(plane[middle, middle][inner]) for plane in (cells, nuclei))
    pixels = expose(image, spec.camera, random)
    noise = noise_of(spec.camera) * spec.pixel_size_um / 2.0 * (1.0 + spec.camera.stray)
    smooth = 0.8 / spec.pixel_size_um
    by_cells, by_nuclei = (ndimage.gaussian_filter(image - other, smooth) for other in (empty, without_nuclei))
    cells_known = _known(labels, by_cells, noise, margin_px=2)
    nuclei_known = _known(inside, by_nuclei, noise, margin_px=2) & cells_known
    unsure = hidden[middle, middle][inner]
    labels, cells_gone = _kept(labels, cells_known & ~unsure)
    inside = np.where(labels > 0, inside, 0)
    inside, nuclei_gone = _kept(inside, nuclei_known & ~unsure)
    return Scene(
        pixels, spec.pixel_size_um, labels, inside, ~cells_gone & cells_known & ~unsure,
        ~nuclei_gone & nuclei_known & ~unsure & ~cells_gone, spec,
    )  # fmt: skip


def _margin(side_px: int, pixel_um: float) -> int:
    """Return a margin of at least `MARGIN_UM` in pixels with which the Fourier transform of the whole is fast."""
    margin = round(MARGIN_UM / pixel_um)
    while fft.next_fast_len(side_px + 2 * margin) != side_px + 2 * margin:
        margin += 1
    return margin


def _paths(
    spec: SceneSpec, shape: tuple[int, int], pixel_um: float, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
    """Return optical path, the same without nuclei, cells, nuclei, and where nobody could say what lies there."""
    path, plain = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    cells, nuclei = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    hidden = np.zeros(shape, bool)
    n_nuclei = 0
    for number, cell in enumerate(arranged(spec.crowd, shape, pixel_um, random), start=1):
        style = spec.style
        divides = cell.kind != "rounded" and random.random() < 0.015
        if cell.kind == "rounded":
            style = replace(style, peak=style.peak * 2.0, lamella=0.1, dome=random.uniform(0.4, 0.8))
        inner = filled(np.pad(cell.body, 1), pixel_um, style, random)
        centre = (slice(1, -1), slice(1, -1))
        path[cell.window] += inner.path[centre]
        plain[cell.window] += inner.without_nuclei[centre]
        cells[cell.window][cell.own] = number
        own_nuclei = np.where(cell.own, inner.nuclei[centre], 0)
        nuclei[cell.window] = np.where(own_nuclei > 0, own_nuclei + n_nuclei, nuclei[cell.window])
        n_nuclei += int(inner.nuclei.max())
        if divides:
            hidden[cell.window] |= _rounded_up(path, plain, cell, pixel_um, random)
        elif random.random() < 0.25 * spec.style.ruffles:
            _fibres(path, plain, cell, pixel_um, random)
    return path, plain, cells, nuclei, hidden


def _rounded_up(
    path: NDArray[np.float32], plain: NDArray[np.float32], cell: Placed, pixel_um: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Put a cell in mitosis on top: thick and round, its outline and nucleus known to nobody."""
    rows, columns = np.nonzero(cell.own)
    centre = rows.mean(), columns.mean()
    y, x = np.ogrid[: cell.body.shape[0], : cell.body.shape[1]]
    ball = np.clip(1.0 - ((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (random.uniform(6, 10) / pixel_um) ** 2, 0, 1)
    thick = (random.uniform(2.0, 3.5) * np.sqrt(ball)).astype(np.float32)
    path[cell.window] += thick
    plain[cell.window] += thick
    around: NDArray[np.bool_] = ndimage.binary_dilation(cell.body | (ball > 0), iterations=2)
    return around


def _fibres(
    path: NDArray[np.float32], plain: NDArray[np.float32], cell: Placed, pixel_um: float, random: np.random.Generator
) -> None:
    """Leave retraction fibres beyond the edge: straight, a third of a micrometre wide, unlabelled."""
    edge = np.argwhere(cell.own & ~ndimage.binary_erosion(cell.own))
    middle = np.argwhere(cell.own).mean(0)
    for start in edge[random.integers(len(edge), size=int(random.integers(2, 7)))]:
        away = (start - middle) / (np.hypot(*(start - middle)) + 1e-6)
        steps = np.arange(0.0, random.uniform(4.0, 22.0) / pixel_um, 0.5)
        at = np.rint(start + np.array([cell.window[0].start, cell.window[1].start]) + steps[:, None] * away).astype(int)
        at = at[(at >= 0).all(1) & (at < path.shape).all(1)]
        thin = np.float32(random.uniform(0.05, 0.2))
        for plane in (path, plain):
            plane[at[:, 0], at[:, 1]] = np.maximum(plane[at[:, 0], at[:, 1]], thin)


def _litter(
    spec: SceneSpec, shape: tuple[int, int], pixel_um: float, random: np.random.Generator
) -> NDArray[np.complex64]:
    """Return the transmission of everything that carries no label."""
    floor = np.zeros(shape, np.float32)
    dark = np.zeros(shape, np.float32)
    for _ in range(spec.litter.specks):
        radius = float(np.exp(random.uniform(np.log(0.4), np.log(1.9))))
        window, distance = _around(shape, radius * 3.0, pixel_um, random)
        spot = np.exp(-0.5 * (distance / radius) ** 2)
        floor[window] += (random.uniform(0.2, 1.8) * spot).astype(np.float32)
        dark[window] += (random.uniform(0.0, 0.5) * (random.random() < 0.3) * spot).astype(np.float32)
    if spec.litter.cloud:
        cloud = ndimage.gaussian_filter(
            random.standard_normal([side // 16 + 2 for side in shape]), 40.0 / pixel_um / 16
        )
        cloud = np.kron(cloud / (cloud.std() + 1e-9), np.ones((16, 16)))[: shape[0], : shape[1]]
        floor += (spec.litter.cloud * ndimage.gaussian_filter(cloud, 8.0)).astype(np.float32)
    field = np.exp(1j * floor - dark).astype(np.complex64)
    for count, height, radii in ((spec.litter.floating, 12.0, (5.0, 11.0)), (spec.litter.dust, 150.0, (2.0, 8.0))):
        if not count:
            continue
        above = np.zeros(shape, np.float32)
        taken = np.zeros(shape, np.float32)
        for _ in range(count):
            radius = random.uniform(*radii)
            window, distance = _around(shape, radius, pixel_um, random)
            ball = np.sqrt(np.clip(1.0 - (distance / radius) ** 2, 0.0, 1.0))
            above[window] += (random.uniform(1.5, 4.0) * ball).astype(np.float32)
            taken[window] += (random.uniform(0.0, 0.8) * (height > 100.0) * (ball > 0)).astype(np.float32)
        layer = np.exp(1j * above - taken).astype(np.complex64)
        field = field * propagated(layer, pixel_um, height * random.uniform(0.2, 1.5) * random.choice([-1.0, 1.0]))
    whole: NDArray[np.complex64] = field.astype(np.complex64)
    return whole


def _around(
    shape: tuple[int, int], radius_um: float, pixel_um: float, random: np.random.Generator
) -> tuple[tuple[slice, slice], NDArray[np.float64]]:
    """Return a window at a random place, and the distance of its pixels from its middle in um."""
    middle = [random.uniform(0, side) for side in shape]
    reach = radius_um / pixel_um + 1.0
    bounds = [(max(0, int(m - reach)), min(side, int(m + reach) + 2)) for m, side in zip(middle, shape, strict=True)]
    y, x = (np.arange(*bound) - m for bound, m in zip(bounds, middle, strict=True))
    return (slice(*bounds[0]), slice(*bounds[1])), np.hypot(y[:, None], x[None, :]) * pixel_um


def _known(
    labels: NDArray[np.int32], change: NDArray[np.float32], noise: float, *, margin_px: int
) -> NDArray[np.bool_]:
    """Return where labels may be taught: everywhere but on and around what changes the image too little."""
    count = int(labels.max(initial=0))
    if not count:
        return np.ones(labels.shape, bool)
    area = np.maximum(np.bincount(labels.ravel(), minlength=count + 1), 1)
    level = np.sqrt(np.bincount(labels.ravel(), (change * change).ravel(), count + 1) / area)
    present = np.unique(labels[labels > 0])
    plain = float(np.percentile(level[present], 90.0)) if present.size else 0.0
    unseen = level < max(SEEN * noise, FAINT * plain)
    unseen[0] = False
    known: NDArray[np.bool_] = ~ndimage.binary_dilation(unseen[labels], iterations=margin_px)
    return known


def _kept(labels: NDArray[np.int32], known: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return compact labels of what is known for the most part and large enough, and where the others lie."""
    count = int(labels.max(initial=0))
    area = np.bincount(labels.ravel(), minlength=count + 1)
    sure = np.bincount(labels[known], minlength=count + 1)
    good = (area >= LEAST_PX) & (sure > 0.8 * area)
    good[0] = False
    names = np.where(good, np.cumsum(good), 0).astype(np.int32)
    return names[labels], (labels > 0) & ~good[labels]
