from datetime import datetime, timedelta

import pytest
from cases.sample_messages import NOON, digest

from monitor.culture.alarms import RULES, Alarm, Delay, Evidence, event_id_of
from monitor.messages import AlarmState, Channel


def evidence(number: int, cause: str = "something is wrong") -> Evidence:
    at = NOON + timedelta(minutes=15 * number)
    return Evidence(f"row-{number}", digest(str(number)), at, at - timedelta(hours=1), cause)


def note(delay: Delay, *bad: bool | None) -> None:
    for number, one in enumerate(bad):
        delay.note(one, NOON + timedelta(minutes=number))


def since(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_an_alarm_is_raised_once_and_cleared_once_and_then_ready_again() -> None:
    alarm = Alarm("A1", Channel.OPTICS)
    assert alarm.clear(evidence(0)) == []
    (raised,) = alarm.raise_(evidence(1))
    assert alarm.active
    assert alarm.raise_(evidence(2)) == []
    (cleared,) = alarm.clear(evidence(3))
    assert not alarm.active
    assert alarm.clear(evidence(4)) == []
    (again,) = alarm.raise_(evidence(5))
    assert (raised.state, cleared.state, again.state) == (AlarmState.RAISED, AlarmState.CLEARED, AlarmState.RAISED)


def test_events_of_one_alarm_share_its_id_and_have_ids_of_their_own() -> None:
    alarm = Alarm("A1", Channel.OPTICS)
    (raised,), (cleared,), (again,) = alarm.raise_(evidence(1)), alarm.clear(evidence(2)), alarm.raise_(evidence(3))
    assert raised.alarm_id == cleared.alarm_id == raised.event_id
    assert again.alarm_id == again.event_id
    assert len({raised.event_id, cleared.event_id, again.event_id}) == 3


def test_the_same_history_gives_the_same_ids() -> None:
    ids = [Alarm("A1", Channel.OPTICS).raise_(evidence(1))[0].event_id for _ in range(2)]
    assert ids[0] == ids[1]
    others = [
        Alarm("A2", Channel.OPTICS).raise_(evidence(1))[0].event_id,
        Alarm("A1", Channel.POTENCY).raise_(evidence(1))[0].event_id,
        Alarm("A1", Channel.OPTICS).raise_(evidence(2))[0].event_id,
    ]
    assert len({ids[0], *others}) == 4


def test_parts_of_an_id_cannot_run_into_one_another() -> None:
    assert event_id_of("A", "1B") != event_id_of("A1", "B") != event_id_of("A1B")
    assert len(event_id_of("A", "B")) == 32


@pytest.mark.parametrize("channel", list(Channel))
def test_every_channel_says_how_urgent_it_is_and_what_to_do(channel: Channel) -> None:
    alarm = Alarm("A1", channel)
    (raised,) = alarm.raise_(evidence(1, "it is dark"))
    assert raised.priority == RULES[channel].priority
    assert raised.action == RULES[channel].action
    assert len(raised.action) > 20
    assert raised.cause == "it is dark"
    assert raised.at == evidence(1).at
    assert raised.estimated_onset_at == evidence(1).onset_at
    assert raised.frame_id == evidence(1).frame_id
    (cleared,) = alarm.clear(evidence(2))
    assert cleared.action == "nothing to do"


def test_what_threatens_the_batch_is_urgent() -> None:
    assert [channel for channel, rule in RULES.items() if rule.priority == "high"] == [Channel.POTENCY, Channel.ARRIVAL]


def test_a_delay_counts_bad_frames_in_a_row_and_remembers_the_first() -> None:
    delay = Delay()
    note(delay, False, True, True, True)
    assert (delay.bad, delay.good, delay.since) == (3, 0, since(1))


def test_a_good_frame_starts_the_count_anew() -> None:
    delay = Delay()
    note(delay, True, True, False, True)
    assert (delay.bad, delay.good, delay.since) == (1, 0, since(3))
    note(delay, False, False)
    assert (delay.bad, delay.good) == (0, 2)


def test_a_frame_that_could_not_be_judged_changes_nothing() -> None:
    delay = Delay()
    note(delay, True, None, True, None)
    assert (delay.bad, delay.good, delay.since) == (2, 0, since(0))
    note(delay, False, None)
    assert (delay.bad, delay.good) == (0, 1)
