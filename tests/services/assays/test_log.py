"""The record of later results: rows are added and stay, once each, and what was altered is found."""

import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cases.sample_messages import ESTIMATED, NOON, digest

from monitor.errors import BackPressure, SettingsError
from monitor.messages import EstimateState
from services.assays.facts import AssayResult, AssayWithdrawn, Link, ModelRecalibrated, result_id_of
from services.assays.log import AssayLog, read_facts
from services.assays.standing import Courses


def result(number: int, value: float = 12.5, supersedes: str | None = None) -> AssayResult:
    subject = (f"F{number}", "IDO", "")
    link = Link(
        state=EstimateState.OK,
        frames=(digest(f"F{number}/0"),),
        as_of=digest(f"F{number}/0"),
        as_of_at=NOON,
        low=10.0,
        estimate=12.0,
        high=15.0,
        nominal=0.9,
        replayed=False,
        provenance=ESTIMATED.provenance,
    )
    return AssayResult(
        result_id=result_id_of(subject, value, supersedes),
        flask=subject[0],
        biomarker="IDO",
        value=value,
        unit="pg/mL",
        at=NOON + timedelta(minutes=number),
        whole=True,
        link=link,
        by="A. Keller",
        recorded_at=NOON,
        supersedes=supersedes,
        reason="" if supersedes is None else "dilution",
    )


def withdrawal(of: AssayResult) -> AssayWithdrawn:
    return AssayWithdrawn(withdraws=of.result_id, by="A. Keller", recorded_at=NOON, reason="wrong flask")


RENEWED = ModelRecalibrated(
    model=digest("new"), parent=digest("old"), biomarkers=("IDO",), by="B", recorded_at=NOON, reason="kit"
)


def add(path: Path, *facts: AssayResult | AssayWithdrawn | ModelRecalibrated) -> list[bool]:
    with AssayLog(path) as log, log.writing() as writing:
        return [writing.add(fact) for fact in facts]


def test_rows_come_back_as_they_were_added_once_each(tmp_path: Path) -> None:
    path = tmp_path / "assays.sqlite3"
    assert read_facts(path) == []
    assert add(path, result(1), result(2), result(1)) == [True, True, False]
    assert add(path, result(2), withdrawal(result(2)), RENEWED) == [False, True, True]
    assert read_facts(path) == [result(1), result(2), withdrawal(result(2)), RENEWED]


def test_a_transaction_that_fails_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "assays.sqlite3"
    add(path, result(1))
    with pytest.raises(RuntimeError), AssayLog(path) as log, log.writing() as writing:
        writing.add(result(2))
        raise RuntimeError
    assert read_facts(path) == [result(1)]
    assert add(path, result(2)) == [True]


@pytest.mark.parametrize("statement", ["UPDATE facts SET fact = ''", "DELETE FROM facts WHERE number = 1"])
def test_rows_cannot_be_changed_or_removed(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "assays.sqlite3"
    add(path, result(1), result(2))
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.IntegrityError, match="facts stay"):
        connection.execute(statement)
    connection.close()
    assert len(read_facts(path)) == 2


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE facts SET fact = replace(fact, '12.5', '13.5') WHERE number = 2", 2),
        ("UPDATE facts SET fact = replace(fact, 'Keller', 'Kelter') WHERE number = 1", 1),
        ("UPDATE facts SET fact = 'nonsense' WHERE number = 3", 3),
        ("DELETE FROM facts WHERE number = 1", 2),
        ("DELETE FROM facts WHERE number = 2", 3),
        ("UPDATE facts SET fact_id = 'x' WHERE number = 2", 2),
    ],
)
def test_a_row_that_was_altered_behind_the_triggers_is_named(tmp_path: Path, statement: str, row: int) -> None:
    path = tmp_path / "assays.sqlite3"
    add(path, result(1), result(2), result(3))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER facts_stay")
        connection.execute("DROP TRIGGER facts_remain")
        connection.execute(statement)
    connection.close()
    with pytest.raises(SettingsError, match=f"row {row} is not what was recorded"):
        read_facts(path)
    with pytest.raises(SettingsError, match="backup"):
        add(path, result(4))


def test_the_head_tells_records_apart(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    add(one, result(1), result(2))
    add(other, result(2), result(1))
    with AssayLog(one, readonly=True) as first, AssayLog(other, readonly=True) as second:
        assert len(first.head()) == 64
        assert first.head() != second.head()


def test_a_file_that_is_no_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "assays.sqlite3"
    path.write_text("not a database, whatever its name says" * 50, encoding="utf-8")
    with pytest.raises(SettingsError, match="damaged"):
        read_facts(path)


def test_a_record_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "assays.sqlite3"
    add(path, result(1))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(SettingsError, match="newer cellvigil"):
        read_facts(path)


def test_a_folder_that_is_not_there_says_so_and_may_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(BackPressure, match="repeat the command"):
        AssayLog(tmp_path / "gone" / "assays.sqlite3")


def test_corrections_and_withdrawals_follow_what_they_mend() -> None:
    first, corrected = result(1, 12.5), result(1, 13.0, result(1, 12.5).result_id)
    courses = Courses([first, result(2), corrected, withdrawal(result(2))])
    assert courses.standing() == [corrected]
    course = courses.by_subject["F1", "IDO", ""]
    assert [course.state_of(one) for one in course.results] == ["corrected", "counts"]
    gone = courses.by_subject["F2", "IDO", ""]
    assert [gone.state_of(one) for one in gone.results] == ["withdrawn"]
    again = result(2, 12.5, result(2).result_id)
    courses.take(again)
    assert courses.standing() == [corrected, again]


CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from services.assays.log import AssayLog
from test_log import result
with AssayLog(Path(sys.argv[1])) as log, log.writing() as writing:
    for number in range(100, 150):
        assert writing.add(result(number))
    if sys.argv[2] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("when", "expected"), [("before", 1), ("after", 51)])
def test_a_kill_leaves_all_rows_of_a_transaction_or_none(tmp_path: Path, when: str, expected: int) -> None:
    path = tmp_path / "assays.sqlite3"
    add(path, result(1))
    here = str(Path(__file__).parent)
    cases = str(Path(__file__).resolve().parents[2])
    program = CHILD.replace("sys.path.insert(0, sys.argv[3])", "sys.path[:0] = sys.argv[3:]")
    done = subprocess.run([sys.executable, "-c", program, str(path), when, here, cases], timeout=60, check=False)
    assert done.returncode == -9
    assert len(read_facts(path)) == expected
    assert sum(add(path, *(result(number) for number in range(100, 150)))) == 51 - expected
    assert len(read_facts(path)) == 51
