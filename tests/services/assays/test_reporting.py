"""`cellvigil assay report`: what the results bear and no more, in words, for programs, and as a picture."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases.command_line import command_line
from cases.recorded_flasks import record_flasks
from cases.simulated_flasks import Flasks, simulated_flasks, write_assays
from PIL import Image
from scipy.stats import binomtest

from monitor.potency.model import DEMO, load_model
from services.assays.log import read_facts
from services.assays.picture import BLOCK_PX, WIDTH_PX
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord

Assay = Callable[..., tuple[int, str]]


def moved(flasks: Flasks, by: float, few: int | None = None) -> Flasks:
    """Return flasks whose IDO was found so much higher; with `few`, only the first results."""
    found = {name: {**values, "IDO": values["IDO"] + by} for name, values in flasks.biomarkers.items()}
    return Flasks(flasks.rows, flasks.donor, flasks.flask, flasks.hours, dict(list(found.items())[:few]))


def pixels_of(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def add(assay: Assay, folder: Path, flasks: Flasks) -> None:
    file = write_assays(folder / "assays.csv", flasks)
    code, said = assay("add", "--from", file, "--biomarker", "IDO")
    assert code == 0, said


def report(assay: Assay, folder: Path, *words: object) -> tuple[dict[str, object], str]:
    code, said = assay("report", "--json", folder / "report.json", *words)
    assert code == 0, said
    whole: dict[str, object] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return whole, said


def test_the_report_holds_estimates_against_results(
    assay: Assay, state: StateFolder, tmp_path: Path, later: Flasks
) -> None:
    add(assay, tmp_path, later)
    whole, said = report(assay, tmp_path)
    ido = whole["biomarkers"]["IDO"]  # type: ignore[index]
    facts = read_facts(state.assays)
    scored = [fact for fact in facts if fact.kind == "result" and fact.link.estimate is not None]
    inside = sum(bool(fact.inside) for fact in scored)
    assert (ido["results"], ido["not_assessable"]) == (30, 30 - len(scored))
    assert ido["not_assessable"] >= 1
    assert (ido["whole"]["results"], ido["whole"]["inside"]) == (len(scored), inside)
    exact = binomtest(inside, len(scored)).proportion_ci(0.95, method="exact")
    assert ido["whole"]["coverage_range"] == pytest.approx([exact.low, exact.high])
    errors = np.array([fact.link.estimate - fact.value for fact in scored])
    assert ido["whole"]["bias"] == pytest.approx(errors.mean())
    assert len(ido["rolling"]) == len(scored)
    assert ido["rolling"][-1]["coverage"] == pytest.approx(ido["last"]["coverage"])
    assert len(whole["heads"][0]) == 64  # type: ignore[index]
    assert f"of nominal 90%: {ido['whole']['verdict']}" in said
    assert "had no estimate (not assessable); they are listed and not scored" in said


def test_intervals_that_miss_are_called_too_narrow(assay: Assay, tmp_path: Path, later: Flasks) -> None:
    add(assay, tmp_path, moved(later, 20.0))
    whole, said = report(assay, tmp_path)
    ido = whole["biomarkers"]["IDO"]  # type: ignore[index]
    assert ido["whole"]["verdict"] == "too narrow"
    assert ido["whole"]["bias"] == pytest.approx(-20.0, abs=4.0)
    assert "too narrow" in said


def test_few_results_are_too_few_to_judge(assay: Assay, tmp_path: Path, later: Flasks) -> None:
    add(assay, tmp_path, moved(later, 0.0, few=9))
    whole, said = report(assay, tmp_path, "--plot", tmp_path / "report.png")
    ido = whole["biomarkers"]["IDO"]  # type: ignore[index]
    assert ido["whole"]["verdict"] == "too few to judge"
    assert {ido["whole"][name] for name in ("coverage", "bias", "rmse", "slope")} == {None}
    assert "too few to judge" in said
    assert "%" not in said
    assert pixels_of(tmp_path / "report.png").shape == (BLOCK_PX, WIDTH_PX, 3)


def test_the_picture_shows_results_inside_and_outside(assay: Assay, tmp_path: Path, later: Flasks) -> None:
    add(assay, tmp_path, moved(later, 8.0))
    report(assay, tmp_path, "--plot", tmp_path / "report.png")
    pixels = pixels_of(tmp_path / "report.png")
    for colour in ((40, 90, 160), (200, 80, 30)):
        near = (np.abs(pixels.astype(int) - colour).max(axis=2) < 12).sum()
        assert near > 300


def test_results_without_any_estimate_are_drawn_as_such(assay: Assay, tmp_path: Path) -> None:
    assert assay("add", "--flask", "D0-F0", "--biomarker", "IDO", "--value", 50)[0] == 0
    whole, said = report(assay, tmp_path, "--plot", tmp_path / "report.png")
    assert whole["biomarkers"]["IDO"]["not_assessable"] == 1  # type: ignore[index]
    assert "0 of 0 flasks inside: too few to judge" in said
    assert pixels_of(tmp_path / "report.png").shape == (BLOCK_PX, WIDTH_PX, 3)


def test_flasks_of_one_name_in_two_state_folders_are_two(
    assay: Assay, state: StateFolder, tmp_path: Path, model: Path, later: Flasks
) -> None:
    other = record_flasks(tmp_path / "other", model, simulated_flasks(donors=6, flasks=5, frames=3, seed=31))
    (other.root / "settings.json").write_text(f'{{"predictor": {{"model": "{model}"}}}}', encoding="utf-8")
    add(assay, tmp_path, later)
    file = tmp_path / "assays.csv"
    assert command_line("assay", "add", "--from", file, "--biomarker", "IDO", "--state", other.root)[0] == 0
    one, _ = report(assay, tmp_path)
    both, _ = report(assay, tmp_path, "--state", other.root)
    assert both["biomarkers"]["IDO"]["results"] == 60  # type: ignore[index]
    assert both["biomarkers"]["IDO"]["whole"]["flasks"] > one["biomarkers"]["IDO"]["whole"]["flasks"]  # type: ignore[index]
    again, _ = report(assay, tmp_path, "--state", state.root)
    assert again["biomarkers"]["IDO"]["results"] == 30  # type: ignore[index]


def test_a_report_that_cannot_be_written_says_so(assay: Assay, tmp_path: Path, later: Flasks) -> None:
    add(assay, tmp_path, later)
    for option in ("--json", "--plot"):
        code, said = assay("report", option, tmp_path / "no" / "such")
        assert (code, "choose another file" in said) == (2, True)


def test_the_demonstration_model_is_called_what_it_is(tmp_path: Path, later: Flasks, model: Path) -> None:
    demo = load_model(DEMO, rehearse=False)
    recorded = record_flasks(tmp_path / "there", model, later)
    with SqliteRecord(recorded.record, readonly=True) as record:
        row = record.frame_rows("D1-F1")[0]
    state = StateFolder(tmp_path / "demo")
    state.create()
    provenance = row.provenance.model_copy(update={"potency_model": demo.digest})
    with SqliteRecord(state.record) as record, record.flask("D1-F1") as transaction:
        transaction.add(row.model_copy(update={"provenance": provenance}))
    words = ("--flask", "D1-F1", "--biomarker", "potency", "--value", "80", "--state", state.root)
    assert "trained on simulated cultures" in command_line("assay", "add", *words)[1]
    json_file = tmp_path / "report.json"
    said = command_line("assay", "report", "--state", state.root, "--json", json_file)[1]
    assert "trained on simulated cultures" in said
    assert "trained on simulated cultures" in json.loads(json_file.read_text(encoding="utf-8"))["warning"]
