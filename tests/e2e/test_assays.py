"""Results that are added to a state folder by processes of their own, also while it is in use and while they die."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cases.installation import Installation
from cases.recorded_flasks import make_model, record_flasks
from cases.simulated_flasks import simulated_flasks, write_assays
from cases.small_frames import write_small_frame

from services.assays.log import read_facts
from services.store.record_sqlite import SqliteRecord

FLASKS = simulated_flasks(donors=8, flasks=5, frames=4, seed=9)


def assay(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "services.main", "assay", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(process: subprocess.Popen[str]) -> str:
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return said


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A state folder and a file of results for it."""
    folder = tmp_path_factory.mktemp("assays")
    model = make_model(folder / "model")
    state = record_flasks(folder / "state", model, FLASKS).root
    (state / "settings.json").write_text(f'{{"predictor": {{"model": "{model}"}}}}', encoding="utf-8")
    return state, write_assays(folder / "assays.csv", FLASKS)


def flasks_of(state: Path) -> list[str]:
    return sorted(fact.flask for fact in read_facts(state / "assays.sqlite3") if fact.kind == "result")


@pytest.mark.slow
def test_two_processes_at_once_record_every_result_once(recorded: tuple[Path, Path]) -> None:
    state, file = recorded
    (state / "assays.sqlite3").unlink(missing_ok=True)
    words = ("add", "--from", file, "--biomarker", "IDO", "--state", state)
    both = [assay(*words), assay(*words)]
    said = [done(process) for process in both]
    assert sorted("40 recorded, 0 there already" in text for text in said) == [False, True]
    assert sorted("0 recorded, 40 there already" in text for text in said) == [False, True]
    assert "0 recorded, 40 there already" in done(assay(*words))
    assert flasks_of(state) == sorted(FLASKS.biomarkers)


@pytest.mark.slow
def test_kills_at_any_moment_lose_and_double_nothing(recorded: tuple[Path, Path]) -> None:
    """A process is killed again and again while it writes; what it said is there, and the rest follows once."""
    state, file = recorded
    log = state / "assays.sqlite3"
    log.unlink(missing_ok=True)
    seed = random.Random(3)
    told, kills = 0, 0
    for name, values in FLASKS.biomarkers.items():
        words = ("add", "--flask", name, "--biomarker", "IDO", "--value", f"{values['IDO']:.4g}", "--state", state)
        process = assay(*words)
        time.sleep(seed.uniform(0.0, 1.6))
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate(timeout=60)
        kills += process.returncode == -signal.SIGKILL
        if "1 recorded" in said:
            told += 1
            assert name in flasks_of(state)
    assert kills >= 5
    before = flasks_of(state)
    assert len(before) == len(set(before)) >= told
    said = done(assay("add", "--from", file, "--biomarker", "IDO", "--state", state))
    assert f"{40 - len(before)} recorded, {len(before)} there already" in said
    assert flasks_of(state) == sorted(FLASKS.biomarkers)
    assert f"{40 - len(before)} recorded" not in done(
        assay("add", "--from", file, "--biomarker", "IDO", "--state", state)
    )


@pytest.mark.slow
def test_frames_that_went_through_the_real_chain_are_linked_while_it_runs(tmp_path: Path) -> None:
    installation = Installation(tmp_path, culture={"min_cells": 1})
    state = installation.state.root
    with installation.running():
        for time_index in range(6):
            for flask in ("A1", "B2"):
                write_small_frame(installation.watch, flask, "p1", time_index)
        _wait_for(installation, 12)
        for flask, value in (("A1", 80.0), ("B2", 95.0), ("A1", 80.0)):
            done(assay("add", "--flask", flask, "--biomarker", "potency", "--value", value, "--state", state))
        with SqliteRecord(installation.state.record, readonly=True) as record:
            before = (record.alarms(), record.estimates())
        done(assay("report", "--state", state, "--json", tmp_path / "report.json", "--plot", tmp_path / "report.png"))
    with SqliteRecord(installation.state.record, readonly=True) as record:
        assert (record.alarms(), record.estimates()) == before
    facts = {fact.flask: fact for fact in read_facts(state / "assays.sqlite3") if fact.kind == "result"}
    assert set(facts) == {"A1", "B2"}
    assert any(fact.link.estimate is not None for fact in facts.values())
    for flask, fact in facts.items():
        own = [estimate for estimate in before[1] if estimate.key.flask == flask]
        assert fact.link.as_of == own[-1].frame_id
        assert fact.link.provenance == own[-1].provenance
        assert fact.link.estimate == own[-1].rolling.potency
        assert (fact.link.low, fact.link.high) == (own[-1].rolling.low, own[-1].rolling.high)
        assert set(fact.link.frames) <= {estimate.frame_id for estimate in own}
        assert len(fact.link.frames) == own[-1].rolling.n_frames
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert "simulated cultures" in report["warning"]
    assert report["biomarkers"]["potency"]["whole"]["verdict"] == "too few to judge"
    assert (tmp_path / "report.png").stat().st_size > 5000


def _wait_for(installation: Installation, frames: int) -> None:
    until = time.monotonic() + 180.0
    while not installation.state.record.is_file() or len(installation.estimates()) < frames:
        assert time.monotonic() < until, "the frames did not get through"
        time.sleep(0.2)
