"""`cellvigil train potency` as a user meets it: what it writes, and what it says to mistakes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cases.command_line import command_line
from cases.simulated_flasks import FEATURES, simulated_flasks, write_assays, write_features

from monitor.potency.model import load_model

FLASKS = simulated_flasks(donors=6, flasks=4, frames=2)


@pytest.fixture
def command() -> Callable[..., tuple[int, str]]:
    return command_line


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_features(tmp_path / "features.csv", FLASKS, stimulation="IFN-gamma", passage="4")


@pytest.fixture
def assays(tmp_path: Path) -> Path:
    return write_assays(tmp_path / "assays.csv", FLASKS)


def change(path: Path, line: int, old: str, new: str) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_biomarkers_and_an_index_become_one_model(tmp_path: Path, table: Path, assays: Path, command) -> None:
    report_file = tmp_path / "report.json"
    code, said = command(
        "train", "potency", table, "--assay", assays, "--group", "donor", "--out", tmp_path / "model",
        "--index", "IDO=0.5,PGE2=0.5", "--reference", "D0", "--json", report_file, "--threads", 1,
    )  # fmt: skip
    assert code == 0, said
    assert "48 rows" in said and "joined by flask" in said
    report = json.loads(report_file.read_text(encoding="utf-8"))
    assert set(report["biomarkers"]) == {"IDO", "PGE2", "potency_index"}
    assert {"r2", "ece", "coverage", "folds", "baselines"} <= set(report)
    assert report["name"] == "potency_index"
    assert len(report["folds"]) == 6
    assert set(report["baselines"]) == {"dummy", "linear"}
    assert report["adjusted"]["r2"] is not None
    assert set(report["features"]) == set(FEATURES)
    model = load_model(tmp_path / "model")
    assert model.biomarkers["IDO"].spec.unit == "pg/mL"
    formula = model.live_biomarker.spec.index
    assert formula is not None and formula.reference_lot == "D0"
    of_reference = [found["IDO"] for name, found in FLASKS.biomarkers.items() if name.startswith("D0-")]
    assert formula.reference["IDO"] == pytest.approx(sum(of_reference) / 4, rel=1e-3)
    assert model.spec.conditions.kinds["stimulation"] == ("IFN-gamma",)
    assert model.spec.conditions.ranges["passage"] == (4.0, 4.0)
    assert model.card["grouped_by"] == "donor"


def test_two_values_make_a_classifier_and_no_group_is_said_loudly(tmp_path: Path, command) -> None:
    rows = ["width,length,activated"]
    rows += [f"{10 + n % 7},{20 + n % 11 + 8 * (n % 2)},{'yes' if n % 2 else 'no'}" for n in range(80)]
    (tmp_path / "cells.csv").write_text("\n".join(rows), encoding="utf-8")
    code, said = command(
        "train", "potency", tmp_path / "cells.csv", "--target", "activated", "--out", tmp_path / "model",
        "--json", tmp_path / "r.json", "--threads", 1,
    )  # fmt: skip
    assert code == 0, said
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["kind"] == "classifier"
    assert report["auc"] > 0.7
    assert report["groups"] == 0
    assert "NO GROUP" in said.replace("\n", " ")
    assert any("NO GROUP" in warning for warning in report["warnings"])
    assert load_model(tmp_path / "model").biomarkers["activated"].spec.labels == ("no", "yes")


def test_long_assay_files_say_the_same_as_wide_ones(tmp_path: Path, table: Path, command) -> None:
    rows = ["flask,biomarker,value,unit"]
    rows += [f"{flask},IDO,{found['IDO']:.4g},pg/mL" for flask, found in list(FLASKS.biomarkers.items())[:-1]]
    rows.append("unseen,IDO,40,pg/mL")
    (tmp_path / "long.csv").write_text("\n".join(rows), encoding="utf-8")
    code, said = command(
        "train", "potency", table, "--assay", tmp_path / "long.csv", "--group", "donor", "--out", tmp_path / "model",
        "--threads", 1,
    )  # fmt: skip
    assert code == 0, said
    assert "46 rows" in said
    assert "without assay results: flask D5-F3" in said
    assert "without rows in the table: flask unseen" in said.replace("\n", " ")


def test_another_model_is_not_overwritten_unasked(tmp_path: Path, table: Path, assays: Path, command) -> None:
    words = ("train", "potency", table, "--assay", assays, "--target", "IDO", "--out", tmp_path / "m", "--threads", 1)
    assert command(*words)[0] == 0
    code, said = command(*words)
    assert code == 2
    assert "holds a model already" in said and "--replace" in said
    assert command(*words, "--replace")[0] == 0
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    code, said = command("train", "potency", table, "--assay", assays, "--out", tmp_path / "full")
    assert code == 2 and "is no folder of a model" in said
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"


def test_what_is_no_better_than_the_mean_is_not_published(tmp_path: Path, command) -> None:
    rows = ["flask,size,length,noise"] + [f"F{n},{(n * 37) % 11},{(n * 17) % 13},{(n * 71) % 23}" for n in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(rows), encoding="utf-8")
    words = ("train", "potency", tmp_path / "t.csv", "--target", "noise", "--out", tmp_path / "m", "--threads", 1)
    code, said = command(*words)
    assert code == 1
    assert "no better than the mean" in said and "no model was written" in said
    assert not (tmp_path / "m").exists()
    assert command(*words, "--force")[0] == 0
    assert "NO BETTER" in load_model(tmp_path / "m").card["worth"]["noise"]


MISTAKES = [
    (["--features", "area_median,charm"], None, "has no column 'charm'"),
    (["--group", "doner"], None, "did you mean 'donor'?"),
    (["--target", "IL-6"], None, "the biomarker 'IL-6' is neither in"),
    (["--group", "stimulation"], None, "all rows belong to one group (IFN-gamma)"),
    (["--index", "IDO=half"], None, "write it as IDO=0.5,PGE2=0.5"),
    (["--index", "IDO=1", "--reference", "D9"], None, "no row belongs to the reference 'D9'"),
    (["--index", "IDO=1"], None, "--reference LOT"),
    (["--coverage", "90"], None, "a share between 0 and 1"),
    (["--kind", "forest"], None, "write regressor or classifier"),
    ([], ("features.csv", 5, FLASKS.rows[3][0], "big"), "row 5, column area_median: holds 'big'"),
    ([], ("features.csv", 5, FLASKS.rows[3][0], "nan"), "row 5, column area_median: holds nan"),
    ([], ("features.csv", 5, FLASKS.rows[3][0], ""), "row 5, column area_median: is empty"),
    ([], ("features.csv", 5, FLASKS.rows[3][0], "1,2"), "row 5: has 12 cells where the first row names 11"),
    ([], ("assays.csv", 4, "D0-F2", "D0-F1"), "row 4, column flask: flask D0-F1 has a result in row 3 already"),
    ([], ("assays.csv", 1, "flask", "bottle"), "shares no column with"),
    ([], ("features.csv", 1, "hours", "donor"), "row 1: names 'donor' twice"),
]


@pytest.mark.parametrize(("words", "spoilt", "sentence"), MISTAKES)
def test_a_mistake_is_told_in_one_sentence_with_its_mend(
    tmp_path: Path, table: Path, assays: Path, command, words: list[str], spoilt, sentence: str
) -> None:
    if spoilt is not None:
        name, line, old, new = spoilt
        change(tmp_path / name, line, old if isinstance(old, str) else f"{old:.6g}", new)
    code, said = command("train", "potency", table, "--assay", assays, "--out", tmp_path / "model", *words)
    assert code == 2, said
    assert sentence in said.replace("\n", " "), said
    assert len([line for line in said.splitlines() if line.startswith("cellvigil: ")]) == 1
    assert not (tmp_path / "model").exists()


def test_one_flask_cannot_be_held_out(tmp_path: Path, command) -> None:
    rows = ["flask,size,IDO", *(f"A,{n % 7},{n % 11}" for n in range(40))]
    (tmp_path / "one.csv").write_text("\n".join(rows), encoding="utf-8")
    code, said = command("train", "potency", tmp_path / "one.csv", "--target", "IDO", "--out", tmp_path / "model")
    assert code == 2
    assert "all rows belong to one flask (A)" in said.replace("\n", " ")


def test_flasks_of_one_name_in_two_donors_are_two(tmp_path: Path, command) -> None:
    rows = ["donor,flask,passage,size,IDO"]
    rows += [f"D{n % 5},F{n % 2},P{3 + n % 2},{n % 7},{3 * (n % 7) + n % 3}" for n in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(rows), encoding="utf-8")
    code, said = command(
        "train", "potency", tmp_path / "t.csv", "--target", "IDO", "--group", "donor", "--out", tmp_path / "model",
        "--json", tmp_path / "r.json",
    )  # fmt: skip
    assert code == 0, said
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["units"] == 10
    assert load_model(tmp_path / "model").spec.conditions.ranges["passage"] == (3.0, 4.0)


def test_a_constant_target_is_told(tmp_path: Path, table: Path, command) -> None:
    rows = ["flask,IDO", *(f"{flask},5" for flask in FLASKS.biomarkers)]
    (tmp_path / "same.csv").write_text("\n".join(rows), encoding="utf-8")
    code, said = command("train", "potency", table, "--assay", tmp_path / "same.csv", "--out", tmp_path / "model")
    assert code == 2
    assert "'IDO' is 5 in every row; nothing can be learnt" in said.replace("\n", " ")


def test_a_file_that_is_not_there_is_told(tmp_path: Path, command) -> None:
    code, said = command("train", "potency", tmp_path / "no.csv", "--target", "x", "--out", tmp_path / "model")
    assert code == 2
    assert "cannot be read" in said


def test_incomplete_rows_can_be_left_out(tmp_path: Path, table: Path, assays: Path, command) -> None:
    change(table, 5, f"{FLASKS.rows[3][0]:.6g}", "")
    code, said = command(
        "train", "potency", table, "--assay", assays, "--target", "IDO", "--out", tmp_path / "m", "--drop-incomplete",
        "--threads", 1,
    )  # fmt: skip
    assert code == 0, said
    assert "1 rows were left out" in said
