"""A small table of frames whose potency is a stated function of two features."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from monitor.potency.report import BiomarkerReport
from monitor.potency.table import Target, TrainingTable
from monitor.potency.train import TrainingPlan, train_potency

FEATURES = ("area_median", "nucleus_cytoplasm_ratio_median", "confluency")
PLAN = TrainingPlan(familiar=FEATURES[:2], false_alarm=0.01, threads=1)


def potency_of(area: float, ratio: float) -> float:
    return 130.0 - 0.02 * area + 100.0 * ratio


def table(n_frames: int = 240, n_groups: int = 24, seed: int = 0) -> TrainingTable:
    random = np.random.default_rng(seed)
    area, ratio = random.uniform(1500.0, 4500.0, n_frames), random.uniform(0.05, 0.2, n_frames)
    target = potency_of(area, ratio) + random.normal(0.0, 3.0, n_frames)
    return TrainingTable(
        features=FEATURES,
        rows=np.column_stack([area, ratio, random.uniform(0.1, 0.8, n_frames)]),
        targets={"potency": Target(target, "%")},
        group=np.array([f"flask-{number % n_groups}" for number in range(n_frames)]),
    )


def with_potency(frames: TrainingTable, potency: np.ndarray) -> TrainingTable:
    return replace(frames, targets={"potency": Target(potency, "%")})


def train(out: Path, frames: TrainingTable | None = None, plan: TrainingPlan = PLAN) -> BiomarkerReport:
    return train_potency(frames or table(), out, {"name": "tiny", "intended_use": "tests"}, plan)["potency"]
