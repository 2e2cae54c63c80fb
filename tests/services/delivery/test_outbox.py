import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alarm_receiver import alarm

from monitor.errors import BackPressure, SettingsError
from monitor.messages import AlarmState
from services.delivery.letter import DeliveryState
from services.delivery.lock import sole_writer
from services.delivery.outbox import Outbox


class HandClock:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 10, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def outbox(tmp_path: Path, clock: HandClock):
    with Outbox(tmp_path / "outbox.sqlite3", clock=clock) as opened:
        yield opened


def test_a_doubled_message_gives_no_doubled_row(outbox: Outbox) -> None:
    assert outbox.add([alarm(1), alarm(2), alarm(1)], ["a", "b"]) == 2
    assert outbox.add([alarm(2), alarm(1)], ["a", "b"]) == 0
    assert [(row.event_id, row.receiver) for row in outbox.rows()] == [
        ("event-001", "a"),
        ("event-001", "b"),
        ("event-002", "a"),
        ("event-002", "b"),
    ]
    assert outbox.summary() == {"waiting": 4, "delivered": 0, "given_up": 0}


def test_a_receiver_that_joins_later_does_not_get_the_past(outbox: Outbox) -> None:
    outbox.add([alarm(1)], [])
    outbox.add([alarm(1), alarm(2)], ["late"])
    assert [row.event_id for row in outbox.rows(receiver="late")] == ["event-002"]


def test_a_letter_goes_from_waiting_to_delivered(outbox: Outbox, clock: HandClock) -> None:
    outbox.add([alarm(1)], ["a"])
    letter = outbox.next_letter("a")
    assert letter is not None and letter.fact == alarm(1) and outbox.due() == 1
    outbox.postpone(letter, 10.0, "away")
    assert outbox.due() == 0
    clock.advance(10.0)
    assert outbox.due() == 1
    again = outbox.next_letter("a")
    assert again is not None and (again.attempts, again.last_error) == (1, "away")
    outbox.delivered(again)
    (row,) = outbox.rows(state=DeliveryState.DELIVERED)
    assert (row.attempts, row.refusals, row.last_error, row.delivered_at) == (2, 0, "", clock.now())
    assert outbox.next_letter("a") is None


def test_a_letter_given_up_says_why(outbox: Outbox) -> None:
    outbox.add([alarm(1)], ["a", "b"])
    letter = outbox.next_letter("a")
    assert letter is not None
    outbox.given_up(letter, "answers 400", refused=True)
    (row,) = outbox.rows(state=DeliveryState.GIVEN_UP)
    assert (row.receiver, row.refusals, row.last_error, row.delivered_at) == ("a", 1, "answers 400", None)
    assert outbox.next_letter("b") is not None


def test_events_of_one_alarm_keep_their_order(outbox: Outbox, clock: HandClock) -> None:
    cleared = alarm(2, AlarmState.CLEARED, alarm_id=alarm(1).alarm_id)
    outbox.add([alarm(1), cleared, alarm(3)], ["a"])
    first = outbox.next_letter("a")
    assert first is not None and first.event_id == "event-001"
    outbox.postpone(first, 60.0, "away")
    overtaking = outbox.next_letter("a")
    assert overtaking is not None and overtaking.event_id == "event-003"
    outbox.delivered(overtaking)
    assert outbox.due() == 0
    clock.advance(60.0)
    order = []
    while (letter := outbox.next_letter("a")) is not None:
        order.append(letter.event_id)
        outbox.delivered(letter)
    assert order == ["event-001", "event-002"]


def test_a_hold_covers_what_waits_and_what_comes(outbox: Outbox, clock: HandClock) -> None:
    outbox.add([alarm(1)], ["a", "b"])
    outbox.hold("a", 30.0)
    outbox.add([alarm(2)], ["a", "b"])
    assert {row.next_try - clock.now() for row in outbox.rows(receiver="a")} == {timedelta(seconds=30)}
    assert outbox.due() == 2
    clock.advance(30.0)
    outbox.add([alarm(3)], ["a"])
    assert outbox.due() == 5


def test_letters_to_nobody_are_given_up(outbox: Outbox) -> None:
    outbox.add([alarm(1)], ["gone", "here"])
    assert outbox.retire(["here"]) == 1
    assert [row.receiver for row in outbox.rows(state=DeliveryState.GIVEN_UP)] == ["gone"]
    assert outbox.retire([]) == 1


def test_a_letter_of_another_version_blocks_nobody(outbox: Outbox, tmp_path: Path) -> None:
    outbox.add([alarm(1), alarm(2)], ["a"])
    with sqlite3.connect(tmp_path / "outbox.sqlite3") as other:
        other.execute("UPDATE events SET fact = '{\"schema_version\": 2}' WHERE event_id = 'event-001'")
    other.close()
    letter = outbox.next_letter("a")
    assert letter is not None and letter.event_id == "event-002"
    assert outbox.summary()[DeliveryState.GIVEN_UP] == 1


def test_rows_outlive_the_process_and_are_read_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "outbox.sqlite3"
    with Outbox(file) as writer:
        writer.add([alarm(1)], ["a"])
        with Outbox(file, readonly=True) as reader:
            assert reader.summary()[DeliveryState.WAITING] == 1
            with pytest.raises(BackPressure, match="readonly"):
                reader.add([alarm(2)], ["a"])
    with Outbox(file) as writer:
        assert [row.fact for row in writer.rows()] == [alarm(1)]


def test_every_commit_reaches_the_disk(outbox: Outbox) -> None:
    pragmas = {
        name: outbox._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}


def test_what_is_no_outbox_is_refused_with_the_mend(tmp_path: Path) -> None:
    file = tmp_path / "outbox.sqlite3"
    with pytest.raises(SettingsError, match="has a notifier run"):
        Outbox(file, readonly=True)
    file.write_bytes(b"not a database, and longer than a header would be" * 30)
    with pytest.raises(SettingsError, match="move it away"):
        Outbox(file)


def test_threads_share_an_outbox(outbox: Outbox) -> None:
    def add(receiver: str) -> None:
        for number in range(20):
            outbox.add([alarm(number)], [receiver])

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outbox.rows()) == 20


HOLD_THE_LOCK = """
import sys, threading
from pathlib import Path
from services.delivery.lock import sole_writer
with sole_writer(Path(sys.argv[1]), threading.Event()):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    threading.Event().wait()
"""


def test_only_one_process_delivers_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    with subprocess.Popen([sys.executable, "-c", HOLD_THE_LOCK, str(path)], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == b"held\n"
            stop = threading.Event()
            timer = threading.Timer(0.1, stop.set)
            timer.start()
            with sole_writer(path, stop) as alone:
                assert not alone
            timer.join()
        finally:
            other.kill()
    with sole_writer(path, threading.Event()) as alone:
        assert alone
