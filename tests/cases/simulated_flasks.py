"""Simulated flasks as tables: what `cellvigil features` would measure and what a laboratory would find. No real cells.

Each donor has a level and each flask a state of its own; features follow the state with noise of each frame, and
crowding, which the biomarkers do not follow.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monitor.potency.table import Target, TrainingTable

FEATURES = (
    "area_median", "perimeter_median", "max_feret_median", "nucleus_cytoplasm_ratio_median", "form_factor_median",
    "confluency",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flasks:
    """Frames (N, F) of flasks, with donor and flask of each, and the biomarkers of each flask by name."""

    rows: np.ndarray
    donor: np.ndarray
    flask: np.ndarray
    hours: np.ndarray
    biomarkers: dict[str, dict[str, float]]

    def table(self, biomarker: str) -> TrainingTable:
        values = np.array([self.biomarkers[name][biomarker] for name in self.flask])
        return TrainingTable(FEATURES, self.rows, {biomarker: Target(values)}, self.donor, self.flask)


def simulated_flasks(donors: int = 12, flasks: int = 6, frames: int = 4, seed: int = 0) -> Flasks:
    """Return flasks of donors; the same seed gives the same."""
    random = np.random.default_rng([seed, 29])
    rows, donor_of, flask_of, hours = [], [], [], []
    biomarkers = {}
    for donor in range(donors):
        level = random.normal(0.0, 0.5)
        for flask in range(flasks):
            name = f"D{donor}-F{flask}"
            state = level + random.normal(0.0, 1.0)
            crowding = random.uniform(0.15, 0.8)
            ido = 50.0 + 12.0 * state + random.normal(0.0, 4.0)
            biomarkers[name] = {
                "IDO": max(ido, 1.0),
                "PGE2": float(np.exp(1.0 + 0.4 * state + random.normal(0.0, 0.2))),
            }
            for frame in range(frames):
                rows.append(_frame(random, state, crowding))
                donor_of.append(f"D{donor}")
                flask_of.append(name)
                hours.append(24.0 * (1 + frame % 3))
    return Flasks(np.array(rows), np.array(donor_of), np.array(flask_of), np.array(hours), biomarkers)


def _frame(random: np.random.Generator, state: float, crowding: float) -> list[float]:
    area = 2200.0 * np.exp(-0.25 * state - 0.3 * (crowding - 0.45) + random.normal(0.0, 0.08))
    perimeter = 6.0 * np.sqrt(area) * np.exp(random.normal(0.0, 0.05))
    feret = 0.38 * perimeter * np.exp(random.normal(0.0, 0.05))
    ratio = 0.12 * np.exp(0.2 * state + random.normal(0.0, 0.1))
    return [area, perimeter, feret, ratio, 4.0 * np.pi * area / perimeter**2, crowding + random.normal(0.0, 0.01)]


def write_features(path: Path, flasks: Flasks, **columns: str) -> Path:
    """Write a row per frame: donor, flask, hours, features, and columns that are the same in every row."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["donor", "flask", "hours", *columns, *FEATURES])
        for donor, flask, hours, row in zip(flasks.donor, flasks.flask, flasks.hours, flasks.rows, strict=True):
            writer.writerow([donor, flask, hours, *columns.values(), *(f"{value:.6g}" for value in row)])
    return path


def write_assays(path: Path, flasks: Flasks) -> Path:
    """Write a row per flask, a column per biomarker."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["flask", "IDO (pg/mL)", "PGE2 [ng/mL]"])
        for flask, found in flasks.biomarkers.items():
            writer.writerow([flask, f"{found['IDO']:.4g}", f"{found['PGE2']:.4g}"])
    return path
