"""A small table of frames whose potency is a stated function of two features."""

from pathlib import Path

import numpy as np

from monitor.potency.train import PotencyReport, PotencyTable, train_potency

FEATURES = ("area_median", "nucleus_cytoplasm_ratio_median", "confluency")
FAMILIAR = FEATURES[:2]


def potency_of(area: float, ratio: float) -> float:
    return 130.0 - 0.02 * area + 100.0 * ratio


def table(n_frames: int = 240, n_groups: int = 24, seed: int = 0) -> PotencyTable:
    random = np.random.default_rng(seed)
    area, ratio = random.uniform(1500.0, 4500.0, n_frames), random.uniform(0.05, 0.2, n_frames)
    target = potency_of(area, ratio) + random.normal(0.0, 3.0, n_frames)
    return PotencyTable(
        features=FEATURES,
        rows=np.column_stack([area, ratio, random.uniform(0.1, 0.8, n_frames)]),
        target=target,
        group=np.array([f"flask-{number % n_groups}" for number in range(n_frames)]),
    )


def train(out: Path, frames: PotencyTable | None = None, *, rounds: int = 60, folds: int = 3) -> PotencyReport:
    card = {"name": "tiny", "intended_use": "tests"}
    return train_potency(frames or table(), out, card, familiar=FAMILIAR, rounds=rounds, folds=folds)
