import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases.potency_table import FEATURES, table, train

from monitor.features.catalogue import contract_digest, population_features
from monitor.potency.model import QUANTILES, load_model
from monitor.potency.train import COVERAGE, GOLDEN_ROWS


def test_a_model_finds_what_is_in_the_table(tmp_path: Path) -> None:
    report = train(tmp_path)
    assert report.r2 > 0.85
    assert report.rmse < 0.4 * report.dummy_rmse
    assert report.linear_r2 > 0.9
    assert report.coverage == pytest.approx(COVERAGE, abs=0.02)
    assert (report.groups, report.frames) == (24, 240)


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    frames = table()
    shuffled = replace(frames, target=np.random.default_rng(0).permutation(frames.target))
    report = train(tmp_path, shuffled)
    assert report.r2 < 0.1
    assert report.rmse > 0.9 * report.dummy_rmse
    assert report.coverage == pytest.approx(COVERAGE, abs=0.02)


def test_what_only_tells_the_groups_apart_does_not_score(tmp_path: Path) -> None:
    """Each group has a potency of its own and a feature that names it: known groups are easy, new ones are not."""
    random = np.random.default_rng(0)
    frames = table()
    number = np.array([int(name.removeprefix("flask-")) for name in frames.group])
    potency = random.permutation(np.linspace(40.0, 120.0, 24))
    rows = np.column_stack([1000.0 + number, random.uniform(0.05, 0.2, 240), random.uniform(0.1, 0.8, 240)])
    report = train(tmp_path, replace(frames, rows=rows, target=potency[number]))
    assert report.r2 < 0.3


def test_the_same_table_gives_the_same_model(tmp_path: Path) -> None:
    assert train(tmp_path / "one") == train(tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_everything_about_the_model_lies_in_its_folder(tmp_path: Path) -> None:
    report = train(tmp_path)
    names = {"card.json", "calibration.json", "contract.json", "golden.json", "MANIFEST.json"}
    assert {file.name for file in tmp_path.iterdir()} == names | {f"{name}.txt" for name in QUANTILES}
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["name"] == "tiny"
    assert card["scores"]["rmse"] == report.rmse
    contract = json.loads((tmp_path / "contract.json").read_text())
    assert tuple(contract["features"]) == FEATURES
    assert contract["catalogue"] == contract_digest(population_features(FEATURES))
    golden = json.loads((tmp_path / "golden.json").read_text())
    assert len(golden["rows"]) == len(golden["answers"]) == GOLDEN_ROWS


def test_intervals_hold_new_frames_as_often_as_the_card_says(tmp_path: Path) -> None:
    train(tmp_path)
    new = table(seed=9)
    low, _, high = load_model(tmp_path, rehearse=False).intervals(new.rows).T
    assert ((new.target >= low) & (new.target <= high)).mean() == pytest.approx(COVERAGE, abs=0.07)
