"""A real biomarker of real cells, by the commands: fibroblasts on soft and stiff gels, activated or not.

Cells are the rows and no group is known, so nothing here says how a model does on a new culture; the second test
does, from one stiffness to the other, and finds it poor.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.command_line import command_line

from monitor.potency.linear import logistic_regression
from monitor.potency.scores import auc, expected_calibration_error

TABLE = Path(__file__).parents[4] / "shared" / "data" / "fibroblast_morphology_table" / "SOFT_STIFF_DATA.csv"
SHAPES = ("area", "roundness", "width", "length", "aspect_ratio", "solidity")
FEATURES = [f"{part}_{shape}" for part in ("cell", "DAPI") for shape in SHAPES]
STIFFNESS = "soft(0)_or_stiff(1)"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.skipif(not TABLE.is_file(), reason="the shared fibroblast table is not here"),
]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def train(table: Path, folder: Path, *words: str) -> dict[str, Any]:
    report = folder / "report.json"
    code, said = command_line(
        "train", "potency", table, "--target", "activated", "--features", ",".join(FEATURES), "--out", folder / "model",
        "--json", report, *words,
    )  # fmt: skip
    assert code == 0, said
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def predict(table: Path, folder: Path) -> list[dict[str, str]]:
    code, said = command_line("predict", folder / "model", table, "--out", folder / "pred.csv")
    assert code == 0, said
    return read(folder / "pred.csv")


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A model of one half of the cells, by chance, the other half, and the folder of both."""
    folder = tmp_path_factory.mktemp("fibroblasts")
    rows = read(TABLE)
    mine = np.random.default_rng(0).random(len(rows)) < 0.5
    learnt = write(folder / "learnt.csv", [row for row, yes in zip(rows, mine, strict=True) if yes])
    other = write(folder / "other.csv", [row for row, yes in zip(rows, mine, strict=True) if not yes])
    train(learnt, folder)
    return folder, learnt, other


def test_trees_rank_at_least_as_well_as_a_logistic_regression_and_are_calibrated(tmp_path: Path) -> None:
    report = train(TABLE, tmp_path)
    assert (report["kind"], report["rows"], len(report["folds"])) == ("classifier", 3088, 5)
    assert report["features"] == FEATURES
    assert report["auc"] >= 0.80
    assert report["auc"] >= report["baselines"]["linear"]["auc"]
    assert report["ece"] <= 0.05
    assert any("NO GROUP" in warning for warning in report["warnings"])


def test_one_stiffness_judged_by_a_model_of_the_other_is_reported(tmp_path: Path) -> None:
    report = train(TABLE, tmp_path, "--group", STIFFNESS, "--force")
    assert [fold["held_out"] for fold in report["folds"]] == [["0"], ["1"]]
    assert 0.5 < report["auc_within"] < 0.75


def test_cells_that_were_held_back_are_assessed_and_calibrated(halves: tuple[Path, Path, Path]) -> None:
    folder, learnt, other = halves
    rows = predict(other, folder)
    refused = np.mean([row["state"] != "ok" for row in rows])
    assert refused <= 0.10
    kept = [row for row in rows if row["state"] == "ok"]
    truth = np.array([float(row["activated"]) for row in kept])
    probability = np.array([float(row["probability"]) for row in kept])
    assert expected_calibration_error(truth, probability) <= 0.06
    known, new = (np.array([[float(row[name]) for name in FEATURES] for row in read(path)]) for path in (learnt, other))
    classes = np.array([float(row["activated"]) for row in read(learnt)])
    ok = np.array([row["state"] == "ok" for row in rows])
    assert auc(truth, probability) >= auc(truth, logistic_regression(known, classes, new)[ok]) - 0.005


@pytest.mark.parametrize("scaled", [("cell_area", "DAPI_area"), ("cell_area",), ("DAPI_area",)])
def test_cells_with_a_wrong_scale_of_their_areas_are_refused(
    halves: tuple[Path, Path, Path], scaled: tuple[str, ...]
) -> None:
    folder, _, other = halves
    rows = [row | {name: repr(1.6 * float(row[name])) for name in scaled} for row in read(other)]
    found = predict(write(folder / "scaled.csv", rows), folder)
    assert np.mean([row["reason"] == "outside_training_range" for row in found]) >= 0.90
    assert all(row["probability"] == "" for row in found if row["state"] != "ok")
