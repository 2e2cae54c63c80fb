"""A table whose rows are familiar one by one and are another experiment all the same. Simulated numbers."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from cases.command_line import command_line

FEATURES = ("area", "length", "solidity")


def write(path: Path, rows: np.ndarray, donor: list[str], state: np.ndarray) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow((*FEATURES, "donor", "activated"))
        writer.writerows([*row, who, int(yes)] for row, who, yes in zip(rows.tolist(), donor, state, strict=True))
    return path


def table(path: Path, count: int, seed: int, *, moved: float = 0.0, donors: int = 60) -> Path:
    """Cells of which the large ones are activated; `moved` in standard deviations."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, len(FEATURES)))
    state = rows[:, 0] + random.normal(size=count) > 0.0
    rows[:, 0] += moved
    return write(path, np.exp(0.3 * rows), [f"d{number % donors}" for number in range(count)], state)


@pytest.fixture(scope="module", params=[(), ("--group", "donor")], ids=["cells", "donors"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doubt")
    words = ("--target", "activated", "--features", ",".join(FEATURES), "--out", folder / "model", *request.param)
    code, said = command_line("train", "potency", table(folder / "learnt.csv", 600, 0), *words)
    assert code == 0, said
    return folder / "model"


def predict(model: Path, asked: Path) -> tuple[list[dict[str, str]], str]:
    out = asked.with_suffix(".pred.csv")
    code, said = command_line("predict", model, asked, "--out", out)
    assert code == 0, said
    with out.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream)), said


def test_familiar_rows_of_another_experiment_are_told_on_the_console_and_in_each_row(
    tmp_path: Path, model: Path
) -> None:
    rows, said = predict(model, table(tmp_path / "other.csv", 400, 1, moved=-0.8, donors=400))
    answered = [row for row in rows if row["state"] == "ok"]
    assert len(answered) > 300
    assert "WARNING: taken together the rows lie elsewhere than the training rows, most of all in area (0." in said
    assert "lower on average" in said
    assert all(row["detail"] in said for row in answered)


def test_rows_of_the_same_kind_are_not_doubted(tmp_path: Path, model: Path) -> None:
    rows, said = predict(model, table(tmp_path / "same.csv", 400, 2))
    assert "WARNING" not in said
    assert {row["detail"] for row in rows if row["state"] == "ok"} == {""}


def test_many_cells_of_one_donor_who_differs_are_no_other_experiment(tmp_path: Path, model: Path) -> None:
    """Donors differ; a model that was judged by donors knows that one of them says little."""
    _, said = predict(model, table(tmp_path / "one.csv", 400, 3, moved=-0.8, donors=1))
    assert ("taken together" in said) == (json.loads((model / "card.json").read_text())["grouped_by"] is None)
