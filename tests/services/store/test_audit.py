import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cases.culture_rows import frame_row, operator_row
from cases.folded_state import folded

from monitor.culture.rows import CultureRow
from monitor.messages import OperatorAction
from services.doctor.alarms import check_audit
from services.doctor.check import Level
from services.settings import Settings
from services.state_folder import StateFolder
from services.store.audit import AuditLine, broken_at
from services.store.record_sqlite import SqliteRecord

FALL: list[CultureRow] = [
    *(frame_row(number) for number in range(20)),
    *(frame_row(number, 60.0) for number in range(20, 30)),
    operator_row(OperatorAction.ACKNOWLEDGE, 29.5),
]


def lines_of(state: StateFolder) -> list[AuditLine]:
    with SqliteRecord(state.record, readonly=True) as record:
        return list(record.audit_lines())


def told(lines: list[AuditLine]) -> list[tuple[str, str]]:
    return [(line.entry.kind, str(getattr(line.entry.what, "after", line.entry.what.by))) for line in lines]


def test_every_change_of_an_alarm_stands_in_the_log_with_who_when_and_why(tmp_path: Path) -> None:
    lines = lines_of(folded(tmp_path, FALL))
    assert told(lines) == [("moved", "unacknowledged"), ("acted", "anna"), ("moved", "acknowledged")]
    moved = lines[2].entry.what
    assert (moved.by, moved.at, moved.channel) == ("anna", FALL[-1].at, "potency")
    assert getattr(moved, "why", "") == "acknowledged by anna: on my way"
    assert broken_at(lines) is None


def test_a_frame_that_comes_late_and_changes_the_history_is_told_and_nothing_is_taken_back(tmp_path: Path) -> None:
    late = frame_row(20, 60.0)
    without = [row for row in FALL[:24] if row.row_id != late.row_id]
    lines = lines_of(folded(tmp_path, [*without, *FALL[24:30], late]))
    kinds = [line.entry.kind for line in lines]
    assert kinds.count("withdrawn") == 1
    assert kinds[0] == "moved" and kinds[-1] == "moved"
    assert broken_at(lines) is None


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_order_of_delivery_the_log_ends_with_the_one_history(tmp_path: Path, seed: int) -> None:
    straight, mixed = folded(tmp_path / "straight", FALL), folded(tmp_path / "mixed", FALL, seed=seed)
    with SqliteRecord(straight.record) as one, SqliteRecord(mixed.record) as other:
        assert one.standings() == other.standings()
        written = ["\n".join(a.model_dump_json() for a in record.alarms()) for record in (one, other)]
    assert written[0] == written[1]
    stand = {}
    for line in lines_of(mixed):
        if line.entry.kind != "acted":
            stand[getattr(line.entry.what, "transition_id", "")] = line.entry.kind
    expected = {getattr(line.entry.what, "transition_id", "") for line in lines_of(straight)} - {""}
    assert {identity for identity, kind in stand.items() if kind == "moved"} == expected


@pytest.mark.parametrize("command", ["UPDATE audit SET fact = '{}' WHERE number = 2", "DELETE FROM audit"])
def test_a_line_cannot_be_changed_or_removed(tmp_path: Path, command: str) -> None:
    state = folded(tmp_path, FALL)
    connection = sqlite3.connect(state.record)
    with pytest.raises(sqlite3.IntegrityError, match="only grows"):
        connection.execute(command)
    connection.close()
    assert len(lines_of(state)) == 3


@pytest.mark.parametrize(
    "command",
    [
        "UPDATE audit SET fact = replace(fact, 'anna', 'nobody') WHERE number = 2",
        "DELETE FROM audit WHERE number = 2",
        "UPDATE audit SET hash = 'x' WHERE number = 2",
    ],
)
def test_a_line_that_was_changed_all_the_same_shows_in_the_doctors_report(tmp_path: Path, command: str) -> None:
    state = folded(tmp_path, FALL)
    settings = Settings(state=tmp_path)
    (sound,) = check_audit(settings)
    assert (sound.level, sound.what[:7]) == (Level.OK, "3 lines")
    connection = sqlite3.connect(state.record)
    connection.executescript(f"DROP TRIGGER audit_is_kept; DROP TRIGGER audit_is_final; {command};")
    connection.close()
    assert broken_at(lines_of(state)) == 2
    (found,) = check_audit(settings)
    assert found.level is Level.PROBLEM
    assert "line 2" in found.what


def test_a_state_folder_without_a_log_has_nothing_to_check(tmp_path: Path) -> None:
    assert list(check_audit(Settings(state=tmp_path / "none"))) == []
    sqlite3.connect(tmp_path / "record.sqlite3").close()
    assert list(check_audit(Settings(state=tmp_path))) == []


def test_what_is_rolled_back_leaves_no_line(tmp_path: Path) -> None:
    state = folded(tmp_path, FALL[:10])
    acted = FALL[-1]
    assert acted.kind == "operator"
    with SqliteRecord(state.record) as record, pytest.raises(RuntimeError), record.flask("A1") as transaction:
        transaction.audit_action(acted.acted)
        raise RuntimeError
    assert lines_of(state) == []


def test_predictors_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    folded(tmp_path, FALL[:1])
    acted = FALL[-1]
    assert acted.kind == "operator"

    def write(flask: str) -> None:
        with SqliteRecord(tmp_path / "record.sqlite3") as record:
            for _ in range(20):
                with record.flask(flask) as transaction:
                    transaction.audit_action(acted.acted)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, ("A1", "B2", "C3", "D4")))
    lines = lines_of(StateFolder(tmp_path))
    assert len(lines) == 80
    assert broken_at(lines) is None
