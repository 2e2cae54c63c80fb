import io
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from alarm_receiver import AlarmReceiver, alarm, secret_file, wait_for

from monitor.errors import BackPressure, SettingsError
from monitor.messages import AlarmChanged, AlarmState
from services.delivery.letter import DeliveryState
from services.delivery.notifier import OutboxStage, make_receivers, run_notifier
from services.delivery.outbox import Outbox
from services.delivery.postman import Lane
from services.delivery.receiver import DeliveryFailed
from services.delivery.terminal import Terminal, alarm_line
from services.delivery.webhook import Webhook
from services.settings import DeliverySettings, NotifierSettings, Settings, WebhookSettings
from services.store.record_sqlite import SqliteRecord
from services.transport.memory import MemoryBus, MemoryQueue
from services.transport.runner import EXIT_WORN_OUT
from services.transport.stage import Done, Publication
from services.transport.streams import ALARMS


def settings_for(folder: Path, *urls: str, **notifier: object) -> Settings:
    key = secret_file(folder)
    hooks = tuple(WebhookSettings(url=url, secret_file=key, allow_private=True, timeout_s=1.0) for url in urls)
    values: dict[str, object] = {"terminal": False, "retry_first_s": 0.02, "retry_most_s": 0.1, "give_up_after_s": 60.0}
    values |= {"flood_most": 1001, "flood_singly": 1000}  # every change alone; test_flood.py has them grouped
    return Settings(
        state=folder / "state",
        delivery=DeliverySettings(block_s=0.02, beat_s=0.2),
        notifier=NotifierSettings(webhooks=hooks, **(values | notifier)),
    )


def queue_of(events: Sequence[AlarmChanged]) -> MemoryQueue:
    queue = MemoryQueue()
    MemoryBus(queue).publish([Publication(ALARMS.name, f"alarm:{event.event_id}", event) for event in events])
    return queue


def drain(settings: Settings, events: Sequence[AlarmChanged] = ()) -> int:
    return run_notifier(settings, MemoryBus(queue_of(events)), threading.Event(), drain=True)


@contextmanager
def running(settings: Settings, queue: MemoryQueue) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=run_notifier, args=(settings, MemoryBus(queue), stop))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(15.0)
        assert not thread.is_alive()


@contextmanager
def outbox_of(settings: Settings) -> Iterator[Outbox]:
    with Outbox(settings.state / "outbox.sqlite3", readonly=True) as outbox:
        yield outbox


def counts(settings: Settings) -> dict[str, int]:
    try:
        with outbox_of(settings) as outbox:
            return {state.value: count for state, count in outbox.summary().items() if count}
    except SettingsError as error:
        assert error.reason == "no_outbox"  # the notifier has only just started
        return {}


def test_every_alarm_reaches_every_receiver_once_signed_and_in_order(tmp_path: Path) -> None:
    events = [alarm(n) for n in range(30)]
    with AlarmReceiver() as first, AlarmReceiver() as second:
        settings = settings_for(tmp_path, first.url, second.url)
        assert drain(settings, events) == 0
        assert drain(settings, events) == 0
    for receiver in (first, second):
        assert receiver.keys == [event.event_id for event in events]
        assert all(call.genuine for call in receiver.calls)
    assert counts(settings) == {"delivered": 60}


def test_an_alarm_is_delivered_as_it_happens(tmp_path: Path) -> None:
    queue = MemoryQueue()
    with AlarmReceiver() as receiver:
        settings = settings_for(tmp_path, receiver.url)
        with running(settings, queue):
            for n in range(3):
                MemoryBus(queue).publish([Publication(ALARMS.name, f"alarm:{n}", alarm(n))])
                wait_for(lambda n=n: len(receiver.calls) == n + 1, 2.0)
    assert counts(settings) == {"delivered": 3}


def test_a_receiver_that_was_down_gets_everything_once_when_it_is_back(tmp_path: Path) -> None:
    events = [alarm(n) for n in range(5)]
    with AlarmReceiver() as gone:
        port = gone.port
    settings = settings_for(tmp_path, gone.url)
    assert drain(settings, events) == 0
    assert counts(settings) == {"waiting": 5}
    with running(settings, MemoryQueue()):
        time.sleep(0.3)
        with AlarmReceiver(port=port) as back:
            wait_for(lambda: counts(settings) == {"delivered": 5})
    assert sorted(back.keys) == [event.event_id for event in events]
    with outbox_of(settings) as outbox:
        assert all(row.attempts >= 2 for row in outbox.rows())


def test_errors_of_the_server_are_tried_again_until_it_says_yes(tmp_path: Path) -> None:
    with AlarmReceiver(script=[500, 503, 408, 429, 302, 404]) as receiver:
        settings = settings_for(tmp_path, receiver.url)
        with running(settings, queue_of([alarm(1)])):
            wait_for(lambda: counts(settings) == {"delivered": 1})
    assert receiver.keys == ["event-001"] * 7
    gaps = [later.at - earlier.at for earlier, later in zip(receiver.calls, receiver.calls[1:], strict=False)]
    assert all(gap >= 0.02 for gap in gaps) and gaps[-1] >= 0.05


@pytest.mark.parametrize("status", [400, 404, 301])
def test_what_is_refused_three_times_is_given_up_and_the_rest_goes_on(tmp_path: Path, status: int) -> None:
    with AlarmReceiver(script=[500, status, status, status]) as receiver:
        settings = settings_for(tmp_path, receiver.url)
        with running(settings, queue_of([alarm(1)])):
            wait_for(lambda: counts(settings) == {"given_up": 1})
        assert drain(settings, [alarm(1), alarm(2)]) == 0
    assert receiver.keys == ["event-001"] * 4 + ["event-002"]
    with outbox_of(settings) as outbox:
        (row,) = outbox.rows(state=DeliveryState.GIVEN_UP)
    assert (row.attempts, row.refusals) == (4, 3)
    assert f"answers {status}" in row.last_error


def test_what_nobody_takes_for_too_long_is_given_up(tmp_path: Path) -> None:
    with AlarmReceiver(usually=500) as receiver:
        settings = settings_for(tmp_path, receiver.url, give_up_after_s=0.4)
        with running(settings, queue_of([alarm(1)])):
            wait_for(lambda: counts(settings) == {"given_up": 1})
    assert receiver.calls[-1].at - receiver.calls[0].at >= 0.2


def test_a_receiver_that_asks_for_a_pause_gets_it_for_everything(tmp_path: Path) -> None:
    with AlarmReceiver(script=[(429, {"Retry-After": "1"})]) as receiver:
        settings = settings_for(tmp_path, receiver.url, retry_most_s=5.0)
        with running(settings, queue_of([alarm(n) for n in range(4)])):
            wait_for(lambda: counts(settings) == {"delivered": 4})
    assert len(receiver.calls) == 5
    assert receiver.calls[1].at - receiver.calls[0].at >= 0.99


def test_a_pause_is_never_longer_than_the_longest_of_ours(tmp_path: Path) -> None:
    with AlarmReceiver(script=[(503, {"Retry-After": "99999999"})]) as receiver:
        settings = settings_for(tmp_path, receiver.url)
        with running(settings, queue_of([alarm(1)])):
            wait_for(lambda: counts(settings) == {"delivered": 1}, 3.0)


def test_a_slow_receiver_holds_up_neither_the_others_nor_the_stream(tmp_path: Path) -> None:
    events = [alarm(n) for n in range(100)]
    with AlarmReceiver() as slow, AlarmReceiver() as quick:
        slow.usually = slow.hang
        settings = settings_for(tmp_path, slow.url, quick.url)
        queue = queue_of(events)
        with running(settings, queue):
            started = time.monotonic()
            wait_for(lambda: len(quick.calls) == 100 and not MemoryBus(queue).waiting(ALARMS.name, "notifier"))
            assert time.monotonic() - started < 5.0
            assert len(slow.calls) <= 5
            slow.usually = 204
            slow.released.set()


def test_stopping_does_not_wait_for_a_slow_receiver_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.delivery.postman.GRACE_S", 0.5)
    with AlarmReceiver() as slow:
        slow.usually = slow.hang
        settings = settings_for(tmp_path, slow.url)
        with running(settings, queue_of([alarm(n) for n in range(50)])) as stop:
            wait_for(lambda: len(slow.calls) == 1)
            started = time.monotonic()
            stop.set()
        assert time.monotonic() - started < 3.0
        slow.usually = 204
        assert drain(settings) == 0
    with outbox_of(settings) as outbox:
        assert {row.state for row in outbox.rows()} <= {DeliveryState.DELIVERED, DeliveryState.WAITING}
        assert len(outbox.rows()) == 50


def test_cleared_never_overtakes_raised(tmp_path: Path) -> None:
    cleared = alarm(2, AlarmState.CLEARED, alarm_id=alarm(1).alarm_id)
    with AlarmReceiver(script=[500, 500]) as receiver:
        settings = settings_for(tmp_path, receiver.url)
        with running(settings, queue_of([alarm(1), cleared])):
            wait_for(lambda: counts(settings) == {"delivered": 2})
    assert receiver.keys == ["event-001"] * 3 + ["event-002"]


def test_alarms_that_the_queue_lost_come_from_the_record(tmp_path: Path) -> None:
    with AlarmReceiver() as receiver:
        settings = settings_for(tmp_path, receiver.url)
        settings.state.mkdir()
        with SqliteRecord(settings.state / "record.sqlite3") as record, record.flask("A1") as flask:
            flask.put_alarms([alarm(1), alarm(2)])
        assert drain(settings, [alarm(2), alarm(3)]) == 0
        assert drain(settings) == 0
    assert receiver.keys == ["event-001", "event-002", "event-003"]


def test_a_receiver_that_left_the_settings_is_waited_for_no_longer(tmp_path: Path) -> None:
    with AlarmReceiver() as gone:
        pass
    settings = settings_for(tmp_path, gone.url)
    drain(settings, [alarm(1)])
    with AlarmReceiver() as other:
        settings = settings_for(tmp_path, other.url)
        drain(settings, [alarm(2)])
    assert counts(settings) == {"given_up": 1, "delivered": 1}
    assert other.keys == ["event-002"]


def test_an_outbox_that_cannot_be_written_leaves_alarms_in_the_stream(tmp_path: Path) -> None:
    Outbox(tmp_path / "outbox.sqlite3").close()
    with (
        Outbox(tmp_path / "outbox.sqlite3", readonly=True) as closed,
        pytest.raises(BackPressure, match="free disk space"),
    ):
        OutboxStage(closed, ["a"], lambda: None).process([alarm(1)])


def test_the_stage_only_writes_rows(tmp_path: Path) -> None:
    woken: list[int] = []
    with Outbox(tmp_path / "outbox.sqlite3") as outbox:
        stage = OutboxStage(outbox, ["a", "b"], lambda: woken.append(1))
        assert stage.process([alarm(1), alarm(2)]) == [Done(), Done()]
        assert stage.process([alarm(1)]) == [Done()]
        assert (len(outbox.rows()), len(woken)) == (4, 1)


class Failing:
    """A receiver that fails as told, then takes everything."""

    name = "failing"
    grouped = False

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.taken: list[str] = []

    def send(self, event: AlarmChanged) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(event.event_id)


class FullDisk(Outbox):
    """An outbox whose first `failures` notes of a delivery meet a full disk."""

    failures = 2

    def delivered(self, letter: object) -> None:
        if self.failures:
            self.failures -= 1
            with self._write():
                raise sqlite3.OperationalError("database or disk is full")
        super().delivered(letter)


def test_what_was_sent_is_not_sent_again_because_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.delivery.postman.LOOK_S", 0.05)
    receiver = Failing()
    with FullDisk(tmp_path / "outbox.sqlite3") as outbox:
        outbox.add([alarm(1)], ["failing"])
        lane = Lane(outbox, receiver, NotifierSettings(), lambda: None)
        lane.start()
        wait_for(lambda: outbox.summary()[DeliveryState.DELIVERED] == 1)
        lane.end(0.0)
        lane.join()
    assert receiver.taken == ["event-001"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_broken_lane_ends_the_worker_so_that_a_fresh_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tmp_path)
    receiver = Failing(ZeroDivisionError("a surprise"))
    monkeypatch.setattr("services.delivery.notifier.make_receivers", lambda _: [receiver])
    stop = threading.Event()
    assert run_notifier(settings, MemoryBus(queue_of([alarm(1)])), stop) == EXIT_WORN_OUT
    assert counts(settings) == {"waiting": 1}
    assert drain(settings) == 0
    assert receiver.taken == ["event-001"]


def test_receivers_are_checked_at_the_start(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "http://127.0.0.1:9/a", "http://127.0.0.1:9/b", terminal=True)
    made = make_receivers(settings.notifier)
    assert [type(receiver) for receiver in made] == [Webhook, Webhook, Terminal]
    with pytest.raises(SettingsError, match="twice"):
        make_receivers(settings_for(tmp_path, "http://127.0.0.1:9/a", "http://127.0.0.1:9/a").notifier)
    with pytest.raises(SettingsError, match="relay"):
        make_receivers(settings_for(tmp_path, *(f"http://127.0.0.1:9/{n}" for n in range(33))).notifier)
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        run_notifier(settings, MemoryBus(), threading.Event())


class Screen(io.StringIO):
    """A text stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_the_terminal_shows_one_readable_line_per_change() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    terminal.send(alarm(1))
    terminal.send(alarm(2, AlarmState.CLEARED))
    assert stream.getvalue().splitlines() == [
        "2026-03-10 12:15Z A1 potency RAISED (high) potency 61 % is below 70 % -> look at the flask",
        "2026-03-10 12:30Z A1 potency CLEARED potency 61 % is below 70 %",
    ]


def test_a_name_cannot_forge_a_line_or_colour_on_the_terminal() -> None:
    event = alarm(1, flask="A1\n[red]fine\x1b[2J\u202e\u2028", cause="\r\x9b31m" + "long " * 60)
    screen = Screen()
    Terminal(screen).send(event)
    assert len(screen.getvalue().splitlines()) == 1
    assert r"A1\n[red]fine\x1b[2J\u202e\u2028" in screen.getvalue()
    assert alarm_line(event).isprintable()


def test_a_terminal_that_knows_few_letters_still_shows_the_line() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as stream:
        Terminal(stream).send(alarm(1, flask="Zürich"))
        assert b"Z\\xfcrich potency RAISED" in raw.getvalue()
    with pytest.raises(DeliveryFailed, match="cannot be written"):
        Terminal(stream).send(alarm(1))


NOTIFIER_PROCESS = """
import sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_notifier import drain, settings_for, alarm
drain(settings_for(Path(sys.argv[1]), sys.argv[3]), [alarm(n) for n in range(20)])
"""


def test_killed_between_sending_and_noting_everything_arrives_and_keys_tell_doubles(tmp_path: Path) -> None:
    killed: list[int] = []
    child: list[subprocess.Popen[bytes]] = []

    def kill_before_the_answer(handler: object) -> None:
        os.kill(child[-1].pid, signal.SIGKILL)
        killed.append(1)

    def kill_after_the_answer(handler: object) -> None:
        handler.wfile.write(b"HTTP/1.1 204 ok\r\n\r\n")
        kill_before_the_answer(handler)

    with AlarmReceiver() as receiver:
        receiver.script = [204, 204, kill_before_the_answer, 204, kill_after_the_answer]
        command = [sys.executable, "-c", NOTIFIER_PROCESS, str(tmp_path), str(Path(__file__).parent), receiver.url]
        codes: list[int] = []
        while 0 not in codes and len(codes) < 5:
            with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}) as process:
                child.append(process)
                codes.append(process.wait(30.0))
    settings = settings_for(tmp_path, receiver.url)
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert counts(settings) == {"delivered": 20}
    assert set(receiver.keys) == {alarm(n).event_id for n in range(20)}
    # the first kill doubles one call for certain; the second one, if it came before the note
    assert len(killed) == 2 and 21 <= len(receiver.calls) <= 22
    assert all(call.genuine for call in receiver.calls)
