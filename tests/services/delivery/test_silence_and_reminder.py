"""Nobody is told what is silenced; everybody is told again what nobody acknowledged; once a day the way is tested."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from alarm_receiver import alarm
from cases.culture_rows import frame_row, operator_row
from cases.folded_state import folded

from monitor.culture.standing import AlarmStanding
from monitor.messages import AlarmState, AlarmStatus, Channel, OperatorAction
from services.alarms.quiet import end_silence, list_deliveries, list_silences, silence
from services.delivery.letter import DeliveryState
from services.delivery.outbox import Outbox
from services.delivery.reminder import daily_test, reminders
from services.store.record_sqlite import SqliteRecord
from services.store.silence import Silence, quiet_by

NOW = datetime(2026, 3, 11, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class HandClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


def silence_of(
    flasks: str = "A*", channel: Channel | None = None, until: datetime = NOW + HOUR, **more: Any
) -> Silence:
    return Silence(
        silence_id="s1", flasks=flasks, channel=channel, set_at=NOW, until=until, by="anna", why="service", **more
    )


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def outbox(tmp_path: Path, clock: HandClock):
    with Outbox(tmp_path / "outbox.sqlite3", clock=clock) as opened:
        yield opened


def due(outbox: Outbox) -> list[str]:
    return [letter.event_id for letter in outbox.group("pager", 100)]


def test_a_silence_fits_names_patterns_and_channels_and_ends() -> None:
    quiet = quiet_by([silence_of(channel=Channel.POTENCY), silence_of("B2", until=NOW + 2 * HOUR)], NOW)
    assert quiet(alarm(1)) == NOW + HOUR
    assert quiet(alarm(1, channel=Channel.OPTICS)) is None
    assert quiet(alarm(1, flask="B2", channel=Channel.OPTICS)) == NOW + 2 * HOUR
    assert quiet(alarm(1, AlarmState.TESTED)) is None
    assert quiet_by([silence_of()], NOW + HOUR)(alarm(1)) is None
    assert quiet_by([silence_of(ended_at=NOW, ended_by="ben")], NOW)(alarm(1)) is None


def test_what_is_silenced_waits_and_is_told_afterwards(outbox: Outbox, clock: HandClock) -> None:
    outbox.add([alarm(1), alarm(2, flask="B2")], ["pager"], quiet_by([silence_of()], NOW))
    assert due(outbox) == ["event-002"]
    (waiting,) = [letter for letter in outbox.rows() if letter.event_id == "event-001"]
    assert (waiting.last_error, waiting.next_try) == ("silenced", NOW + HOUR)
    clock.time += HOUR
    assert due(outbox) == ["event-001", "event-002"]


def test_a_silence_that_is_ended_or_lengthened_is_followed(outbox: Outbox) -> None:
    outbox.add([alarm(1)], ["pager"], quiet_by([silence_of()], NOW))
    outbox.follow_silences(quiet_by([silence_of(until=NOW + 3 * HOUR)], NOW))
    assert outbox.rows()[0].next_try == NOW + 3 * HOUR
    outbox.follow_silences(quiet_by([], NOW))
    assert due(outbox) == ["event-001"]
    assert outbox.rows()[0].last_error == ""


def test_what_came_and_went_in_silence_is_told_to_nobody(outbox: Outbox) -> None:
    quiet = quiet_by([silence_of()], NOW)
    outbox.add([alarm(1), alarm(2, AlarmState.CLEARED, alarm_id=alarm(1).alarm_id), alarm(3)], ["pager"], quiet)
    outbox.follow_silences(quiet)
    states = {letter.event_id: letter.state for letter in outbox.rows()}
    assert states == {
        "event-001": DeliveryState.GIVEN_UP, "event-002": DeliveryState.GIVEN_UP, "event-003": DeliveryState.WAITING,
    }  # fmt: skip


def test_the_end_of_an_alarm_that_was_told_before_the_silence_is_kept(outbox: Outbox) -> None:
    outbox.add([alarm(1)], ["pager"])
    letter = outbox.next_letter("pager")
    assert letter is not None
    outbox.delivered(letter)
    quiet = quiet_by([silence_of()], NOW)
    outbox.add([alarm(2, AlarmState.CLEARED, alarm_id=alarm(1).alarm_id)], ["pager"], quiet)
    outbox.follow_silences(quiet)
    assert [letter.state for letter in outbox.rows()] == [DeliveryState.DELIVERED, DeliveryState.WAITING]


def standing(status: AlarmStatus = AlarmStatus.UNACKNOWLEDGED, **changed: object) -> AlarmStanding:
    raised = alarm(1, **changed)
    return AlarmStanding(
        flask=raised.flask, channel=raised.channel, status=status, since=raised.at, by="cellvigil", why="-",
        shelved_until=None, raised=raised,
    )  # fmt: skip


def again(outbox: Outbox, standings: list[AlarmStanding], hours: float) -> list[str]:
    return [event.event_id for event in reminders(standings, outbox, 4 * 3600.0, NOW + timedelta(hours=hours))]


def test_an_alarm_is_told_again_every_so_often_until_it_is_acknowledged(outbox: Outbox) -> None:
    assert again(outbox, [standing()], 9.0) == []
    outbox.add([alarm(1)], ["pager"])
    assert again(outbox, [standing()], 3.9) == []
    (first,) = again(outbox, [standing()], 4.1)
    assert again(outbox, [standing()], 7.9) == [first]
    (second,) = again(outbox, [standing(AlarmStatus.LATCHED)], 8.1)
    assert second != first
    for status in (AlarmStatus.ACKNOWLEDGED, AlarmStatus.SHELVED, AlarmStatus.OUT_OF_SERVICE):
        assert again(outbox, [standing(status)], 9.0) == []
    (event,) = reminders([standing()], outbox, 4 * 3600.0, NOW + 5 * HOUR)
    assert (event.state, event.alarm_id) == (AlarmState.REMINDED, alarm(1).alarm_id)
    assert event.cause.startswith("nobody has acknowledged it for 5.0 h: potency")


def test_a_flask_is_not_reminded_of_what_stands_below_its_trouble(outbox: Outbox) -> None:
    outbox.add([alarm(1)], ["pager"])
    optics = standing(channel=Channel.OPTICS)
    assert again(outbox, [standing(), optics], 5.0) == again(outbox, [optics], 5.0)
    other = standing(channel=Channel.OPTICS, flask="B2")
    assert len(again(outbox, [standing(), other], 5.0)) == 2


def test_the_test_comes_once_a_day_and_not_for_hours_before_the_start() -> None:
    at, start = time(7, 30), NOW
    assert daily_test(at, start, NOW + HOUR) is None
    first = daily_test(at, start, NOW + 5 * HOUR)
    assert first is not None
    assert (first.state, first.channel, first.flask) == (AlarmState.TESTED, Channel.DELIVERY, "cellvigil")
    assert first.at == datetime(2026, 3, 11, 7, 30, tzinfo=UTC)
    assert daily_test(at, start, NOW + 27 * HOUR) == first
    second = daily_test(at, start, NOW + 29 * HOUR)
    assert second is not None and second.event_id != first.event_id


def test_silences_are_set_listed_and_ended_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = folded(tmp_path, [frame_row(0)])
    assert silence(tmp_path, "A*", "potency", 2.0, "anna", "service") == 0
    with SqliteRecord(state.record) as record:
        (made,) = record.silences()
    assert (made.flasks, made.channel, made.by, made.until - made.set_at) == ("A*", "potency", "anna", 2 * HOUR)
    assert list_silences(tmp_path, as_json=False) == 0
    assert "holds: A* potency until" in capsys.readouterr().out
    assert end_silence(tmp_path, made.silence_id, "ben") == 0
    assert end_silence(tmp_path, made.silence_id, "ben") == 1
    list_silences(tmp_path, as_json=False)
    assert "ended by ben" in capsys.readouterr().out


def test_deliveries_say_who_waits_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = folded(tmp_path, [frame_row(0), operator_row(OperatorAction.SHELVE, 1.0, until=9.0)])
    with Outbox(state.outbox) as outbox:
        outbox.add([alarm(1), alarm(2)], ["pager"])
        first, second = outbox.rows()
        outbox.delivered(first)
        outbox.given_up(second, "answers 404")
    assert list_deliveries(tmp_path, everything=False, as_json=False) == 1
    printed = capsys.readouterr().out
    assert "given_up" in printed and "answers 404" in printed and "event" not in printed
    assert "1 of 2 notifications" in printed
