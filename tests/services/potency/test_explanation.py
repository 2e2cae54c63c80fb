"""`cellvigil explain` where it has nothing to explain: silent frames, and estimates of another model."""

import copy
from pathlib import Path

import pytest
from cases.command_line import command_line
from cases.recorded_flasks import make_model, record_flasks
from cases.simulated_flasks import simulated_flasks

from monitor.potency.model import DEMO, PotencyModel, load_model
from services.potency import explanation
from services.settings import Settings
from services.state_folder import StateFolder
from services.store.ledger import Ledger

FLASKS = simulated_flasks(donors=1, flasks=2, frames=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PotencyModel:
    return load_model(make_model(tmp_path_factory.mktemp("potency") / "model"), rehearse=False)


@pytest.fixture
def state(tmp_path: Path, model: PotencyModel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of a model that is not the configured one, its first flask out of focus."""
    folder = record_flasks(tmp_path / "state", model, FLASKS, bad=["D0-F0"])
    (folder.root / "settings.json").write_text(Settings().model_dump_json())
    monkeypatch.setattr(explanation, "load_live_model", lambda path: load_model(path, rehearse=False))
    return folder.root


def test_a_frame_that_cannot_be_assessed_gets_no_number(state: Path) -> None:
    code, said = command_line("explain", "--state", state, "--flask", "D0-F0")
    assert code == 1
    assert "not assessable (out_of_focus)" in said and "there is no estimate to explain" in said
    assert "potency by" not in said


def test_the_words_of_another_model_are_not_given(state: Path) -> None:
    code, said = command_line("explain", "--state", state, "--flask", "D0-F1")
    assert code == 2, said
    demo = load_model(DEMO, rehearse=False).digest[:12]
    assert f"the one that is configured now is {demo}" in said and "potency by" not in said


def test_a_picture_that_cannot_be_written_is_told_first(state: Path, tmp_path: Path) -> None:
    code, said = command_line("explain", "--state", state, "--out", tmp_path / "none" / "x.png")
    assert code == 2 and "cannot be written (No such folder)" in said


def test_status_says_whose_estimates_they_are(tmp_path: Path, state: Path, model: PotencyModel) -> None:
    """The demonstration model judges by other features than these flasks have: here it lends its digest."""
    lent = copy.copy(model)
    lent.digest = load_model(DEMO, rehearse=False).digest
    shown = record_flasks(tmp_path / "demo", lent, FLASKS).root
    for root in (shown, state):
        Ledger(StateFolder(root).ledger).close()
    sentence = "the demonstration model made these estimates: it was trained on simulated cultures"
    assert sentence in command_line("status", "--state", shown)[1]
    assert sentence not in command_line("status", "--state", state)[1]
