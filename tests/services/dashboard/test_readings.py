"""What the page knows of a record, against the record itself, whatever is written in whatever order."""

import shutil
import sqlite3
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from cases.culture_rows import frame_row, operator_row, silence_row
from cases.sample_messages import arrived

from monitor.culture.rows import CultureRow
from monitor.culture.settings import CultureSettings
from monitor.errors import BackPressure
from monitor.messages import Channel, OperatorAction
from services.dashboard.courses import Traces
from services.dashboard.readings import Readings
from services.state_folder import StateFolder
from services.store.ledger import Ledger
from services.store.ledger_row import LedgerRow
from services.store.record_sqlite import SqliteRecord
from services.workers.predictor import FlaskFolder

CULTURE = CultureSettings()


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path)


class Predictor:
    """Brings rows in as the worker does."""

    def __init__(self, state: StateFolder) -> None:
        self.record = SqliteRecord(state.record)
        self.folder = FlaskFolder(CULTURE)

    def bring(self, *rows: CultureRow) -> None:
        for row in rows:
            with self.record.flask(row.flask) as transaction:
                self.folder.bring_in(row.flask, row, transaction)


@pytest.fixture
def predictor(state: StateFolder):
    opened = Predictor(state)
    yield opened
    opened.record.close()


@pytest.fixture
def readings(state: StateFolder):
    opened = Readings(state)
    yield opened
    opened.close()


def hold(readings: Readings, predictor: Predictor, flask: str) -> None:
    """Hold columns against the stored estimates."""
    stored, columns = predictor.record.estimates(flask), readings.columns(flask)
    assert columns is not None
    assert list(columns.ids) == [one.frame_id for one in stored]
    expected = [np.nan if one.rolling.potency is None else one.rolling.potency for one in stored]
    np.testing.assert_array_equal(columns.column("rolling"), expected)
    assert columns.revisions == sum(one.revision for one in stored)


def test_an_empty_folder_is_read_once_there_is_something(state: StateFolder, readings: Readings):
    assert not readings.look()

    predictor = Predictor(state)
    predictor.bring(*(frame_row(number) for number in range(5)))

    assert readings.look().whole
    hold(readings, predictor, "A1")
    predictor.record.close()


def test_only_what_is_new_is_read(predictor: Predictor, readings: Readings):
    predictor.bring(*(frame_row(number, 100.0 + number) for number in range(50)))
    readings.look()

    assert not readings.look()
    predictor.bring(frame_row(50, 90.0))
    changes = readings.look()

    assert changes.frames == {"A1": [frame_row(50).frame_id]}
    assert not changes.revised
    hold(readings, predictor, "A1")


def test_a_late_frame_revises_what_follows(predictor: Predictor, readings: Readings):
    predictor.bring(*(frame_row(number, 100.0 + number) for number in range(40) if number != 20))
    readings.look()

    predictor.bring(frame_row(20, 40.0))
    changes = readings.look()

    assert changes.revised == {"A1"}
    hold(readings, predictor, "A1")
    assert readings.columns("A1").revisions > 5


def test_frames_in_any_order_end_as_the_record(predictor: Predictor, readings: Readings):
    rng = np.random.default_rng(5)
    rows = [frame_row(number, 80.0 + number % 7, flask=flask) for number in range(60) for flask in ("A1", "B2")]
    for part in np.array_split(rng.permutation(len(rows)), 13):
        predictor.bring(*(rows[number] for number in part))
        readings.look()

    for flask in ("A1", "B2"):
        hold(readings, predictor, flask)


def test_a_revision_without_a_new_frame_is_found(predictor: Predictor, readings: Readings):
    """Other settings change estimates that are there: the fold of another program wrote them anew."""
    predictor.bring(*(frame_row(number, 80.0 + number) for number in range(20)))
    readings.look()
    readings.look()
    changed = predictor.record.estimates("A1")[7]
    rolling = changed.rolling.model_copy(update={"potency": 1.0})
    with predictor.record.flask("A1") as transaction:
        transaction.put_estimates([changed.model_copy(update={"rolling": rolling, "revision": 5})])

    deadline = time.monotonic() + 10.0
    while "A1" not in readings.look().revised:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    hold(readings, predictor, "A1")


def test_alarms_that_move_are_told(predictor: Predictor, readings: Readings):
    predictor.bring(*(frame_row(number) for number in range(10)), silence_row(9, 14.0))

    changes = readings.look()

    assert changes.alarms == {"A1"}
    assert {one.channel for one in readings.standings("A1") if one.raised} == {Channel.ARRIVAL}
    predictor.bring(operator_row(OperatorAction.ACKNOWLEDGE, 15.0, Channel.ARRIVAL))
    assert readings.look().alarms == {"A1"}


def test_an_alarm_that_is_withdrawn_is_gone(predictor: Predictor, readings: Readings):
    predictor.bring(*(frame_row(number) for number in range(10)), silence_row(9, 14.0))
    readings.look()

    predictor.bring(*(frame_row(number) for number in range(10, 15)))
    readings.look()

    assert readings.standings("A1") == predictor.record.standings()


def test_a_flask_with_files_and_no_estimate_is_known(state: StateFolder, readings: Readings):
    with Ledger(state.ledger) as ledger:
        fact = arrived(flask="New-1")
        ledger.add([LedgerRow(fact.source, 1, 1, fact.frame_id, "arrived", "", "", fact)], fact.arrived_at)

    assert readings.look().whole
    assert readings.flasks() == ["New-1"]


def test_another_record_in_the_same_place_is_read_anew(predictor: Predictor, readings: Readings, state: StateFolder):
    predictor.bring(*(frame_row(number) for number in range(10)))
    readings.look()
    predictor.record.close()
    for file in state.root.glob("record.sqlite3*"):
        file.unlink()

    other = Predictor(state)
    other.bring(*(frame_row(number, flask="C3") for number in range(4)))
    changes = readings.look()

    assert changes.anew
    assert readings.flasks() == ["C3"]
    hold(readings, other, "C3")
    other.record.close()


def test_a_record_without_the_index_of_revisions_is_read(predictor: Predictor, readings: Readings, state: StateFolder):
    predictor.bring(*(frame_row(number) for number in range(10)))
    with sqlite3.connect(state.record) as connection:
        connection.execute("DROP INDEX estimates_revised")
    connection.close()

    readings.look()

    hold(readings, predictor, "A1")


def test_after_a_failed_look_nothing_is_missing(predictor: Predictor, readings: Readings, monkeypatch):
    predictor.bring(*(frame_row(number) for number in range(30) if number != 3))
    readings.look()
    predictor.bring(frame_row(3, 20.0), frame_row(30))

    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(readings, "_read_again", fails)
        with pytest.raises(BackPressure, match="disk I/O error"):
            readings.look()
    readings.look()

    hold(readings, predictor, "A1")


def test_the_course_is_that_of_the_whole_fold(predictor: Predictor, state: StateFolder):
    """Row by row, with one that came late, against a fold that saw everything at once."""
    rng = np.random.default_rng(2)
    rows = [frame_row(number, float(100.0 - max(0, number - 60) + rng.normal(0.0, 4.0))) for number in range(90)]
    courses = Traces(state, CULTURE)
    predictor.bring(*(row for row in rows[:70] if row is not rows[33]))
    first = courses.of("A1")
    predictor.bring(*rows[70:], rows[33])

    found, whole = courses.of("A1"), Traces(state, CULTURE).of("A1")

    assert first is not None
    assert found is not None
    assert whole is not None
    assert len(found.t) == 90
    np.testing.assert_array_equal(found.statistic, whole.statistic)
    np.testing.assert_array_equal(found.centre, whole.centre)
    (drift,) = [one for one in predictor.record.drifts("A1") if one.channel is Channel.POTENCY][:1]
    at = found.t.tolist().index(drift.at.timestamp())
    assert found.statistic[at] == pytest.approx(drift.statistic)
    assert found.limit == pytest.approx(drift.limit)


def test_work_ahead_is_done_in_portions_and_ends(predictor: Predictor, state: StateFolder):
    predictor.bring(*(frame_row(number, 100.0) for number in range(40)))
    courses = Traces(state, CULTURE)

    for _ in range(20):
        courses.work_ahead(["A1"], time.monotonic() + 0.01)

    course = courses.of("A1")
    assert course is not None
    assert len(course.t) == 40
    assert timedelta(seconds=course.t[-1] - course.t[0]) == 39 * timedelta(minutes=15)


def test_a_copied_state_folder_is_read_without_its_queue(predictor: Predictor, state: StateFolder, tmp_path: Path):
    predictor.bring(*(frame_row(number) for number in range(5)))
    predictor.record.close()
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(state.record, copy)

    readings = Readings(StateFolder(copy))

    assert readings.look().whole
    readings.close()
