"""Phantoms: simulated phase-contrast frames of adherent cells with true masks. Simulated, and called so everywhere."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monitor.synthetic.cell_shape import CellShape, DrawnCell, draw_cell
from monitor.synthetic.optics import Optics, expose

MIN_VISIBLE_PX = 40
"""A remnant of a cell below this many pixels (cut by the border or covered) is not labelled."""


@dataclass(frozen=True, slots=True)
class Debris:
    """Things that are not adherent cells and carry no label: floating round cells and specks."""

    floating: int = 1
    specks: int = 6


@dataclass(frozen=True, slots=True)
class PhantomSpec:
    """What a phantom shows: cells, unlabelled debris and the microscope. shape_px is (rows, columns)."""

    shape_px: tuple[int, int] = (512, 512)
    pixel_size_um: float = 1.0
    cells: tuple[CellShape, ...] = ()
    debris: Debris = Debris()
    optics: Optics = field(default_factory=Optics)


@dataclass(frozen=True, slots=True)
class Phantom:
    """A simulated frame and its truth.

    pixels: (Y, X) uint16; cells, nuclei: (Y, X) int32 labels, 0 is background, ids compact from 1; every nucleus has
    an id of its own and lies within one cell; pixel_size_um: as in the spec.
    """

    pixels: NDArray[np.uint16]
    pixel_size_um: float
    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    spec: PhantomSpec


def simulate_frame(seed: int, *, spec: PhantomSpec | None = None) -> Phantom:
    """Return a simulated frame; the same seed and spec give the same frame.

    Without a spec one is drawn from the seed, over a range far wider than one laboratory's: 256 to 640 pixels,
    0.6 to 1.5 um per pixel, both polarities, faint to strong contrast, sparse to crowded, spindle to flat.
    """
    random = np.random.default_rng([seed, 1])
    chosen = random_spec(seed) if spec is None else spec
    canvas = _Canvas(chosen.shape_px, chosen.pixel_size_um)
    for cell in chosen.cells:
        canvas.add(draw_cell(cell, chosen.shape_px, chosen.pixel_size_um))
    phase = canvas.phase + _debris(chosen, canvas.cells, random)
    pixels = expose(phase.astype(np.float32), chosen.pixel_size_um, chosen.optics, random)
    return Phantom(pixels, chosen.pixel_size_um, canvas.cells, canvas.nuclei, chosen)


class _Canvas:
    """Label images and optical thickness under construction; a later cell gives way to the earlier ones."""

    def __init__(self, shape: tuple[int, int], pixel_size_um: float) -> None:
        self.cells = np.zeros(shape, np.int32)
        self.nuclei = np.zeros(shape, np.int32)
        self.phase = np.zeros(shape, np.float32)
        self._n_cells = 0
        self._n_nuclei = 0

    def add(self, drawn: DrawnCell | None) -> None:
        """Paint a cell where there is room for it: the connected part of its body with the most nucleus."""
        if drawn is None:
            return
        free = drawn.body & (self.cells[drawn.window] == 0)
        body = _main_part(free, drawn.nuclei > 0)
        if body.sum() < max(MIN_VISIBLE_PX, 0.3 * drawn.body.sum()):
            return
        self._n_cells += 1
        self.cells[drawn.window][body] = self._n_cells
        for index in range(1, int(drawn.nuclei.max(initial=0)) + 1):
            nucleus = _main_part((drawn.nuclei == index) & body, None)
            if nucleus.sum() >= MIN_VISIBLE_PX // 4:
                self._n_nuclei += 1
                self.nuclei[drawn.window][nucleus] = self._n_nuclei
        self.phase[drawn.window] += np.where(body, drawn.phase, 0.0).astype(np.float32)


def _main_part(mask: NDArray[np.bool_], prefer: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    weights = np.bincount(labels.ravel(), minlength=count + 1).astype(float)
    if prefer is not None:
        weights += 10.0 * np.bincount(labels[prefer], minlength=count + 1)
    weights[0] = 0.0
    chosen: NDArray[np.bool_] = labels == int(weights.argmax())
    return chosen


def _debris(spec: PhantomSpec, cells: NDArray[np.int32], random: np.random.Generator) -> NDArray[np.float32]:
    phase = np.zeros(spec.shape_px, np.float32)
    y, x = np.ogrid[: spec.shape_px[0], : spec.shape_px[1]]
    for _ in range(spec.debris.specks):
        row, column = random.uniform(0, spec.shape_px[0]), random.uniform(0, spec.shape_px[1])
        radius = random.uniform(0.6, 1.8) / spec.pixel_size_um
        strength = random.choice([-1.0, 1.0]) * random.uniform(0.5, 1.6)
        phase += strength * np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / radius**2)
    for _ in range(spec.debris.floating):
        row, column = random.uniform(0, spec.shape_px[0]), random.uniform(0, spec.shape_px[1])
        radius = random.uniform(6.0, 10.0) / spec.pixel_size_um
        distance = np.hypot(y - row, x - column) / radius
        # a sphere is so thick that its phase wraps: bright inside, dark ring, strong halo
        phase += np.where(distance < 1.0, -2.6 * np.sqrt(np.clip(1.0 - distance**2, 0.0, 1.0)), 0.0)
        phase += 1.5 * np.exp(-0.5 * ((distance - 1.05) / 0.1) ** 2)
    return phase.astype(np.float32)


def random_spec(seed: int) -> PhantomSpec:
    """Draw a spec from a wide range, for training a network that has to read other laboratories' frames."""
    random = np.random.default_rng([seed, 2])
    pixel_size_um = float(np.exp(random.uniform(np.log(0.6), np.log(1.5))))
    side = int(random.integers(8, 21)) * 32
    shape = (side, side)
    senescence = float(random.beta(1.0, 2.0))
    typical_um2 = float(np.exp(random.uniform(np.log(700.0), np.log(2600.0))))
    covered = float(random.uniform(0.04, 0.95))
    cells = grow_population(
        random, shape, pixel_size_um, covered=covered, typical_um2=typical_um2, senescence=senescence
    )
    optics = Optics(
        contrast=float(np.exp(random.uniform(np.log(0.15), np.log(1.1)))),
        polarity=-1 if random.random() < 0.25 else 1,
        defocus_um=float(random.choice([0.0, random.normal(0.0, 2.0)])),
        unevenness=0.6 * float(random.beta(1.0, 4.0)),
        background_counts=float(random.uniform(2000.0, 20000.0)),
        photons=float(np.exp(random.uniform(np.log(1500.0), np.log(40000.0)))),
    )
    debris = Debris(floating=int(random.poisson(1.5)), specks=int(random.poisson(8.0)))
    return PhantomSpec(shape, pixel_size_um, cells, debris, optics)


def grow_population(
    random: np.random.Generator,
    shape: tuple[int, int],
    pixel_size_um: float,
    *,
    covered: float,
    typical_um2: float,
    senescence: float,
) -> tuple[CellShape, ...]:
    """Place cells until their areas add up to `covered` of the frame, each where it overlaps least of a few tries."""
    extent = (shape[0] * pixel_size_um, shape[1] * pixel_size_um)
    budget = covered * extent[0] * extent[1]
    cells: list[CellShape] = []
    while budget > 0.0:
        latent = float(np.clip(random.normal(senescence, 0.18), 0.0, 1.0))
        cell = cell_of(random, latent, typical_um2)
        spots = [(random.uniform(0, extent[0]), random.uniform(0, extent[1])) for _ in range(12)]
        place = max(spots, key=lambda spot: _clearance(spot, cells, cell))
        neighbour = min(cells, key=lambda c: (c.y_um - place[0]) ** 2 + (c.x_um - place[1]) ** 2, default=None)
        # neighbours in a crowd lie side by side
        angle = neighbour.angle + random.normal(0.0, 0.5) if neighbour else random.uniform(0.0, np.pi)
        cells.append(cell.at(place[0], place[1], float(angle)))
        budget -= cell.area_um2
    return tuple(cells)


def cell_of(random: np.random.Generator, senescence: float, typical_um2: float) -> CellShape:
    """Draw a cell whose shape follows its latent senescence in 0 to 1.

    With senescence the cell spreads (area up to 4.8-fold: Oja et al. 2018, doi 10.1186/s13287-017-0740-x), becomes
    flatter and paler and less elongated, its nucleus grows less than its body (so nucleus/cytoplasm falls: Klinker
    et al. 2017), and two nuclei become more frequent.
    """
    area = typical_um2 * 4.8**senescence * float(np.exp(random.normal(0.0, 0.22)))
    aspect = 1.0 + float(random.gamma(4.0, 1.0)) * (1.25 - senescence) * 0.75
    return CellShape(
        y_um=0.0,
        x_um=0.0,
        angle=0.0,
        area_um2=area,
        aspect=min(aspect, 9.0),
        taper=float(np.clip(random.normal(1.5 + 1.2 * senescence, 0.25), 1.15, 4.0)),
        bend=float(random.normal(0.0, 0.0018)) / (1.0 + 2.0 * senescence),
        ruffle=float(random.uniform(0.12, 0.42)),
        nuclei=2 if random.random() < 0.02 + 0.12 * senescence else 1,
        nucleus_area_um2=190.0
        * (typical_um2 / 1900.0) ** 0.5
        * 1.7**senescence
        * float(np.exp(random.normal(0, 0.12))),
        thickness=1.0 / (1.0 + 1.6 * senescence) * float(np.exp(random.normal(0.0, 0.12))),
        seed=int(random.integers(2**31)),
    )


def _clearance(spot: tuple[float, float], cells: Sequence[CellShape], cell: CellShape) -> float:
    if not cells:
        return 0.0
    own = math.sqrt(cell.area_um2)
    return min(math.hypot(c.y_um - spot[0], c.x_um - spot[1]) / (own + math.sqrt(c.area_um2)) for c in cells)
