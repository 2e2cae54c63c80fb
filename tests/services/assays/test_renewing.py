"""`cellvigil assay recalibrate`: a signed version beside the old one, or none and the reason."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases.command_line import command_line
from cases.recorded_flasks import record_flasks
from cases.simulated_flasks import FEATURES, Flasks, simulated_flasks, write_assays

from monitor.errors import ModelRefused
from monitor.potency.bundle import verify_bundle
from monitor.potency.model import load_live_model, load_model
from services.assays.facts import ModelRecalibrated
from services.assays.log import read_facts
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord

Assay = Callable[..., tuple[int, str]]
SIGNED = ("--signed-by", "A. Keller", "--reason", "new ELISA kit")


def moved(flasks: Flasks, by: float, few: int | None = None) -> Flasks:
    found = {name: {**values, "IDO": values["IDO"] + by} for name, values in flasks.biomarkers.items()}
    return Flasks(flasks.rows, flasks.donor, flasks.flask, flasks.hours, dict(list(found.items())[:few]))


def add(assay: Assay, folder: Path, flasks: Flasks) -> None:
    code, said = assay("add", "--from", write_assays(folder / "assays.csv", flasks), "--biomarker", "IDO")
    assert code == 0, said


def whole(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def coverage(model: Path, flasks: Flasks, by: float) -> float:
    """Return how often new flasks lie in a model's intervals, frames without an estimate left aside."""
    opened = load_model(model, rehearse=False)
    inside = []
    for name, values in flasks.biomarkers.items():
        rows = flasks.rows[flasks.flask == name]
        confluency = [{"confluency": row[FEATURES.index("confluency")]} for row in rows]
        assessed = [refusal is None for refusal in opened.refusals(rows, confluency)]
        if any(assessed):
            low, _, high = opened.answers(rows[assessed])["IDO"].mean(axis=0)
            inside.append(low <= values["IDO"] + by <= high)
    return float(np.mean(inside))


def test_a_version_is_written_beside_the_old_one_signed_and_better_on_new_flasks(
    assay: Assay, state: StateFolder, tmp_path: Path, model: Path, later: Flasks
) -> None:
    add(assay, tmp_path, moved(later, 15.0))
    before = whole(model)
    out = tmp_path / "second"
    code, said = assay("recalibrate", model, "--out", out, *SIGNED, "--json", tmp_path / "found.json")
    assert code == 0, said
    assert whole(model) == before
    new = load_live_model(out)
    (row,) = new.card["recalibrations"]
    assert (row["parent"], row["signed_by"], row["reason"]) == (verify_bundle(model), "A. Keller", "new ELISA kit")
    assert "Romano" in row["method"]
    found = row["biomarkers"]["IDO"]
    assert found["before"]["coverage"] < 0.6 < 0.8 < found["after"]["coverage"]
    assert found["after"]["flasks"] >= 20
    results = {fact.result_id for fact in read_facts(state.assays) if fact.kind == "result"}
    assert set(found["results"]) <= results
    assert len(found["results"]) == found["after"]["results"]
    (fact,) = [fact for fact in read_facts(state.assays) if isinstance(fact, ModelRecalibrated)]
    assert (fact.model, fact.parent, fact.by) == (new.digest, verify_bundle(model), "A. Keller")
    assert "stays as it is, and stays in use until predictor.model is" in said
    written = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert written["biomarkers"]["IDO"]["better"] is True
    assert json.loads(assay("list", "--json")[1])["recalibrations"][0]["model"] == new.digest
    # flasks that nobody has seen, simulated as the others
    others = simulated_flasks(donors=24, flasks=5, frames=4, seed=77)
    assert coverage(model, others, 15.0) < 0.6
    assert 0.8 <= coverage(out, others, 15.0) <= 1.0


def test_a_tampered_byte_of_the_new_version_refuses(assay: Assay, tmp_path: Path, model: Path, later: Flasks) -> None:
    add(assay, tmp_path, moved(later, 15.0))
    out = tmp_path / "second"
    assert assay("recalibrate", model, "--out", out, *SIGNED)[0] == 0
    for name in ("card.json", "calibration.json"):
        copy = Path(shutil.copytree(out, tmp_path / f"tampered-{name}"))
        content = bytearray((copy / name).read_bytes())
        content[-20] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(ModelRefused, match="not the file that the model was released with"):
            load_model(copy)


def test_intervals_that_hold_are_not_replaced(
    assay: Assay, state: StateFolder, tmp_path: Path, model: Path, later: Flasks
) -> None:
    add(assay, tmp_path, later)
    code, said = assay("recalibrate", model, "--out", tmp_path / "second", *SIGNED)
    assert code == 1
    assert "NOT better, so it is not used" in said
    assert "no new version was written" in said
    assert not (tmp_path / "second").exists()
    assert not [fact for fact in read_facts(state.assays) if isinstance(fact, ModelRecalibrated)]


def test_too_few_flasks_are_refused_with_the_number_that_is_needed(
    assay: Assay, tmp_path: Path, model: Path, later: Flasks
) -> None:
    add(assay, tmp_path, moved(later, 15.0, few=19))
    code, said = assay("recalibrate", model, "--out", tmp_path / "second", *SIGNED)
    assert code == 1
    assert "flasks are too few to recalibrate; 20 are needed at least" in said
    assert not (tmp_path / "second").exists()


def test_results_that_another_model_foretold_do_not_count(
    assay: Assay, tmp_path: Path, index_model: Path, later: Flasks
) -> None:
    add(assay, tmp_path, moved(later, 15.0))
    code, said = assay("recalibrate", index_model, "--out", tmp_path / "second", *SIGNED, "--biomarker", "IDO")
    assert code == 1
    assert "IDO: results of 0 flasks are too few" in said


@pytest.mark.slow
def test_a_version_of_a_version_learns_from_the_results_of_both(
    assay: Assay, tmp_path: Path, model: Path, later: Flasks
) -> None:
    add(assay, tmp_path, moved(later, 15.0))
    second, third = tmp_path / "second", tmp_path / "third"
    assert assay("recalibrate", model, "--out", second, *SIGNED)[0] == 0
    other = record_flasks(tmp_path / "other", second, simulated_flasks(donors=8, flasks=5, frames=4, seed=12))
    (other.root / "settings.json").write_text(f'{{"predictor": {{"model": "{second}"}}}}', encoding="utf-8")
    drifted = moved(simulated_flasks(donors=8, flasks=5, frames=4, seed=12), 45.0)
    file = write_assays(tmp_path / "drifted.csv", drifted)
    assert command_line("assay", "add", "--from", file, "--biomarker", "IDO", "--state", other.root)[0] == 0
    code, said = command_line("assay", "recalibrate", second, "--out", third, "--state", other.root, *SIGNED)
    assert code == 0, said
    card = load_model(third, rehearse=False).card
    assert card["version"] == 3
    assert [row["parent"] for row in card["recalibrations"]] == [verify_bundle(model), verify_bundle(second)]
    both = command_line(
        "assay", "recalibrate", second, "--out", tmp_path / "both", "--state", other.root,
        "--state", tmp_path / "state", *SIGNED, "--json", tmp_path / "both.json",
    )  # fmt: skip
    assert both[0] in (0, 1)
    flasks = json.loads((tmp_path / "both.json").read_text(encoding="utf-8"))["biomarkers"]["IDO"]["before"]["flasks"]
    assert flasks > card["recalibrations"][1]["biomarkers"]["IDO"]["before"]["flasks"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--signed-by", " ", "--reason", "x"), "--signed-by is empty"),
        (("--signed-by", "A", "--reason", ""), "--reason is empty"),
        ((*SIGNED, "--biomarker", "PGE2"), "no biomarker 'PGE2'"),
    ],
)
def test_a_version_without_sign_off_or_subject_is_refused(
    assay: Assay, tmp_path: Path, model: Path, words: tuple[str, ...], what: str
) -> None:
    code, said = assay("recalibrate", model, "--out", tmp_path / "second", *words)
    assert (code, what in said) == (2, True), said


def test_no_model_is_replaced(assay: Assay, model: Path, tmp_path: Path) -> None:
    before = whole(model)
    code, said = assay("recalibrate", model, "--out", model, *SIGNED)
    assert code == 2
    assert "a version never replaces another" in said
    assert whole(model) == before
    code, said = assay("recalibrate", tmp_path, "--out", tmp_path / "new", *SIGNED)
    assert (code, "is not a potency model" in said) == (2, True)


def test_frames_that_were_altered_are_found(
    assay: Assay, state: StateFolder, tmp_path: Path, model: Path, later: Flasks
) -> None:
    add(assay, tmp_path, moved(later, 15.0))
    with SqliteRecord(state.record) as record:
        for row in record.frame_rows("D2-F2"):
            changed = row.model_copy(update={"features": {**row.features, "area_median": 9000.0}})
            record._connection.execute(
                "UPDATE culture_rows SET fact = ? WHERE row_id = ?", (changed.model_dump_json(), row.row_id)
            )
    code, said = assay("recalibrate", model, "--out", tmp_path / "second", *SIGNED)
    assert code == 2
    assert "the stored frames of flask 'D2-F2' do not give the estimate that was shown" in said
    with SqliteRecord(state.record) as record:
        record._connection.execute("DELETE FROM culture_rows WHERE flask = 'D2-F2'")
    code, said = assay("recalibrate", model, "--out", tmp_path / "second", *SIGNED)
    assert (code, "is not in the record" in said) == (2, True), said
