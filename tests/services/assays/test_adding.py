"""`cellvigil assay add`, `withdraw` and `list`: every result once, linked, and every mistake with its mend."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cases.command_line import command_line
from cases.recorded_flasks import record_flasks, seen_at
from cases.simulated_flasks import Flasks, simulated_flasks, write_assays

from monitor.potency.bundle import write_manifest
from monitor.potency.model import load_model
from services.assays.facts import AssayResult
from services.assays.log import read_facts
from services.settings import load_settings
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord

Assay = Callable[..., tuple[int, str]]
FLASK = "D1-F1"


def told(value: float | str = 51.5, flask: str = FLASK, *words: object) -> list[object]:
    return ["--flask", flask, "--biomarker", "IDO", "--value", value, "--by", "A. Keller", *words]


def facts(state: StateFolder) -> list[AssayResult]:
    return [fact for fact in read_facts(state.assays) if isinstance(fact, AssayResult)]


def listed(assay: Assay, *words: object) -> list[dict[str, object]]:
    code, said = assay("list", "--json", *words)
    assert code == 0, said
    found: list[dict[str, object]] = json.loads(said)["results"]
    return found


def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_result_is_linked_to_the_frames_and_the_models_that_foretold_it(
    assay: Assay, state: StateFolder, model: Path
) -> None:
    code, said = assay("add", *told(51.5, FLASK, "--units", "pg/mL", "--comment", "plate 7"))
    assert code == 0, said
    assert "D1-F1 IDO: measured 51.5 pg/mL, estimated" in said
    assert "1 recorded, 0 there already" in said
    (fact,) = facts(state)
    with SqliteRecord(state.record, readonly=True) as record:
        last = record.estimates(FLASK)[-1]
    opened = load_model(model, rehearse=False)
    assert (fact.link.low, fact.link.estimate, fact.link.high) == (
        last.rolling.low, last.rolling.potency, last.rolling.high,
    )  # fmt: skip
    assert len(fact.link.frames) == last.rolling.n_frames == 4
    assert fact.link.as_of == last.frame_id
    assert fact.at == last.acquired_at
    assert fact.link.provenance == last.provenance
    assert fact.link.provenance.potency_model == opened.digest
    assert fact.link.provenance.calibration == opened.calibration_digest
    assert (fact.by, fact.comment, fact.unit, fact.whole) == ("A. Keller", "plate 7", "pg/mL", True)


def test_frames_of_too_few_fields_foretell_nothing(assay: Assay, state: StateFolder) -> None:
    settings = load_settings(state.root / "settings.json")
    culture = settings.culture.model_copy(update={"min_fields": 2})
    (state.root / "settings.json").write_text(settings.model_copy(update={"culture": culture}).model_dump_json())
    code, said = assay("add", *told())
    assert code == 0 and "not assessable (too_few_fields)" in said, said
    (fact,) = facts(state)
    assert (fact.link.frames, fact.link.low, fact.inside) == ((), None, None)


def test_a_time_chooses_the_frames_up_to_it(assay: Assay, state: StateFolder) -> None:
    assert assay("add", *told(50.0, FLASK, "--at", seen_at(1)))[0] == 0
    assert assay("add", *told(52.0, FLASK, "--at", "2026-03-10T13:40+01:00"))[0] == 0
    early, later = facts(state)
    assert [len(early.link.frames), len(later.link.frames)] == [2, 3]
    assert early.link.frames == later.link.frames[:2]
    assert later.at.isoformat() == "2026-03-10T12:40:00+00:00"


def test_a_result_that_is_told_twice_counts_once(assay: Assay, state: StateFolder) -> None:
    assert assay("add", *told())[0] == 0
    code, said = assay("add", *told("51.50", FLASK, "--by", "Somebody else"))
    assert code == 0
    assert "(recorded already)" in said
    assert "0 recorded, 1 there already" in said
    assert len(facts(state)) == 1


def test_a_time_that_is_written_in_another_zone_is_the_same_time(assay: Assay, state: StateFolder) -> None:
    assay("add", *told(51.5, FLASK, "--at", "2026-03-10T12:40Z"))
    assert "0 recorded, 1 there already" in assay("add", *told(51.5, FLASK, "--at", "2026-03-10T14:40+02:00"))[1]
    assert len(facts(state)) == 1


def test_a_result_that_is_told_again_with_its_time_is_not_a_second_one(assay: Assay, state: StateFolder) -> None:
    assay("add", *told(51.5))
    code, said = assay("add", *told(51.5, FLASK, "--at", "2026-03-10T12:40Z"))
    assert code == 2
    assert "is recorded as 51.5 already, without a time" in said
    (fact,) = facts(state)
    assert f"assay withdraw {fact.result_id[:12]}" in said
    assert assay("withdraw", fact.result_id[:12], "--reason", "now with its time")[0] == 0
    assert assay("add", *told(51.5, FLASK, "--at", "2026-03-10T12:40Z"))[0] == 0
    code, said = assay("add", *told(51.5, FLASK, "--correct", "again"))
    assert code == 2
    assert "already, of 2026-03-10T12:40Z" in said
    assert [row["at"] for row in listed(assay)] == ["2026-03-10T12:40:00Z"]


def test_a_second_value_is_refused_until_it_is_called_a_correction(assay: Assay, state: StateFolder) -> None:
    assay("add", *told(51.5))
    code, said = assay("add", *told(12.3))
    assert code == 2
    assert "recorded as 51.5 pg/mL by A. Keller" in said
    assert "average replicates" in said
    assert "--correct REASON" in said
    code, said = assay("add", *told(12.3, FLASK, "--correct", "dilution was wrong"))
    assert code == 0
    assert "(in place of 51.5)" in said
    first, second = facts(state)
    assert second.supersedes == first.result_id
    assert (second.reason, second.link) == ("dilution was wrong", first.link)
    assert [row["value"] for row in listed(assay)] == [12.3]
    assert [(row["value"], row["state"]) for row in listed(assay, "--all")] == [(51.5, "corrected"), (12.3, "counts")]
    # the old value told again, as by the same file once more, changes nothing
    code, said = assay("add", *told(51.5))
    assert code == 0
    assert "51.5 was corrected by A. Keller: dilution was wrong" in said
    assert len(facts(state)) == 2


def test_a_correction_may_be_taken_back(assay: Assay, state: StateFolder) -> None:
    for value, why in ((51.5, "-"), (12.3, "dilution"), (51.5, "it was right")):
        assert assay("add", *told(value, FLASK, "--correct", why))[0] == 0
    assert [row["value"] for row in listed(assay)] == [51.5]
    assert len(facts(state)) == 3


def test_a_withdrawn_result_stays_in_the_record_and_counts_no_longer(assay: Assay, state: StateFolder) -> None:
    assay("add", *told())
    (fact,) = facts(state)
    code, said = assay("withdraw", fact.result_id[:10], "--reason", "wrong flask", "--by", "B. Novak")
    assert code == 0, said
    assert listed(assay) == []
    (row,) = listed(assay, "--all")
    assert row["state"] == "withdrawn"
    assert "withdrawn" in assay("list", "--all")[1]
    assert "by B. Novak: wrong flask" in assay("list", "--all")[1]
    assert "was withdrawn before" in assay("withdraw", fact.result_id[:10], "--reason", "x", "--by", "B")[1]
    code, said = assay("add", *told())
    assert code == 0
    assert "was withdrawn by B. Novak: wrong flask; --correct records it again" in said
    assert assay("add", *told(51.5, FLASK, "--correct", "it was the right flask"))[0] == 0
    assert [row["value"] for row in listed(assay)] == [51.5]
    for words, what in (
        (("ffffffffffff",), "no result begins with"),
        (("",), "results begin with"),
        ((fact.result_id,), "corrected already"),
    ):
        code, said = assay("withdraw", *words, "--reason", "x", "--by", "B")
        assert code == 2
        assert what in said


def test_an_estimate_that_abstained_is_listed_and_said(assay: Assay, state: StateFolder) -> None:
    code, said = assay("add", *told(50.0, "D0-F0"))
    assert code == 0
    assert "not assessable (out_of_focus), so there is no estimate" in said
    (fact,) = facts(state)
    assert (fact.link.frames, fact.link.estimate, fact.inside) == ((), None, None)
    assert "not assessable (out_of_focus)" in assay("list")[1]


@pytest.mark.parametrize(
    ("words", "what", "mend"),
    [
        (told(51.5, "D1-F9"), "no frame of a flask 'D1-F9'", "did you mean 'D1-F"),
        (told(51.5, "elsewhere"), "no frame of a flask 'elsewhere'", "it has D0-F0"),
        (told("nan"), "'nan' is no measured value", "write a number with a point"),
        (told("inf"), "'inf' is no measured value", "leave a result out"),
        (told("12,3"), "'12,3' is no measured value", "write a number with a point"),
        (told("<7.8"), "'<7.8' is no measured value", "beyond the limits of quantification"),
        (told(51.5, FLASK, "--units", "ng/mL"), "told in ng/mL, the model gives it in pg/mL", "convert the value"),
        (told(51.5, FLASK, "--at", "2026-03-10T11:59Z"), "from before it", "correct the time (--at)"),
        (told(51.5, FLASK, "--at", "2026-03-12T12:00Z"), "47 h older", "--within"),
        (told(51.5, FLASK, "--at", "2026-03-10T12:00"), "does not say its time zone", "2026-03-10T12:00Z for UTC"),
        (told(51.5, FLASK, "--at", "yesterday"), "is no time", "write it as 2026-03-10T12:00Z"),
        (told(51.5, FLASK, "--correct", " "), "needs the reason", "--correct 'dilution was wrong'"),
        (["--flask", FLASK, "--biomarker", "ido", "--value", 1], "no biomarker 'ido'", "did you mean 'IDO'"),
        (["--flask", FLASK, "--biomarker", "PGE2", "--value", 1], "no biomarker 'PGE2', it has IDO", ""),
        (["--flask", FLASK, "--value", 1], "--biomarker", "--from"),
    ],
)
def test_a_mistake_is_told_with_its_mend_and_records_nothing(
    assay: Assay, state: StateFolder, words: list[object], what: str, mend: str
) -> None:
    code, said = assay("add", *words)
    assert code == 2, said
    plain = " ".join(said.replace("│", " ").split())
    assert what in plain
    assert mend in plain
    assert facts(state) == []


def test_a_folder_without_a_run_says_so(tmp_path: Path) -> None:
    for word, words in (("add", told()), ("list", []), ("report", []), ("withdraw", ["x", "--reason", "y"])):
        code, said = command_line("assay", word, *words, "--state", tmp_path / "nothing")
        assert (code, "holds no run" in said) == (2, True), said


def test_units_are_compared_as_people_write_them(assay: Assay) -> None:
    assert assay("add", *told(51.5, FLASK, "--units", "pg / ml"))[0] == 0


def test_a_file_is_recorded_whole_and_once(assay: Assay, state: StateFolder, tmp_path: Path, later: Flasks) -> None:
    file = write_assays(tmp_path / "assays.csv", later)
    code, said = assay("add", "--from", file, "--biomarker", "IDO", "--by", "A. Keller")
    assert code == 0, said
    assert "30 recorded, 0 there already" in said
    assert "0 recorded, 30 there already" in assay("add", "--from", file, "--biomarker", "IDO")[1]
    found = facts(state)
    assert {fact.flask for fact in found} == set(later.biomarkers)
    assert {fact.source for fact in found} == {f"assays.csv sha256 {digest_of(file)}"}


def test_a_mistake_in_a_file_names_its_row_and_records_nothing(
    assay: Assay, state: StateFolder, tmp_path: Path, later: Flasks
) -> None:
    file = write_assays(tmp_path / "assays.csv", later)
    whole = file.read_text(encoding="utf-8")
    for change, where, what in (
        (("D3-F2", "D9-F9"), "row 19", "no frame of a flask 'D9-F9'"),
        (("IDO (pg/mL)", "IDO (ng/mL)"), "row 2", "convert the value"),
        (("D0-F1,", "D0-F1,nan_"), "row 3, column IDO (pg/mL)", "is no measured value"),
    ):
        file.write_text(whole.replace(*change), encoding="utf-8")
        code, said = assay("add", "--from", file, "--biomarker", "IDO")
        assert code == 2
        assert f"{file} {where}" in said
        assert what in said
        assert facts(state) == []


def test_what_is_unknown_here_is_left_aside_when_asked(
    assay: Assay, state: StateFolder, tmp_path: Path, later: Flasks
) -> None:
    file = write_assays(tmp_path / "assays.csv", later)
    file.write_text(file.read_text(encoding="utf-8").replace("D3-F2", "D9-F9"), encoding="utf-8")
    code, said = assay("add", "--from", file)
    assert (code, "--skip-unknown" in said) == (2, True)
    code, said = assay("add", "--from", file, "--skip-unknown")
    assert code == 0, said
    assert "left aside: 29 results of biomarker PGE2, unknown here" in said
    assert "left aside: 2 results of flask D9-F9, unknown here" in said
    assert len(facts(state)) == 29


def test_a_long_file_says_who_when_and_what_for_itself(assay: Assay, state: StateFolder, tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    file.write_text(
        "flask;biomarker;value;unit;at;by;comment\n"
        f"D1-F1;IDO;51.5;pg/mL;{seen_at(2)};C. Ruiz;plate 7\n"
        f"D1-F1;IDO;53.5;pg/mL;{seen_at(3)};;\n"
        "D1-F2;IDO;;pg/mL;;;\n",
        encoding="utf-8",
    )
    assert assay("add", "--from", file, "--by", "A. Keller", "--comment", "spring")[0] == 0
    first, second = facts(state)
    assert (first.by, first.comment, first.whole) == ("C. Ruiz", "plate 7", False)
    assert (second.by, second.comment, len(second.link.frames)) == ("A. Keller", "spring", 4)


def test_contradictions_within_a_file_are_refused(assay: Assay, state: StateFolder, tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    file.write_text("flask,biomarker,value\nD1-F1,IDO,51\nD1-F1,IDO,52\n", encoding="utf-8")
    code, said = assay("add", "--from", file)
    assert code == 2
    assert "row 3: IDO of flask 'D1-F1'" in said
    assert facts(state) == []


def test_other_biomarkers_than_the_shown_one_are_foretold_from_the_stored_features(
    tmp_path: Path, index_model: Path, later: Flasks
) -> None:
    state = record_flasks(tmp_path / "state", index_model, later)
    words = ("--flask", FLASK, "--value", "50", "--state", state.root, "--model", index_model)
    for name in ("IDO", "PGE2", "potency_index"):
        code, said = command_line("assay", "add", "--biomarker", name, *words)
        assert code == 0, said
    ido, pge2, index = facts(state)
    assert (ido.link.replayed, pge2.link.replayed, index.link.replayed) == (True, True, False)
    assert ido.link.frames == index.link.frames
    assert ido.unit == "pg/mL"
    rows = later.rows[later.flask == FLASK]
    answers = load_model(index_model, rehearse=False).answers(rows)["IDO"]
    assert ido.link.low == pytest.approx(answers[:, 0].mean())
    assert ido.link.high == pytest.approx(answers[:, 2].mean())


def test_frames_of_a_model_that_is_not_configured_ask_for_it(tmp_path: Path, model: Path, later: Flasks) -> None:
    state = record_flasks(tmp_path / "state", model, later)
    code, said = command_line("assay", "add", *told(), "--state", state.root)
    assert code == 2
    assert "name its folder with --model" in said
    assert command_line("assay", "add", *told(), "--state", state.root, "--model", model)[0] == 0


def test_a_configured_model_that_was_altered_is_named(
    assay: Assay, state: StateFolder, tmp_path: Path, model: Path
) -> None:
    altered = Path(shutil.copytree(model, tmp_path / "altered"))
    (altered / "card.json").write_text("{}", encoding="utf-8")
    (state.root / "settings.json").write_text(f'{{"predictor": {{"model": "{altered}"}}}}', encoding="utf-8")
    code, said = assay("add", *told())
    assert code == 2
    assert "name its folder with --model" in said
    assert "card.json is not the file that the model was released with" in said


def test_frames_that_were_judged_by_another_model_are_no_part_of_the_estimate(
    tmp_path: Path, model: Path, index_model: Path, later: Flasks
) -> None:
    """The model was changed while the flask was watched: two frames each."""
    one = simulated_flasks(donors=1, flasks=1, frames=4, seed=9)
    state = record_flasks(tmp_path / "state", index_model, one)
    with SqliteRecord(state.record, readonly=True) as record:
        rows = record.frame_rows()
    newer = load_model(model, rehearse=False)
    mixed = StateFolder(tmp_path / "mixed")
    mixed.create()
    with SqliteRecord(mixed.record) as record, record.flask("D0-F0") as transaction:
        for number, row in enumerate(rows):
            changed = row.provenance.model_copy(update={"potency_model": newer.digest})
            transaction.add(row if number < 2 else row.model_copy(update={"provenance": changed}))
    code, said = command_line("assay", "add", *told(50, "D0-F0"), "--state", mixed.root, "--model", model)
    assert code == 0, said
    (fact,) = facts(mixed)
    assert fact.link.frames == tuple(row.frame_id for row in rows[2:])


def test_where_the_model_has_no_unit_the_first_one_told_stands(tmp_path: Path, model: Path, later: Flasks) -> None:
    plain = Path(shutil.copytree(model, tmp_path / "plain"))
    text = (plain / "model.json").read_text(encoding="utf-8")
    (plain / "model.json").write_text(text.replace('"pg/mL"', '""'), encoding="utf-8")
    write_manifest(plain)
    state = record_flasks(tmp_path / "state", plain, later)

    def add(flask: str, units: str) -> tuple[int, str]:
        words = ("--units", units, "--state", state.root, "--model", plain)
        return command_line("assay", "add", *told(50.0, flask), *words)

    assert add("D1-F1", "pg/mL")[0] == 0
    code, said = add("D1-F2", "ng/mL")
    assert code == 2
    assert "told in ng/mL, flask 'D1-F1' has it in pg/mL; convert the value" in said
    assert add("D1-F2", "pg/ml")[0] == 0


def test_results_change_neither_rows_nor_alarms(assay: Assay, state: StateFolder) -> None:
    with SqliteRecord(state.record, readonly=True) as record:
        before = (record.frame_rows(), record.estimates(), record.alarms(), record.drifts())
    digest = digest_of(state.record)
    assay("add", *told(5000.0))
    with SqliteRecord(state.record, readonly=True) as record:
        assert (record.frame_rows(), record.estimates(), record.alarms(), record.drifts()) == before
    assert digest_of(state.record) == digest


def test_nothing_recorded_is_said(assay: Assay) -> None:
    assert "no results are recorded here" in assay("list")[1]
    assert "no results are recorded here" in assay("report")[1]
