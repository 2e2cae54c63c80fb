"""Intervals on held-out donors, by the flask. Simulated tables; no real cells."""

from pathlib import Path

import numpy as np
import pytest
from cases.simulated_flasks import simulated_flasks

from monitor.potency.model import load_model
from monitor.potency.scores import coverage_by_unit
from monitor.potency.train import TrainingPlan, train_potency


@pytest.mark.slow
def test_intervals_hold_the_truth_of_flasks_of_new_donors_as_often_as_they_say(tmp_path: Path) -> None:
    flasks = simulated_flasks(donors=60, flasks=6, frames=4)
    report = train_potency(flasks.table("IDO"), tmp_path, {}, TrainingPlan())["IDO"]
    assert report.units == 360
    assert 0.87 <= report.coverage <= 0.93
    assert report.r2 is not None and report.r2 > 0.5
    assert report.r2 > report.baselines["dummy"]["r2"] + 0.5
    assert report.r2 > report.baselines["linear"]["r2"] - 0.1
    new = simulated_flasks(donors=100, flasks=6, frames=4, seed=1)
    truth = np.array([new.biomarkers[name]["IDO"] for name in new.flask])
    low, _, high = load_model(tmp_path, rehearse=False).answers(new.rows)["IDO"].T
    covered = coverage_by_unit((truth >= low) & (truth <= high), new.flask)
    assert 0.87 <= covered.mean() <= 0.93
