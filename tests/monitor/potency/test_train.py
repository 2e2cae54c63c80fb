import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases.potency_table import FEATURES, PLAN, table, train, with_potency

from monitor.errors import SettingsError
from monitor.features.catalogue import contract_digest, population_features
from monitor.potency.biomarker import QUANTILES
from monitor.potency.crossval import HeldOut, Samples
from monitor.potency.model import load_model
from monitor.potency.report import make_report
from monitor.potency.table import Target, TrainingTable
from monitor.potency.train import GOLDEN_ROWS, train_potency


def test_a_model_finds_what_is_in_the_table(tmp_path: Path) -> None:
    report = train(tmp_path)
    assert report.kind == "regressor"
    assert report.r2 is not None and report.r2 > 0.85
    assert report.rmse is not None and report.rmse < 0.4 * report.baselines["dummy"]["rmse"]
    assert report.baselines["linear"]["r2"] > 0.9
    assert report.baselines["dummy"]["r2"] == pytest.approx(0.0, abs=0.05)
    assert report.coverage == pytest.approx(PLAN.coverage, abs=0.05)
    assert (report.groups, report.units, report.rows, len(report.folds)) == (24, 24, 240, 5)
    held_out = [name for fold in report.folds for name in fold["held_out"]]
    assert sorted(held_out) == sorted(set(held_out)) == sorted({f"flask-{number}" for number in range(24)})
    assert report.better_than_dummy and report.published


def test_nothing_is_found_where_nothing_is_and_nothing_is_published(tmp_path: Path) -> None:
    shuffled = with_potency(table(), np.random.default_rng(0).permutation(table().targets["potency"].values))
    report = train(tmp_path / "model", shuffled)
    assert report.r2 is not None and report.r2 < 0.1
    assert report.coverage == pytest.approx(PLAN.coverage, abs=0.05)
    assert not report.better_than_dummy and not report.published
    assert not (tmp_path / "model").exists()


def test_a_model_that_is_forced_says_in_its_card_that_it_is_no_better(tmp_path: Path) -> None:
    shuffled = with_potency(table(), np.random.default_rng(0).permutation(table().targets["potency"].values))
    report = train(tmp_path, shuffled, replace(PLAN, force=True))
    assert report.published and not report.better_than_dummy
    assert "NO BETTER" in load_model(tmp_path, rehearse=False).card["worth"]["potency"]


def test_what_only_tells_the_groups_apart_does_not_score(tmp_path: Path) -> None:
    """Each group has a potency of its own and a feature that names it: known groups are easy, new ones are not."""
    random = np.random.default_rng(0)
    frames = table()
    number = np.array([int(name.removeprefix("flask-")) for name in frames.group])
    potency = random.permutation(np.linspace(40.0, 120.0, 24))
    rows = np.column_stack([1000.0 + number, random.uniform(0.05, 0.2, 240), random.uniform(0.1, 0.8, 240)])
    report = train(tmp_path, with_potency(replace(frames, rows=rows), potency[number]))
    assert report.r2 is not None and report.r2 < 0.3


def test_the_same_table_gives_the_same_model(tmp_path: Path) -> None:
    assert train(tmp_path / "one") == train(tmp_path / "two")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_everything_about_the_model_lies_in_its_folder(tmp_path: Path) -> None:
    report = train(tmp_path)
    names = {"card.json", "calibration.json", "contract.json", "golden.json", "model.json", "MANIFEST.json"}
    assert {file.name for file in tmp_path.iterdir()} == names | {f"potency.{name}.txt" for name in QUANTILES}
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["name"] == "tiny"
    assert card["scores"]["potency"]["rmse"] == report.rmse
    contract = json.loads((tmp_path / "contract.json").read_text())
    assert tuple(contract["features"]) == FEATURES
    assert contract["catalogue"] == contract_digest(population_features(FEATURES))
    golden = json.loads((tmp_path / "golden.json").read_text())
    assert len(golden["rows"]) == len(golden["answers"]["potency"]) == GOLDEN_ROWS


def test_intervals_hold_new_frames_as_often_as_the_card_says(tmp_path: Path) -> None:
    train(tmp_path)
    new = table(seed=9)
    low, _, high = load_model(tmp_path, rehearse=False).answers(new.rows)["potency"].T
    truth = new.targets["potency"].values
    assert ((truth >= low) & (truth <= high)).mean() == pytest.approx(PLAN.coverage, abs=0.07)


def test_crowding_that_passes_for_potency_is_seen_beside_the_adjusted_score(tmp_path: Path) -> None:
    """Potency and areas both follow crowding here: what is left of the areas says nothing."""
    random = np.random.default_rng(3)
    frames = table()
    density = random.uniform(0.1, 0.8, 240)
    rows = np.column_stack([4000.0 - 3000.0 * density + random.normal(0.0, 60.0, 240), frames.rows[:, 1], density])
    crowded = with_potency(replace(frames, rows=rows), 100.0 * density + random.normal(0.0, 3.0, 240))
    report = train(tmp_path, crowded)
    assert report.r2 is not None and report.r2 > 0.9
    assert report.adjusted is not None and report.adjusted["r2"] < 0.1
    adjusted = train(tmp_path / "adjusted", crowded, replace(PLAN, adjust=True))
    assert not adjusted.published
    assert adjusted.r2 == adjusted.adjusted["r2"]


def test_one_group_cannot_be_held_out(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"one group \(d1\).*group by another column"):
        train(tmp_path, replace(table(), group=np.full(240, "d1")))


def test_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="12 rows are too few"):
        train(tmp_path, table(12, 3))


@pytest.mark.parametrize(("errors", "better"), [(1.3, False), (2.0, True)])
def test_a_gain_that_noise_brings_too_is_none(errors: float, better: bool) -> None:
    """Of noise one model in six gains more than a standard error, and one in twenty more than 1.645 of them."""
    spread = np.tile([-0.3, 0.3], 20)
    gain = spread + errors * spread.std(ddof=1) / np.sqrt(40.0)
    truth, unit = np.tile([0.0, 0.5], 20), np.arange(40).astype(str)
    samples = Samples(np.zeros((40, 1)), truth, np.arange(40) % 5, unit, unit, grouped=True)
    middle = truth + np.sqrt(1.0 - gain)
    held = HeldOut(np.zeros((40, 3)), np.tile(middle, (3, 1)).T, np.ones(40, bool), truth + 1.0, truth)
    report = make_report("made up", "", "regressor", samples, held, 0.9, {})
    assert report.gain[0] / report.gain[1] == pytest.approx(errors)
    assert report.better_than_dummy == better


def test_donors_of_one_class_each_can_be_told_apart(tmp_path: Path) -> None:
    """Held out one by one no donor holds both classes, so that nothing can be ranked within one."""
    random = np.random.default_rng(4)
    donor = np.repeat(np.arange(8), 10)
    potent = (donor % 2).astype(float)
    rows = np.column_stack([2000.0 + 400.0 * potent + random.normal(0.0, 100.0, 80), random.normal(0.0, 1.0, 80)])
    table = TrainingTable(FEATURES[:2], rows, {"potent": Target(potent, kind="classifier")}, donor.astype(str))
    report = train_potency(table, tmp_path / "m", {}, PLAN)["potent"]
    assert report.auc_within is None
    assert report.auc is not None and report.auc > 0.9
    assert report.better_than_dummy and (tmp_path / "m" / "potent.margin.txt").is_file()
