"""The history of one flask: what raises an alarm, what clears it, what holds it back, and that order does not count."""

import itertools
import math
import pickle
import random
from collections.abc import Sequence

import pytest
from cases.culture_rows import INTERVAL, alarms_of, frame_row, operator_row, silence_row, told
from cases.sample_messages import NOON

from monitor.culture.potency import PotencyWatch
from monitor.culture.rows import CultureRow, FrameRow, SilenceRow, fold_order
from monitor.culture.settings import CultureSettings
from monitor.culture.state import FlaskState, Step, fold
from monitor.drift.budget import FalseAlarmBudget
from monitor.messages import AlarmState, AlarmStatus, Channel, OperatorAction
from monitor.segmentation.quality import QualitySettings

SETTINGS = CultureSettings(baseline_frames=8, window_frames=6, baseline_sd=10.0, cusum_reference_k=0.5)


def healthy(first: int, last: int, potency: float = 100.0) -> list[CultureRow]:
    return [frame_row(number, potency) for number in range(first, last)]


def history(rows: Sequence[CultureRow], settings: CultureSettings = SETTINGS) -> list[tuple[CultureRow, Step]]:
    return fold("A1", rows, settings)


def blurred(first: int, last: int, potency: float = 100.0, focus: float = 0.3) -> list[CultureRow]:
    return [frame_row(number, potency, focus=focus) for number in range(first, last)]


def unread(first: int, last: int) -> list[CultureRow]:
    return [frame_row(number, reason="not_understood") for number in range(first, last)]


def trouble() -> list[CultureRow]:
    """A history with everything in it: a blur, a silence, unreadable frames, a fall."""
    return [
        *healthy(0, 12), *blurred(12, 16, 40.0), *healthy(16, 24), silence_row(23, 28.5), *healthy(30, 34),
        *unread(34, 38), *healthy(38, 46), *healthy(46, 60, 60.0),
    ]  # fmt: skip


def test_a_healthy_flask_raises_nothing() -> None:
    found = history(healthy(0, 60))
    assert alarms_of(found) == []
    assert not any(step.drifts for _, step in found)
    assert [step.rolling.n_frames for _, step in found[:8]] == [1, 2, 3, 4, 5, 6, 6, 6]
    assert all(step.rolling.potency == 100.0 for _, step in found)


def test_a_fall_of_a_flask_with_too_few_fields_of_view_is_told_without_a_rolling_estimate() -> None:
    rows = [*healthy(0, 20), *healthy(20, 40, 60.0)]
    found = history(rows, SETTINGS.model_copy(update={"min_fields": 2}))
    assert all(step.rolling.potency is None for _, step in found)
    assert [step.rolling.n_frames for _, step in found[:3]] == [1, 2, 3]
    (alarm,) = alarms_of(found)
    assert "this frame 60 %, rolling not assessable, usual for this flask 100 %" in alarm.cause


def test_a_fall_is_found_when_the_sum_passes_its_limit_and_dated_to_its_first_frame() -> None:
    # three deviations below; what neighbouring frames share is taken off, so that each adds less than 2.5 to the sum
    found = history([*healthy(0, 20), *healthy(20, 40, 70.0)])
    (alarm,) = alarms_of(found)
    assert (alarm.channel, alarm.state, alarm.priority) == (Channel.POTENCY, AlarmState.RAISED, "high")
    assert NOON + 23 * INTERVAL <= alarm.at <= NOON + 26 * INTERVAL
    assert alarm.estimated_onset_at == NOON + 20 * INTERVAL
    (drift,) = [drift for _, step in found for drift in step.drifts]
    assert (drift.channel, drift.detector, drift.frame_id) == (Channel.POTENCY, "cusum-lower", alarm.frame_id)
    assert drift.statistic > drift.limit == pytest.approx(7.838, abs=0.001)
    assert drift.provisional


def test_a_long_baseline_is_not_provisional() -> None:
    found = history([*healthy(0, 40), *healthy(40, 50, 60.0)], SETTINGS.model_copy(update={"baseline_frames": 32}))
    (drift,) = [drift for _, step in found for drift in step.drifts]
    assert not drift.provisional


def test_a_potency_alarm_never_clears_by_itself() -> None:
    found = history([*healthy(0, 20), *healthy(20, 30, 60.0), *healthy(30, 90)])
    assert [(channel, state) for channel, state, _ in told(found)] == [("potency", "raised")]


def test_a_rise_is_no_alarm() -> None:
    assert alarms_of(history([*healthy(0, 20), *healthy(20, 60, 125.0)])) == []


def test_a_flask_is_measured_against_itself() -> None:
    settings = SETTINGS.model_copy(update={"potency_floor": 10.0})
    assert alarms_of(history(healthy(0, 60, 45.0), settings)) == []
    falling = [*healthy(0, 20, 45.0), *healthy(20, 30, 15.0)]
    assert told(history(falling, settings))[0][:2] == ("potency", "raised")


def test_a_flask_below_its_floor_from_the_first_frames_is_told_once_its_window_is_full() -> None:
    found = history(healthy(0, 60, 65.0))
    (alarm,) = alarms_of(found)
    assert (alarm.channel, alarm.priority, alarm.status) == (Channel.POTENCY, "high", AlarmStatus.UNACKNOWLEDGED)
    assert (alarm.at, alarm.estimated_onset_at) == (NOON + 6 * INTERVAL, NOON + 5 * INTERVAL)
    assert alarm.cause == (
        "potency is below its floor of 70 %: this frame 65 %, rolling 65 %, usual for this flask not learnt yet"
    )
    (drift,) = [drift for _, step in found for drift in step.drifts]
    assert (drift.detector, drift.statistic, drift.limit, drift.provisional) == ("floor", 0.5, 0.0, True)


def test_a_slow_fall_during_the_learning_is_told_at_the_floor() -> None:
    slow = [frame_row(number, 90.0 - 0.25 * number) for number in range(120)]
    first, *_ = alarms_of(history(slow, SETTINGS.model_copy(update={"baseline_frames": 100})))
    assert first.channel is Channel.POTENCY
    assert "below its floor of 70 %" in first.cause
    assert 80 * INTERVAL < first.at - NOON < 86 * INTERVAL


def test_an_acknowledged_fall_that_reaches_the_floor_is_raised_again() -> None:
    slow = [frame_row(number, 80.0 - 0.1 * number) for number in range(20, 140)]
    rows = [*healthy(0, 20), *slow, *(operator_row(ACKNOWLEDGE, number + 0.5) for number in (40, 60, 80, 95))]
    raised = [alarm.cause for alarm in alarms_of(history(rows)) if alarm.state is AlarmState.RAISED]
    assert raised[0].startswith("potency fell")
    assert any(cause.startswith("potency is below its floor") for cause in raised[1:])


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_a_flask_that_hovers_at_its_floor_does_not_flutter(memory: float) -> None:
    drawn, away, rows = random.Random(4), 0.0, []
    for number in range(2000):
        away = memory * away + math.sqrt(1.0 - memory**2) * drawn.gauss(0.0, 8.0)
        rows.append(frame_row(number, 70.0 + away))
    acknowledged = [operator_row(ACKNOWLEDGE, number + 0.5) for number in range(0, 2000, 4)]
    found = fold("A1", [*rows, *acknowledged], CultureSettings())
    assert 1 <= sum(alarm.state is AlarmState.RAISED for alarm in alarms_of(found)) <= 4


def test_a_floor_alarm_is_over_when_potency_stays_above_it() -> None:
    rows = [*healthy(0, 20, 65.0), operator_row(ACKNOWLEDGE, 19.5), *healthy(20, 60, 90.0)]
    assert [state for _, state, _ in told(history(rows))] == ["raised", "acknowledged", "cleared"]
    within_the_deadband = [*rows[:21], *healthy(20, 60, 77.0)]
    assert [state for _, state, _ in told(history(within_the_deadband))] == ["raised", "acknowledged"]


def test_what_is_usual_does_not_follow_a_fall_that_stands() -> None:
    watch = PotencyWatch(SETTINGS)
    for number in range(400):
        watch.judge(100.0 if number < 40 else 80.0, NOON + number * INTERVAL)
    assert watch.centre > 95.0
    assert not watch.back(80.0)


def test_the_budget_sets_the_limit() -> None:
    generous = SETTINGS.model_copy(update={"false_alarms": FalseAlarmBudget(alarms=20.0)})
    rows = [*healthy(0, 20), *healthy(20, 40, 75.0)]
    sooner, later = (alarms_of(history(rows, settings))[0].at for settings in (generous, SETTINGS))
    assert sooner < later


def test_frames_before_a_long_pause_say_nothing_of_the_next_one() -> None:
    one, other = PotencyWatch(SETTINGS), PotencyWatch(SETTINGS)
    for number in range(20):
        for watch in (one, other):
            watch.judge(100.0 + 4.0 * (number // 5 % 2), NOON + number * INTERVAL)
    for watch in (one, other):
        watch.judge(90.0, NOON + 20 * INTERVAL)
    assert one.judge(90.0, NOON + 21 * INTERVAL) is None
    assert other.judge(90.0, NOON + 200 * INTERVAL) is None
    assert other.statistic > one.statistic > 0.0
    other.reset()
    assert (other.statistic, other.falling_since) == (0.0, None)


def test_a_single_low_frame_is_no_alarm() -> None:
    assert alarms_of(history([*healthy(0, 20), frame_row(20, 40.0), *healthy(21, 60)])) == []


@pytest.mark.parametrize("seed", range(5))
def test_any_order_and_any_number_of_deliveries_give_one_history(seed: int) -> None:
    rows = trouble()
    expected = history(rows)
    assert len(alarms_of(expected)) == 7
    mixed = [*rows, *random.Random(seed).sample(rows, 20)]
    random.Random(seed).shuffle(mixed)
    assert history(mixed) == expected


def test_a_fold_is_its_steps() -> None:
    state = FlaskState("A1", SETTINGS)
    assert [(row, state.step(row)) for row in sorted(trouble(), key=fold_order)] == history(trouble())


def test_a_row_that_came_late_takes_its_place() -> None:
    rows = [*healthy(0, 20), *healthy(20, 24, 70.0)]
    without = history([row for row in rows if row.row_id != frame_row(21).row_id])
    assert alarms_of(without) == []
    assert history([*rows[:21], *rows[22:], rows[21]]) == history(rows)
    assert len(alarms_of(history(rows))) == 1


def test_rows_of_one_moment_are_ordered_by_their_ids() -> None:
    rows: list[CultureRow] = [frame_row(number) for number in range(5)]
    same = [row.model_copy(update={"acquired_at": NOON}) for row in rows if isinstance(row, FrameRow)]
    assert [row.row_id for row, _ in history(same)] == sorted(row.row_id for row in rows)


def test_every_event_has_an_id_of_its_own_and_other_flasks_have_others() -> None:
    ids = [alarm.event_id for alarm in alarms_of(history(trouble()))]
    assert len(set(ids)) == len(ids)
    other = [alarm.event_id for alarm in alarms_of(fold("B1", trouble(), SETTINGS))]
    assert not set(ids) & set(other)


def test_frames_that_cannot_be_assessed_hold_the_rolling_estimate() -> None:
    found = history([*healthy(0, 10, 90.0), *(frame_row(number, None) for number in range(10, 30))])
    assert found[-1][1].rolling == found[9][1].rolling
    assert alarms_of(found) == []


def test_a_lost_focus_raises_optics_and_never_reads_as_lost_potency() -> None:
    found = history([*healthy(0, 20), *blurred(20, 40, 20.0)])
    (alarm,) = alarms_of(found)
    assert (alarm.channel, alarm.state) == (Channel.OPTICS, AlarmState.RAISED)
    assert alarm.at == NOON + 21 * INTERVAL
    assert alarm.estimated_onset_at == NOON + 20 * INTERVAL
    assert "30 %" in alarm.cause
    assert found[-1][1].rolling == found[19][1].rolling
    (drift,) = [drift for _, step in found for drift in step.drifts]
    assert (drift.channel, drift.detector) == (Channel.OPTICS, "shewhart-focus")


def test_one_blurred_frame_is_no_alarm_and_is_kept_out_of_the_estimate() -> None:
    found = history([*healthy(0, 20), *blurred(20, 21, 20.0), *healthy(21, 30)])
    assert alarms_of(found) == []
    assert found[20][1].rolling == found[19][1].rolling


def test_an_optics_alarm_clears_after_four_good_frames_and_potency_goes_on_then() -> None:
    found = history([*healthy(0, 20), *blurred(20, 23), *healthy(23, 40, 97.0)])
    assert told(found) == [("optics", "raised", 21.0), ("optics", "cleared", 26.0)]
    rolling = [step.rolling.n_frames for _, step in found]
    assert rolling[19] == rolling[25] == SETTINGS.window_frames
    potencies = [step.rolling.potency for _, step in found]
    assert potencies[19:26] == [100.0] * 7
    assert potencies[-1] == 97.0


def test_a_focus_that_comes_half_way_back_does_not_flutter() -> None:
    half = [row for number in range(22, 60) for row in blurred(number, number + 1, focus=(0.78, 0.84)[number % 2])]
    assert told(history([*healthy(0, 20), *blurred(20, 22), *half])) == [("optics", "raised", 21.0)]
    # the same frames raise nothing where nothing is wrong
    assert told(history([*healthy(0, 22), *half])) == []


def test_good_frames_must_come_in_a_row_to_clear() -> None:
    wavering = [frame_row(number, focus=0.3 if number % 4 == 0 else 1.0) for number in range(24, 60)]
    assert told(history([*healthy(0, 22), *blurred(22, 24), *wavering])) == [("optics", "raised", 23.0)]


def test_frames_that_cannot_be_judged_neither_raise_nor_clear() -> None:
    dark = [frame_row(number, None, focus=0.0) for number in range(22, 40)]
    assert told(history([*healthy(0, 20), *blurred(20, 22), *dark])) == [("optics", "raised", 21.0)]
    assert told(history([*healthy(0, 22), *dark])) == []


@pytest.mark.parametrize("raise_after", [1, 3])
def test_delays_are_settings(raise_after: int) -> None:
    settings = SETTINGS.model_copy(update={"raise_after_frames": raise_after, "clear_after_frames": 2})
    found = history([*healthy(0, 20), *blurred(20, 24), *healthy(24, 40)], settings)
    assert told(found) == [("optics", "raised", 19.0 + raise_after), ("optics", "cleared", 25.0)]


def test_frames_that_the_network_cannot_read_raise_segmentation_and_clear_again() -> None:
    found = history([*healthy(0, 20), *unread(20, 24), *healthy(24, 40)])
    assert told(found) == [("segmentation", "raised", 21.0), ("segmentation", "cleared", 27.0)]


def test_what_is_blurred_and_unreadable_is_the_optics_fault_alone() -> None:
    both = [frame_row(number, reason="not_understood", focus=0.2) for number in range(20, 40)]
    assert told(history([*healthy(0, 20), *both])) == [("optics", "raised", 21.0)]


def test_optics_in_trouble_do_not_clear_a_segmentation_alarm() -> None:
    both = [frame_row(number, reason="not_understood", focus=0.2) for number in range(24, 40)]
    found = history([*healthy(0, 20), *unread(20, 24), *both])
    assert told(found) == [("segmentation", "raised", 21.0), ("optics", "raised", 25.0)]


@pytest.mark.parametrize("reason", ["saturated", "out_of_focus"])
def test_frames_that_optics_spoiled_say_nothing_of_the_network(reason: str) -> None:
    spoiled = [frame_row(number, reason=reason) for number in range(22, 40)]
    found = history([*healthy(0, 20), *unread(20, 22), *spoiled])
    assert told(found) == [("segmentation", "raised", 21.0), ("optics", "raised", 23.0)]


def test_a_fall_during_a_segmentation_alarm_waits_for_its_end() -> None:
    low = [frame_row(number, 50.0) for number in range(22, 40)]
    found = history([*healthy(0, 20), *unread(20, 22), *low])
    channels = [(channel, state) for channel, state, _ in told(found)]
    assert channels == [("segmentation", "raised"), ("segmentation", "cleared"), ("potency", "raised")]
    assert alarms_of(found)[-1].estimated_onset_at >= alarms_of(found)[1].at


def test_a_silence_raises_arrival_until_a_frame_comes() -> None:
    found = history([*healthy(0, 20), silence_row(19, 23.5), *healthy(30, 33)])
    assert told(found) == [("arrival", "raised", 23.5), ("arrival", "cleared", 30.0)]
    raised = alarms_of(found)[0]
    assert raised.estimated_onset_at == NOON + 19 * INTERVAL
    assert "68 min" in raised.cause
    assert "15 min apart" in raised.cause


def test_a_silence_leaves_the_rolling_estimate_alone() -> None:
    found = history([*healthy(0, 20), silence_row(19, 23.5)])
    assert found[-1][1].rolling == found[-2][1].rolling


def test_a_silence_whose_frames_came_after_all_is_raised_and_cleared_at_once() -> None:
    found = history([*healthy(0, 20), silence_row(19, 23.5), *healthy(20, 23)])
    assert told(found) == [("arrival", "raised", 23.5), ("arrival", "cleared", 23.5)]
    raised, cleared = alarms_of(found)
    assert raised.alarm_id == cleared.alarm_id
    assert "came after all" in cleared.cause


def test_a_silence_without_any_frame_before_it_is_told() -> None:
    assert told(history([silence_row(0, 5.0)])) == [("arrival", "raised", 5.0)]


def test_the_same_silence_is_one_row() -> None:
    assert silence_row(19, 23.5).row_id == silence_row(19, 24.0).row_id
    assert silence_row(19, 23.5).row_id != silence_row(20, 23.5).row_id
    assert silence_row(19, 23.5).row_id != silence_row(19, 23.5, flask="B1").row_id


def test_rows_say_when_and_where() -> None:
    frame, silence = frame_row(3), silence_row(3, 7.0)
    assert (frame.row_id, frame.at, frame.flask) == (frame.frame_id, frame.acquired_at, "A1")
    assert isinstance(silence, SilenceRow)
    assert (silence.at, silence.flask) == (NOON + 7 * INTERVAL, "A1")
    assert sorted([silence, frame], key=fold_order) == [frame, silence]


@pytest.mark.parametrize(
    ("reason", "said"), [("not_understood", "fine-tune"), ("debris", "debris covers"), ("merged", "several in one")]
)
def test_masks_that_cannot_be_relied_on_are_an_alarm_of_their_own_that_says_why(reason: str, said: str) -> None:
    rows = [*healthy(0, 12), *(frame_row(number, None, reason) for number in range(12, 20))]
    (alarm,) = alarms_of(history(rows))
    assert alarm.channel is Channel.SEGMENTATION
    assert said in alarm.cause


ACKNOWLEDGE, SHELVE, UNSHELVE = OperatorAction.ACKNOWLEDGE, OperatorAction.SHELVE, OperatorAction.UNSHELVE


def stood(found: Sequence[tuple[CultureRow, Step]], channel: Channel) -> list[tuple[str, float]]:
    """Return where an alarm came to stand, and at which time point."""
    moves = [move for _, step in found for move in step.transitions if move.channel is channel]
    return [(move.after.value, (move.at - NOON) / INTERVAL) for move in moves]


def test_a_potency_alarm_whose_fall_is_over_is_latched_until_somebody_acknowledges_it() -> None:
    rows = [*healthy(0, 20), *healthy(20, 30, 60.0), *healthy(30, 90)]
    assert [status for status, _ in stood(history(rows), Channel.POTENCY)] == ["unacknowledged", "latched"]
    acknowledged = history([*rows, operator_row(ACKNOWLEDGE, 89.5)])
    assert [status for status, _ in stood(acknowledged, Channel.POTENCY)] == ["unacknowledged", "latched", "normal"]
    assert told(acknowledged)[1:] == [("potency", "acknowledged", 89.5), ("potency", "cleared", 89.5)]
    assert [alarm.status for alarm in alarms_of(acknowledged)[1:]] == [AlarmStatus.NORMAL] * 2
    assert alarms_of(acknowledged)[1].by == "anna"
    assert alarms_of(acknowledged)[1].cause == "acknowledged by anna: on my way"


def test_an_acknowledged_fall_is_raised_again_only_where_it_goes_on_and_one_that_ends_clears() -> None:
    known = [*healthy(0, 20), *healthy(20, 30, 85.0), operator_row(ACKNOWLEDGE, 29.5)]
    assert [state for _, state, _ in told(history([*known, *healthy(30, 400, 85.0)]))] == ["raised", "acknowledged"]
    further = told(history([*known, *healthy(30, 60, 85.0), *healthy(60, 80, 55.0)]))
    assert [state for _, state, _ in further] == ["raised", "acknowledged", "raised"]
    assert 60 < further[2][2] < 75
    over = history([*healthy(0, 20), *healthy(20, 30, 60.0), operator_row(ACKNOWLEDGE, 29.5), *healthy(30, 90)])
    assert [state for _, state, _ in told(over)] == ["raised", "acknowledged", "cleared"]
    assert alarms_of(over)[2].status is AlarmStatus.NORMAL


def test_channels_below_one_in_trouble_are_suppressed_meanwhile() -> None:
    found = history([*healthy(0, 20), *blurred(20, 23), *healthy(23, 40)])
    for channel in (Channel.SEGMENTATION, Channel.POTENCY):
        assert stood(found, channel) == [("suppressed", 21.0), ("normal", 26.0)]
    assert stood(found, Channel.OPTICS) == [("unacknowledged", 21.0), ("returned_unacknowledged", 26.0)]
    assert stood(found, Channel.ARRIVAL) == []


def test_a_shelf_ends_with_the_first_row_after_its_time() -> None:
    rows = [*healthy(0, 20), operator_row(SHELVE, 19.5, Channel.OPTICS, until=25.5), *blurred(20, 30)]
    assert told(history(rows)) == [
        ("optics", "shelved", 19.5), ("optics", "unshelved", 26.0), ("optics", "raised", 26.0),
    ]  # fmt: skip
    raised = alarms_of(history(rows))[-1]
    assert raised.estimated_onset_at == NOON + 20 * INTERVAL
    sooner = [*rows, operator_row(UNSHELVE, 22.5, Channel.OPTICS)]
    assert told(history(sooner))[1:] == [("optics", "unshelved", 22.5), ("optics", "raised", 22.5)]


def test_a_shelved_lost_focus_still_keeps_frames_out_of_potency() -> None:
    rows = [*healthy(0, 20), operator_row(SHELVE, 19.5, Channel.OPTICS, until=90.0), *blurred(20, 40, 20.0)]
    found = history(rows)
    assert [state for _, state, _ in told(found)] == ["shelved"]
    assert found[-1][1].rolling == found[19][1].rolling


def test_an_alarm_out_of_service_says_nothing_until_it_is_brought_back() -> None:
    out, back = OperatorAction.OUT_OF_SERVICE, OperatorAction.IN_SERVICE
    rows = [*healthy(0, 20), operator_row(out, 10.5, Channel.ARRIVAL), silence_row(19, 23.5), *healthy(30, 33)]
    assert [state for _, state, _ in told(history(rows))] == ["out_of_service"]
    rows += [operator_row(back, 24.5, Channel.ARRIVAL)]
    states = [state for _, state, _ in told(history(rows))]
    assert states == ["out_of_service", "in_service", "raised", "cleared"]


def test_what_does_not_stand_cannot_be_acknowledged() -> None:
    assert alarms_of(history([*healthy(0, 20), operator_row(ACKNOWLEDGE, 19.5)])) == []
    assert alarms_of(history([operator_row(ACKNOWLEDGE, 0.5)])) == []


def worked_on() -> list[CultureRow]:
    return [
        *trouble(),
        operator_row(ACKNOWLEDGE, 14.5, Channel.OPTICS),
        operator_row(SHELVE, 24.5, Channel.ARRIVAL, until=27.0),
        operator_row(OperatorAction.OUT_OF_SERVICE, 33.5, Channel.SEGMENTATION),
        operator_row(OperatorAction.IN_SERVICE, 36.5, Channel.SEGMENTATION),
        operator_row(ACKNOWLEDGE, 55.5),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_what_operators_did_is_part_of_the_one_history_in_any_order(seed: int) -> None:
    expected = history(worked_on())
    assert {alarm.by for alarm in alarms_of(expected)} == {"anna", "cellvigil"}
    assert len(alarms_of(expected)) > 10
    mixed = [*worked_on(), *random.Random(seed).sample(worked_on(), 20)]
    random.Random(seed).shuffle(mixed)
    again = history(mixed)
    assert [step for _, step in again] == [step for _, step in expected]
    written = ["\n".join(a.model_dump_json() for a in alarms_of(found)) for found in (expected, again)]
    assert written[0] == written[1]


def test_every_event_says_where_the_alarm_stands_afterwards() -> None:
    state, last = FlaskState("A1", SETTINGS), AlarmStatus.NORMAL
    for row in sorted(worked_on(), key=fold_order):
        for alarm in state.step(row).alarms:
            last = state.status(alarm.channel)
            assert alarm.status is last
    assert last is not AlarmStatus.NORMAL


def hovering(limit: float) -> list[float]:
    """A slow wave of 0.03 about a limit with noise of 0.02; a plain threshold is crossed 280 times by it."""
    chance = random.Random(3)
    return [limit + 0.03 * math.sin(2.0 * math.pi * n / 1000.0) + chance.gauss(0.0, 0.02) for n in range(2000)]


def raised_by(rows: Sequence[CultureRow]) -> int:
    return sum(state == "raised" for _, state, _ in told(fold("A1", rows, CultureSettings())))


@pytest.mark.parametrize("hovers", ["focus", "light", "doubt"])
def test_a_value_that_hovers_at_its_limit_raises_at_most_four_alarms_in_two_thousand_frames(hovers: str) -> None:
    still = healthy(0, CultureSettings().baseline_frames)
    limit = {"focus": 0.75, "light": 0.3, "doubt": QualitySettings().max_doubt}[hovers]
    rows: list[CultureRow] = []
    for number, value in enumerate(hovering(limit), len(still)):
        if hovers == "focus":
            rows.append(frame_row(number, focus=value))
        elif hovers == "light":
            rows.append(frame_row(number, illumination=value))
        else:
            refused = value > limit
            row = frame_row(number, reason="not_understood" if refused else None)
            rows.append(row.model_copy(update={"quality": row.quality.model_copy(update={"doubt": value})}))
    crossed = [value < limit for value in hovering(limit)]
    assert sum(later and not earlier for earlier, later in itertools.pairwise(crossed)) > 250
    assert 1 <= raised_by([*still, *rows]) <= 4


def test_the_state_of_a_flask_does_not_grow_with_its_frames() -> None:
    state, sizes = FlaskState("A1", CultureSettings()), []
    for number in range(3001):
        row = frame_row(number, 100.0 + number % 5, focus=1.0 + 0.001 * (number % 9))
        state.step(row.model_copy(update={"features": {"area_median": 1500.0 + number % 7}}))
        if number in (1100, 2000, 3000):
            sizes.append(len(pickle.dumps(state)))
    assert max(sizes) <= 1.02 * min(sizes)
