"""The stored history again: the same bytes under the same settings, and what would have alarmed under others."""

import json
import random
from pathlib import Path

import pytest
from cases.culture_rows import frame_row, operator_row, silence_row
from cases.folded_state import folded

from monitor.culture.rows import CultureRow
from monitor.errors import SettingsError
from monitor.messages import Channel, OperatorAction
from services.alarms.rerun import log_of, replay_rows
from services.store.record_sqlite import SqliteRecord

ROWS: list[CultureRow] = [
    *(frame_row(number, 100.0 + 3.0 * (number % 3)) for number in range(20)),
    *(frame_row(number, 80.0) for number in range(20, 40)),
    operator_row(OperatorAction.ACKNOWLEDGE, 33.5),
    *(frame_row(number, 55.0) for number in range(40, 50)),
    *(frame_row(number, flask="B2") for number in range(20)),
    *(frame_row(number, flask="B2", focus=0.3) for number in range(20, 24)),
    operator_row(OperatorAction.SHELVE, 22.5, Channel.OPTICS, until=30.0, flask="B2"),
    silence_row(23, 27.0, flask="B2"),
]


def settings(folder: Path, text: str) -> Path:
    file = folder / "other.yaml"
    file.write_text(text)
    return file


def difference(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_came_shuffled_and_doubled_give_the_stored_log_byte_for_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    rows = [*ROWS, *random.Random(seed).sample(ROWS, 15)]
    state = folded(tmp_path / "state", rows, seed=seed)
    assert replay_rows(state.root, None, None, tmp_path / "log.jsonl", as_json=True) == 0
    found = difference(capsys)
    assert found["identical"] is True
    assert (found["rows"], found["gone"], found["new"], found["moved"]) == (len(ROWS), [], [], [])
    straight = folded(tmp_path / "straight", ROWS)
    with SqliteRecord(straight.record, readonly=True) as record:
        assert (tmp_path / "log.jsonl").read_text() == log_of(record.alarms())
    assert (tmp_path / "log.jsonl").read_text().count("\n") >= 6


def test_a_budget_that_bears_more_false_alarms_would_have_told_sooner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = folded(tmp_path / "state", ROWS)
    other = settings(
        tmp_path, "culture: {baseline_frames: 8, window_frames: 6, false_alarms: {alarms: 50.0}, raise_after_frames: 9}"
    )
    assert replay_rows(state.root, other, None, None, as_json=True) == 0
    found = difference(capsys)
    assert found["identical"] is False
    (moved,) = [one for one in found["moved"] if one["channel"] == "potency"][:1]  # type: ignore[attr-defined]
    assert moved["hours"] < 0.0
    assert [(one["flask"], one["channel"]) for one in found["gone"]] == [("B2", "optics")]  # type: ignore[attr-defined]
    assert replay_rows(state.root, other, None, None, as_json=False) == 0
    printed = capsys.readouterr().out
    assert "h sooner" in printed and "B2 optics" in printed and "would not have come" in printed
    assert "is another one" in printed


def test_one_flask_can_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = folded(tmp_path / "state", ROWS)
    assert replay_rows(state.root, None, "B2", None, as_json=True) == 0
    found = difference(capsys)
    assert (found["flasks"], found["identical"]) == (1, True)


def test_a_log_that_was_changed_by_hand_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = folded(tmp_path / "state", ROWS)
    with SqliteRecord(state.record) as record, record.flask("A1") as flask:
        flask.withdraw_alarms_except(set())
    assert replay_rows(state.root, None, None, None, as_json=True) == 1
    found = difference(capsys)
    assert {one["flask"] for one in found["new"]} == {"A1"}  # type: ignore[attr-defined]


def test_settings_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    state = folded(tmp_path / "state", ROWS)
    with pytest.raises(SettingsError, match="raise_after"):
        replay_rows(state.root, settings(tmp_path, "culture: {raise_after: 3}"), None, None, as_json=False)
