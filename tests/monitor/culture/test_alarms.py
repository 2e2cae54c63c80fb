from datetime import datetime, timedelta

import pytest
from cases.sample_messages import NOON, digest
from pydantic import ValidationError

from monitor.culture.alarms import RULES, Alarm, Delay, Evidence, event_id_of
from monitor.culture.rules import AlarmRule
from monitor.culture.settings import CultureSettings
from monitor.messages import AlarmState, AlarmStatus, Channel


def evidence(number: int, cause: str = "something is wrong") -> Evidence:
    at = NOON + timedelta(minutes=15 * number)
    return Evidence(f"row-{number}", digest(str(number)), at, at - timedelta(hours=1), cause)


def by_anna(number: int, said: str = "acknowledged by anna") -> Evidence:
    at = NOON + timedelta(minutes=15 * number)
    return Evidence(f"operator-{number}", None, at, at, said, "anna")


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
    assert raised.consequence == RULES[channel].consequence
    assert raised.respond_by == raised.at + timedelta(seconds=RULES[channel].respond_within_s)
    if RULES[channel].latching:
        assert alarm.clear(evidence(2)) == []
        cleared = alarm.acknowledge(by_anna(3))[-1]
    else:
        (cleared,) = alarm.clear(evidence(2))
    assert (cleared.state, cleared.action, cleared.respond_by) == (AlarmState.CLEARED, "nothing to do", None)


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


def moves(alarm: Alarm) -> list[tuple[str, str, str]]:
    return [(move.before.value, move.after.value, move.by) for move in alarm.moves]


def test_an_acknowledged_alarm_is_over_when_the_trouble_is() -> None:
    alarm = Alarm("A1", Channel.OPTICS)
    (raised,) = alarm.raise_(evidence(1))
    (known,) = alarm.acknowledge(by_anna(2))
    assert (known.state, known.status, known.by) == (AlarmState.ACKNOWLEDGED, AlarmStatus.ACKNOWLEDGED, "anna")
    assert (known.alarm_id, known.estimated_onset_at) == (raised.alarm_id, raised.estimated_onset_at)
    assert alarm.acknowledge(by_anna(3)) == []
    (cleared,) = alarm.clear(evidence(4))
    assert cleared.status is AlarmStatus.NORMAL
    assert moves(alarm) == [
        ("normal", "unacknowledged", "cellvigil"),
        ("unacknowledged", "acknowledged", "anna"),
        ("acknowledged", "normal", "cellvigil"),
    ]


def test_an_alarm_that_went_before_anybody_saw_it_waits_for_that() -> None:
    alarm = Alarm("A1", Channel.OPTICS)
    alarm.raise_(evidence(1))
    (cleared,) = alarm.clear(evidence(2))
    assert cleared.status is alarm.status is AlarmStatus.RETURNED_UNACKNOWLEDGED
    (known,) = alarm.acknowledge(by_anna(3))
    assert (known.state, known.status) == (AlarmState.ACKNOWLEDGED, AlarmStatus.NORMAL)
    assert alarm.acknowledge(by_anna(4)) == []


def test_a_latching_alarm_stands_until_somebody_acknowledged_it() -> None:
    alarm = Alarm("A1", Channel.POTENCY)
    (raised,) = alarm.raise_(evidence(1))
    assert alarm.clear(evidence(2)) == []
    assert alarm.status is AlarmStatus.LATCHED
    assert alarm.raise_(evidence(3)) == []
    assert alarm.status is AlarmStatus.UNACKNOWLEDGED
    alarm.clear(evidence(4))
    known, cleared = alarm.acknowledge(by_anna(5))
    assert (known.state, cleared.state) == (AlarmState.ACKNOWLEDGED, AlarmState.CLEARED)
    assert known.alarm_id == cleared.alarm_id == raised.alarm_id
    assert cleared.status is alarm.status is AlarmStatus.NORMAL


def test_trouble_that_is_found_again_raises_an_acknowledged_alarm_anew() -> None:
    alarm = Alarm("A1", Channel.POTENCY)
    (raised,) = alarm.raise_(evidence(1))
    assert alarm.raise_(evidence(2), anew=True) == []
    alarm.acknowledge(by_anna(3))
    assert alarm.raise_(evidence(4)) == []
    (again,) = alarm.raise_(evidence(5), anew=True)
    assert (again.state, again.status) == (AlarmState.RAISED, AlarmStatus.UNACKNOWLEDGED)
    assert again.alarm_id == raised.alarm_id != again.event_id


def test_a_shelved_alarm_is_silent_and_tells_afterwards_what_came_meanwhile() -> None:
    alarm = Alarm("A1", Channel.OPTICS)
    (shelved,) = alarm.shelve(by_anna(1), since(600))
    assert (shelved.state, shelved.status, shelved.frame_id) == (AlarmState.SHELVED, AlarmStatus.SHELVED, None)
    assert alarm.raise_(evidence(2, "it is dark")) == []
    assert alarm.active
    assert alarm.raise_(evidence(3, "it is darker")) == []
    back, raised = alarm.unshelve(by_anna(5))
    assert (back.state, raised.state) == (AlarmState.UNSHELVED, AlarmState.RAISED)
    assert (raised.at, raised.cause) == (by_anna(5).at, "it is dark")
    assert raised.estimated_onset_at == evidence(2).onset_at
    assert raised.by == "cellvigil"
    assert alarm.unshelve(by_anna(6)) == []


def test_trouble_that_came_and_went_on_the_shelf_is_not_told() -> None:
    alarm = Alarm("A1", Channel.OPTICS)
    alarm.shelve(by_anna(1), since(600))
    alarm.raise_(evidence(2))
    assert alarm.clear(evidence(3)) == []
    assert [event.state for event in alarm.unshelve(by_anna(4))] == [AlarmState.UNSHELVED]
    assert alarm.status is AlarmStatus.NORMAL


def test_an_alarm_that_stood_before_it_was_shelved_stands_afterwards() -> None:
    alarm = Alarm("A1", Channel.OPTICS)
    (raised,) = alarm.raise_(evidence(1))
    alarm.shelve(by_anna(2), since(600))
    assert alarm.raise_(evidence(3)) == []
    (back,) = alarm.unshelve(by_anna(4))
    assert (back.status, back.alarm_id) == (AlarmStatus.UNACKNOWLEDGED, raised.alarm_id)


def test_out_of_service_outweighs_the_shelf_and_ends_only_by_an_operator() -> None:
    alarm = Alarm("A1", Channel.OPTICS)
    alarm.shelve(by_anna(1), since(600))
    (out,) = alarm.take_out(by_anna(2))
    assert out.status is AlarmStatus.OUT_OF_SERVICE
    assert alarm.shelved_until is None
    assert (alarm.take_out(by_anna(3)), alarm.shelve(by_anna(3), since(900)), alarm.unshelve(by_anna(3))) == (
        [],
        [],
        [],
    )
    assert alarm.raise_(evidence(4)) == []
    back, raised = alarm.bring_back(by_anna(5))
    assert (back.state, raised.state) == (AlarmState.IN_SERVICE, AlarmState.RAISED)
    assert alarm.bring_back(by_anna(6)) == []


def test_a_channel_below_one_in_trouble_is_suppressed_and_says_by_which() -> None:
    alarm = Alarm("A1", Channel.POTENCY)
    alarm.inhibit(Channel.OPTICS, evidence(1, "optics is in trouble"))
    alarm.inhibit(Channel.OPTICS, evidence(2, "optics is in trouble"))
    assert alarm.status is AlarmStatus.SUPPRESSED
    alarm.inhibit(None, evidence(3, "in order"))
    assert [(move.before, move.after, move.why) for move in alarm.moves] == [
        (AlarmStatus.NORMAL, AlarmStatus.SUPPRESSED, "optics is in trouble"),
        (AlarmStatus.SUPPRESSED, AlarmStatus.NORMAL, "in order"),
    ]


def test_an_alarm_that_stands_is_not_hidden_by_a_channel_above() -> None:
    alarm = Alarm("A1", Channel.POTENCY)
    alarm.raise_(evidence(1))
    alarm.inhibit(Channel.OPTICS, evidence(2))
    assert alarm.status is AlarmStatus.UNACKNOWLEDGED


def test_every_transition_has_an_id_of_its_own() -> None:
    alarm = Alarm("A1", Channel.OPTICS)
    for number in range(3):
        alarm.raise_(evidence(10 * number))
        alarm.acknowledge(by_anna(10 * number + 1))
        alarm.clear(evidence(10 * number + 2))
    assert len({move.transition_id for move in alarm.moves}) == len(alarm.moves) == 9


@pytest.mark.parametrize("word", ["priority", "cause", "consequence", "action", "respond_within_s"])
def test_a_rule_that_leaves_a_word_out_is_refused(word: str) -> None:
    whole = RULES[Channel.OPTICS].model_dump()
    assert AlarmRule(**whole)
    with pytest.raises(ValidationError, match=word):
        AlarmRule(**{name: value for name, value in whole.items() if name != word})
    with pytest.raises(ValidationError, match=word):
        CultureSettings.model_validate({"rules": {"optics": whole | {word: ""}}})
