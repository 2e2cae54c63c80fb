"""Cultures: simulated flasks that grow, move and age, with a potency that is a stated function of their cells.

Potency, in percent of a reference lot, follows the mean latent senescence m of the cells and nothing else:

    potency = 100 exp(-1.7 (m - 0.10)),   held between 5 and 130.

What senescence does to a cell's shape stands in `phantom.cell_of`: it spreads and flattens, perimeter and Feret
diameters grow, nucleus/cytoplasm falls, two nuclei become more frequent. The directions are those of Klinker et al.
2017 (small perimeter and Feret diameter and a high nucleus/cytoplasm ratio went with suppression, after IFN-gamma) and
Oja et al. 2018 (area 1800-2500 um2 at passages 1 to 3, up to 4.8-fold later); the formula itself is ours. Crowding has
no part in it: confluency and potency vary independently of one another. Hours stand for what takes days in life.
"""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from monitor.synthetic.cell_shape import CellShape
from monitor.synthetic.optics import Optics
from monitor.synthetic.phantom import Debris, Phantom, PhantomSpec, cell_of, grow_population, simulate_frame

REFERENCE_SENESCENCE = 0.10
POTENCY_SLOPE = 1.7
SPEED_UM_PER_H = 12.0
"""Root mean square distance that a cell drifts in an hour."""
START = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)


def potency_of(senescence: float) -> float:
    """Return the potency in percent of the reference lot for a mean latent senescence in 0 to 1.

    >>> round(potency_of(0.10)), round(potency_of(0.60))
    (100, 43)
    """
    return float(np.clip(100.0 * math.exp(-POTENCY_SLOPE * (senescence - REFERENCE_SENESCENCE)), 5.0, 130.0))


@dataclass(frozen=True, slots=True)
class CultureSpec:
    """One simulated flask.

    covered: confluency at the start; doubling_h: of the cell number; senescence: mean at the start; decline_at,
    decline_to, decline_h: time point from which the mean approaches another with that time constant; defocus_at: time
    point from which the microscope is out of focus by defocus_um; stop_at: first time point without a frame.
    """

    flask: str
    seed: int
    positions: tuple[str, ...] = ("p1", "p2")
    n_time_points: int = 48
    interval_s: float = 3600.0
    shape_px: tuple[int, int] = (448, 448)
    pixel_size_um: float = 1.1
    typical_um2: float = 1900.0
    covered: float = 0.3
    doubling_h: float = 60.0
    senescence: float = REFERENCE_SENESCENCE
    decline_at: int | None = None
    decline_to: float = 0.5
    decline_h: float = 4.0
    defocus_at: int | None = None
    defocus_um: float = 14.0
    stop_at: int | None = None
    donor: str = "simulated"

    def has_frame(self, time_index: int) -> bool:
        """Whether the microscope delivers a frame at a time point."""
        return time_index < self.n_time_points and (self.stop_at is None or time_index < self.stop_at)


class Culture:
    """A flask over time; frames can be asked for in any order and are the same for the same spec."""

    def __init__(self, spec: CultureSpec) -> None:
        self.spec = spec
        self._cells: dict[str, list[tuple[CellShape, ...]]] = {}

    def acquired_at(self, time_index: int) -> datetime:
        """Return when the frames of a time point are taken, UTC."""
        return START + timedelta(seconds=time_index * self.spec.interval_s)

    def mean_senescence(self, time_index: int) -> float:
        """Return the mean latent senescence that the cells follow at a time point."""
        spec = self.spec
        if spec.decline_at is None or time_index < spec.decline_at:
            return spec.senescence
        hours = (time_index - spec.decline_at + 1) * spec.interval_s / 3600.0
        return spec.decline_to + (spec.senescence - spec.decline_to) * math.exp(-hours / spec.decline_h)

    def true_potency(self, time_index: int) -> float:
        """Return the potency at a time point in percent of the reference lot."""
        return potency_of(self.mean_senescence(time_index))

    def frame(self, position: str, time_index: int) -> Phantom:
        """Return the frame of a position at a time point."""
        spec = self.spec
        blurred = spec.defocus_at is not None and time_index >= spec.defocus_at
        optics = Optics(defocus_um=spec.defocus_um if blurred else 0.0)
        phantom = PhantomSpec(
            spec.shape_px,
            spec.pixel_size_um,
            self._population(position, time_index),
            Debris(floating=1, specks=5),
            optics,
        )
        return simulate_frame(_mixed(spec.seed, position, time_index), spec=phantom)

    def _population(self, position: str, time_index: int) -> tuple[CellShape, ...]:
        history = self._cells.setdefault(position, [])
        if not history:
            history.append(self._first(position))
        while len(history) <= time_index:
            history.append(self._next(position, history[-1], len(history)))
        return history[time_index]

    def _first(self, position: str) -> tuple[CellShape, ...]:
        spec = self.spec
        random = np.random.default_rng(_mixed(spec.seed, position, 1_000_000))
        return grow_population(
            random,
            spec.shape_px,
            spec.pixel_size_um,
            covered=spec.covered,
            typical_um2=spec.typical_um2,
            senescence=self.mean_senescence(0),
        )

    def _next(self, position: str, cells: tuple[CellShape, ...], time_index: int) -> tuple[CellShape, ...]:
        random = np.random.default_rng(_mixed(self.spec.seed, position, 2_000_000 + time_index))
        hours = self.spec.interval_s / 3600.0
        aged = [self._aged(cell, time_index) for cell in cells]
        moved = [self._moved(cell, hours, random) for cell in aged]
        births = random.random(len(moved)) < math.log(2.0) * hours / self.spec.doubling_h
        daughters = [self._daughter(cell, time_index, random) for cell, born in zip(moved, births, strict=True) if born]
        return (*moved, *daughters)

    def _aged(self, cell: CellShape, time_index: int) -> CellShape:
        """Let a cell follow the mean: its size and thickness change by what the mean's change means for them."""
        change = self.mean_senescence(time_index) - self.mean_senescence(time_index - 1)
        if change == 0.0:
            return cell
        return replace(
            cell,
            area_um2=cell.area_um2 * 4.8**change,
            nucleus_area_um2=cell.nucleus_area_um2 * 1.7**change,
            thickness=cell.thickness * (1.0 - change),
            aspect=max(1.05, 1.0 + (cell.aspect - 1.0) * (1.0 - 0.9 * change)),
            taper=min(4.0, cell.taper + 1.2 * change),
        )

    def _moved(self, cell: CellShape, hours: float, random: np.random.Generator) -> CellShape:
        step = random.normal(0.0, SPEED_UM_PER_H * math.sqrt(hours), 2)
        along = step[0] * np.array([math.sin(cell.angle), math.cos(cell.angle)])
        across = 0.3 * step[1] * np.array([math.cos(cell.angle), -math.sin(cell.angle)])
        extent = [length * self.spec.pixel_size_um for length in self.spec.shape_px]
        y = (cell.y_um + along[0] + across[0]) % extent[0]
        x = (cell.x_um + along[1] + across[1]) % extent[1]
        return cell.at(float(y), float(x), cell.angle + float(random.normal(0.0, 0.06)))

    def _daughter(self, cell: CellShape, time_index: int, random: np.random.Generator) -> CellShape:
        latent = float(np.clip(random.normal(self.mean_senescence(time_index), 0.18), 0.0, 1.0))
        young = cell_of(random, latent, self.spec.typical_um2)
        away = random.normal(0.0, math.sqrt(cell.area_um2), 2)
        extent = [length * self.spec.pixel_size_um for length in self.spec.shape_px]
        y, x = (cell.y_um + away[0]) % extent[0], (cell.x_um + away[1]) % extent[1]
        return young.at(float(y), float(x), float(random.uniform(0.0, math.pi)))


def demo_fleet(
    seed: int = 7, n_time_points: int = 48, shape_px: tuple[int, int] = (448, 448), interval_s: float = 3600.0
) -> list[CultureSpec]:
    """Return four flasks: one declines, one loses focus, one stops sending, one stays healthy."""
    common = CultureSpec("", 0, n_time_points=n_time_points, shape_px=shape_px, interval_s=interval_s)
    return [
        replace(common, flask="A-healthy", seed=seed, covered=0.30),
        replace(common, flask="B-declines", seed=seed + 1, covered=0.34, decline_at=round(0.45 * n_time_points)),
        replace(common, flask="C-loses-focus", seed=seed + 2, covered=0.28, defocus_at=round(0.55 * n_time_points)),
        replace(common, flask="D-stops", seed=seed + 3, covered=0.36, stop_at=round(0.6 * n_time_points)),
    ]


def training_fleet(seed: int, n_flasks: int, shape_px: tuple[int, int] = (448, 448)) -> list[CultureSpec]:
    """Return flasks of many donors over the whole range of potency and confluency, each independent of the other."""
    random = np.random.default_rng([seed, 3])
    return [
        CultureSpec(
            flask=f"training-{index}",
            seed=int(random.integers(2**31)),
            positions=("p1",),
            shape_px=shape_px,
            covered=float(random.uniform(0.12, 0.7)),
            senescence=float(random.uniform(0.0, 0.75)),
            typical_um2=float(np.exp(random.normal(math.log(1900.0), 0.06))),
            donor=f"donor-{index}",
        )
        for index in range(n_flasks)
    ]


def _mixed(seed: int, position: str, number: int) -> int:
    return int(np.random.SeedSequence([seed, *position.encode(), number]).generate_state(1)[0])
