"""The record: every fact once, whatever is delivered twice, and all of it there after a kill."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cases.culture_rows import INTERVAL, alarms_of, frame_row, quality, silence_row
from cases.sample_messages import ESTIMATED, NOON, SEGMENTED, arrived, digest

from monitor.culture.settings import CultureSettings
from monitor.culture.state import fold
from monitor.errors import BackPressure, SettingsError
from monitor.messages import AlarmChanged, DriftDetected, FrameFailed, FrameSegmented, PotencyEstimated
from services.store.record_sqlite import SqliteRecord, sortable


def estimate(number: int, revision: int = 0, flask: str = "A1") -> PotencyEstimated:
    fact = arrived(number, flask)
    return ESTIMATED.model_copy(
        update={
            "frame_id": fact.frame_id,
            "key": fact.key,
            "source": fact.source,
            "acquired_at": fact.acquired_at,
            "revision": revision,
            "n_cells": 10 * revision + number,
        }
    )


def segmentation(number: int, n_cells: int = 5) -> FrameSegmented:
    return SEGMENTED.model_copy(update={"frame": arrived(number), "n_cells": n_cells})


def failure(number: int, reason: str = "truncated") -> FrameFailed:
    return FrameFailed(frame_id=digest(f"A1/{number}"), stage="segmenter", reason=reason, detail="it ends early")


def events() -> tuple[list[DriftDetected], list[AlarmChanged]]:
    """Return the drifts and alarms of a flask that lost potency and fell silent."""
    rows = [*(frame_row(number) for number in range(20)), *(frame_row(number, 40.0) for number in range(20, 26))]
    history = fold("A1", [*rows, silence_row(25, 30.0)], CultureSettings())
    return [drift for _, step in history for drift in step.drifts], alarms_of(history)


def record_at(folder: Path) -> SqliteRecord:
    return SqliteRecord(folder / "record.sqlite3")


def fill(record: SqliteRecord) -> None:
    drifts, alarms = events()
    record.put_segmentations([segmentation(0), segmentation(1)])
    record.put_failure(failure(7))
    with record.flask("A1") as flask:
        for row in (frame_row(1), silence_row(1, 4.0), frame_row(0)):
            flask.add(row)
        flask.put_estimates([estimate(1), estimate(0)])
        flask.put_drifts(drifts)
        flask.put_alarms(alarms)


FRAME_IDS = [arrived(number).frame_id for number in range(10)]


def everything(record: SqliteRecord) -> tuple[object, ...]:
    return (
        record.segmentation(arrived(0).frame_id), record.failures(), record.flasks(), record.settled(FRAME_IDS),
        record.frame_rows(), record.estimates(), record.alarms(), record.drifts(),
    )  # fmt: skip


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    with record_at(tmp_path) as record:
        fill(record)
        before = everything(record)
    with record_at(tmp_path) as again, SqliteRecord(tmp_path / "record.sqlite3", readonly=True) as reader:
        assert everything(again) == everything(reader) == before
    assert before[0] == segmentation(0)
    assert before[1] == [failure(7)]
    assert before[2] == ["A1"]
    assert before[3] == {arrived(0).frame_id, arrived(1).frame_id, failure(7).frame_id}
    assert before[4] == [frame_row(0), frame_row(1)]
    assert before[5] == [estimate(0), estimate(1)]
    assert (before[7], before[6]) == events()


def test_delivering_everything_twice_changes_nothing(tmp_path: Path) -> None:
    with record_at(tmp_path) as record:
        fill(record)
        before = everything(record)
        fill(record)
        assert everything(record) == before


def test_the_first_fact_of_a_frame_stays(tmp_path: Path) -> None:
    with record_at(tmp_path) as record:
        record.put_segmentations([segmentation(0, n_cells=5)])
        record.put_segmentations([segmentation(0, n_cells=9), segmentation(1)])
        record.put_failure(failure(3, "truncated"))
        record.put_failure(failure(3, "poison"))
        found = record.segmentation(arrived(0).frame_id)
        assert found is not None
        assert found.n_cells == 5
        assert record.segmentation(arrived(1).frame_id) == segmentation(1)
        assert record.segmentation(digest("unknown")) is None
        assert [one.reason for one in record.failures()] == ["truncated"]


def test_a_row_is_new_once(tmp_path: Path) -> None:
    with record_at(tmp_path) as record:
        with record.flask("A1") as flask:
            assert flask.add(frame_row(0))
            assert not flask.add(frame_row(0))
            assert flask.add(silence_row(0, 4.0))
            assert flask.count() == 2
        with record.flask("A1") as flask:
            assert not flask.add(silence_row(0, 4.5))
            assert flask.count() == 2


def test_rows_come_in_the_order_of_the_fold_whatever_the_order_of_their_arrival(tmp_path: Path) -> None:
    rows = [*(frame_row(number) for number in range(6)), silence_row(3, 3.5)]
    with record_at(tmp_path) as record, record.flask("A1") as flask:
        for row in reversed(rows):
            flask.add(row)
        assert [row for row, _ in fold("A1", rows, CultureSettings())] == flask.rows()


def test_the_order_of_times_is_that_of_moments_not_of_texts(tmp_path: Path) -> None:
    whole, later = NOON, NOON + timedelta(microseconds=1)
    assert sortable(whole) < sortable(later)
    rows = [frame_row(number).model_copy(update={"acquired_at": at}) for number, at in enumerate((later, whole))]
    with record_at(tmp_path) as record, record.flask("A1") as flask:
        for row in rows:
            flask.add(row)
        assert [row.at for row in flask.rows()] == [whole, later]


def test_the_greatest_revision_of_an_estimate_counts(tmp_path: Path) -> None:
    with record_at(tmp_path) as record:
        with record.flask("A1") as flask:
            flask.put_estimates([estimate(0, 1)])
            flask.put_estimates([estimate(0, 0), estimate(0, 1).model_copy(update={"n_cells": 999})])
            assert flask.estimates() == {arrived(0).frame_id: estimate(0, 1)}
            flask.put_estimates([estimate(0, 2)])
        assert record.estimates() == [estimate(0, 2)]


def test_estimates_are_asked_for_by_flask_and_time(tmp_path: Path) -> None:
    with record_at(tmp_path) as record:
        for flask in ("B1", "A1"):
            with record.flask(flask) as transaction:
                transaction.put_estimates([estimate(number, flask=flask) for number in (2, 0, 1)])
        assert [one.acquired_at for one in record.estimates("A1")] == [NOON + number * INTERVAL for number in range(3)]
        assert {one.key.flask for one in record.estimates("B1")} == {"B1"}
        assert len(record.estimates()) == 6
        assert record.estimates("A1", since=NOON + INTERVAL) == [estimate(1), estimate(2)]
        assert record.estimates("C1") == []


def test_the_name_of_a_flask_is_never_part_of_a_command(tmp_path: Path) -> None:
    name = "A'; DROP TABLE estimates; --"
    with record_at(tmp_path) as record:
        with record.flask(name) as flask:
            flask.add(frame_row(0, flask=name))
            flask.put_estimates([estimate(0, flask=name)])
        assert record.flasks() == [name]
        assert record.frame_rows(name) == [frame_row(0, flask=name)]
        assert len(record.estimates(name)) == 1


def test_an_event_is_new_once_and_a_withdrawn_alarm_can_come_back(tmp_path: Path) -> None:
    drifts, alarms = events()
    with record_at(tmp_path) as record, record.flask("A1") as flask:
        assert flask.put_drifts(drifts) == drifts
        assert flask.put_drifts(drifts) == []
        assert flask.put_alarms(alarms) == alarms
        assert flask.put_alarms(alarms) == []
        flask.withdraw_alarms_except({alarms[0].event_id})
        assert record.alarms() == alarms[:1]
        # withdrawn, never deleted
        assert record.alarms(withdrawn=True) == alarms
        assert flask.put_alarms(alarms) == alarms[1:]
        assert record.alarms() == alarms


def test_withdrawing_leaves_other_flasks_alone(tmp_path: Path) -> None:
    _, alarms = events()
    other = alarms[0].model_copy(update={"flask": "B1", "event_id": "other"})
    with record_at(tmp_path) as record:
        with record.flask("B1") as flask:
            flask.put_alarms([other])
        with record.flask("A1") as flask:
            flask.put_alarms(alarms)
            flask.withdraw_alarms_except(set())
        assert record.alarms() == [other]


def test_an_error_in_a_transaction_leaves_nothing_of_it(tmp_path: Path) -> None:
    with record_at(tmp_path) as record:
        with pytest.raises(ZeroDivisionError), record.flask("A1") as flask:
            flask.add(frame_row(0))
            raise ZeroDivisionError
        assert record.flasks() == []
        with record.flask("A1") as flask:
            assert flask.add(frame_row(0))


def test_a_full_disk_is_back_pressure_and_nothing_is_lost(tmp_path: Path) -> None:
    with record_at(tmp_path) as record:
        record.put_failure(failure(0))
        # SQLite says the same of a file that may not grow as of a disk that is full
        pages = record._connection.execute("PRAGMA page_count").fetchone()[0]
        record._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(BackPressure, match="full") as refused, record.flask("A1") as flask:
            for number in range(200):
                flask.add(frame_row(number))
        assert refused.value.retryable
        assert refused.value.reason == "record"
        assert record.flasks() == []
        assert record.failures() == [failure(0)]
        record._connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
        with record.flask("A1") as flask:
            assert flask.add(frame_row(0))


def test_a_disk_that_fails_in_the_middle_leaves_nothing_of_the_transaction(tmp_path: Path) -> None:
    with record_at(tmp_path) as record:
        with pytest.raises(BackPressure, match="disk I/O error"), record.flask("A1") as flask:
            flask.add(frame_row(0))
            raise sqlite3.OperationalError("disk I/O error")
        assert record.flasks() == []
        record.put_failure(failure(0))
        assert record.failures() == [failure(0)]


def test_a_file_that_somebody_holds_is_back_pressure(tmp_path: Path) -> None:
    with record_at(tmp_path) as record, record_at(tmp_path) as other:
        other._connection.execute("PRAGMA busy_timeout = 20")
        with record.flask("A1") as flask:
            flask.add(frame_row(0))
            with pytest.raises(BackPressure, match="locked"):
                other.put_failure(failure(0))
        other.put_failure(failure(0))
        assert other.failures() == [failure(0)]


def test_readers_see_whole_transactions_while_one_is_written(tmp_path: Path) -> None:
    with record_at(tmp_path) as record, SqliteRecord(tmp_path / "record.sqlite3", readonly=True) as reader:
        with record.flask("A1") as flask:
            flask.add(frame_row(0))
            assert reader.frame_rows() == []
        assert reader.frame_rows() == [frame_row(0)]


def test_a_reader_cannot_write_and_needs_a_record(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no record"):
        SqliteRecord(tmp_path / "nothing.sqlite3", readonly=True)
    record_at(tmp_path).close()
    with SqliteRecord(tmp_path / "record.sqlite3", readonly=True) as reader, pytest.raises(BackPressure):
        reader.put_failure(failure(0))


def test_several_writers_take_turns_and_lose_nothing(tmp_path: Path) -> None:
    record_at(tmp_path).close()

    def write(first: int) -> None:
        with record_at(tmp_path) as record:
            for number in range(first, first + 10):
                with record.flask("A1") as flask:
                    flask.add(frame_row(number))

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 5, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with record_at(tmp_path) as record:
        assert record.frame_rows() == [frame_row(number) for number in range(20)]


WRITER = """
import sys
from pathlib import Path
from cases.culture_rows import frame_row
from services.store.record_sqlite import SqliteRecord
record = SqliteRecord(Path(sys.argv[1]))
number = 0
while True:
    with record.flask("A1") as flask:
        flask.add(frame_row(2 * number))
        flask.add(frame_row(2 * number + 1))
    print(number, flush=True)
    number += 1
"""


def test_what_was_committed_is_there_after_kill_9(tmp_path: Path) -> None:
    file = tmp_path / "record.sqlite3"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert writer.stdout is not None
    with writer, writer.stdout:
        for _ in range(8):
            done = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        done = max([done, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    with SqliteRecord(file) as record:
        numbers = [round((row.at - NOON) / INTERVAL) for row in record.frame_rows()]
        assert record._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(numbers) >= 2 * (done + 1)
    # transactions are there whole or not at all
    assert numbers == list(range(len(numbers)))
    assert len(numbers) % 2 == 0


def test_a_fact_that_was_stored_is_read_as_it_was(tmp_path: Path) -> None:
    odd = frame_row(0, flask='B "quoted" µ\u202e').model_copy(update={"quality": quality("empty", focus=0.1 + 0.2)})
    with record_at(tmp_path) as record:
        with record.flask(odd.flask) as flask:
            flask.add(odd)
        assert record.frame_rows() == [odd]
