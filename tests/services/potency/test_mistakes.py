"""Mistakes that once went through: each is told before anything is trained or overwritten."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cases.command_line import command_line
from cases.simulated_flasks import FEATURES, simulated_flasks, write_assays, write_features

from monitor.potency.model import load_model
from services.potency.assay_file import join, read_assays
from services.potency.table_file import read_table

FLASKS = simulated_flasks(donors=5, flasks=4, frames=2)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_features(tmp_path / "features.csv", FLASKS, state="ok")


@pytest.fixture
def assays(tmp_path: Path) -> Path:
    return write_assays(tmp_path / "assays.csv", FLASKS)


def own_table(path: Path, columns: str = "", values: str = "") -> Path:
    """Write a table of a user's own columns, with the biomarker and crowding in it."""
    rows = [f"flask,donor,my_area,my_form,confluency,IDO{columns}"]
    for number, (flask, donor, row) in enumerate(zip(FLASKS.flask, FLASKS.donor, FLASKS.rows, strict=True)):
        found = FLASKS.biomarkers[flask]["IDO"]
        cells = (flask, donor, f"{row[0]:.6g}", f"{row[4]:.6g}", f"{row[5]:.6g}", f"{found:.4g}")
        rows.append(",".join(cells) + values.format(number))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--features", "my_area,IDO"], "--features names 'IDO', which is what is to be foretold"),
        (["--index", "IDO=nan", "--reference", "D0"], "write it as IDO=0.5,PGE2=0.5"),
        (["--out", "/proc/none/model"], "/proc/none/model cannot be written"),
        (["--json", "/none/report.json"], "/none/report.json cannot be written (No such folder)"),
        (["--threads", "0"], "Invalid value for '--threads'"),
        (["--min-cells", "-1"], "Invalid value for '--min-cells'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(tmp_path: Path, words: list[str], sentence: str) -> None:
    table = own_table(tmp_path / "t.csv")
    code, said = command_line(
        "train", "potency", table, "--target", "IDO", "--group", "donor", "--out", tmp_path / "model", *words
    )
    assert code == 2, said
    assert sentence in " ".join(said.replace("│", " ").split()), said
    assert "heads grown" not in said
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("cell", ["1e300", "1_000"])
def test_cells_that_are_no_measured_value_are_told(tmp_path: Path, cell: str) -> None:
    table = own_table(tmp_path / "t.csv", ",extra", f",{cell}")
    code, said = command_line(
        "train", "potency", table, "--target", "IDO", "--features", "my_area,extra", "--out", tmp_path / "model"
    )
    assert code == 2
    assert f"row 2, column extra: holds {cell!r}" in said or f"row 2, column extra: holds {cell}," in said, said


def test_columns_of_ones_own_are_learnt_from_beside_confluency_and_are_named(tmp_path: Path) -> None:
    code, said = command_line(
        "train", "potency", own_table(tmp_path / "t.csv"), "--target", "IDO", "--group", "donor",
        "--out", tmp_path / "model", "--json", tmp_path / "r.json", "--threads", 1,
    )  # fmt: skip
    assert code == 0, said
    assert "learns from 3 columns: my_area, my_form, confluency; --features names others" in said
    assert json.loads((tmp_path / "r.json").read_text())["features"] == ["my_area", "my_form", "confluency"]


def test_a_table_of_which_no_row_is_left_says_why(tmp_path: Path, table: Path, assays: Path) -> None:
    table.write_text(table.read_text().replace(",ok,", ",out_of_focus,"))
    code, said = command_line("train", "potency", table, "--assay", assays, "--out", tmp_path / "model")
    assert code == 2
    assert "no row of" in said and "40 rows were left out because their state is not ok" in said, said


def test_names_of_flasks_that_look_like_numbers_stay_apart(tmp_path: Path) -> None:
    names = ["20260310", "20260311", "1_1", "11", "1e1", "10", "7.0"]
    (tmp_path / "t.csv").write_text("flask,size\n" + "".join(f"{name},1\n" for name in names))
    (tmp_path / "a.csv").write_text(
        "flask,IDO\n" + "".join(f"{name},{100 + n}\n" for n, name in enumerate([*names[:-1], "7"]))
    )
    table = read_table(tmp_path / "t.csv")
    joined = join(table, read_assays(tmp_path / "a.csv", table))
    assert joined.results["IDO"] == [str(100 + n) for n in range(len(names))]


def test_the_model_without_density_has_the_one_with_it_beside(tmp_path: Path, table: Path, assays: Path) -> None:
    def reported(*words: str) -> dict[str, dict[str, float]]:
        code, said = command_line(
            "train", "potency", table, "--assay", assays, "--target", "IDO", "--group", "donor", "--threads", 1,
            "--out", tmp_path / f"model{len(words)}", "--json", tmp_path / "r.json", *words,
        )  # fmt: skip
        assert code == 0, said
        assert said.count("of 99 heads grown") == 10 and "99 of 99 heads grown" in said, said
        report: dict[str, dict[str, float]] = json.loads((tmp_path / "r.json").read_text())
        return report

    plain, adjusted = reported(), reported("--adjust-density")
    assert adjusted["r2"] == plain["adjusted"]["r2"]
    assert adjusted["unadjusted"]["r2"] == plain["r2"]
    assert plain["unadjusted"] is None


def test_training_that_is_killed_leaves_the_model_that_was_there(tmp_path: Path, table: Path, assays: Path) -> None:
    words = ["train", "potency", table, "--assay", assays, "--target", "IDO", "--out", tmp_path / "model"]
    assert command_line(*words, "--features", "area_median,confluency", "--threads", 1)[0] == 0
    before = load_model(tmp_path / "model", rehearse=False).digest
    program = [sys.executable, "-c", "from services.main import main; main()", *map(str, words), "--replace"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        said = next(line for line in child.stdout if "heads grown" in line)
        os.kill(child.pid, signal.SIGKILL)
    assert "1" in said and child.returncode == -signal.SIGKILL
    assert load_model(tmp_path / "model", rehearse=False).digest == before
    assert command_line(*words, "--replace")[0] == 0
    replaced = load_model(tmp_path / "model", rehearse=False)
    assert set(replaced.contract.features) == set(FEATURES) and replaced.digest != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["assays.csv", "features.csv", "model"]


def test_replacing_a_model_never_takes_other_files_along(tmp_path: Path, table: Path, assays: Path) -> None:
    words = ["train", "potency", table, "--assay", assays, "--target", "IDO", "--out", tmp_path / "model"]
    assert command_line(*words, "--threads", 1)[0] == 0
    (tmp_path / "model" / "thesis.txt").write_text("mine")
    code, said = command_line(*words, "--replace")
    assert code == 2 and "holds 'thesis.txt' beside the model" in said
    assert (tmp_path / "model" / "thesis.txt").read_text() == "mine"


def test_a_prediction_never_overwrites_what_it_reads(tmp_path: Path, table: Path, assays: Path) -> None:
    code, _ = command_line(
        "train", "potency", table, "--assay", assays, "--target", "IDO", "--out", tmp_path / "model", "--threads", 1
    )
    assert code == 0
    before = table.read_bytes()
    (tmp_path / "link.csv").symlink_to(table)
    for out in (table, tmp_path / "link.csv"):
        code, said = command_line("predict", tmp_path / "model", table, "--out", out)
        assert code == 2 and "which is read; choose another file" in said, said
        assert table.read_bytes() == before
