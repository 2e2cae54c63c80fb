"""`cellvigil predict`: a row for a row, and silence with its reason where the model knows nothing."""

import csv
import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cases.command_line import command_line
from cases.simulated_flasks import FEATURES, Flasks, simulated_flasks, write_assays, write_features

from monitor.errors import ModelRefused
from monitor.potency.bundle import write_manifest
from monitor.potency.model import load_live_model, load_model
from services.potency import prediction

FLASKS = simulated_flasks(donors=6, flasks=4, frames=2)
NEW = simulated_flasks(donors=2, flasks=3, frames=2, seed=5)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("potency")
    table = write_features(folder / "features.csv", FLASKS, stimulation="IFN-gamma", passage="4")
    assays = write_assays(folder / "assays.csv", FLASKS)
    code, said = command_line(
        "train", "potency", table, "--assay", assays, "--target", "IDO", "--group", "donor", "--out", folder / "model",
        "--threads", 1, "--false-alarm", 0.01,
    )  # fmt: skip
    assert code == 0, said
    return folder / "model"


@pytest.fixture(autouse=True)
def unrehearsed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load without the child process, which takes seconds; the tests of a whole and of a tampered model keep it."""
    if request.function not in (
        test_there_is_a_row_for_a_row_with_the_other_columns_as_keys,
        test_a_tampered_model_does_not_start,
    ):
        monkeypatch.setattr(prediction, "load_model", functools.partial(load_model, rehearse=False))


def predict(tmp_path: Path, model: Path, table: Path, *words: object) -> tuple[list[dict[str, str]], str]:
    code, said = command_line("predict", model, table, "--out", tmp_path / "pred.csv", *words)
    assert code == 0, said
    with (tmp_path / "pred.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream)), said


def shifted(flasks: Flasks, column: str, factor: float) -> Flasks:
    rows = flasks.rows.copy()
    rows[:, FEATURES.index(column)] *= factor
    return Flasks(rows, flasks.donor, flasks.flask, flasks.hours, flasks.biomarkers)


def assert_silent(rows: list[dict[str, str]], reason: str) -> None:
    assert {(row["state"], row["reason"]) for row in rows} == {("not_assessable", reason)}
    assert all(row[name] == "" for row in rows for name in ("estimate", "low", "high"))
    assert all(row["detail"] for row in rows)


def test_there_is_a_row_for_a_row_with_the_other_columns_as_keys(tmp_path: Path, model: Path) -> None:
    table = write_features(tmp_path / "new.csv", NEW, stimulation="IFN-γ", passage="4", remark="=danger()")
    rows, said = predict(tmp_path, model, table)
    assert [row["flask"] for row in rows] == NEW.flask.tolist()
    assert {row["remark"] for row in rows} == {"'=danger()"}
    assert "area_median" not in rows[0]
    assessed = [row for row in rows if row["state"] == "ok"]
    assert len(assessed) >= 0.75 * len(rows), said
    for row in assessed:
        assert float(row["low"]) <= float(row["estimate"]) <= float(row["high"])
        assert row["reason"] == ""


def test_estimates_follow_what_the_laboratory_found(tmp_path: Path, model: Path) -> None:
    rows, _ = predict(tmp_path, model, write_features(tmp_path / "new.csv", NEW, stimulation="ifn gamma", passage="4"))
    pairs = [(float(r["estimate"]), NEW.biomarkers[r["flask"]]["IDO"]) for r in rows if r["state"] == "ok"]
    estimate, truth = np.array(pairs).T
    assert np.corrcoef(estimate, truth)[0, 1] > 0.6


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"stimulation": "", "passage": "4"}, "stimulation_not_trained"),
        ({"stimulation": "none", "passage": "4"}, "stimulation_not_trained"),
        ({"stimulation": "TNF-alpha", "passage": "4"}, "stimulation_not_trained"),
        ({"passage": "4"}, "stimulation_unknown"),
        ({"stimulation": "IFN-gamma", "passage": "9"}, "passage_not_trained"),
        ({"stimulation": "IFN-gamma", "passage": ""}, "passage_unknown"),
        ({"stimulation": "IFN-gamma"}, "passage_unknown"),
        ({"stimulation": "IFN-gamma", "passage": "4", "state": "out_of_focus"}, "out_of_focus"),
        ({"stimulation": "IFN-gamma", "passage": "4", "state": "not_assessable", "reason": "saturated"}, "saturated"),
    ],
)
def test_untrained_circumstances_are_refused(tmp_path: Path, model: Path, columns: dict[str, str], reason: str) -> None:
    rows, said = predict(tmp_path, model, write_features(tmp_path / "new.csv", NEW, **columns))
    assert_silent(rows, reason)
    assert f"{len(rows)} rows, {reason}" in said.replace("\n", " ")


def test_too_few_cells_and_fields_are_refused_where_the_model_asks_for_them(tmp_path: Path, model: Path) -> None:
    asking = shutil.copytree(model, tmp_path / "asking")
    spec = json.loads((asking / "model.json").read_text(encoding="utf-8")) | {"min_cells": 30, "min_fields": 2}
    (asking / "model.json").write_text(json.dumps(spec), encoding="utf-8")
    write_manifest(asking)
    known = {"stimulation": "IFN-gamma", "passage": "4"}
    for given, reason in [
        ({"n_cells": "29", "position": "p1"}, "too_few_cells"),
        ({"n_cells": "30", "position": "p1"}, "too_few_fields"),
        ({"n_cells": "30", "n_fields": "1"}, "too_few_fields"),
        ({"n_cells": "30"}, "fields_unknown"),
        ({"n_fields": "3"}, "cells_unknown"),
    ]:
        rows, _ = predict(tmp_path, asking, write_features(tmp_path / "new.csv", NEW, **known, **given))
        assert_silent(rows, reason)
    enough = write_features(tmp_path / "new.csv", NEW, **known, n_cells="30", n_fields="2")
    assert any(row["state"] == "ok" for row in predict(tmp_path, asking, enough)[0])


def test_a_sample_list_says_what_the_table_does_not(tmp_path: Path, model: Path) -> None:
    lines = ["flask,stimulation,passage", *(f"{flask},IFN-gamma,4" for flask in NEW.biomarkers)]
    (tmp_path / "samples.csv").write_text("\n".join(lines), encoding="utf-8")
    rows, _ = predict(tmp_path, model, write_features(tmp_path / "new.csv", NEW), "--samples", tmp_path / "samples.csv")
    assert sum(row["state"] == "ok" for row in rows) >= 0.75 * len(rows)


def test_unlikely_sizes_and_crowding_beyond_the_trained_are_refused(tmp_path: Path, model: Path) -> None:
    known = {"stimulation": "IFN-gamma", "passage": "4"}
    rows, said = predict(
        tmp_path, model, write_features(tmp_path / "big.csv", shifted(NEW, "area_median", 4.0), **known)
    )
    assert_silent(rows, "outside_training_range")
    assert "WARNING: 100 % of the rows are unlike the training rows, where 1 % of rows of the same kind" in said
    _, said = predict(tmp_path, model, write_features(tmp_path / "alike.csv", NEW, **known))
    assert "WARNING" not in said
    full = shifted(NEW, "confluency", 0.0)
    rows, _ = predict(tmp_path, model, write_features(tmp_path / "full.csv", full, **known))
    assert_silent(rows, "confluency_not_trained")


def test_a_row_that_lacks_a_value_is_refused_and_text_is_an_error(tmp_path: Path, model: Path) -> None:
    table = write_features(tmp_path / "new.csv", NEW, stimulation="IFN-gamma", passage="4")
    area = f"{NEW.rows[2][0]:.6g}"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace(area, "", 1), encoding="utf-8")
    rows, _ = predict(tmp_path, model, table)
    assert_silent(rows[2:3], "missing_features")
    assert rows[3]["reason"] != "missing_features"
    table.write_text(text.replace(area, "large", 1), encoding="utf-8")
    code, said = command_line("predict", model, table, "--out", tmp_path / "pred.csv")
    assert code == 2
    assert "row 4, column area_median: holds 'large'" in said.replace("\n", " ")


def test_a_lacking_column_is_told(tmp_path: Path, model: Path) -> None:
    (tmp_path / "t.csv").write_text("flask,area_median\nA,2000\n", encoding="utf-8")
    code, said = command_line("predict", model, tmp_path / "t.csv", "--out", tmp_path / "pred.csv")
    assert code == 2
    assert "lacks 'perimeter_median', 'max_feret_median'" in said.replace("\n", " ")


def test_an_explanation_names_features_in_words_and_units(tmp_path: Path, model: Path) -> None:
    table = write_features(tmp_path / "new.csv", NEW, stimulation="IFN-gamma", passage="4")
    rows, _ = predict(tmp_path, model, table, "--explain")
    texts = [row["explanation"] for row in rows if row["state"] == "ok"]
    assert all(len(text.split("; ")) == 3 for text in texts)
    assert any("the reference at hour" in text and "IDO by" in text and "pg/mL" in text for text in texts)
    assert all(row["explanation"] == "" for row in rows if row["state"] != "ok")


def test_where_no_row_is_assessed_there_is_nothing_to_explain(tmp_path: Path, model: Path) -> None:
    unprimed = write_features(tmp_path / "new.csv", NEW, stimulation="none", passage="4")
    rows, _ = predict(tmp_path, model, unprimed, "--explain")
    assert_silent(rows, "stimulation_not_trained")
    assert {row["explanation"] for row in rows} == {""}


def test_several_biomarkers_have_columns_of_their_names_and_the_index_none(tmp_path: Path) -> None:
    table, assays = write_features(tmp_path / "f.csv", FLASKS), write_assays(tmp_path / "a.csv", FLASKS)
    code, said = command_line(
        "train", "potency", table, "--assay", assays, "--group", "donor", "--index", "IDO=1", "--reference", "D1",
        "--out", tmp_path / "several",
    )  # fmt: skip
    assert code == 0, said
    rows, _ = predict(tmp_path, tmp_path / "several", write_features(tmp_path / "new.csv", NEW))
    found = next(row for row in rows if row["state"] == "ok")
    assert {"estimate", "low", "high", "IDO_estimate", "IDO_low", "IDO_high"} <= set(found)
    of_reference = np.mean([values["IDO"] for name, values in FLASKS.biomarkers.items() if name.startswith("D1-")])
    relative = 100.0 * float(found["IDO_estimate"]) / of_reference
    assert float(found["estimate"]) == pytest.approx(relative, rel=0.02)


def test_crowding_is_a_condition_also_where_it_is_no_feature(tmp_path: Path) -> None:
    table, assays = write_features(tmp_path / "f.csv", FLASKS), write_assays(tmp_path / "a.csv", FLASKS)
    code, said = command_line(
        "train", "potency", table, "--assay", assays, "--target", "IDO", "--features",
        "area_median,perimeter_median,nucleus_cytoplasm_ratio_median", "--out", tmp_path / "sparse",
    )  # fmt: skip
    assert code == 0, said
    full = write_features(tmp_path / "full.csv", shifted(NEW, "confluency", 0.0))
    assert_silent(predict(tmp_path, tmp_path / "sparse", full)[0], "confluency_not_trained")


def test_a_tampered_model_does_not_start(tmp_path: Path, model: Path) -> None:
    tree = model / "ido.middle.txt"
    content = tree.read_bytes()
    try:
        tree.write_bytes(content.replace(b"num_leaves", b"num_leavez", 1))
        table = write_features(tmp_path / "new.csv", NEW, stimulation="IFN-gamma", passage="4")
        code, said = command_line("predict", model, table, "--out", tmp_path / "pred.csv")
    finally:
        tree.write_bytes(content)
    assert code == 2
    assert "is not the file that the model was released with" in said.replace("\n", " ")
    assert not (tmp_path / "pred.csv").exists()


def test_the_live_chain_takes_measured_features_and_no_others(tmp_path: Path, model: Path) -> None:
    assert load_live_model(model, min_fields=1).live_biomarker.spec.name == "IDO"
    several = shutil.copytree(model, tmp_path / "several")
    spec = json.loads((several / "model.json").read_text()) | {"min_fields": 3}
    (several / "model.json").write_text(json.dumps(spec))
    write_manifest(several)
    with pytest.raises(ModelRefused, match=r"asks for 3 fields of view .* set culture\.min_fields to 3"):
        load_live_model(several, min_fields=2)
    rows = ["width,length,score"] + [f"{10 + n % 7},{20 + n % 11},{3 * (n % 7) + n % 3}" for n in range(80)]
    (tmp_path / "cells.csv").write_text("\n".join(rows), encoding="utf-8")
    code, said = command_line(
        "train", "potency", tmp_path / "cells.csv", "--target", "score", "--out", tmp_path / "own", "--threads", 1
    )
    assert code == 0, said
    with pytest.raises(ModelRefused, match=r"needs 'width', 'length', which cellvigil does not measure on frames"):
        load_live_model(tmp_path / "own")
